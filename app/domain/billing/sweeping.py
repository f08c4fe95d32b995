"""Grants whose time is over are taken out of the books, and holds that ended long ago are forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.domain.billing import ledger
from app.domain.billing.giving import SWEEP_AFTER_US, Sweep
from app.domain.billing.models import Account, CreditGrant, Hold

KEEP_HOLDS_US = 7 * 24 * 3600 * clock.MICROSECONDS


async def due(session: AsyncSession, limit: int) -> Sequence[str]:
    """Teams with grants that ended a while ago, or that owe something although they have credits; at most `limit`,
    those that wait longest first."""
    now_us = clock.now_us()
    could_pay = exists().where(
        CreditGrant.team_id == Account.team_id,
        CreditGrant.remaining_nano > 0,
        CreditGrant.effective_us <= now_us,
        or_(CreditGrant.expires_us.is_(None), CreditGrant.expires_us > now_us),
    )
    query = (
        select(Account.team_id)
        .where(or_(Account.next_expiry_us <= now_us - SWEEP_AFTER_US, and_(Account.overage_nano > 0, could_pay)))
        .order_by(Account.next_expiry_us)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def sweep(session: AsyncSession, team_id: str) -> int:
    """One account; gives the nano-credits that ended."""
    movement = Sweep(team_id=team_id, now_us=clock.now_us())
    await ledger.post(session, movement)
    return movement.expired_nano


async def forget_holds(session: AsyncSession, limit: int) -> int:
    """Delete up to `limit` holds that ended more than a week ago; gives how many there were. Open ones stay."""
    before_us = clock.now_us() - KEEP_HOLDS_US
    # An id begins with the milliseconds of its making: those of the last week are not looked at.
    old = (
        select(Hold.call_id)
        .where(Hold.call_id < f"{before_us // 1000:012x}", Hold.state != "open", Hold.ended_us < before_us)
        .order_by(Hold.call_id)
        .limit(limit)
    )
    gone = await session.scalars(
        delete(Hold).where(Hold.call_id.in_(old)).returning(Hold.call_id).execution_options(synchronize_session=False)
    )
    return len(gone.all())
