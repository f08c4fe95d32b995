"""What must hold of the books of a hub that charges, however it was treated: asked of its database, from outside."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import func, select

from app.base.clock import now_us
from app.base.config import Settings
from app.base.db import Database
from app.domain.billing.models import Account, BudgetSpend, CreditGrant, Entry, Hold, Journal
from app.domain.calls.models import Call
from app.gateway.desk import verifying
from tests.domain.billing import invariants


class Books(Struct, frozen=True, kw_only=True):
    """The calls, and what was taken for them (nano-credits, by the id of the call)."""

    calls: dict[str, Call]
    charged: dict[str, int]
    posted: int
    """What all accounts have left."""


async def right_books(db: Database, settings: Settings) -> Books:
    """The books, once all calls have ended and everything that can be said of them has been found true.

    Raises:
        AssertionError: something is wrong.
    """
    url = settings.database_url.reveal() if settings.database_url is not None else f"sqlite:///{settings.sqlite_path}"
    assert await invariants.wrong_in(url) == []
    report = await verifying.verify(db, now_us=now_us(), most=20)
    assert report.wrong == []
    async with db.reading() as session:
        calls = {call.id: call for call in await session.scalars(select(Call))}
        rows = await session.execute(
            select(Journal.ref, func.sum(Entry.amount_nano))
            .join(Entry, Entry.ref == Journal.ref)
            .where(Journal.kind == "settle", Entry.account == "revenue")
            .group_by(Journal.ref)
        )
        charged = {ref.removeprefix("settle:"): int(amount) for ref, amount in rows.tuples()}
        accounts = list(await session.scalars(select(Account)))
        granted = int(await session.scalar(select(func.sum(CreditGrant.amount_nano))) or 0)
        written_off = -int(
            await session.scalar(select(func.sum(Entry.amount_nano)).where(Entry.account == "written_off")) or 0
        )
        open_holds = list(await session.scalars(select(Hold.call_id).where(Hold.state == "open")))
        held_in_budgets = int(await session.scalar(select(func.sum(BudgetSpend.held))) or 0)
    running = [call.id for call in calls.values() if call.status == "running"]
    assert (running, open_holds, held_in_budgets) == ([], [], 0)
    assert {account.held_nano for account in accounts} == {0}
    assert charged == {call.id: call.charge_nano for call in calls.values() if call.charge_nano}
    posted = sum(account.posted_nano for account in accounts)
    assert posted == granted - sum(charged.values()) + written_off
    return Books(calls=calls, charged=charged, posted=posted)
