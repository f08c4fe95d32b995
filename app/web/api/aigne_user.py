"""`/api/user/info` and `/api/user/credit/*`: who a key belongs to and what it has left.

A key belongs to a team, so the team stands where the original has a person. Credits count only when the hub bills in
credits; else `enableCredit` is false and there is no balance. Calls are not charged yet: what was granted is what is
left, and there are no transactions.
"""

from __future__ import annotations

from typing import Any

from app.base.money import NANO, show_nano
from app.domain.billing import grants
from app.domain.identity.callers import Caller
from app.web.api.aigne_query import Query, caller_of, encode
from app.web.api.visit import Visit

_DECIMALS = 10
"""In which AIGNE counts units of a credit; ours are nano-credits."""
_CURRENCY = {"id": "credits", "name": "Credits", "symbol": "credits", "decimal": _DECIMALS, "type": "credit"}
_PAGE_SIZE = 20
_MOST_SKIPPED = 10_000


async def info(visit: Visit) -> None:
    """`aigne hub status` shows this."""
    caller = caller_of(visit)
    balance: dict[str, Any] | None = None
    if _has_credits(visit):
        total_nano, count = await _granted(visit, caller)
        balance = {
            "balance": show_nano(total_nano),
            "total": show_nano(total_nano),
            "grantCount": count,
            "pendingCredit": "0",
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
                "paymentLink": None,
                "profileLink": f"{visit.address_of_hub()}/",
            }
        )
    )


async def credit_balance(visit: Visit) -> None:
    """Amounts are texts of whole units, `currency.decimal` of which make a credit's decimals."""
    caller = caller_of(visit)
    total_nano, count = await _granted(visit, caller) if _has_credits(visit) else (0, 0)
    units = _units(total_nano)
    await visit.answer(
        encode(
            {"balance": units, "total": units, "grantCount": count, "pendingCredit": "0", "currency": _CURRENCY},
        )
    )


async def credit_grants(visit: Visit) -> None:
    caller = caller_of(visit)
    page, size = Query(visit).paging(_PAGE_SIZE)
    if not _has_credits(visit) or (page - 1) * size >= _MOST_SKIPPED:
        await visit.answer(_listed([], 0, page, size))
        return
    async with visit.gateway.shared.db.reading() as session:
        count = await grants.count(session, caller.team_id)
        rows = await grants.page(session, caller.team_id, limit=size, skip=(page - 1) * size)
    shown = [
        {
            "id": row.id,
            "name": row.reason,
            "amount": _units(row.amount_nano),
            "remaining_amount": _units(row.amount_nano),
            "category": "promotional",
            "status": "granted",
            "created_at": row.created_at.isoformat(),
            "expires_at": 0,
            "paymentCurrency": _CURRENCY,
        }
        for row in rows
    ]
    await visit.answer(_listed(shown, count, page, size))


async def credit_transactions(visit: Visit) -> None:
    caller_of(visit)
    page, size = Query(visit).paging(_PAGE_SIZE)
    await visit.answer(_listed([], 0, page, size))


async def payment_link(visit: Visit) -> None:
    """A JSON text in the original; null: nothing can be bought here."""
    caller_of(visit)
    await visit.answer(b"null")


async def quota(visit: Visit) -> None:
    """`GET /api/usage/quota`: whole and decimal credits; 999 days when nothing is spent."""
    caller = caller_of(visit)
    total_nano, _ = await _granted(visit, caller) if _has_credits(visit) else (0, 0)
    total = show_nano(total_nano)
    await visit.answer(
        encode(
            {
                "total": total,
                "remaining": total,
                "used": "0",
                "pendingCredit": "0",
                "estimatedDaysRemaining": 999,
                "dailyAvgCredits": "0",
                "currency": _CURRENCY,
            }
        )
    )


def _has_credits(visit: Visit) -> bool:
    return visit.gateway.snapshots.current.billing == "credits"


async def _granted(visit: Visit, caller: Caller) -> tuple[int, int]:
    async with visit.gateway.shared.db.reading() as session:
        return await grants.balance(session, caller.team_id), await grants.count(session, caller.team_id)


def _units(amount_nano: int) -> str:
    return str(amount_nano * 10**_DECIMALS // NANO)


def _listed(rows: list[dict[str, Any]], count: int, page: int, size: int) -> bytes:
    return encode({"count": count, "list": rows, "paging": {"page": page, "pageSize": size}})
