"""Calls that have ended, for pricing them anew: plain columns, in pieces, so that a million of them is no burden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.usage import METERS
from app.domain.calls.models import Call

PER_QUERY = 5_000

COLUMNS = (
    "id",
    "team_id",
    "model",
    "deployment_id",
    "started_us",
    "status",
    "charged_as",
    "usage_source",
    "price_facts",
    "cost_nano",
    "charge_nano",
    "provider_cost_nano",
)
"""What each row begins with; the counts of `METERS` follow, in their order. Names and units as in `Call`."""

# A sum is not looked up in an index: the rows come in the order of their ids, without being sorted for each piece.
_STARTED = Call.started_us + 0
_QUERY = select(*(getattr(Call, name) for name in (*COLUMNS, *METERS))).where(Call.status != "running")


async def first(session: AsyncSession, since_us: int, until_us: int) -> str | None:
    """The least id of the calls that began between these moments; None where there is none."""
    return await session.scalar(
        select(func.min(Call.id)).where(Call.started_us >= since_us, Call.started_us < until_us)
    )


async def piece(
    session: AsyncSession, call_id: str, since_us: int, until_us: int, *, is_first: bool = False
) -> Sequence[Sequence[Any]]:
    """The next of them that have ended, in the order of their ids: after this one, or with `is_first` from it on."""
    begins = Call.id >= call_id if is_first else Call.id > call_id
    query = _QUERY.where(begins, since_us <= _STARTED, until_us > _STARTED).order_by(Call.id).limit(PER_QUERY)
    return (await session.execute(query)).all()
