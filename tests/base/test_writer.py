"""The group-commit writer on both databases: what is posted is written once, or its poster hears why not."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, delete, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_nothing

from app.base import postgres_writer, sqlite_writer, writer
from app.base.config import Settings, read_settings
from app.base.db import Database
from app.base.errors import Busy
from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.base.writer import (
    AlreadyThere,
    Compiled,
    Found,
    Lookup,
    Posting,
    Refused,
    Statement,
    Step,
    Undecided,
    Writer,
)
from app.domain.calls.models import JobLease

_PUT = Statement(
    insert(JobLease).values(name=bindparam("name"), boot_id=bindparam("boot"), until_us=bindparam("until")),
    ("name", "boot", "until"),
)
_PUT_MANY = Statement(
    insert(JobLease).values(name=bindparam("name"), boot_id=bindparam("boot"), until_us=bindparam("until")),
    ("name", "boot", "until"),
    is_independent=True,
)
_MOVE = Statement(
    update(JobLease).where(JobLease.name == bindparam("of_name")).values(until_us=bindparam("new_until")),
    ("of_name", "new_until"),
)
_DROP = Statement(delete(JobLease).where(JobLease.name == bindparam("of_name")), ("of_name",))


class Desk:
    """A writer, and what stands in its table."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.db = Database(settings)
        self.writer: Writer = SqliteWriter(self.db) if self.db.is_sqlite else PostgresWriter(settings)

    async def rows(self) -> dict[str, int]:
        async with self.db.reading() as session:
            return dict((await session.execute(select(JobLease.name, JobLease.until_us))).tuples().all())

    def put(self, name: str, until: Any = 1, *, statement: Statement = _PUT) -> Posting:
        return self.writer.post(Step(statement, (name, "boot", until)))


@asynccontextmanager
async def opened_desk(environ: dict[str, str]) -> AsyncIterator[Desk]:
    made = Desk(read_settings(environ))
    await made.writer.start()
    try:
        yield made
    finally:
        await made.writer.close()
        await made.db.close()


@pytest.fixture
async def desk(hub_environ: dict[str, str]) -> AsyncIterator[Desk]:
    async with opened_desk(hub_environ) as made:
        yield made


async def failure_of(posting: Posting) -> BaseException | None:
    assert await posting.ended_within(5)
    return posting.failure


async def all_committed(postings: list[Posting]) -> None:
    for posting in postings:
        assert await posting.ended_within(10), "it waits for its commit"
        assert posting.is_committed, posting.failure


@pytest.mark.parametrize("statement", [_PUT, _PUT_MANY])
async def test_many_postings_are_all_written(desk: Desk, statement: Statement) -> None:
    postings = [desk.put(f"n{n}", n, statement=statement) for n in range(2000)]

    await all_committed(postings)

    assert await desk.rows() == {f"n{n}": n for n in range(2000)}
    assert desk.writer.waiting == 0


async def test_steps_run_in_their_order(desk: Desk) -> None:
    await desk.writer.post(
        Step(_PUT, ("a", "boot", 1)),
        Step(_MOVE, ("a", 2)),
        Step(_DROP, ("a",)),
        Step(_PUT, ("a", "boot", 3)),
        Step(_MOVE, ("a", 4), must_touch=1),
    ).committed()

    assert await desk.rows() == {"a": 4}


async def test_a_posting_sees_those_before_it(desk: Desk) -> None:
    desk.put("a", 0)
    moves = [desk.writer.post(Step(_MOVE, ("a", n), must_touch=1)) for n in range(1, 50)]

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
    [(name, statement) for name in POISON for statement in (_PUT, _PUT_MANY)],
)
async def test_a_poisoned_posting_fails_alone(desk: Desk, name: str, statement: Statement) -> None:
    before = [desk.put(f"b{n}", statement=statement) for n in range(20)]
    poisoned = desk.writer.post(
        Step(_PUT, ("undone", "boot", 1)), Step(statement, (POISON[name][0], "boot", POISON[name][1]))
    )
    after = [desk.put(f"a{n}", statement=statement) for n in range(20)]

    assert await failure_of(poisoned) is not None
    await all_committed([*before, *after])
    assert len(await desk.rows()) == 40 and "undone" not in await desk.rows()
    # And the writer goes on.
    await all_committed([desk.put("later")])


async def test_a_guard_that_does_not_hold_undoes_its_posting_alone(desk: Desk) -> None:
    desk.put("a")
    refused = desk.writer.post(Step(_PUT, ("undone", "boot", 1)), Step(_MOVE, ("nobody", 2), must_touch=1))
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
    end = desk.writer.post(Step(_MOVE, ("n0", 5)), must_take=True)

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


def environ_of(settings: Settings) -> dict[str, str]:
    environ = {"HUB_DATA_DIR": str(settings.data_dir)}
    if settings.database_url is not None:
        environ["DATABASE_URL"] = settings.database_url.reveal()
    return environ


