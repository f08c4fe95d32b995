"""Refunds of calls: the call notes what goes back, and its team gets it as credits. Both in one transaction."""

from __future__ import annotations

from app.base.db import AsyncSession
from app.base.errors import BadValue
from app.domain.billing import accounts, grants
from app.domain.calls import charges


async def refund_call(
    session: AsyncSession, call_id: str, *, amount_nano: int | None, reason: str, actor: str
) -> charges.Refunded:
    """Give back a part of what a call was charged, or with None all that is left of it.

    Raises:
        NotFound: there is no such call.
        BadValue: the reason cannot be, or there is not so much to give back.
    """
    grants.checked_reason(reason)
    call = await charges.refundable(session, call_id)
    # As a settlement does: the account is locked first, then the call.
    await accounts.lock(session, call.team_id)
    if amount_nano is None:
        amount_nano = (await charges.refundable(session, call_id)).rest_nano
        if not amount_nano:
            raise BadValue("Nothing of this call can be refunded.", param="amount")
    elif amount_nano <= 0:
        raise BadValue("A refund is more than zero credits.", param="amount")
    noted = await charges.count_refund(session, call_id, amount_nano)
    await grants.refund_call(
        session,
        call_id=call_id,
        team_id=noted.team_id,
        amount_nano=amount_nano,
        refunded_nano=noted.refunded_nano,
        reason=reason,
        actor=actor,
    )
    return noted
