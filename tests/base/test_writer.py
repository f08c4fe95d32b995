"""The group-commit writer on both databases: what is posted is written once, or its poster hears why not."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, insert, literal_column

from app.base import postgres_writer, sqlite_writer, writer
from app.base.errors import Busy
from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.base.writer import (
    AlreadyThere,
    Compiled,
    Posting,
    Refused,
    Statement,
    Step,
)
from app.domain.calls.models import JobLease
from tests.base.writer_desk import DROP, MOVE, PUT, PUT_MANY, Desk, all_committed, environ_of, failure_of, opened_desk


@pytest.mark.parametrize("statement", [PUT, PUT_MANY])
async def test_many_postings_are_all_written(desk: Desk, statement: Statement) -> None:
    postings = [desk.put(f"n{n}", n, statement=statement) for n in range(2000)]

    await all_committed(postings)

    assert await desk.rows() == {f"n{n}": n for n in range(2000)}
    assert desk.writer.waiting == 0


async def test_steps_run_in_their_order(desk: Desk) -> None:
    await desk.writer.post(
        Step(PUT, ("a", "boot", 1)),
        Step(MOVE, ("a", 2)),
        Step(DROP, ("a",)),
        Step(PUT, ("a", "boot", 3)),
        Step(MOVE, ("a", 4), must_touch=1),
    ).committed()

    assert await desk.rows() == {"a": 4}


async def test_a_posting_sees_those_before_it(desk: Desk) -> None:
    desk.put("a", 0)
    moves = [desk.writer.post(Step(MOVE, ("a", n), must_touch=1)) for n in range(1, 50)]

    await all_committed(moves)

    assert await desk.rows() == {"a": 49}


POISON = {
    "null where none may be": (None, 1),
    "an object": ("poison", object()),
    "too large an integer": ("poison", 2**70),
    "a lone surrogate": ("\ud800", 1),
}


@pytest.mark.parametrize(
    ("name", "statement"),
    [(name, statement) for name in POISON for statement in (PUT, PUT_MANY)],
)
async def test_a_poisoned_posting_fails_alone(desk: Desk, name: str, statement: Statement) -> None:
    before = [desk.put(f"b{n}", statement=statement) for n in range(20)]
    poisoned = desk.writer.post(
        Step(PUT, ("undone", "boot", 1)), Step(statement, (POISON[name][0], "boot", POISON[name][1]))
    )
    after = [desk.put(f"a{n}", statement=statement) for n in range(20)]

    assert await failure_of(poisoned) is not None
    await all_committed([*before, *after])
    assert len(await desk.rows()) == 40 and "undone" not in await desk.rows()
    # And the writer goes on.
    await all_committed([desk.put("later")])


async def test_a_guard_that_does_not_hold_undoes_its_posting_alone(desk: Desk) -> None:
    desk.put("a")
    refused = desk.writer.post(Step(PUT, ("undone", "boot", 1)), Step(MOVE, ("nobody", 2), must_touch=1))
    other = desk.put("b")

    assert isinstance(await failure_of(refused), Refused)
    await other.committed()
    assert set(await desk.rows()) == {"a", "b"}


async def test_a_row_that_is_there_is_told_apart(desk: Desk) -> None:
    await desk.put("a").committed()
    again, other = desk.put("a", 2), desk.put("b")

    assert isinstance(await failure_of(again), AlreadyThere)
    await other.committed()
    assert await desk.rows() == {"a": 1, "b": 1}


async def test_a_withdrawn_posting_is_not_written(desk: Desk) -> None:
    posting = desk.put("a")
    posting.is_withdrawn = True

    await all_committed([posting])
    await desk.put("b").committed()
    assert set(await desk.rows()) == {"b"}


async def test_each_of_several_who_wait_for_a_posting_hears_of_its_end_or_of_its_time(desk: Desk) -> None:
    posting = desk.put("a")

    waiting = [asyncio.create_task(posting.ended_within(seconds)) for seconds in (0, 5, 60, 5)]
    patient = asyncio.create_task(posting.committed())

    async with asyncio.timeout(4):
        assert await asyncio.gather(*waiting[1:]) == [True, True, True]
        await patient
        await waiting[0]


async def test_closing_commits_what_waits_and_takes_nothing_more(hub_environ: dict[str, str]) -> None:
    async with opened_desk(hub_environ) as desk:
        postings = [desk.put(f"n{n}") for n in range(3000)]
        await desk.writer.close()

        assert all(posting.is_committed for posting in postings)
        assert len(await desk.rows()) == 3000
        with pytest.raises(Busy):
            desk.put("late")
        desk.writer = SqliteWriter(desk.db) if desk.db.is_sqlite else PostgresWriter(desk.settings)
        await desk.writer.start()


async def test_more_than_the_bound_is_refused_but_never_an_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 10)
    taken = [desk.put(f"n{n}") for n in range(10)]

    with pytest.raises(Busy):
        desk.put("one too many")
    end = desk.writer.post(Step(MOVE, ("n0", 5)), must_take=True)

    await all_committed([*taken, end])
    assert len(await desk.rows()) == 10
    await desk.put("and now").committed()


async def test_waiting_for_a_commit_ends_when_the_time_is_over(desk: Desk) -> None:
    assert await desk.put("a").ended_within(5)
    never = Posting((), None, asyncio.get_running_loop())
    assert not await never.ended_within(0.05)


@asynccontextmanager
async def a_lock(desk: Desk, seconds: float) -> AsyncIterator[None]:
    """Somebody else holds the table for so long."""
    if desk.db.is_sqlite:
        taken, path = threading.Event(), desk.db.sqlite_path

        def hold() -> None:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                taken.set()
                time.sleep(seconds)
                connection.execute("ROLLBACK")

        thread = threading.Thread(target=hold)
        thread.start()
        await asyncio.to_thread(taken.wait)
        yield
        await asyncio.to_thread(thread.join)
        return
    assert desk.settings.database_url is not None
    connection = await asyncpg.connect(desk.settings.database_url.reveal())
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE job_lease IN ACCESS EXCLUSIVE MODE")
    asyncio.get_running_loop().call_later(seconds, lambda: asyncio.ensure_future(transaction.rollback()))
    yield
    await asyncio.sleep(0)
    while connection.is_in_transaction():
        await asyncio.sleep(0.05)
    await connection.close()


async def test_a_short_lock_of_somebody_else_is_waited_for(desk: Desk) -> None:
    async with a_lock(desk, 1.0):
        postings = [desk.put(f"n{n}") for n in range(10)]
        await asyncio.sleep(0.2)
        assert not any(posting.is_ended for posting in postings)
        await all_committed(postings)
    assert len(await desk.rows()) == 10


async def test_a_long_lock_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than the driver itself waits: 5 s on SQLite (here less), 2 s on PostgreSQL."""
    monkeypatch.setattr(sqlite_writer, "BUSY_TIMEOUT_MS", 300)
    async with opened_desk(environ_of(desk.settings)) as impatient, a_lock(impatient, 3.0):
        first = impatient.put("first")
        withdrawn = impatient.put("withdrawn")
        await asyncio.sleep(0.8)
        withdrawn.is_withdrawn = True
        second = impatient.put("second")
        await all_committed([first, second, withdrawn])
        assert set(await impatient.rows()) == {"first", "second"}


