"""Budgets as rows: made, changed, ended; and the notices of their levels."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import NotFound
from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.base.writer import Writer
from app.domain.billing import budget_notices, budget_rules, budgets
from app.domain.billing.budget_rules import BudgetRule, terms

NOW_US = 1_795_200_000_000_000
"""2026-11-20, in the evening."""


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    yield database
    await database.close()


@pytest.fixture
async def writer(db: Database, hub_environ: dict[str, str]) -> AsyncIterator[Writer]:
    opened = SqliteWriter(db) if db.is_sqlite else PostgresWriter(read_settings(hub_environ))
    await opened.start()
    yield opened
    await opened.close()


async def _made(db: Database, *, so_far: int = 0, now_us: int = NOW_US, **fields: Any) -> BudgetRule:
    usual: dict[str, Any] = {
        "scope": "team",
        "scope_id": "t1",
        "unit": "calls",
        "amount": 100,
        "window": "month",
        "timezone": "UTC",
        "warn_percents": (80, 95),
        "action": "block",
    }
    async with db.writing() as session:
        return await budgets.create(session, terms(**usual | fields), spent_so_far=so_far, now_us=now_us)


async def _spent(db: Database, rule: BudgetRule, now_us: int = NOW_US) -> budgets.Spend | None:
    spend_id = budget_rules.room(rule, now_us).spend_id
    async with db.reading() as session:
        return (await budgets.spends(session, [spend_id])).get(spend_id)


async def test_a_budget_begins_with_what_was_spent_before_it(db: Database):
    rule = await _made(db, so_far=37, note="until spring")

    assert await _spent(db, rule) == budgets.Spend(37, 0)
    async with db.reading() as session:
        assert await budgets.in_force(session) == (rule,)
        assert await budgets.get(session, rule.id) == rule
    assert (rule.note, rule.warn_percents, rule.created_us) == ("until spring", (80, 95), NOW_US)


async def test_a_changed_budget_goes_on_from_what_the_old_one_counted(db: Database):
    old = await _made(db, so_far=37)
    async with db.writing() as session:
        begins_us = budget_rules.room(old, NOW_US).begins_us
        await budgets.lock_spend(session, old, begins_us)
        await budgets.set_spent(session, old, begins_us, 60)

    new = await _made(db, so_far=37, amount=50, action="warn", warn_percents=(10,), now_us=NOW_US + 1)

    assert await _spent(db, new) == budgets.Spend(60, 0)
    assert await _spent(db, old) == budgets.Spend(60, 0)
    async with db.reading() as session:
        assert await budgets.in_force(session) == (new,)
        assert [rule.id for rule in await budgets.page(session, limit=10)] == [new.id, old.id]
        assert (await budgets.get(session, old.id)).ended_us is not None


async def test_a_budget_in_another_zone_or_window_counts_anew(db: Database):
    await _made(db, so_far=37)

    elsewhere = await _made(db, so_far=5, timezone="Asia/Tokyo")
    daily = await _made(db, so_far=2, window="day")

    assert await _spent(db, elsewhere) == budgets.Spend(5, 0)
    assert await _spent(db, daily) == budgets.Spend(2, 0)
    async with db.reading() as session:
        assert {rule.id for rule in await budgets.in_force(session)} == {elsewhere.id, daily.id}


async def test_a_budget_changed_in_a_later_window_leaves_the_old_spend_behind(db: Database):
    old = await _made(db, so_far=90)
    next_month = NOW_US + 31 * 86_400_000_000

    new = await _made(db, so_far=4, amount=200, now_us=next_month)

    assert await _spent(db, new, next_month) == budgets.Spend(4, 0)
    assert await _spent(db, old) == budgets.Spend(90, 0)


async def test_a_budget_ends_once(db: Database):
    rule = await _made(db)

    async with db.writing() as session:
        assert await budgets.end(session, rule.id)
        assert not await budgets.end(session, rule.id)
        with pytest.raises(NotFound):
            await budgets.end(session, "nobody")
        assert await budgets.in_force(session) == ()


async def test_the_budgets_of_a_team_end_with_it_and_those_of_others_stay(db: Database):
    other = await _made(db, scope_id="t2")
    near = await _made(db, scope="project", scope_id="t11/site")
    await _made(db)
    await _made(db, scope="project", scope_id="t1/site")
    await _made(db, scope="key", scope_id="k1")

    async with db.writing() as session:
        await budgets.end_with(session, team_id="t1", key_ids=["k1"])

        assert set(await budgets.in_force(session)) == {other, near}


async def test_a_level_is_noted_once_in_a_window(db: Database, writer: Writer):
    rule = await _made(db)
    this, next_ = f"{rule.id}@1", f"{rule.id}@2"

    for spend_id, percents in ((this, [80]), (this, [80, 95]), (next_, [80])):
        await writer.post(*budget_notices.notice_steps(rule, spend_id, percents, NOW_US)).committed()

    async with db.reading() as session:
        assert await budget_notices.reached(session, [this, next_, "other"]) == {this: [80, 95], next_: [80]}
