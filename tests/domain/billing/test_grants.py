"""Giving and taking credits: in the ledger, with a reason, once per number, never more than is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from app.base import clock
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue, NotFound
from app.base.ids import new_id
from app.base.money import MAX_NANO, NANO
from app.domain.billing import accounts, balances, grants, ledger
from app.domain.billing.models import CreditGrant, Entry, Journal
from app.domain.billing.movements import Frozen, Insufficient, Settle, Take
from app.gateway.desk import verifying

TEAM = new_id()
OTHER = new_id()
HOUR_US = 3600 * clock.MICROSECONDS


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    yield database
    books = await verifying.verify(database, now_us=time.time_ns() // 1000, with_calls=False)
    await database.close()
    assert not books.wrong


async def give(db: Database, amount: int, **terms: object) -> bool:
    given = {"team_id": TEAM, "source": "console", "reason": "a gift"} | terms
    async with db.writing() as session:
        return await grants.grant(session, amount_nano=amount, **given)  # type: ignore[arg-type]


async def take(db: Database, amount: int, **terms: str) -> None:
    async with db.writing() as session:
        given = {"team_id": TEAM, "reason": "a mistake", "actor": "command"} | terms
        await grants.deduct(session, amount_nano=amount, **given)


async def balance(db: Database, team_id: str = TEAM) -> balances.Balance:
    async with db.reading() as session:
        return await balances.of_team(session, team_id)


async def test_what_a_team_has_is_what_it_was_given_less_what_was_taken(db: Database) -> None:
    await give(db, 50)
    await give(db, 20, category="paid")
    await take(db, 7)

    has = await balance(db)

    assert (has.posted_nano, has.free_nano, has.granted_nano, has.grants) == (63, 63, 70, 2)
    assert await balance(db, OTHER) == balances.Balance()
    async with db.reading() as session:
        assert await grants.teams_with_grants(session) == {TEAM}
        newest, oldest = await balances.page_of_grants(session, TEAM, limit=5)
        moves = await balances.page_of_movements(session, TEAM, limit=2)
        assert await balances.count_grants(session, TEAM) == 2 and await balances.count_movements(session, TEAM) == 3
        assert sum((await session.scalars(select(Entry.amount_nano))).all()) == 0
    assert (newest.category, newest.remaining_nano, oldest.remaining_nano) == ("paid", 20, 43), "given burns first"
    assert [(move.kind, move.amount_nano, move.reason) for move in moves] == [
        ("deduct", -7, "a mistake"),
        ("grant", 20, "a gift"),
    ]


@pytest.mark.databases("sqlite")
async def test_a_grant_that_ends_sooner_burns_first_unless_its_priority_says_otherwise(db: Database) -> None:
    later, sooner = clock.now_us() + 2 * HOUR_US, clock.now_us() + HOUR_US
    await give(db, 10, expires_us=later)
    await give(db, 10, expires_us=sooner)
    await give(db, 10, priority=10)
    await take(db, 15)

    async with db.reading() as session:
        rests = [row.remaining_nano for row in await balances.page_of_grants(session, TEAM, limit=3)]
    has = await balance(db)

    assert rests == [0, 5, 10]
    assert (has.expiring_nano, has.next_expiry_us) == (15, sooner)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("terms", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": MAX_NANO + 1}, "amount"),
        ({"reason": " "}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"priority": 101}, "priority"),
        ({"expires_us": 5}, "expires"),
        ({"effective_us": 2**60, "expires_us": 2**60}, "expires"),
    ],
)
async def test_a_grant_that_cannot_be_is_refused_with_the_name_of_what_is_wrong(
    db: Database, terms: dict[str, object], param: str
) -> None:
    amount = terms.pop("amount", 1)
    with pytest.raises(BadValue) as refused:
        await give(db, amount, **terms)  # type: ignore[arg-type]

    assert refused.value.param == param
    assert await balance(db) == balances.Balance()


async def test_a_team_cannot_be_given_more_than_the_books_can_count(db: Database) -> None:
    await give(db, MAX_NANO - 1)
    with pytest.raises(BadValue, match="more credits than a team can have"):
        await give(db, 2)

    assert (await balance(db)).posted_nano == MAX_NANO - 1


async def test_under_one_number_a_source_gives_once_whatever_races(db: Database) -> None:
    teams = [TEAM, OTHER] * 16

    given = await asyncio.gather(
        *(give(db, 5, team_id=team, source="starter", source_ref="did:z1") for team in teams), return_exceptions=True
    )

    assert sorted(map(repr, given)) == ["False"] * 31 + ["True"]
    assert (await balance(db)).posted_nano + (await balance(db, OTHER)).posted_nano == 5
    assert await give(db, 5, source="console", source_ref="did:z1"), "another source has numbers of its own"


async def test_no_more_is_taken_than_is_there_and_what_is_missing_is_said(db: Database) -> None:
    await give(db, 3 * NANO)
    with pytest.raises(BadValue, match=r"can give up 3 credits; to take 4\.5, 1\.5 are missing") as refused:
        await take(db, 4_500_000_000)
    with pytest.raises(BadValue, match="can give up 0 credits"):
        await take(db, 1, team_id=OTHER)

    assert refused.value.param == "amount" and (await balance(db)).posted_nano == 3 * NANO


async def test_of_many_that_take_at_once_only_so_many_succeed_as_there_are_credits(db: Database) -> None:
    await give(db, 10)

    outcomes = await asyncio.gather(*(take(db, 3) for _ in range(12)), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["BadValue"] * 9 + ["NoneType"] * 3
    assert (await balance(db)).posted_nano == 1


async def test_what_running_calls_hold_is_not_taken_and_not_free(db: Database) -> None:
    await give(db, 10)
    await hold(db, new_id(), 8)

    has = await balance(db)
    assert (has.posted_nano, has.held_nano, has.free_nano, has.own_nano) == (10, 8, 2, 2)
    with pytest.raises(BadValue, match="are missing"):
        await take(db, 3)


async def test_a_frozen_account_takes_no_calls_until_it_is_let_go(db: Database) -> None:
    await give(db, 10)
    async with db.writing() as session:
        assert await accounts.freeze(session, TEAM)
        assert not await accounts.freeze(session, TEAM)
    assert (await balance(db)).is_frozen
    with pytest.raises(Frozen):
        await hold(db, new_id(), 1)

    async with db.writing() as session:
        assert await accounts.unfreeze(session, TEAM)
        assert not await accounts.unfreeze(session, TEAM)
    await hold(db, new_id(), 1)


async def test_a_credit_line_lets_a_team_go_so_far_below_zero(db: Database) -> None:
    async with db.writing() as session:
        await accounts.set_credit_line(session, TEAM, 5)
        with pytest.raises(BadValue):
            await accounts.set_credit_line(session, TEAM, -1)
    call_id = new_id()
    await hold(db, call_id, 5)
    with pytest.raises(Insufficient):
        await hold(db, new_id(), 1)
    await settle(db, call_id, 5)

    has = await balance(db)
    assert (has.posted_nano, has.overage_nano, has.free_nano, has.own_nano) == (-5, 5, 0, 0)
    await give(db, 7)
    has = await balance(db)
    assert (has.posted_nano, has.overage_nano, has.free_nano, has.own_nano) == (2, 0, 7, 2), "debt is paid first"


async def test_a_purchase_is_taken_back_once_per_number_and_never_beyond_what_was_bought(db: Database) -> None:
    await give(db, 10, category="paid", source="rail", source_ref="order-1")
    await take(db, 4)

    async def back(number: str, amount: int, team_id: str = TEAM) -> int:
        async with db.writing() as session:
            return await grants.take_back(
                session,
                team_id=team_id,
                source="rail",
                source_ref="order-1",
                number=number,
                amount_nano=amount,
                reason="paid back",
                actor="rail",
            )

    assert await asyncio.gather(*(back("r1", 5) for _ in range(4))) != [0, 0, 0, 0]
    assert ((await balance(db)).posted_nano, (await balance(db)).is_frozen) == (1, False)
    assert (await back("r2", 99), await back("r3", 1)) == (5, 0)

    has = await balance(db)
    assert (has.posted_nano, has.overage_nano, has.is_frozen, has.granted_nano) == (-4, 4, True, 0)
    with pytest.raises(NotFound):
        await back("r4", 1, OTHER)


async def test_files_grant_up_and_down_by_numbers_of_their_own(db: Database) -> None:
    async with db.writing() as session:
        await grants.change_of_file(session, TEAM, 100)
        for _ in range(19):
            await grants.change_of_file(session, TEAM, -2)
        await grants.change_of_file(session, OTHER, 9)
        await grants.change_of_file(session, OTHER, -1)
    await give(db, 5)
    await take(db, 1)

    async with db.reading() as session:
        assert await grants.granted_by_file(session) == {TEAM: 62, OTHER: 8}
        actors = (await session.scalars(select(Journal.actor).where(Journal.kind == "deduct"))).all()
        assert sorted(actors) == ["command"] + ["file"] * 20
        assert len((await session.scalars(select(CreditGrant))).all()) == 3
    with pytest.raises(BadValue, match="are missing"):
        async with db.writing() as session:
            await grants.change_of_file(session, TEAM, -99)


async def hold(db: Database, call_id: str, amount: int) -> None:
    now_us = clock.now_us()
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


async def settle(db: Database, call_id: str, charge: int) -> None:
    async with db.writing() as session:
        await ledger.post(session, Settle(call_id=call_id, team_id=TEAM, now_us=clock.now_us(), charge_nano=charge))
