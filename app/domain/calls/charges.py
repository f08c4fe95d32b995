"""What calls were charged, and what of it was given back. Amounts are nano-credits."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.errors import BadValue, NotFound
from app.base.money import show_nano
from app.domain.calls.models import Call


class Refundable(Struct, frozen=True):
    team_id: str
    rest_nano: int
    """0 where it was not charged."""


class Refunded(Struct, frozen=True):
    """A call of which something was given back."""

    team_id: str
    refunded_nano: int
    """All that it has had back, this time included."""


async def count_refund(session: AsyncSession, call_id: str, amount_nano: int) -> Refunded:
    """Note that so much of a call's charge goes back; all refunds of a call together are never above its charge,
    whatever races.

    Raises:
        NotFound: there is no such call.
        BadValue: it was not charged so much, or that was given back before.
    """
    noted = (
        await session.execute(
            update(Call)
            .where(Call.id == call_id, Call.refunded_nano + amount_nano <= Call.charge_nano)
            .values(refunded_nano=Call.refunded_nano + amount_nano)
            .returning(Call.team_id, Call.refunded_nano)
            .execution_options(synchronize_session=False)
        )
    ).first()
    if noted is not None:
        return Refunded(noted.team_id, noted.refunded_nano)
    rest_nano = (await refundable(session, call_id)).rest_nano
    raise BadValue(f"Of this call {show_nano(rest_nano)} credits can be refunded.", param="amount")


async def refundable(session: AsyncSession, call_id: str) -> Refundable:
    """What of a call's charge was not given back yet.

    Raises:
        NotFound: there is no such call.
    """
    row = (
        await session.execute(select(Call.team_id, Call.charge_nano, Call.refunded_nano).where(Call.id == call_id))
    ).first()
    if row is None:
        raise NotFound(f"There is no call {call_id}.", param="call")
    return Refundable(row.team_id, (row.charge_nano or 0) - row.refunded_nano)