# Movements. The smallest that can be: a shelf (a row) from which each takes one, while there is one.

_SHELF = Lookup(
    select(JobLease.name, JobLease.until_us),
    JobLease.__table__.c.name,
    order=1,
    locks=True,
    blank=lambda name: Step(_BLANK, (name,)),
)
_BLANK = Statement(
    insert_or_nothing(JobLease)
    .values(name=bindparam("name"), boot_id=literal_column("''"), until_us=literal_column("0"))
    .on_conflict_do_nothing(),
    ("name",),
)
_SET = Statement(
    update(JobLease).where(JobLease.name == bindparam("of_name")).values(until_us=bindparam("new_until")),
    ("of_name", "new_until"),
    is_independent=True,
    replaces=True,
)
_NOTE = Statement(
    insert(JobLease).values(name=bindparam("name"), boot_id=literal_column("'taken'"), until_us=bindparam("left")),
    ("name", "left"),
    is_independent=True,
)


_TAKEN = Lookup(select(JobLease.name, JobLease.until_us), JobLease.__table__.c.name, order=2)


class TakeOne:
    """Takes one from a shelf, and leaves a note of its own that says what was left."""

    shelves = Lookup(select(JobLease.name, JobLease.until_us), JobLease.__table__.c.name, order=1, locks=True)

    def __init__(self, number: str, shelf: str = "shelf", *, breaks: bool = False) -> None:
        self.number, self.shelf, self.breaks = number, shelf, breaks
        self.decisions = 0

    def reads(self) -> Iterable[tuple[Lookup, Sequence[str]]]:
        return [(_TAKEN, (self.number,)), (self.shelves, (self.shelf,))]

    def opens(self, found: Found) -> dict[str, int]:
        return {row[0]: row[1] for rows in found.values() for row in rows}

    def decide(self, book: dict[str, int]) -> list[Step]:
        self.decisions += 1
        if self.breaks:
            book[self.shelf] = 1_000_000
            raise KeyError("a fault of ours")
        if self.number in book:
            return []
        if not book.get(self.shelf):
            raise Refused("empty")
        book[self.shelf] -= 1
        book[self.number] = book[self.shelf]
        return [Step(_SET, (self.shelf, book[self.shelf])), Step(_NOTE, (self.number, book[self.shelf]))]


def notes(rows: dict[str, int]) -> list[int]:
    """What was left each time that one was taken."""
    return sorted(left for name, left in rows.items() if not name.startswith("s"))


async def test_movements_of_a_batch_decide_in_order_and_are_refused_alone(desk: Desk) -> None:
    await desk.put("shelf", 3).committed()
    before = desk.put("before")

    postings = [desk.writer.post(movement=TakeOne(f"n{n}")) for n in range(5)]
    after = desk.put("after")

    await all_committed([before, after, *postings[:3]])
    assert [type(await failure_of(posting)) for posting in postings[3:]] == [Refused, Refused]
    rows = await desk.rows()
    assert rows["shelf"] == 0 and {"n0": 2, "n1": 1, "n2": 0}.items() <= rows.items()


async def test_the_steps_of_a_refused_movement_are_not_written_either(desk: Desk) -> None:
    await desk.put("shelf", 0).committed()

    refused = desk.writer.post(Step(_PUT, ("undone", "boot", 1)), movement=TakeOne("n"))

    assert isinstance(await failure_of(refused), Refused)
    assert "undone" not in await desk.rows()


async def test_a_poisoned_posting_beside_movements_fails_alone(desk: Desk) -> None:
    """The batch is decided anew, posting by posting: what the first attempt had noted is forgotten."""
    await desk.put("shelf", 4).committed()
    movements = [TakeOne(f"n{n}") for n in range(6)]

    postings = [desk.writer.post(movement=movement) for movement in movements[:3]]
    poisoned = desk.writer.post(Step(_PUT, (None, "boot", 1)), movement=TakeOne("poisoned"))
    postings += [desk.writer.post(movement=movement) for movement in movements[3:]]

    assert await failure_of(poisoned) is not None
    await all_committed(postings[:4])
    assert [type(await failure_of(posting)) for posting in postings[4:]] == [Refused, Refused]
    assert min(movement.decisions for movement in movements) >= 2
    rows = await desk.rows()
    assert rows["shelf"] == 0 and "poisoned" not in rows and notes(rows) == [0, 1, 2, 3]


