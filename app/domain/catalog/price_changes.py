"""Price changes that were made by `repricing.py`: which there are, and putting back what was there before one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
from msgspec import Struct
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, Conflict, NotFound
from app.domain.catalog import conditions, rates, settings
from app.domain.catalog.bundle import RATE_SOURCE
from app.domain.catalog.models import PriceChange, Rate
from app.domain.catalog.rates import NewLine

State = Literal["scheduled", "in force", "reverted"]

_IDS_PER_QUERY = 500
"""SQLite takes 32766 parameters, older ones 999."""
_A_SECOND = timedelta(seconds=1)
"""A line that replaces one of the same moment begins a little later than that."""

_LONGEST_SOURCE = 200

_log = structlog.stdlib.get_logger(__name__)

_Key = tuple[str, str, str]
"""Deployment, meter and condition."""


class Change(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    scope: Mapping[str, Any]
    rule: Mapping[str, Any]
    state: State
    effective_from: datetime
    created_at: datetime
    created_by: str
    reverted_at: datetime | None
    lines: Sequence[Mapping[str, Any]]
    """What it set, as `repricing.Row`."""


class Reverted(Struct, frozen=True, kw_only=True):
    name: str
    was_scheduled: bool
    restored: int
    """Lines that were put back."""
    left: int
    """Lines that somebody has priced otherwise since: they stay."""


async def listed(session: AsyncSession) -> list[Change]:
    """The newest first."""
    now = clock.now()
    rows = await session.scalars(select(PriceChange).order_by(PriceChange.created_at.desc(), PriceChange.id.desc()))
    return [
        Change(
            id=row.id,
            name=row.name,
            scope=row.scope,
            rule=row.rule,
            state=_state(row, now),
            effective_from=row.effective_from,
            created_at=row.created_at,
            created_by=row.created_by,
            reverted_at=row.reverted_at,
            lines=row.before,
        )
        for row in rows
    ]


async def find(session: AsyncSession, name: str) -> PriceChange:
    """By its name, or its id.

    Raises:
        NotFound: there is no such change.
    """
    change = await session.scalar(
        select(PriceChange).where(or_(PriceChange.name == name, PriceChange.id == name)).limit(1)
    )
    if change is None:
        raise NotFound(f'There is no price change "{name[:120]}".', param="name")
    return change


async def revert(session: AsyncSession, change_id: str, *, actor: str) -> Reverted:
    """Put back the prices that would be in force if the change had never been, nor others that were reverted.

    Costs stay as they are by now, and so does every price that somebody has set since. A change that has not begun yet
    is undone at the moment at which it would have.

    Raises:
        NotFound: there is no such change.
        Conflict: it was reverted before.
    """
    await settings.lock(session)
    change = await session.scalar(select(PriceChange).where(PriceChange.id == change_id))
    if change is None:
        raise NotFound("There is no such price change.")
    if change.reverted_at is not None:
        raise Conflict(f"{change.name} was reverted before.")
    now = clock.now()
    at = max(change.effective_from, await rates.moment(session))
    undone = set(await session.scalars(select(PriceChange.id).where(PriceChange.reverted_at.is_not(None))))
    undone.add(change.id)
    wanted: dict[str, list[NewLine]] = {}
    begins: dict[str, datetime] = {}
    restored = left = 0
    for key, history in (await _histories(session, change, at + _A_SECOND)).items():
        deployment_id, meter, _ = key
        last = history[-1]
        is_ours, price_nano = _price_without(history, undone)
        if not is_ours:
            left += 1
            continue
        line = NewLine(meter, last.cost_nano, price_nano, last.condition, last.review_cost_nano)
        wanted.setdefault(deployment_id, []).append(line)
        begins[deployment_id] = max(begins.get(deployment_id, change.effective_from), last.effective_from)
        restored += 1
    for deployment_id, lines in wanted.items():
        await rates.add_lines(
            session,
            deployment_id,
            lines,
            source=f"revert:{change.name} ({actor})"[:_LONGEST_SOURCE],
            effective_from=begins[deployment_id],
            change_id=change.id,
            allows_below_cost=True,
        )
    was_scheduled = _state(change, now) == "scheduled"
    change.reverted_at = now
    await session.flush()
    _log.info("prices.reverted", change=change.name, by=actor, restored=restored, left=left)
    return Reverted(name=change.name, was_scheduled=was_scheduled, restored=restored, left=left)


def _state(change: PriceChange, now: datetime) -> State:
    if change.reverted_at is not None:
        return "reverted"
    return "scheduled" if change.effective_from > now else "in force"


async def _histories(session: AsyncSession, change: PriceChange, until: datetime) -> Mapping[_Key, Sequence[Rate]]:
    """All lines ever of what the change has touched, the oldest first, as far as they begin until then."""
    ids = sorted({row["deployment_id"] for row in change.before})
    found: dict[_Key, list[Rate]] = {}
    for start in range(0, len(ids), _IDS_PER_QUERY):
        rows = await session.scalars(
            select(Rate)
            .where(Rate.deployment_id.in_(ids[start : start + _IDS_PER_QUERY]), Rate.effective_from <= until)
            .order_by(Rate.effective_from, Rate.id)
        )
        for row in rows:
            try:
                condition = conditions.read(row.condition)
            except BadValue:
                # A line that this version cannot read is none of its changes.
                continue
            found.setdefault((row.deployment_id, row.meter, condition.key), []).append(row)
    return {key: rows for key, rows in found.items() if any(row.change_id == change.id for row in rows)}


def _price_without(history: Sequence[Rate], undone: Collection[str]) -> tuple[bool, int | None]:
    """Whether the last line's price is one of the undone changes', and what the explicit price would be without them.

    A bundle's line brings a cost and carries on the price that is there; any other one says both.
    """
    is_undone, price_nano, last_nano = False, None, None
    for line in history:
        is_ended = line.cost_nano is None and line.price_nano is None
        is_carried = line.source.startswith(RATE_SOURCE) and line.price_nano == last_nano and not is_ended
        if line.change_id in undone:
            is_undone = True
        elif not (is_undone and is_carried):
            is_undone, price_nano = False, line.price_nano
        last_nano = line.price_nano
    return is_undone, price_nano
