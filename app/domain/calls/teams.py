"""Which teams have made calls: those cannot be removed, their calls name them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.calls.models import Call


async def with_calls(session: AsyncSession, team_ids: Iterable[str]) -> frozenset[str]:
    """Those of the teams that have at least one call. One look into the index for each."""
    return frozenset(
        [
            team_id
            for team_id in team_ids
            if await session.scalar(select(Call.id).where(Call.team_id == team_id).limit(1)) is not None
        ]
    )
