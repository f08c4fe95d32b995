"""Whose calls are orphans: those of processes that are gone, and of nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from app.base.clock import now_us
from app.base.config import Settings, read_settings
from app.base.db import Database
from app.base.ids import new_id
from app.base.usage import METERS
from app.domain.calls.models import Call, IdempotentAnswer, Process
from app.domain.calls.upkeep import LEASE_SECONDS, Presence
from app.gateway.charging import recovery


class Books:
    def __init__(self, settings: Settings) -> None:
        self.db = Database(settings)
        self.data_dir = settings.data_dir
        self.presences: list[Presence] = []

    async def announce(self, data_dir: Path | None = None) -> Presence:
        presence = Presence(data_dir or self.data_dir, new_id())
        self.presences.append(presence)
        async with self.db.writing() as session:
            await presence.announce(session)
        return presence

    async def begin_call(self, boot_id: str) -> str:
        call_id = new_id()
        async with self.db.writing() as session:
            await session.execute(
                insert(Call).values(
                    id=call_id, boot_id=boot_id, team_id="t", api_key_id="k", endpoint="chat.completions", model="m",
                    is_streamed=False, status="running", started_us=now_us(), attempts=0, **dict.fromkeys(METERS, 0),
                )
            )  # fmt: skip
        return call_id

    async def end_orphans(self, data_dir: Path | None = None) -> int:
        return await recovery.end_orphans(self.db, data_dir or self.data_dir)

    async def status_of(self, call_id: str) -> str | None:
        async with self.db.reading() as session:
            return await session.scalar(select(Call.status).where(Call.id == call_id))

    async def processes(self) -> set[str]:
        async with self.db.reading() as session:
            return set(await session.scalars(select(Process.boot_id)))

    async def be_silent_for(self, presence: Presence, seconds: int) -> None:
        async with self.db.writing() as session:
            await session.execute(
                update(Process)
                .where(Process.boot_id == presence.boot_id)
                .values(beat_us=now_us() - seconds * 1_000_000)
            )


@pytest.fixture
async def books(hub_environ: dict[str, str]) -> AsyncIterator[Books]:
    opened = Books(read_settings(hub_environ))
    yield opened
    for presence in opened.presences:
        presence._file.close()
    await opened.db.close()


async def test_of_two_processes_that_live_neither_ends_the_others_calls(books: Books) -> None:
    one, two = await books.announce(), await books.announce()
    calls = [await books.begin_call(presence.boot_id) for presence in (one, two)]

    # On the same machine the lock tells, however long the beat is late.
    await books.be_silent_for(one, 10 * LEASE_SECONDS)

    assert await books.end_orphans() == 0
    assert [await books.status_of(call) for call in calls] == ["running", "running"]
    assert await books.processes() == {one.boot_id, two.boot_id}


async def test_the_calls_of_one_that_died_are_ended_by_the_other(books: Books) -> None:
    dead, living = await books.announce(), await books.announce()
    orphan, kept = await books.begin_call(dead.boot_id), await books.begin_call(living.boot_id)
    async with books.db.writing() as session:
        await session.execute(
            insert(IdempotentAnswer).values(
                digest=b"d" * 32, body_digest=b"b" * 32, call_id=orphan, expires_us=now_us() + 10**9
            )
        )
    # As the system does for a process that is gone.
    dead._file.close()

    assert await books.end_orphans() == 1
    assert await books.end_orphans() == 0
    assert [await books.status_of(orphan), await books.status_of(kept)] == ["interrupted", "running"]
    assert await books.processes() == {living.boot_id}
    async with books.db.reading() as session:
        assert (await session.scalars(select(IdempotentAnswer))).all() == []


async def test_of_a_process_on_another_machine_the_beat_tells(books: Books, tmp_path: Path) -> None:
    elsewhere = await books.announce(tmp_path / "other machine")
    call = await books.begin_call(elsewhere.boot_id)

    await books.be_silent_for(elsewhere, LEASE_SECONDS - 5)
    assert await books.end_orphans() == 0
    await books.be_silent_for(elsewhere, LEASE_SECONDS + 5)
    assert await books.end_orphans() == 1
    assert await books.status_of(call) == "interrupted"


async def test_a_process_that_was_taken_for_dead_is_known_again_with_its_next_beat(
    books: Books, tmp_path: Path
) -> None:
    elsewhere = await books.announce(tmp_path / "other machine")
    await books.be_silent_for(elsewhere, LEASE_SECONDS + 5)
    await books.end_orphans()
    assert await books.processes() == set()

    async with books.db.writing() as session:
        await elsewhere.beat(session)
    call = await books.begin_call(elsewhere.boot_id)

    assert await books.end_orphans() == 0 and await books.status_of(call) == "running"


async def test_one_that_leaves_leaves_nothing_behind(books: Books) -> None:
    presence = await books.announce()
    async with books.db.writing() as session:
        await presence.leave(session)

    assert await books.processes() == set() and list((books.data_dir / "run").iterdir()) == []
