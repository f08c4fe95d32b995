"""Starter credits: once per person for ever, and no more in a day than the owner allows."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select

from app.base import clock
from app.base.config import read_settings
from app.base.db import Database
from app.base.ids import new_id
from app.base.money import NANO
from app.domain.billing import balances, starters
from app.domain.billing.models import CreditGrant
from app.domain.catalog import settings
from app.gateway.desk import verifying
from app.gateway.desk.starters import give_starter

DAY_US = 24 * 3600 * clock.MICROSECONDS


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    yield database
    books = await verifying.verify(database, now_us=time.time_ns() // 1000, with_calls=False)
    await database.close()
    assert not books.wrong


async def signed_up(db: Database, person: str, team_id: str | None = None) -> str:
    async with db.writing() as session:
        return await give_starter(session, team_id or new_id(), person)


async def told(db: Database, **values: str) -> None:
    async with db.writing() as session:
        for name, value in ({"billing": "credits"} | values).items():
            await settings.put(session, name, value)


async def test_a_new_person_gets_the_starter_credits_and_they_end_when_the_owner_says(db: Database) -> None:
    await told(db, starter_credits="2.5", starter_credit_days="30")
    team_id = new_id()

    assert await signed_up(db, starters.person_of_did("z1"), team_id) == "given"

    async with db.reading() as session:
        has = await balances.of_team(session, team_id)
    assert has.free_nano == 2_500_000_000 and has.next_expiry_us is not None
    assert abs(has.next_expiry_us - clock.now_us() - 30 * DAY_US) < DAY_US


async def test_without_credits_to_give_nothing_is_given_and_nobody_has_had_theirs(db: Database) -> None:
    person = starters.person_of_did("z1")
    assert await signed_up(db, person) == "off"
    await told(db, starter_credits="1", billing="cost")
    assert await signed_up(db, person) == "off"

    await told(db)
    assert await signed_up(db, person) == "given"


@pytest.mark.parametrize("limit", ["0", "1000"])
async def test_of_32_that_sign_up_as_one_person_at_once_one_is_given(db: Database, limit: str) -> None:
    await told(db, starter_credits="1", starter_daily_limit=limit)
    person = starters.person_of_email(" Ada@Example.com ")

    outcomes = await asyncio.gather(*(signed_up(db, person) for _ in range(32)))

    assert Counter(outcomes) == {"given": 1, "had": 31}
    assert await signed_up(db, starters.person_of_email("ada@example.com")) == "had"
    assert await given_nano(db) == NANO


async def test_the_starters_of_a_day_are_never_more_than_its_limit(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told(db, starter_credits="1", starter_daily_limit="5.5")

    outcomes = await asyncio.gather(*(signed_up(db, starters.person_of_did(f"z{n}")) for n in range(20)))

    assert Counter(outcomes) == {"given": 5, "limit": 15}
    assert await given_nano(db) == 5 * NANO
    # The next day whoever had nothing gets theirs.
    late = starters.person_of_did(f"z{outcomes.index('limit')}")
    tomorrow = clock.now_us() + DAY_US
    monkeypatch.setattr(clock, "now_us", lambda: tomorrow)
    assert await signed_up(db, late) == "given"


def test_a_person_is_known_by_a_did_with_or_without_its_method_and_by_no_readable_address() -> None:
    assert starters.person_of_did("did:abt:z1abc") == starters.person_of_did("z1abc") == "did:z1abc"
    assert "example" not in starters.person_of_email("ada@example.com")
    assert starters.person_of_email("ada@example.com") != starters.person_of_email("bob@example.com")


async def given_nano(db: Database) -> int:
    async with db.reading() as session:
        return int(await session.scalar(select(func.sum(CreditGrant.amount_nano))) or 0)
