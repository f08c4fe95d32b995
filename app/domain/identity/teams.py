"""Teams and who belongs to them. A team is the tenant and the payer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, Conflict, NotFound
from app.base.ids import new_id
from app.domain.identity import users
from app.domain.identity.models import Membership, Team, User

ROLES = ("admin", "member")
MAX_KEEP_CONTENT_DAYS = 365

_NAME = re.compile(r"\S(.{0,198}\S)?")


def check_name(name: str) -> str:
    """`name`, if a team or a key can have it.

    Raises:
        BadValue: empty, longer than 200 characters, with control characters or with space at an end.
    """
    if not _NAME.fullmatch(name) or not name.isprintable():
        raise BadValue(
            "A name has 1 to 200 characters, none of them a control character, and no space at either end.",
            param="name",
        )
    return name


async def get(session: AsyncSession, team_id: str) -> Team:
    """
    Raises:
        NotFound: there is no such team.
    """
    team = await session.get(Team, team_id)
    if team is None:
        raise NotFound("There is no such team.")
    return team


async def find_by_name(session: AsyncSession, name: str) -> Team | None:
    return await session.scalar(select(Team).where(Team.name == name))


async def get_by_name(session: AsyncSession, name: str) -> Team:
    """
    Raises:
        NotFound: there is no team of that name.
    """
    team = await find_by_name(session, name)
    if team is None:
        raise NotFound(f'There is no team "{name}".', param="team")
    return team


async def named_in(session: AsyncSession, path: str) -> tuple[Team, str] | None:
    """The team and what follows it in `team/what`. A team's name may have slashes itself; the longest one is meant."""
    place = path.rfind("/")
    while place > 0:
        team = await find_by_name(session, path[:place])
        if team is not None:
            return team, path[place + 1 :]
        place = path.rfind("/", 0, place)
    return None


async def ensure(session: AsyncSession, name: str) -> Team:
    """The team of that name, made if it is not there.

    Raises:
        BadValue: the name cannot be.
    """
    return await find_by_name(session, name) or await create(session, name=name)


async def listed(session: AsyncSession) -> Sequence[Team]:
    """All teams by name."""
    return (await session.scalars(select(Team).order_by(Team.name))).all()


async def create(session: AsyncSession, *, name: str, keep_content_days: int = 0) -> Team:
    """
    Raises:
        BadValue: the name or the days cannot be.
        Conflict: the name is taken.
    """
    check_name(name)
    _check_days(keep_content_days)
    if await find_by_name(session, name) is not None:
        raise Conflict(f'There is already a team "{name}".', param="name")
    team = Team(id=new_id(), name=name, keep_content_days=keep_content_days, created_at=clock.now())
    session.add(team)
    await session.flush()
    return team


async def set_keep_content_days(session: AsyncSession, team_id: str, days: int) -> None:
    """How long prompts and answers of later calls are stored; 0 stores none.

    Raises:
        BadValue: not 0 to 365.
        NotFound: there is no such team.
    """
    _check_days(days)
    changed = await session.scalar(
        update(Team).where(Team.id == team_id).values(keep_content_days=days).returning(Team.id)
    )
    if changed is None:
        raise NotFound("There is no such team.")


async def set_markup(session: AsyncSession, team_id: str, markup_basis_points: int | None) -> None:
    """What the team pays above cost, in hundredths of a percent; None: as everybody does.

    Raises:
        BadValue: not from -100 to 100000 percent.
        NotFound: there is no such team.
    """
    if markup_basis_points is not None and not -10_000 <= markup_basis_points <= 10_000_000:
        raise BadValue("A markup is a percentage from -100 to 100000.", param="markup")
    changed = await session.scalar(
        update(Team).where(Team.id == team_id).values(markup_basis_points=markup_basis_points).returning(Team.id)
    )
    if changed is None:
        raise NotFound("There is no such team.")


async def remove(session: AsyncSession, team_id: str) -> None:
    """Remove a team with its keys and memberships. Whoever calls has made sure that it has no calls and no credits.

    Raises:
        NotFound: there is no such team.
    """
    if await session.scalar(delete(Team).where(Team.id == team_id).returning(Team.id)) is None:
        raise NotFound("There is no such team.")


async def members(session: AsyncSession, team_id: str) -> Mapping[str, str]:
    """Role by e-mail address."""
    rows = await session.execute(
        select(User.email, Membership.role)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.team_id == team_id)
        .order_by(User.email)
    )
    return dict(rows.all())


async def memberships(session: AsyncSession) -> Sequence[tuple[str, str, str]]:
    """(team id, e-mail address, role) of everybody, for what shows all teams at once."""
    rows = await session.execute(
        select(Membership.team_id, User.email, Membership.role)
        .join(User, Membership.user_id == User.id)
        .order_by(Membership.team_id, User.email)
    )
    return [(team_id, email, role) for team_id, email, role in rows]


async def set_member(session: AsyncSession, team_id: str, email: str, role: str) -> None:
    """Make the person a member of the team in this role. Who is not known yet becomes a member of the hub first.

    Raises:
        BadValue: the role or the address cannot be.
        NotFound: there is no such team.
    """
    if role not in ROLES:
        raise BadValue(f'"{role}" is not a role of a team. It must be {" or ".join(ROLES)}.', param="role")
    await get(session, team_id)
    user = await users.ensure(session, email)
    membership = await session.get(Membership, (team_id, user.id))
    if membership is None:
        session.add(Membership(team_id=team_id, user_id=user.id, role=role))
    else:
        membership.role = role
    await session.flush()


async def remove_member(session: AsyncSession, team_id: str, email: str) -> None:
    """Take the person out of the team; the user stays.

    Raises:
        NotFound: nobody of that address is in the team.
    """
    user_id = select(User.id).where(User.email == email.lower()).scalar_subquery()
    removed = await session.scalar(
        delete(Membership)
        .where(Membership.team_id == team_id, Membership.user_id == user_id)
        .returning(Membership.user_id)
        .execution_options(synchronize_session=False)
    )
    if removed is None:
        raise NotFound(f"{email} is not a member of this team.")


def _check_days(days: int) -> None:
    if not 0 <= days <= MAX_KEEP_CONTENT_DAYS:
        raise BadValue(
            f"Content is kept 0 to {MAX_KEEP_CONTENT_DAYS} days; 0 keeps none.",
            param="keep_content_days",
        )
