"""Refunds of calls: as credits, in parts, and together never more than the team paid."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from app.base import clock
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue, NotFound
from app.base.ids import new_id
from app.base.usage import METERS
from app.domain.billing import balances, grants, ledger
from app.domain.billing.models import Entry
from app.domain.billing.movements import Settle
from app.domain.calls.charges import Refunded
from app.domain.calls.models import Call
from app.gateway.desk import refunds, verifying

TEAM = new_id()


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    yield database
    books = await verifying.verify(database, now_us=clock.now_us(), most=100)
    await database.close()
    # The price of the calls, which have no card, is no matter here.
    assert [wrong for wrong in books.wrong if wrong.check != "price"] == []


async def charged_call(db: Database, charge: int, *, granted: int) -> str:
    """A call as the hub leaves it when it has ended."""
    call_id = new_id()
    async with db.writing() as session:
        if granted:
            await grants.grant(session, team_id=TEAM, amount_nano=granted, source="console", reason="a gift")
        await ledger.post(session, Settle(call_id=call_id, team_id=TEAM, now_us=clock.now_us(), charge_nano=charge))
        session.add(
            Call(
                id=call_id,
                boot_id=new_id(),
                team_id=TEAM,
                api_key_id=new_id(),
                endpoint="chat.completions",
                model="m",
                is_streamed=False,
                status="succeeded",
                started_us=clock.now_us(),
                attempts=1,
                charge_nano=charge,
                **dict.fromkeys(METERS, 0),
            )
        )
    return call_id


async def refund(db: Database, call_id: str, amount: int | None = None, reason: str = "it was wrong") -> Refunded:
    async with db.writing() as session:
        return await refunds.refund_call(session, call_id, amount_nano=amount, reason=reason, actor="command")


async def posted(db: Database) -> int:
    async with db.reading() as session:
        return (await balances.of_team(session, TEAM)).posted_nano


async def test_a_refund_comes_back_as_credits_from_revenue(db: Database) -> None:
    call_id = await charged_call(db, 30, granted=100)

    assert await refund(db, call_id, 12) == Refunded(TEAM, 12)
    assert await refund(db, call_id) == Refunded(TEAM, 30)

    assert await posted(db) == 100
    async with db.reading() as session:
        revenue = (await session.scalars(select(Entry.amount_nano).where(Entry.account == "revenue"))).all()
        newest, *_ = await balances.page_of_movements(session, TEAM, limit=1)
    assert sum(revenue) == 0 and (newest.kind, newest.amount_nano, newest.reason) == ("refund", 18, "it was wrong")


async def test_refunds_of_a_call_that_race_are_never_more_than_its_charge(db: Database) -> None:
    call_id = await charged_call(db, 30, granted=30)

    outcomes = await asyncio.gather(*(refund(db, call_id, 7) for _ in range(16)), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["BadValue"] * 12 + ["Refunded"] * 4
    assert await posted(db) == 28
    with pytest.raises(BadValue, match=r"0\.000000002 credits can be refunded"):
        await refund(db, call_id, 3)


async def test_what_the_house_wrote_off_is_not_refunded(db: Database) -> None:
    call_id = await charged_call(db, 30, granted=20)

    with pytest.raises(BadValue, match=r"paid 0.00000002 credits .* 0.00000002 can be refunded"):
        await refund(db, call_id)
    assert await posted(db) == 0
    assert await refund(db, call_id, 20) == Refunded(TEAM, 20)
    assert await posted(db) == 20


@pytest.mark.databases("sqlite")
async def test_what_cannot_be_refunded_is_refused_and_nothing_is_noted(db: Database) -> None:
    call_id = await charged_call(db, 30, granted=30)

    for amount, reason in ((31, "too much"), (0, "nothing"), (-1, "less"), (5, " ")):
        with pytest.raises(BadValue):
            await refund(db, call_id, amount, reason)
    with pytest.raises(NotFound):
        await refund(db, new_id(), 1)
    assert await refund(db, call_id, 30) == Refunded(TEAM, 30), "all of it is still there"
    with pytest.raises(BadValue, match="Nothing of this call"):
        await refund(db, call_id)
