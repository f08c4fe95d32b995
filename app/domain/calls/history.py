"""The calls of one team, page by page, newest first, with the filters that people look for calls by."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.calls.models import Call

MOST_COUNTED = 10_000
"""More calls than these are not counted and not paged through; a shorter time range reaches the older ones."""


class Wanted(Struct, frozen=True, kw_only=True):
    """Which calls; None is any."""

    team_id: str
    since_us: int | None = None
    until_us: int | None = None
    """Not included."""
    has_succeeded: bool | None = None
    """False: those that ended otherwise."""
    endpoints: Collection[str] | None = None
    provider: str | None = None
    project: str | None = None
    """`""`: those that name none."""
    model: str | None = None
    """A part of its public name."""
    search: str | None = None
    """A part of the model's name, or the id of the call or of the provider's own record of it."""
    least_us: int | None = None
    """As long as this at least."""


async def count(session: AsyncSession, wanted: Wanted) -> int:
    """How many there are; `MOST_COUNTED` where it is that many or more."""
    some = select(Call.id).where(_condition(wanted)).limit(MOST_COUNTED).subquery()
    return await session.scalar(select(func.count()).select_from(some)) or 0


async def page(session: AsyncSession, wanted: Wanted, *, limit: int, skip: int = 0) -> Sequence[Call]:
    """`limit` of them after the first `skip`, newest first. Beyond `MOST_COUNTED` there is nothing."""
    if skip >= MOST_COUNTED:
        return ()
    query = select(Call).where(_condition(wanted)).order_by(Call.started_us.desc(), Call.id.desc())
    return (await session.scalars(query.limit(min(limit, MOST_COUNTED - skip)).offset(skip))).all()


def _condition(wanted: Wanted) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [Call.team_id == wanted.team_id]
    if wanted.since_us is not None:
        conditions.append(Call.started_us >= wanted.since_us)
    if wanted.until_us is not None:
        conditions.append(Call.started_us < wanted.until_us)
    if wanted.has_succeeded is not None:
        ended = Call.status.not_in(("succeeded", "running"))
        conditions.append(Call.status == "succeeded" if wanted.has_succeeded else ended)
    if wanted.endpoints is not None:
        conditions.append(Call.endpoint.in_(wanted.endpoints))
    if wanted.provider is not None:
        conditions.append(Call.provider == wanted.provider)
    if wanted.project is not None:
        conditions.append(Call.project == wanted.project if wanted.project else Call.project.is_(None))
    if wanted.model is not None:
        conditions.append(Call.model.contains(wanted.model, autoescape=True))
    if wanted.search is not None:
        conditions.append(
            or_(
                Call.model.contains(wanted.search, autoescape=True),
                Call.id == wanted.search,
                Call.upstream_id == wanted.search,
            )
        )
    if wanted.least_us is not None:
        conditions.append(Call.total_us >= wanted.least_us)
    return and_(*conditions)
