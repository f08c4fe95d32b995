"""Looking at calls: the newest ones, one of them, its attempts and, where a team keeps it, its content.

Whoever looks for a team gives the team and finds nothing else; None is for people who run the hub.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.calls.models import Attempt, Call, CallContent

_KEYS_AT_ONCE = 10_000

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


async def spent_since(
    session: AsyncSession,
    scope: str,
    scope_id: str,
    unit: str,
    begin_us: int,
    end_us: int | None = None,
    *,
    below: Sequence[str] = (),
) -> int:
    """What the calls that began since then (and before `end_us`) and have ended come to, in a budget's unit and scope.

    `cost` in nano-USD, `credits` in nano-credits less what was given back, `calls`, `tokens` in and out, cached or not.
    Of a key the calls of the keys `below` it count as well.
    """
    query = select(func.coalesce(_SPENT[unit], 0)).where(Call.started_us >= begin_us, Call.status != "running")
    if end_us is not None:
        query = query.where(Call.started_us < end_us)
    of_those = [_of_scope(scope, scope_id)]
    for begin in range(0, len(below), _KEYS_AT_ONCE):
        of_those.append((Call.api_key_id.in_(below[begin : begin + _KEYS_AT_ONCE]),))
    total = 0
    for condition in of_those:
        # PostgreSQL sums big integers as a decimal.
        total += int(await session.scalar(query.where(*condition)) or 0)
    return total


async def asked_since(session: AsyncSession, scope: str, scope_id: str, unit: str, begin_us: int) -> int:
    """What counts in a limit's scope: `requests` that began since then, `tokens` of those that have ended, or how many
    calls are under way now (`streams`)."""
    query = select(func.coalesce(_SPENT["tokens"] if unit == "tokens" else func.count(), 0)).where(
        *_of_scope(scope, scope_id)
    )
    query = query.where(Call.status == "running" if unit == "streams" else Call.started_us >= begin_us)
    return int(await session.scalar(query) or 0)


_SPENT: Mapping[str, ColumnElement[Any]] = {
    "cost": func.sum(Call.cost_nano),
    "credits": func.sum(Call.charge_nano - Call.refunded_nano),
    "calls": func.count(),
    "tokens": func.sum(
        Call.input
        + Call.cache_read
        + Call.cache_write_5m
        + Call.cache_write_1h
        + Call.audio_in
        + Call.output
        + Call.audio_out
    ),
}


def _of_scope(scope: str, scope_id: str) -> Sequence[ColumnElement[bool]]:
    match scope:
        case "team":
            return (Call.team_id == scope_id,)
        case "project":
            team_id, _, project = scope_id.partition("/")
            return Call.team_id == team_id, Call.project == project
        case "key":
            return (Call.api_key_id == scope_id,)
        case "user":
            return (Call.user_id == scope_id,)
        case "model":
            return (Call.model == scope_id,)
        case "credential":
            return (Call.credential_id == scope_id,)
        case _:
            return ()
