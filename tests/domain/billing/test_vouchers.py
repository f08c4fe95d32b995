"""Vouchers: a code gives what it says, as often as it may, once per team; a slip is told from a code nobody made."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from multiprocessing import get_context
from typing import Any

import pytest
from sqlalchemy import select

from app.base import clock
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import AppError, BadValue, Conflict, NotFound
from app.base.ids import new_id
from app.base.money import NANO
from app.domain.billing import balances, voucher_codes, vouchers
from app.domain.billing.models import CreditGrant, Voucher, VoucherUse
from app.gateway.desk import verifying

TEAM = new_id()
DAY_US = 24 * 3600 * clock.MICROSECONDS


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    yield database
    books = await verifying.verify(database, now_us=time.time_ns() // 1000, with_calls=False)
    await database.close()
    assert not books.wrong


async def made(db: Database, **terms: Any) -> list[str]:
    async with db.writing() as session:
        given: dict[str, Any] = {"batch": "spring", "count": 1, "amount_nano": 5 * NANO}
        return await vouchers.make(session, **given | terms)


async def redeemed(db: Database, code: str, team_id: str = TEAM) -> vouchers.Redeemed:
    async with db.writing() as session:
        return await vouchers.redeem(session, code, team_id, "user:1")


async def refusal_of(db: Database, code: str, team_id: str = TEAM) -> str:
    with pytest.raises(AppError) as refused:
        await redeemed(db, code, team_id)
    return refused.value.code


async def test_a_code_gives_its_credits_for_as_long_as_it_says(db: Database) -> None:
    [code] = await made(db, grant_days=30)

    told = await redeemed(db, code.lower().replace("-", " "))

    async with db.reading() as session:
        [grant] = (await session.scalars(select(CreditGrant))).all()
        [voucher] = await vouchers.of_batch(session, "spring", limit=5)
        [batch] = await vouchers.batches(session, limit=5)
    assert (grant.source, grant.source_ref, grant.amount_nano) == ("voucher", f"{voucher.id}:{TEAM}", 5 * NANO)
    assert told.expires_us is not None and abs(told.expires_us - clock.now_us() - 30 * DAY_US) < DAY_US
    assert grant.expires_us == told.expires_us
    assert (voucher.hint, voucher.uses, batch.uses, batch.max_uses) == (code[:4], 1, 1, 1)


async def test_codes_are_made_in_bulk_and_only_their_digests_are_kept(db: Database) -> None:
    codes = await made(db, count=2000, max_uses=3)

    assert len(set(codes)) == 2000
    letter = "[0-9A-HJKMNP-TV-Z]"
    assert all(re.fullmatch(f"({letter}{{4}}-){{4}}{letter}", code) for code in codes)
    async with db.reading() as session:
        stored = (await session.scalars(select(Voucher))).all()
        [batch] = await vouchers.batches(session, limit=5)
    assert {row.digest for row in stored} == {voucher_codes.digest(code) for code in codes}
    texts = repr([vars(row) for row in stored])
    assert not any(code in texts or code.replace("-", "") in texts for code in codes)
    assert (batch.codes, batch.max_uses, batch.uses, batch.disabled) == (2000, 6000, 0, 0)


async def test_a_code_that_cannot_be_redeemed_says_why(db: Database) -> None:
    [once] = await made(db)
    [old] = await made(db, batch="old", expires_us=clock.now_us() + 150_000)
    stopped, _ = await made(db, batch="stopped", count=2)
    async with db.writing() as session:
        assert [await vouchers.disable(session, "stopped") for _ in range(2)] == [2, 0]
    await asyncio.sleep(0.2)
    await redeemed(db, once)

    assert await refusal_of(db, once) == "voucher_used"
    assert await refusal_of(db, once, new_id()) == "voucher_used"
    assert await refusal_of(db, old) == "voucher_expired"
    assert await refusal_of(db, stopped) == "voucher_expired"
    assert await refusal_of(db, voucher_codes.make()) == "voucher_unknown"
    assert await refusal_of(db, once[:-1]) == "voucher_mistyped"


async def test_a_team_uses_a_code_of_many_uses_once(db: Database) -> None:
    [code] = await made(db, max_uses=3)
    async with db.writing() as session:
        await vouchers.redeem(session, code, TEAM, "command")
        with pytest.raises(Conflict):
            await vouchers.redeem(session, code, TEAM, "command")
    for _ in range(2):
        await redeemed(db, code, new_id())

    assert await refusal_of(db, code, new_id()) == "voucher_used"
    async with db.reading() as session:
        assert [row.uses for row in await vouchers.of_batch(session, "spring", limit=1)] == [3]
        assert (await balances.of_team(session, TEAM)).posted_nano == 5 * NANO


async def test_64_that_redeem_one_code_at_once_from_two_processes_get_its_uses_and_no_more(
    db: Database, hub_environ: dict[str, str]
) -> None:
    [code] = await made(db, max_uses=5)
    teams = [new_id() for _ in range(16)]
    context = get_context("spawn")
    with context.Pool(2) as pool:
        # Each team tries twice in each process.
        halves = await asyncio.to_thread(pool.starmap, redeem_all, [(hub_environ, code, teams * 2)] * 2)

    outcomes = sorted(outcome for half in halves for outcome in half)
    assert outcomes == ["given"] * 5 + ["voucher_used"] * 59
    async with db.reading() as session:
        [voucher] = await vouchers.of_batch(session, "spring", limit=1)
        granted = (await session.scalars(select(CreditGrant))).all()
        used = (await session.scalars(select(VoucherUse.team_id))).all()
    assert voucher.uses == 5 and len(granted) == 5
    assert {row.team_id for row in granted} == set(used)


def redeem_all(environ: dict[str, str], code: str, teams: list[str]) -> list[str]:
    """In a process of its own: everybody at once."""

    async def work() -> list[str]:
        database = Database(read_settings(environ))

        async def one(team_id: str) -> str:
            try:
                await redeemed(database, code, team_id)
            except AppError as refusal:
                return refusal.code
            return "given"

        outcomes = await asyncio.gather(*map(one, teams))
        await database.close()
        return outcomes

    return asyncio.run(work())


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("terms", "param"),
    [
        ({"count": 0}, "count"),
        ({"count": 10_001}, "count"),
        ({"max_uses": 0}, "uses"),
        ({"grant_days": 0}, "days"),
        ({"amount_nano": 0}, "amount"),
        ({"expires_us": 1}, "expires"),
        ({"batch": " "}, "batch"),
    ],
)
async def test_vouchers_that_cannot_be_are_refused(db: Database, terms: dict[str, Any], param: str) -> None:
    with pytest.raises(BadValue) as refused:
        await made(db, **terms)

    assert refused.value.param == param
    async with db.reading() as session:
        assert await vouchers.batches(session, limit=1) == []


@pytest.mark.databases("sqlite")
async def test_a_batch_is_made_once_and_one_that_is_not_there_is_said(db: Database) -> None:
    await made(db)
    with pytest.raises(Conflict):
        await made(db)
    async with db.writing() as session:
        with pytest.raises(NotFound):
            await vouchers.disable(session, "summer")
        with pytest.raises(NotFound):
            await vouchers.of_batch(session, "summer", limit=1)


def test_every_wrong_letter_and_nearly_every_swap_is_a_slip() -> None:
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    for _ in range(20):
        code = voucher_codes.make().replace("-", "")
        for place, letter in enumerate(code):
            for other in set(letters) - {letter}:
                with pytest.raises(BadValue):
                    voucher_codes.digest(code[:place] + other + code[place + 1 :])
        for place in range(len(code) - 1):
            first, second = code[place], code[place + 1]
            if first != second and {first, second} != {"0", "Z"}:
                with pytest.raises(BadValue):
                    voucher_codes.digest(code[:place] + second + first + code[place + 2 :])


def test_letters_that_look_alike_are_one() -> None:
    while not {"0", "1"} <= set(code := voucher_codes.make()):
        pass

    assert voucher_codes.digest(code.replace("0", "o").replace("1", "l")) == voucher_codes.digest(code)
