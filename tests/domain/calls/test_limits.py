"""Limits as rows: one of a kind at a time, ended and kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import NotFound
from app.domain.calls import limit_rules, limits
from app.domain.calls.limit_rules import Terms


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    opened = Database(read_settings(hub_environ))
    yield opened
    await opened.close()


def _terms(**change: Any) -> Terms:
    usual = {"scope": "key", "scope_id": "k", "unit": "requests", "amount": 5, "per": "minute"}
    return limit_rules.terms(**(usual | change))


async def test_a_changed_limit_takes_the_place_of_the_old_one(db: Database) -> None:
    async with db.writing() as session:
        old = await limits.create(session, _terms())
        other = await limits.create(session, _terms(per="day"))
        new = await limits.create(session, _terms(amount=7, note="more"))

    async with db.reading() as session:
        assert {(one.id, one.amount) for one in await limits.in_force(session)} == {(other.id, 5), (new.id, 7)}
        assert (await limits.get(session, old.id)).ended_us is not None
        pages = [await limits.page(session, limit=2, skip=skip, scope="key") for skip in (0, 2)]
        assert {one.id for page in pages for one in page} == {old.id, other.id, new.id}
        assert [len(page) for page in pages] == [2, 1]


async def test_a_limit_ends_once(db: Database) -> None:
    async with db.writing() as session:
        made = await limits.create(session, _terms())
        assert await limits.end(session, made.id)
        assert not await limits.end(session, made.id)
        with pytest.raises(NotFound):
            await limits.end(session, "unknown")


async def test_what_is_removed_takes_its_limits_along_and_no_others(db: Database) -> None:
    async with db.writing() as session:
        for scope, id_ in (("key", "k"), ("key", "*"), ("team", "t"), ("team", "t2"), ("credential", "c")):
            await limits.create(session, _terms(scope=scope, scope_id=id_))
        await limits.end_with(session, team_id="t", key_ids=["k"], credential_ids=["c"])

    async with db.reading() as session:
        assert {(one.scope, one.scope_id) for one in await limits.in_force(session)} == {("key", "*"), ("team", "t2")}
