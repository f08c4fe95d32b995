"""What is kept of a turn: written again it replaces, other teams and kinds find nothing, it ends with its day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from app.base.clock import now_us
from app.base.config import read_settings
from app.base.db import Database
from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.base.writer import Writer
from app.domain.calls import turns
from app.domain.calls.models import TurnState
from app.domain.calls.turns import Kept


class Shelf:
    def __init__(self, environ: dict[str, str]) -> None:
        settings = read_settings(environ)
        self.db = Database(settings)
        self.writers: list[Writer] = [
            SqliteWriter(self.db) if self.db.is_sqlite else PostgresWriter(settings) for _ in range(2)
        ]
        """As two processes have them."""

    async def keep(self, *rows: Kept, writer: int = 0) -> None:
        await self.writers[writer].post(*(turns.keep(row) for row in rows)).committed()

    async def find(self, *digests: bytes) -> list[Kept]:
        async with self.db.reading() as session:
            return await turns.find(session, digests)


@pytest.fixture
async def shelf(hub_environ: dict[str, str]) -> AsyncIterator[Shelf]:
    made = Shelf(hub_environ)
    for writer in made.writers:
        await writer.start()
    yield made
    for writer in made.writers:
        await writer.close()
    await made.db.close()


def a_row(n: int = 0, sealed: str | None = "v1.x") -> Kept:
    digest = turns.digest_of_call("acme", "google", f"call_{n}", b"{}")
    return Kept(digest=digest, team_id="acme", credential_id="c1", sealed=sealed, expires_us=now_us() + turns.KEPT_US)


async def test_what_is_kept_is_found_in_one_look(shelf: Shelf) -> None:
    rows = [a_row(n) for n in range(3)]

    await shelf.keep(*rows)

    found = await shelf.find(*(row.digest for row in rows), b"nobody's")
    assert sorted(found, key=lambda row: row.digest) == sorted(rows, key=lambda row: row.digest)


async def test_keeping_again_replaces_and_does_not_fail_what_is_written_with_it(shelf: Shelf) -> None:
    await shelf.keep(a_row(sealed="v1.old"))

    await shelf.keep(a_row(sealed="v1.new"), a_row(1))

    assert {row.sealed for row in await shelf.find(a_row().digest, a_row(1).digest)} == {"v1.new", "v1.x"}


async def test_two_processes_may_keep_the_same_turn_at_once(shelf: Shelf) -> None:
    await asyncio.gather(*(shelf.keep(a_row(sealed=f"v1.{n}"), writer=n % 2) for n in range(20)))

    assert len(await shelf.find(a_row().digest)) == 1


async def test_what_has_expired_is_not_found_and_goes(shelf: Shelf) -> None:
    await shelf.keep(a_row(0), a_row(1))
    async with shelf.db.writing() as session:
        gone = update(TurnState).where(TurnState.digest == a_row(0).digest)
        await session.execute(gone.values(expires_us=now_us() - 1))

    assert [row.digest for row in await shelf.find(a_row(0).digest, a_row(1).digest)] == [a_row(1).digest]
    async with shelf.db.writing() as session:
        assert await turns.forget_expired(session) == 1
        assert await turns.forget_expired(session) == 0


def test_a_turn_belongs_to_one_team_one_kind_and_one_call() -> None:
    kinds_of_keys = {
        turns.digest_of_call("acme", "google", "call_1", b"{}"),
        turns.digest_of_call("globex", "google", "call_1", b"{}"),
        turns.digest_of_call("acme", "anthropic", "call_1", b"{}"),
        turns.digest_of_call("acme", "google", "call_2", b"{}"),
        turns.digest_of_call("acme", "google", "call_1", b"[]"),
        turns.digest_of_call("acmegoogle", "", "call_1", b"{}"),
        turns.digest_of_opaque("acme", "google", "call_1"),
    }

    assert len(kinds_of_keys) == 7
    assert turns.place(b"1", "acme") != turns.place(b"1", "globex")