@pytest.mark.databases("postgresql")
async def test_a_connection_that_is_killed_is_opened_again(desk: Desk) -> None:
    assert desk.settings.database_url is not None
    admin = await asyncpg.connect(desk.settings.database_url.reveal())
    postings: list[Posting] = []
    for round_ in range(10):
        postings += [desk.put(f"n{round_}-{n}") for n in range(50)]
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hub-writer'"
            " AND datname = current_database()"
        )
        await asyncio.sleep(0.02)
    await admin.close()

    outcomes = [await failure_of(posting) for posting in postings]

    # A commit whose answer was lost is met again on the second try: the row is there, and once.
    assert all(outcome is None or isinstance(outcome, AlreadyThere) for outcome in outcomes)
    assert len(await desk.rows()) == 500


@pytest.mark.databases("sqlite")
async def test_a_damaged_file_fails_the_postings_and_not_the_thread(desk: Desk) -> None:
    """Whatever the driver raises: the callers hear of it, and the next ones too."""
    real = desk.writer._transaction  # type: ignore[attr-defined]

    def damaged(*_: Any) -> Any:
        raise sqlite3.DatabaseError("database disk image is malformed")

    desk.writer._transaction = damaged  # type: ignore[attr-defined]
    assert isinstance(await failure_of(desk.put("a")), sqlite3.DatabaseError)
    desk.writer._transaction = real  # type: ignore[attr-defined]
    await all_committed([desk.put("b")])


@pytest.mark.parametrize("values", [(), ("name",), ("name", 1, 2)])
async def test_a_step_with_the_wrong_values_fails_at_once_and_alone(desk: Desk, values: tuple[Any, ...]) -> None:
    clause = insert(JobLease).values(name=bindparam("name"), boot_id=literal_column("''"), until_us=bindparam("until"))
    statement = Statement(clause, ("name", "until"))
    broken = Statement(clause, ("name", "until"))
    for dialect in (sqlite_writer._dialect, postgres_writer._dialect):
        broken._compiled[dialect.name] = Compiled(statement.compiled(dialect).sql, tuple)
    failing, good = desk.writer.post(Step(broken, values)), desk.put("good")

    await good.committed()
    assert await failure_of(failing) is not None
    assert set(await desk.rows()) == {"good"}


async def test_a_statement_may_have_one_value(desk: Desk) -> None:
    await all_committed([desk.put("one"), desk.put("other")])

    await desk.writer.post(Step(DROP, ("one",), must_touch=1)).committed()

    assert set(await desk.rows()) == {"other"}
