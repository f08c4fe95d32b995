"""Movements outside of calls: posted in a session of the control plane, by the same rules as those of the writer."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.base.writer import Found, Lookup, Movement, Step
from app.domain.billing import book


async def post(session: AsyncSession, movement: Movement) -> None:
    """Decide and write a movement; the session's commit makes it true.

    Raises:
        Refused: what the movement raises. Nothing is written.
    """
    rows: dict[Lookup, list[tuple[object, ...]]] = {}
    for lookup, keys in movement.reads():
        # Read anew: what this session has seen before may be older than the lock.
        found = await session.execute(lookup.of(list(keys)))
        rows.setdefault(lookup, []).extend(tuple(row) for row in found)
    found_rows: Found = rows
    for step in movement.decide(movement.opens(found_rows)):
        await run(session, step)


async def open_account(session: AsyncSession, team_id: str, now_us: int) -> None:
    """Give the team an account, if it has none."""
    await run(session, book.opening(team_id, now_us))


async def run(session: AsyncSession, step: Step) -> None:
    """A writer's step in a session."""
    await session.execute(step.statement.clause, dict(zip(step.statement.names, step.values, strict=True)))
