"""Rate cards: what a deployment's meters cost and are sold at. Lines are added, never edited."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue
from app.base.ids import new_id
from app.base.money import MAX_NANO
from app.base.usage import PER_MILLION_METERS, PER_UNIT_METERS
from app.domain.catalog.models import Rate

MILLION = 1_000_000

_IDS_PER_QUERY = 500
"""SQLite takes 32766 parameters, older ones 999."""


class Line(Struct, frozen=True):
    """What one meter costs and is sold at, in nano per its unit. None: unknown; zero: free."""

    cost_nano: int | None
    price_nano: int | None


Card = Mapping[str, Line]
"""Line by meter."""

_ENDED = Line(None, None)


def per_units(meter: str) -> int:
    """For how many units a meter's rate is quoted.

    Raises:
        BadValue: there is no such meter, or it is never charged by itself.
    """
    if meter in PER_MILLION_METERS:
        return MILLION
    if meter in PER_UNIT_METERS:
        return 1
    raise BadValue(f'"{meter}" is not a meter that has a rate.', param=meter)


async def newest(session: AsyncSession, deployment_ids: Collection[str]) -> Mapping[str, Card]:
    """The card in force of each of the deployments: unconditional lines that have not ended."""
    found = await _newest_rows(session, deployment_ids)
    return {
        deployment_id: {meter: _line(row) for meter, row in rows.items() if _line(row) != _ENDED}
        for deployment_id, rows in found.items()
    }


async def set_card(
    session: AsyncSession,
    deployment_id: str,
    card: Mapping[str, tuple[int | None, int | None]] | Card,
    source: str,
) -> int:
    """Make `card` (meter → cost and price in nano) the one in force; gives the number of lines that were added.

    Lines are added where they differ from those in force; a meter that is not in `card` gets a line that ends it.
    Conditional lines stay as they are.

    Raises:
        BadValue: a meter that is not charged, or an amount below zero or too large.
    """
    wanted = {meter: line if isinstance(line, Line) else Line(*line) for meter, line in card.items()}
    for meter, line in wanted.items():
        per_units(meter)
        if any(amount is not None and not 0 <= amount <= MAX_NANO for amount in (line.cost_nano, line.price_nano)):
            raise BadValue(f"The rate of {meter} must be zero or more.", param=meter)
    in_force = (await _newest_rows(session, [deployment_id]))[deployment_id]
    added = 0
    for meter in (*wanted, *(meter for meter in in_force if meter not in wanted)):
        old, line = in_force.get(meter), wanted.get(meter, _ENDED)
        if line == (_ENDED if old is None else _line(old)):
            continue
        session.add(
            Rate(
                id=new_id(),
                deployment_id=deployment_id,
                meter=meter,
                per_units=per_units(meter),
                cost_nano=line.cost_nano,
                price_nano=line.price_nano,
                condition={},
                effective_from=_after(old),
                source=source,
            )
        )
        added += 1
    await session.flush()
    return added


async def _newest_rows(session: AsyncSession, deployment_ids: Collection[str]) -> dict[str, dict[str, Rate]]:
    found: dict[str, dict[str, Rate]] = {deployment_id: {} for deployment_id in deployment_ids}
    ids = list(found)
    for start in range(0, len(ids), _IDS_PER_QUERY):
        rows = await session.scalars(
            select(Rate)
            .where(Rate.deployment_id.in_(ids[start : start + _IDS_PER_QUERY]))
            .order_by(Rate.effective_from, Rate.id)
        )
        for row in rows:
            if not row.condition:
                found[row.deployment_id][row.meter] = row
    return found


def _line(row: Rate) -> Line:
    return Line(row.cost_nano, row.price_nano)


def _after(old: Rate | None) -> datetime:
    """Now, but always later than the line that is replaced: a clock that was set back must not keep the old rate."""
    moment = clock.now()
    return moment if old is None else max(moment, old.effective_from + timedelta(microseconds=1))
