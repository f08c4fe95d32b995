"""Movements in batches on both databases: each decided once, in order, whatever stands beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

import asyncpg
import pytest
from sqlalchemy import bindparam, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_nothing

from app.base.writer import (
    Found,
    Lookup,
    Posting,
    Refused,
    Statement,
    Step,
    Undecided,
)
from app.domain.calls.models import JobLease
from tests.base.writer_desk import PUT, Desk, all_committed, environ_of, failure_of, opened_desk

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

    refused = desk.writer.post(Step(PUT, ("undone", "boot", 1)), movement=TakeOne("n"))

    assert isinstance(await failure_of(refused), Refused)
    assert "undone" not in await desk.rows()


async def test_a_poisoned_posting_beside_movements_fails_alone(desk: Desk) -> None:
    """The batch is decided anew, posting by posting: what the first attempt had noted is forgotten."""
    await desk.put("shelf", 4).committed()
    movements = [TakeOne(f"n{n}") for n in range(6)]

    postings = [desk.writer.post(movement=movement) for movement in movements[:3]]
    poisoned = desk.writer.post(Step(PUT, (None, "boot", 1)), movement=TakeOne("poisoned"))
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
