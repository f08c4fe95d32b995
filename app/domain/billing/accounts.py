"""An account's lock, and what an admin decides: whether it takes calls at all, and how far below zero it may go."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue
from app.base.money import MAX_NANO
from app.domain.billing import ledger
from app.domain.billing.models import Account


async def lock(session: AsyncSession, team_id: str) -> int:
    """Until this transaction ends nobody else moves the team's account, which is opened if there is none; gives what
    is posted."""
    await ledger.open_account(session, team_id, clock.now_us())
    posted = await session.scalar(select(Account.posted_nano).where(Account.team_id == team_id).with_for_update())
    return posted or 0


async def freeze(session: AsyncSession, team_id: str) -> bool:
    """From here on the team's calls are refused; those that run go on. Returns False if it was frozen before."""
    return await _set_frozen(session, team_id, is_frozen=True)


async def unfreeze(session: AsyncSession, team_id: str) -> bool:
    """The team may call again. Returns False if it was not frozen."""
    return await _set_frozen(session, team_id, is_frozen=False)


async def set_credit_line(session: AsyncSession, team_id: str, line_nano: int) -> None:
    """How far below zero the team may go from here on; 0 is prepaid. What it owes already stays.

    Raises:
        BadValue: below zero, or too large.
    """
    if not 0 <= line_nano <= MAX_NANO:
        raise BadValue("A credit line is zero or more credits, and not more than a billion.", param="amount")
    await ledger.open_account(session, team_id, clock.now_us())
    await session.execute(update(Account).where(Account.team_id == team_id).values(credit_line_nano=line_nano))


async def _set_frozen(session: AsyncSession, team_id: str, *, is_frozen: bool) -> bool:
    await ledger.open_account(session, team_id, clock.now_us())
    changed = await session.scalar(
        update(Account)
        .where(Account.team_id == team_id, Account.is_frozen.is_(not is_frozen))
        .values(is_frozen=is_frozen)
        .returning(Account.team_id)
    )
    return changed is not None
