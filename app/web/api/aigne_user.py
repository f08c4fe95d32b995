"""`/api/user/info` and `/api/user/credit/*`: who a key belongs to and what it has left.

A key belongs to a team, so the team stands where the original has a person. Credits count only when the hub bills in
credits; else `enableCredit` is false and there is no balance. `balance` is what the team could spend of its own,
`total` what the grants in force were at first, `pendingCredit` what it owes.
"""

from __future__ import annotations

from typing import Any

from app.base import clock
from app.base.money import NANO, show_nano
from app.domain.billing import balances
from app.domain.billing.balances import Balance
from app.domain.calls import reports
from app.domain.identity.callers import Caller
from app.web.api.aigne_query import DAY_US, Query, caller_of, encode
from app.web.api.visit import Visit

_DECIMALS = 10
"""In which AIGNE counts units of a credit; ours are nano-credits."""
_CURRENCY = {"id": "credits", "name": "Credits", "symbol": "credits", "decimal": _DECIMALS, "type": "credit"}
_PAGE_SIZE = 20
_MOST_SKIPPED = 10_000
_AVERAGE_DAYS = 30
_SPENDS_NOTHING_DAYS = 999


async def info(visit: Visit) -> None:
    """`aigne hub status` shows this."""
    caller = caller_of(visit)
    balance: dict[str, Any] | None = None
    if _has_credits(visit):
        has = await _balance(visit, caller)
        balance = {
            "balance": show_nano(has.own_nano),
            "total": show_nano(has.granted_nano),
            "grantCount": has.grants,
            "pendingCredit": show_nano(has.overage_nano),
        }
    user = {"did": caller.team_id, "fullName": caller.team_name, "email": "", "avatar": ""}
    await visit.answer(
        encode(
            {
                "user": user,
                "enableCredit": balance is not None,
                "creditBalance": balance,
                "currency": _CURRENCY if balance is not None else None,
                "creditPrefix": None,
                "paymentLink": _link(visit),
                "profileLink": f"{visit.address_of_hub()}/",
            }
        )
    )


async def credit_balance(visit: Visit) -> None:
    """Amounts are texts of whole units, `currency.decimal` of which make a credit's decimals."""
    caller = caller_of(visit)
    has = await _balance(visit, caller) if _has_credits(visit) else Balance()
    await visit.answer(
        encode(
            {
                "balance": _units(has.own_nano),
                "total": _units(has.granted_nano),
                "grantCount": has.grants,
                "pendingCredit": _units(has.overage_nano),
                "currency": _CURRENCY,
            },
        )
    )


async def credit_grants(visit: Visit) -> None:
    caller = caller_of(visit)
    page, size = Query(visit).paging(_PAGE_SIZE)
    if not _has_credits(visit) or (page - 1) * size >= _MOST_SKIPPED:
        await visit.answer(_listed([], 0, page, size))
        return
    async with visit.gateway.shared.db.reading() as session:
        count = await balances.count_grants(session, caller.team_id)
        rows = await balances.page_of_grants(session, caller.team_id, limit=size, skip=(page - 1) * size)
    now_us = clock.now_us()
    shown = [
        {
            "id": row.id,
            "name": row.reason,
            "amount": _units(row.amount_nano),
            "remaining_amount": _units(row.remaining_nano),
            "category": "promotional" if row.category == "promo" else "paid",
            "status": row.status(now_us),
            "created_at": clock.from_us(row.created_us).isoformat(),
            "effective_at": row.effective_us // clock.MICROSECONDS,
            "expires_at": 0 if row.expires_us is None else row.expires_us // clock.MICROSECONDS,
            "paymentCurrency": _CURRENCY,
        }
        for row in rows
    ]
    await visit.answer(_listed(shown, count, page, size))


async def credit_transactions(visit: Visit) -> None:
    """Every movement of the team's account, newest first. `credit_amount` is what it took; below zero it gave."""
    caller = caller_of(visit)
    page, size = Query(visit).paging(_PAGE_SIZE)
    if not _has_credits(visit):
        await visit.answer(_listed([], 0, page, size))
        return
    async with visit.gateway.shared.db.reading() as session:
        count = await balances.count_movements(session, caller.team_id)
        rows = await balances.page_of_movements(session, caller.team_id, limit=size, skip=(page - 1) * size)
    shown = [
        {
            "id": row.ref,
            "type": row.kind,
            "credit_amount": _units(-row.amount_nano),
            "description": row.reason,
            "created_at": clock.from_us(row.created_us).isoformat(),
            "paymentCurrency": _CURRENCY,
        }
        for row in rows
    ]
    await visit.answer(_listed(shown, count, page, size))


async def payment_link(visit: Visit) -> None:
    """A JSON text in the original; null: nothing can be bought here."""
    caller_of(visit)
    await visit.answer(encode(_link(visit)))


async def quota(visit: Visit) -> None:
    """`GET /api/usage/quota`: decimal credits. How long they last is judged by the last 30 days; 999 days when nothing
    was spent in them."""
    caller = caller_of(visit)
    has, spent_nano = Balance(), 0
    if _has_credits(visit):
        has = await _balance(visit, caller)
        now_us = clock.now_us()
        async with visit.gateway.shared.db.reading() as session:
            since_us = now_us - _AVERAGE_DAYS * DAY_US
            spent_nano = await reports.spent_since(session, "team", caller.team_id, "credits", since_us)
    days = max(1, has.own_nano * _AVERAGE_DAYS // spent_nano) if spent_nano else _SPENDS_NOTHING_DAYS
    await visit.answer(
        encode(
            {
                "total": show_nano(has.granted_nano),
                "remaining": show_nano(has.own_nano),
                "used": show_nano(max(0, has.granted_nano - has.own_nano)),
                "pendingCredit": show_nano(has.overage_nano),
                "estimatedDaysRemaining": days,
                "dailyAvgCredits": show_nano(spent_nano // _AVERAGE_DAYS),
                "currency": _CURRENCY,
            }
        )
    )


def _has_credits(visit: Visit) -> bool:
    return visit.gateway.snapshots.current.billing == "credits"


def _link(visit: Visit) -> str | None:
    """Where credits can be bought."""
    return visit.gateway.snapshots.current.purchase_link if _has_credits(visit) else None


async def _balance(visit: Visit, caller: Caller) -> Balance:
    async with visit.gateway.shared.db.reading() as session:
        return await balances.of_team(session, caller.team_id)


def _units(amount_nano: int) -> str:
    return str(amount_nano * 10**_DECIMALS // NANO)


def _listed(rows: list[dict[str, Any]], count: int, page: int, size: int) -> bytes:
    return encode({"count": count, "list": rows, "paging": {"page": page, "pageSize": size}})
