"""One-time links and sessions: the ways in for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.base import clock
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue, NotFound
from app.domain.identity import links, retention, sessions, users
from app.domain.identity.models import OneTimeLink, Session, User


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    yield database
    await database.close()


@pytest.fixture
async def ada(db: Database) -> str:
    async with db.writing() as session:
        return (await users.ensure(session, "ada@example.com", "owner")).id


async def _link(db: Database, user_id: str) -> str:
    async with db.writing() as session:
        return (await links.create(session, user_id)).reveal()


async def _is_used(db: Database, token: str) -> bool:
    try:
        async with db.writing() as session:
            await links.use(session, token)
    except links.LinkRefused:
        return False
    return True


async def test_of_many_uses_of_a_link_at_once_one_signs_in(db: Database, ada: str) -> None:
    token = await _link(db, ada)

    outcomes = await asyncio.gather(*(_is_used(db, token) for _ in range(8)))

    assert sorted(outcomes) == [False] * 7 + [True]


async def test_looking_at_a_link_does_not_use_it_up(db: Database, ada: str) -> None:
    token = await _link(db, ada)

    async with db.reading() as session:
        assert await links.is_open(session, token)
        assert not await links.is_open(session, token + "x")

    assert await _is_used(db, token)
    async with db.reading() as session:
        assert not await links.is_open(session, token)


async def test_a_link_is_too_old_after_an_hour(db: Database, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await _link(db, ada)
    later = clock.now() + links.LIFETIME + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)

    assert not await _is_used(db, token)


async def test_a_disabled_user_gets_in_by_no_link_and_no_session(db: Database, ada: str) -> None:
    token = await _link(db, ada)
    async with db.writing() as session:
        started = await sessions.start(session, ada)
        await session.execute(update(User).where(User.id == ada).values(disabled_at=clock.now()))

    assert not await _is_used(db, token)
    async with db.reading() as session:
        assert await sessions.find(session, started.token.reveal()) is None


async def test_the_tables_hold_no_token(db: Database, ada: str) -> None:
    token = await _link(db, ada)
    async with db.writing() as session:
        started = await sessions.start(session, ada)

    async with db.reading() as session:
        link, own = (await session.get(OneTimeLink, links._digest(token))), None
        own = await session.get(Session, sessions._digest(started.token.reveal()))
    assert link is not None and own is not None
    for row in (link, own):
        stored = " ".join(repr(getattr(row, column.key)) for column in row.__table__.columns)
        assert token not in stored and started.token.reveal() not in stored


async def test_a_session_lives_until_it_ends(db: Database, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with db.writing() as session:
        first = await sessions.start(session, ada)
        second = await sessions.start(session, ada)

    async with db.reading() as session:
        found = await sessions.find(session, first.token.reveal())
    assert found is not None
    assert (found.user.email, found.csrf_token) == ("ada@example.com", first.csrf_token)

    async with db.writing() as session:
        await sessions.end(session, first.token.reveal())
    async with db.reading() as session:
        assert await sessions.find(session, first.token.reveal()) is None
        assert await sessions.find(session, second.token.reveal()) is not None

    later = clock.now() + sessions.Lifetimes().idle + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    async with db.reading() as session:
        assert await sessions.find(session, second.token.reveal()) is None


async def test_what_has_expired_is_forgotten_and_nothing_else(
    db: Database, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_link = await _link(db, ada)
    async with db.writing() as session:
        old = await sessions.start(session, ada)
    later = clock.now() + sessions.Lifetimes().idle + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    link = await _link(db, ada)

    async with db.writing() as session:
        assert await retention.forget_expired(session) == 2
        assert await retention.forget_expired(session) == 0

    async with db.reading() as session:
        assert await session.get(OneTimeLink, links._digest(old_link)) is None
        assert await session.get(Session, sessions._digest(old.token.reveal())) is None
    assert await _is_used(db, link)


async def test_the_hub_remembers_that_staff_has_signed_in(db: Database, ada: str) -> None:
    async with db.writing() as session:
        member = await users.ensure(session, "ben@example.com")
    assert await _is_used(db, await _link(db, member.id))
    async with db.reading() as session:
        assert not await users.has_staff_signed_in(session)

    for _ in range(2):
        assert await _is_used(db, await _link(db, ada))
    async with db.reading() as session:
        assert await users.has_staff_signed_in(session)


async def test_an_address_is_one_user_however_it_is_written(db: Database) -> None:
    async with db.writing() as session:
        first = await users.ensure(session, " Cleo@Example.COM ", "admin")
        again = await users.ensure(session, "cleo@example.com", "member")
        assert first.id == again.id
        assert again.hub_role == "admin"
        assert (await users.get_by_email(session, "CLEO@example.com")).id == first.id

    async with db.reading() as session:
        for wrong in ("", "cleo", "a b@example.com", "a@b@c", "x" * 200 + "@example.com"):
            with pytest.raises(BadValue):
                await users.ensure(session, wrong)
        with pytest.raises(NotFound):
            await users.get_by_email(session, "nobody@example.com")


async def test_the_first_owner_is_the_oldest_that_is_not_disabled(db: Database, ada: str) -> None:
    async with db.writing() as session:
        eve = await users.ensure(session, "eve@example.com", "owner")
        assert (await users.first_owner(session)).id == ada  # type: ignore[union-attr]
        await session.execute(update(User).where(User.id == ada).values(disabled_at=clock.now()))
        assert (await users.first_owner(session)).id == eve.id  # type: ignore[union-attr]
        await users.set_role(session, eve.id, "member")
        assert await users.first_owner(session) is None
