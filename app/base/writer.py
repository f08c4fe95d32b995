"""The group-commit writer: call records, and with the money issue every movement of credits, go through here.

Callers hand over a `Posting` (a few statements that belong together) and await its commit. The writer takes all
postings that wait, runs them in one transaction and wakes their callers after the commit. When a transaction fails, its
postings run again one by one, so that only the bad one fails. A step may demand how many rows it must touch; a posting
whose step touches another number is undone and raises `Refused`: that is how a guarded UPDATE says no.

Statements are SQLAlchemy Core, compiled once per database; the values are plain (int, str, bytes, None).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Executable
from sqlalchemy.engine.interfaces import Dialect

from app.base.errors import Busy

MAX_BATCH = 256
MAX_WAITING = 10_000
"""Postings that may wait. Each running call has at most two, so calls are refused long before."""


class Statement:
    """An INSERT, UPDATE or DELETE whose parameters are given by name."""

    __slots__ = ("_compiled", "clause")

    def __init__(self, clause: Executable) -> None:
        self.clause = clause
        self._compiled: dict[str, tuple[str, tuple[str, ...]]] = {}

    def sql(self, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
        """The text for one database, and the names of its positional parameters in order."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self.clause.compile(dialect=dialect)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
            found = str(compiled), tuple(compiled.positiontup or ())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            self._compiled[dialect.name] = found
        return found


class Step(Struct, frozen=True):
    statement: Statement
    values: Mapping[str, Any]
    must_touch: int | None = None


class Refused(Exception):
    """A guarded step touched another number of rows than it had to; the whole posting is undone."""

    def __init__(self, step: Step) -> None:
        super().__init__("A guarded statement did not apply.")
        self.step = step


class AlreadyThere(Exception):
    """An insert met a row with the same unique key; the whole posting is undone."""


class Posting:
    """Steps that are committed together, and the future that tells when."""

    __slots__ = ("done", "is_withdrawn", "steps")

    def __init__(self, steps: Sequence[Step], done: asyncio.Future[None]) -> None:
        self.steps = steps
        self.done = done
        self.is_withdrawn = False
        """Set when the caller no longer waits and wants nothing written; the writer skips it if it still can."""


class Writer(ABC):
    """What both databases' writers share: the door with its bound. One per process."""

    def __init__(self) -> None:
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Postings handed over and not yet committed: the queue depth of the metrics."""
        return self._waiting

    def post(self, *steps: Step) -> Posting:
        """Hand over a posting; `await posting.done` for its commit.

        Raises:
            Busy: `MAX_WAITING` postings wait already. Nothing was taken.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy("The hub's database does not keep up. Try again in a moment.", code="database_busy")
        posting = Posting(steps, asyncio.get_running_loop().create_future())
        self._waiting += 1
        self._submit(posting)
        return posting

    def _finish(self, outcomes: Sequence[tuple[Posting, BaseException | None]]) -> None:
        """Wake the callers of a batch. Runs on the event loop."""
        self._waiting -= len(outcomes)
        for posting, failure in outcomes:
            if posting.done.done():
                continue
            if failure is None:
                posting.done.set_result(None)
            else:
                posting.done.set_exception(failure)
                # A caller that left does not collect its failure; asyncio need not complain about that.
                posting.done.exception()

    @abstractmethod
    def _submit(self, posting: Posting) -> None: ...

    @abstractmethod
    async def start(self) -> None:
        """Open the connection. Raises what the driver raises when the database is not there."""

    @abstractmethod
    async def close(self) -> None:
        """Commit what waits, then close. Later postings are refused."""


async def committed_within(posting: Posting, seconds: float) -> bool:
    """Wait for a commit, but not for ever; whether it has come. Never raises: `posting.done` has the outcome."""
    if posting.done.done():
        return True
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def release(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(seconds, release)
    posting.done.add_done_callback(release)
    try:
        await waiter
    finally:
        timer.cancel()
        posting.done.remove_done_callback(release)
    return posting.done.done()