@pytest.mark.parametrize("part", ["decide", "opens", "reads"])
async def test_a_movement_that_breaks_fails_alone(desk: Desk, part: str) -> None:
    await desk.put("shelf", 10).committed()
    broken = TakeOne("broken")
    setattr(broken, part, lambda *_: 1 // 0)
    noting = TakeOne("noting", breaks=True)

    failing = [desk.writer.post(movement=broken), desk.writer.post(movement=noting)]
    good = [desk.writer.post(movement=TakeOne(f"n{n}")) for n in range(3)]

    await all_committed(good)
    for posting in failing:
        assert isinstance(await failure_of(posting), Undecided)
    assert (await desk.rows())["shelf"] == 7


async def test_a_withdrawn_movement_takes_nothing(desk: Desk) -> None:
    await desk.put("shelf", 1).committed()

    withdrawn = desk.writer.post(movement=TakeOne("n0"))
    withdrawn.is_withdrawn = True
    other = desk.writer.post(movement=TakeOne("n1"))

    await all_committed([withdrawn, other])
    rows = await desk.rows()
    assert rows["shelf"] == 0 and "n0" not in rows


async def test_two_writers_never_take_more_than_there_is(desk: Desk) -> None:
    await desk.put("shelf", 70).committed()
    async with opened_desk(environ_of(desk.settings)) as second:
        postings: list[Posting] = []
        for n in range(60):
            postings += [one.writer.post(movement=TakeOne(f"{name}{n}")) for name, one in (("a", desk), ("b", second))]
            await asyncio.sleep(0)
        outcomes = [await failure_of(posting) for posting in postings]

    assert outcomes.count(None) == 70
    assert all(outcome is None or isinstance(outcome, Refused) for outcome in outcomes)
    rows = await desk.rows()
    assert rows["shelf"] == 0 and notes(rows) == list(range(70))


async def test_two_writers_that_want_rows_nobody_has_made_yet_do_not_overlook_each_other(desk: Desk) -> None:
    """Both find no row for the first call of a budget's window; still one of them comes second."""

    class Reserve(TakeOne):
        shelves = _SHELF

        def decide(self, book: dict[str, int]) -> list[Step]:
            if book.get(self.shelf, 0) >= 5:
                raise Refused("full")
            book[self.shelf] = book.get(self.shelf, 0) + 1
            # SQLite locks the whole database, so there need be no row yet.
            return [Step(_BLANK, (self.shelf,)), Step(_SET, (self.shelf, book[self.shelf]))]

    async with opened_desk(environ_of(desk.settings)) as second:
        for round_ in range(10):
            shelf = f"shelf{round_}"
            postings = [
                one.writer.post(movement=Reserve(f"{round_}{name}{n}", shelf))
                for n in range(8)
                for name, one in (("a", desk), ("b", second))
            ]
            outcomes = [await failure_of(posting) for posting in postings]
            assert outcomes.count(None) == 5, shelf
            assert (await desk.rows())[shelf] == 5


async def test_writers_that_need_the_same_rows_in_different_orders_do_not_block_each_other(desk: Desk) -> None:
    await all_committed([desk.put(f"s{n}", 1000) for n in range(4)])
    async with opened_desk(environ_of(desk.settings)) as second:
        began = time.monotonic()
        postings: list[Posting] = []
        for n in range(100):
            postings.append(desk.writer.post(movement=TakeOne(f"a{n}", f"s{n % 4}")))
            postings.append(second.writer.post(movement=TakeOne(f"b{n}", f"s{3 - n % 4}")))
            if n % 10 == 0:
                await asyncio.sleep(0.001)
        await all_committed(postings)
        # PostgreSQL looks for a deadlock after a second.
        assert time.monotonic() - began < 5
    rows = await desk.rows()
    assert sum(rows[f"s{n}"] for n in range(4)) == 4000 - 200


@pytest.mark.databases("postgresql")
async def test_movements_are_not_doubled_by_a_connection_that_is_killed(desk: Desk) -> None:
    """The commit may have arrived although its answer did not: the second attempt finds what the first has done."""
    assert desk.settings.database_url is not None
    await desk.put("shelf", 1000).committed()
    admin = await asyncpg.connect(desk.settings.database_url.reveal())
    postings: list[Posting] = []
    for round_ in range(10):
        postings += [desk.writer.post(movement=TakeOne(f"n{round_}-{n}")) for n in range(20)]
        await asyncio.sleep(0.003 * round_)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hub-writer'"
            " AND datname = current_database()"
        )
    await admin.close()

    await all_committed(postings)

    rows = await desk.rows()
    assert rows["shelf"] == 1000 - 200 and notes(rows) == list(range(800, 1000))


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

    await desk.writer.post(Step(_DROP, ("one",), must_touch=1)).committed()

    assert set(await desk.rows()) == {"other"}


async def test_what_is_added_in_a_batch_is_there_before_it_is_changed(desk: Desk) -> None:
    """Statements of several postings are gathered: a change must not run before the row that it changes."""
    await desk.put("old", 1).committed()

    postings = [
        desk.writer.post(Step(_SET, ("old", 2))),
        desk.writer.post(Step(_NOTE, ("new", 1))),
        desk.writer.post(Step(_SET, ("new", 7))),
        desk.writer.post(Step(_SET, ("new", 8))),
    ]

    await all_committed(postings)
    assert await desk.rows() == {"old": 2, "new": 8}
