"""People. An e-mail address is who somebody is, so it is stored in lower case."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, NotFound
from app.domain.identity.models import HubSetting, User

HubRole = Literal["owner", "admin", "member", "guest"]

STAFF: tuple[HubRole, ...] = ("owner", "admin")
"""Who may see the admin pages."""

FIRST_OWNER = "owner@localhost"
"""The owner that the first start makes, when nobody has said another."""

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,130}")
_SIGNED_IN = "admin.first_signed_in_at"


def check_address(email: str) -> str:
    """In lower case, as users are stored.

    Raises:
        BadValue: this is no e-mail address.
    """
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address):
        raise BadValue(f'"{email}" is not an e-mail address.', param="email")
    return address


async def ensure(session: AsyncSession, email: str, hub_role: HubRole = "member") -> User:
    """The user with this address, made if nobody has it. The role of one who is already there stays.

    Raises:
        BadValue: this is no e-mail address.
    """
    address = check_address(email)
    found = await find(session, address)
    if found is not None:
        return found
    user = User(email=address, hub_role=hub_role, created_at=clock.now(), disabled_at=None)
    try:
        async with session.begin_nested():
            session.add(user)
    except IntegrityError:
        # Another process was first.
        return await get_by_email(session, address)
    return user


async def find(session: AsyncSession, email: str) -> User | None:
    return await session.scalar(select(User).where(User.email == email.strip().lower()))


async def get_by_email(session: AsyncSession, email: str) -> User:
    """Raises NotFound when nobody has this address."""
    found = await find(session, email)
    if found is None:
        raise NotFound(f"There is no user {email}.", param="email")
    return found


async def get(session: AsyncSession, user_id: str) -> User:
    """Raises NotFound when there is no such user."""
    found = await session.get(User, user_id)
    if found is None:
        raise NotFound("There is no such user.")
    return found


async def listed(session: AsyncSession) -> Sequence[User]:
    """All users, by address."""
    return (await session.scalars(select(User).order_by(User.email))).all()


async def addresses(session: AsyncSession, user_ids: Collection[str]) -> Mapping[str, str]:
    """User id → e-mail address, of those that are there."""
    rows = await session.execute(select(User.id, User.email).where(User.id.in_(list(user_ids))))
    return dict(rows.all())


async def set_role(session: AsyncSession, user_id: str, hub_role: HubRole) -> None:
    await session.execute(update(User).where(User.id == user_id).values(hub_role=hub_role))


async def first_owner(session: AsyncSession) -> User | None:
    """The owner who has been there longest and is not disabled."""
    return await session.scalar(
        select(User).where(User.hub_role == "owner", User.disabled_at.is_(None)).order_by(User.created_at).limit(1)
    )


async def note_sign_in(session: AsyncSession, user_id: str) -> None:
    """Remember that staff has signed in: from then on the start prints no link any more."""
    user = await get(session, user_id)
    if user.hub_role in STAFF and not await has_staff_signed_in(session):
        session.add(HubSetting(key=_SIGNED_IN, value=clock.now().isoformat()))


async def has_staff_signed_in(session: AsyncSession) -> bool:
    """Whether an owner or admin has ever signed in to this hub."""
    return await session.get(HubSetting, _SIGNED_IN) is not None
