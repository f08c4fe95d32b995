"""Holds that nobody carries any more, for whoever has to end them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.billing.models import Hold

_IDS_PER_QUERY = 500


class OpenHold(Struct, frozen=True):
    call_id: str
    team_id: str
    amount_nano: int
    progress: str


async def open_of(session: AsyncSession, call_ids: Sequence[str]) -> Mapping[str, OpenHold]:
    """The open holds of those calls."""
    found: dict[str, OpenHold] = {}
    for start in range(0, len(call_ids), _IDS_PER_QUERY):
        rows = await session.execute(
            select(Hold.call_id, Hold.team_id, Hold.amount_nano, Hold.progress).where(
                Hold.state == "open", Hold.call_id.in_(call_ids[start : start + _IDS_PER_QUERY])
            )
        )
        found.update((row[0], OpenHold(*row)) for row in rows)
    return found


async def expired(session: AsyncSession, now_us: int, *, limit: int) -> Sequence[OpenHold]:
    """Open holds whose time is over, the oldest first."""
    rows = await session.execute(
        select(Hold.call_id, Hold.team_id, Hold.amount_nano, Hold.progress)
        .where(Hold.state == "open", Hold.expires_us < now_us)
        .order_by(Hold.expires_us)
        .limit(limit)
    )
    return [OpenHold(*row) for row in rows]
