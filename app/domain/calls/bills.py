"""What calls were billed, for whoever works it out again: the columns that went into it, in pieces, by id."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.usage import METERS, Usage
from app.domain.calls.models import Call

PER_QUERY = 2000


class Billed(Struct, frozen=True, gc=False):
    """A call that has ended. Names and units as in `Call`."""

    id: str
    team_id: str
    started_us: int
    billing: str | None
    deployment_id: str | None
    card_id: str | None
    price_facts: str | None
    charged_as: str | None
    usage_source: str | None
    cost_nano: int | None
    charge_nano: int | None
    refunded_nano: int
    provider_cost_nano: int | None
    usage: Usage


_NAMES = tuple(name for name in Billed.__struct_fields__ if name != "usage")
_COLUMNS = tuple(getattr(Call, name) for name in _NAMES)
_QUERY = select(*_COLUMNS, *(getattr(Call, meter) for meter in METERS)).where(Call.status != "running")


async def after(session: AsyncSession, call_id: str, since_us: int | None = None) -> Sequence[Billed]:
    """The next calls in the order of their ids; with `since_us` those that began since. Empty at the end."""
    query = _QUERY.where(Call.id > call_id).order_by(Call.id).limit(PER_QUERY)
    if since_us is not None:
        query = query.where(Call.started_us >= since_us)
    return [_billed(row) for row in await session.execute(query)]


async def one(session: AsyncSession, call_id: str) -> Billed | None:
    """None where there is none that has ended."""
    row = (await session.execute(_QUERY.where(Call.id == call_id))).first()
    return None if row is None else _billed(row)


async def of(session: AsyncSession, call_ids: Collection[str]) -> Mapping[str, tuple[int, int]]:
    """Charge in nano-credits, and what of it was given back, of each of these calls that has ended."""
    query = select(Call.id, Call.charge_nano, Call.refunded_nano)
    query = query.where(Call.status != "running", Call.id.in_(call_ids))
    return {row[0]: (row[1] or 0, row[2]) for row in await session.execute(query)}


def _billed(row: Sequence[Any]) -> Billed:
    own = len(_NAMES)
    usage = Usage(**dict(zip(METERS, row[own:], strict=True)))
    return Billed(**dict(zip(_NAMES, row[:own], strict=True)), usage=usage)
