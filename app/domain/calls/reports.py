"""Looking at calls: the newest ones, one of them, its attempts and, where a team keeps it, its content.

Whoever looks for a team gives the team and finds nothing else; None is for people who run the hub.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.calls.models import Attempt, Call, CallContent

Cursor = tuple[int, str]
"""Start and id of a call: later calls are those that come after it in this order."""


async def latest(session: AsyncSession, team_id: str | None, limit: int, after: Cursor | None = None) -> Sequence[Call]:
    """The newest calls, oldest of them first; with `after`, the first ones that began later than that call."""
    query = select(Call)
    if team_id is not None:
        query = query.where(Call.team_id == team_id)
    if after is None:
        newest = (await session.scalars(query.order_by(Call.started_us.desc(), Call.id.desc()).limit(limit))).all()
        return newest[::-1]
    query = query.where(tuple_(Call.started_us, Call.id) > after)
    return (await session.scalars(query.order_by(Call.started_us, Call.id).limit(limit))).all()


async def of_ids(session: AsyncSession, call_ids: Sequence[str]) -> Sequence[Call]:
    """These calls as they are now, by their start."""
    return (await session.scalars(select(Call).where(Call.id.in_(call_ids)).order_by(Call.started_us, Call.id))).all()


async def find(session: AsyncSession, call_id: str, team_id: str | None = None) -> Call | None:
    query = select(Call).where(Call.id == call_id)
    if team_id is not None:
        query = query.where(Call.team_id == team_id)
    return await session.scalar(query)


async def attempts(session: AsyncSession, call_id: str) -> Sequence[Attempt]:
    """In the order in which they were made."""
    return (await session.scalars(select(Attempt).where(Attempt.call_id == call_id).order_by(Attempt.n))).all()


async def content(session: AsyncSession, call_id: str) -> CallContent | None:
    """Prompt and answer, still sealed; None when the team does not keep them or their time is over."""
    return await session.get(CallContent, call_id)


async def has_any(session: AsyncSession) -> bool:
    """Whether this hub has ever taken a call."""
    return bool(await session.scalar(select(exists().select_from(Call))))
