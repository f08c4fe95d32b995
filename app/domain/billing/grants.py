"""Credits that were given, not bought. Rows are added, never edited; amounts are nano-credits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue
from app.base.ids import new_id
from app.base.money import MAX_NANO
from app.domain.billing.models import CreditGrant

FILE = "file"
"""The source of what `hub apply` gives."""


async def grant(session: AsyncSession, *, team_id: str, amount_nano: int, source: str, reason: str) -> CreditGrant:
    """Give credits to a team; a correction is a grant below zero.

    Raises:
        BadValue: the amount is zero or too large.
    """
    if amount_nano == 0 or abs(amount_nano) > MAX_NANO:
        raise BadValue("A grant is some credits, and not more than a billion of them.", param="credits")
    row = CreditGrant(
        id=new_id(),
        team_id=team_id,
        amount_nano=amount_nano,
        source=source,
        reason=reason,
        created_at=clock.now(),
    )
    session.add(row)
    await session.flush()
    return row


async def granted_total(session: AsyncSession, team_id: str, source: str) -> int:
    """What this source has given to the team so far, corrections counted."""
    query = select(func.coalesce(func.sum(CreditGrant.amount_nano), 0)).where(
        CreditGrant.team_id == team_id, CreditGrant.source == source
    )
    # PostgreSQL sums big integers as a decimal.
    return int(await session.scalar(query) or 0)


async def totals(session: AsyncSession, source: str) -> Mapping[str, int]:
    """`granted_total` of every team that the source gave something."""
    rows = await session.execute(
        select(CreditGrant.team_id, func.sum(CreditGrant.amount_nano))
        .where(CreditGrant.source == source)
        .group_by(CreditGrant.team_id)
    )
    return {team_id: int(total) for team_id, total in rows}


async def teams_with_grants(session: AsyncSession) -> frozenset[str]:
    """The ids of the teams that were ever given something."""
    return frozenset((await session.scalars(select(CreditGrant.team_id).distinct())).all())


async def count(session: AsyncSession, team_id: str) -> int:
    """How many grants, corrections among them, the team was given."""
    return await session.scalar(select(func.count()).where(CreditGrant.team_id == team_id)) or 0


async def balance(session: AsyncSession, team_id: str) -> int:
    """What all grants of a team come to, in nano-credits."""
    total = select(func.coalesce(func.sum(CreditGrant.amount_nano), 0)).where(CreditGrant.team_id == team_id)
    return int(await session.scalar(total) or 0)


async def page(session: AsyncSession, team_id: str, *, limit: int, skip: int = 0) -> Sequence[CreditGrant]:
    """`limit` grants of a team after the first `skip`, newest first."""
    query = select(CreditGrant).where(CreditGrant.team_id == team_id)
    query = query.order_by(CreditGrant.created_at.desc(), CreditGrant.id.desc())
    return (await session.scalars(query.limit(limit).offset(skip))).all()
