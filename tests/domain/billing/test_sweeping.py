"""What has ended goes out of the books, once; what runs keeps what it was let in on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, update

from app.base import clock
from app.base.config import Settings, read_settings
from app.base.db import Database
from app.base.ids import new_id
from app.domain.billing import balances, grants, ledger, sweeping
from app.domain.billing.models import Account, Entry, Hold, Journal
from app.domain.billing.movements import Settle, Take
from app.gateway.desk import verifying
from app.ops import jobs

TEAM = new_id()
MINUTE_US = 60 * clock.MICROSECONDS
HOUR_US = 60 * MINUTE_US


@pytest.fixture
def settings(hub_environ: dict[str, str]) -> Settings:
    return read_settings(hub_environ)


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings)
    yield database
    books = await verifying.verify(database, now_us=time.time_ns() // 1000, with_calls=False)
    await database.close()
    assert not books.wrong


class Clock:
    """The wall clock, which a test can put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_us = clock.now_us()
        monkeypatch.setattr(clock, "now_us", lambda: self.now_us)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def give(db: Database, amount: int, team_id: str = TEAM, **terms: Any) -> None:
    async with db.writing() as session:
        await grants.grant(
            session, team_id=team_id, amount_nano=amount, source="console", reason="a gift", actor="command", **terms
        )


async def balance(db: Database) -> balances.Balance:
    async with db.reading() as session:
        return await balances.of_team(session, TEAM)


async def hold(db: Database, call_id: str, amount: int, now_us: int) -> None:
    async with db.writing() as session:
        await ledger.post(
            session,
            Take(
                call_id=call_id,
                team_id=TEAM,
                boot_id=new_id(),
                now_us=now_us,
                expires_us=now_us + HOUR_US,
                wish_nano=amount,
                least_nano=amount,
            ),
        )


async def settle(db: Database, call_id: str, charge: int, now_us: int) -> None:
    async with db.writing() as session:
        await ledger.post(session, Settle(call_id=call_id, team_id=TEAM, now_us=now_us, charge_nano=charge))


async def test_what_has_ended_cannot_be_spent_at_once_and_is_booked_out_a_quarter_of_an_hour_later(
    db: Database, settings: Settings, wall: Clock
) -> None:
    await give(db, 10, expires_us=wall.now_us + HOUR_US)
    await give(db, 3)

    wall.now_us += HOUR_US
    assert ((await balance(db)).free_nano, (await balance(db)).posted_nano) == (3, 13)
    assert await jobs.sweep_grants(db, settings) == 0
    wall.now_us += 15 * MINUTE_US
    assert [await jobs.sweep_grants(db, settings) for _ in range(2)] == [1, 0]

    has = await balance(db)
    assert (has.free_nano, has.posted_nano, has.next_expiry_us) == (3, 3, None)
    async with db.reading() as session:
        expired = (await session.scalars(select(Entry.amount_nano).where(Entry.account == "expired"))).all()
        newest, *_ = await balances.page_of_movements(session, TEAM, limit=1)
    assert expired == [10] and (newest.kind, newest.amount_nano) == ("expire", -10)


async def test_one_that_is_used_up_ends_without_an_entry(db: Database, settings: Settings, wall: Clock) -> None:
    await give(db, 10, expires_us=wall.now_us + HOUR_US)
    await settle(db, new_id(), 10, wall.now_us)
    wall.now_us += 2 * HOUR_US

    assert [await jobs.sweep_grants(db, settings) for _ in range(2)] == [1, 0]
    async with db.reading() as session:
        assert (await session.scalars(select(Journal.kind).order_by(Journal.seq))).all() == ["grant", "settle"]


async def test_a_call_that_was_let_in_in_time_may_spend_what_ended_while_it_ran(
    db: Database, settings: Settings, wall: Clock
) -> None:
    await give(db, 10, expires_us=wall.now_us + HOUR_US)
    call_id = new_id()
    await hold(db, call_id, 6, wall.now_us)
    wall.now_us += HOUR_US + 5 * MINUTE_US
    await settle(db, call_id, 6, wall.now_us)
    wall.now_us += 15 * MINUTE_US
    await jobs.sweep_grants(db, settings)

    has = await balance(db)
    assert (has.posted_nano, has.overage_nano, has.held_nano) == (0, 0, 0)
    async with db.reading() as session:
        assert (await session.scalars(select(Entry.amount_nano).where(Entry.account == "expired"))).all() == [4]


async def test_debt_is_paid_by_credits_that_begin_later(db: Database, settings: Settings, wall: Clock) -> None:
    async with db.writing() as session:
        await ledger.open_account(session, TEAM, wall.now_us)
        await session.execute(update(Account).values(credit_line_nano=5))
    await settle(db, new_id(), 5, wall.now_us)
    await give(db, 8, effective_us=wall.now_us + HOUR_US)

    assert await jobs.sweep_grants(db, settings) == 0
    assert (await balance(db)).overage_nano == 5
    wall.now_us += HOUR_US
    assert [await jobs.sweep_grants(db, settings) for _ in range(2)] == [1, 0]

    has = await balance(db)
    assert (has.overage_nano, has.posted_nano) == (0, 3)


@pytest.mark.databases("sqlite")
async def test_one_run_sweeps_so_many_accounts_and_the_next_goes_on(
    db: Database, settings: Settings, wall: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await give(db, 1, team_id=new_id(), expires_us=wall.now_us + HOUR_US)
    wall.now_us += 2 * HOUR_US
    monkeypatch.setattr(jobs, "MOST_ACCOUNTS", 2)

    assert [await jobs.sweep_grants(db, settings) for _ in range(4)] == [2, 2, 1, 0]


async def test_holds_are_forgotten_a_week_after_their_end_and_open_ones_never(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await give(db, 100)
    now_us = clock.now_us()
    week_us = sweeping.KEEP_HOLDS_US

    def id_of(moment_us: int) -> str:
        return f"{moment_us // 1000:012x}{new_id()[12:]}"

    old = [id_of(now_us - week_us - n * HOUR_US) for n in range(1, 6)]
    still_open = [id_of(now_us - week_us - n * HOUR_US) for n in range(2)]
    ended_late, young = id_of(now_us - 2 * week_us), new_id()
    for call_id in (*old, *still_open, ended_late, young):
        await hold(db, call_id, 1, now_us)
    for call_id in old:
        await settle(db, call_id, 1, now_us - week_us - MINUTE_US)
    await settle(db, ended_late, 0, now_us)
    await settle(db, young, 1, now_us)
    monkeypatch.setattr(jobs, "HOLDS_AT_ONCE", 2)

    assert [await jobs.forget_holds(db, settings) for _ in range(2)] == [5, 0]
    async with db.reading() as session:
        left = set((await session.scalars(select(Hold.call_id))).all())
    assert left == {*still_open, ended_late, young}
    assert (await balance(db)).held_nano == 2
