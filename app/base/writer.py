"""The group-commit writer: call records, and with the money issue every movement of credits, go through here.

Callers hand over a `Posting` (a few statements that belong together) and await its commit. While one batch is being
committed the next gathers, so under load a transaction carries many postings, and a single one waits for nobody. When a
transaction fails, its postings run again one by one, so that only the bad one fails. A step may demand how many rows it
must touch; a posting whose step touches another number is undone and raises `Refused`: so a guarded UPDATE says no.

Statements are SQLAlchemy Core, compiled once per database; the values are plain (int, str, bytes, None).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, cast

from msgspec import Struct
from sqlalchemy import Executable
from sqlalchemy.engine.interfaces import Dialect

from app.base.errors import Busy

MAX_BATCH = 512
MAX_WAITING = 10_000
"""Postings that may wait. Each running call has at most two, so calls are refused long before."""

_GATHER_SECONDS = 0.001

Values = Sequence[Any]
Outcomes = Sequence[tuple["Posting", BaseException | None]]


class Statement:
    """An INSERT, UPDATE or DELETE. `names` are its parameters in the order in which a step gives their values.

    Steps of an independent statement may run together with those of other postings, in one round trip and in any order:
    they touch rows that no other posting of the batch touches.
    """

    __slots__ = ("_compiled", "clause", "is_independent", "names")

    def __init__(self, clause: Executable, names: Sequence[str], *, is_independent: bool = False) -> None:
        self.clause = clause
        self.names = tuple(names)
        self.is_independent = is_independent
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        """The text for one database."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self.clause.compile(dialect=dialect)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
            names = cast(Sequence[str], compiled.positiontup or ())  # pyright: ignore[reportUnknownMemberType]
            found = Compiled(str(compiled), itemgetter(*(self.names.index(name) for name in names)))  # pyright: ignore[reportUnknownArgumentType]
            self._compiled[dialect.name] = found
        return found


class Compiled(Struct, frozen=True):
    """A statement in one database's words, with a place for each parameter."""

    sql: str
    in_places: Callable[[Values], tuple[Any, ...]]
    """A step's values in the order of the places."""


class Step(Struct, frozen=True):
    statement: Statement
    values: Values
    must_touch: int | None = None


class Refused(Exception):
    """A guarded step touched another number of rows than it had to; the whole posting is undone."""

    def __init__(self, step: Step) -> None:
        super().__init__("A guarded statement did not apply.")
        self.step = step


class AlreadyThere(Exception):
    """An insert met a row with the same unique key; the whole posting is undone."""


class Posting:
    """Steps that are committed together. Its caller may wait for the commit, for as long as it likes."""

    __slots__ = ("_loop", "_waiter", "failure", "is_committed", "is_withdrawn", "on_failure", "steps")

    def __init__(self, steps: Sequence[Step], loop: asyncio.AbstractEventLoop) -> None:
        self.steps = steps
        self.is_committed = False
        self.failure: BaseException | None = None
        self.is_withdrawn = False
        """Set when the caller no longer waits and wants nothing written; the writer skips it if it still can."""
        self.on_failure: Callable[[BaseException], None] | None = None
        """Called when the database refused it for good, whether or not anybody waits."""
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_ended(self) -> bool:
        return self.is_committed or self.failure is not None

    async def ended_within(self, seconds: float) -> bool:
        """Wait for the outcome, but not longer; whether there is one. Never raises: `failure` has it."""
        if self.is_ended:
            return True
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._release)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
        return self.is_ended

    async def committed(self) -> None:
        """Wait for the commit, however long it takes.

        Raises:
            Refused, AlreadyThere, or the driver's error: nothing was written.
        """
        while not await self.ended_within(60):
            pass
        if self.failure is not None:
            raise self.failure

    def end(self, failure: BaseException | None) -> None:
        """The writer's word."""
        self.failure = failure
        self.is_committed = failure is None
        if failure is not None and self.on_failure is not None:
            self.on_failure(failure)
        self._release()

    def _release(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Writer(ABC):
    """What both databases' writers share: the door with its bound, and the gathering. One per process."""

    def __init__(self) -> None:
        self._waiting = 0
        self._gathered: list[Posting] = []
        self._is_committing = False
        self._is_closed = False
        self._idle: asyncio.Event | None = None
        self.is_crowded: Callable[[], bool] = lambda: False
        """Whether so much is going on that a posting should wait a moment for others to share its commit."""

    @property
    def waiting(self) -> int:
        """Postings handed over and not yet committed: the queue depth of the metrics."""
        return self._waiting

    def post(self, *steps: Step, must_take: bool = False) -> Posting:
        """Hand over a posting, whose commit can be waited for.

        `must_take` is for the end of something whose beginning was taken: there is one end to each, so the bound on
        beginnings bounds them too.

        Raises:
            Busy: `MAX_WAITING` postings wait already, or the writer is closed. Nothing was taken.
        """
        if self._is_closed or (self._waiting >= MAX_WAITING and not must_take):
            raise Busy("The hub's database does not keep up. Try again in a moment.", code="database_busy")
        loop = asyncio.get_running_loop()
        posting = Posting(steps, loop)
        self._waiting += 1
        self._gathered.append(posting)
        if not self._is_committing and len(self._gathered) == 1:
            if self.is_crowded():
                loop.call_later(_GATHER_SECONDS, self._commit_gathered)
            else:
                # At the end of this turn of the loop: what else is posted in it comes along.
                loop.call_soon(self._commit_gathered)
        return posting

    async def close(self) -> None:
        """Commit what waits, then close. Later postings are refused."""
        self._is_closed = True
        self._idle = asyncio.Event()
        if self._waiting:
            await self._idle.wait()
        await self._shut()

    def _commit_gathered(self) -> None:
        if self._is_committing or not self._gathered:
            return
        batch, self._gathered = self._gathered[:MAX_BATCH], self._gathered[MAX_BATCH:]
        self._is_committing = True
        self._submit(batch)

    def _finish(self, outcomes: Outcomes) -> None:
        """Wake the callers of a batch and begin the next. Runs on the event loop."""
        self._is_committing = False
        self._waiting -= len(outcomes)
        self._commit_gathered()
        for posting, failure in outcomes:
            posting.end(failure)
        if self._idle is not None and not self._waiting:
            self._idle.set()

    @property
    def is_closing(self) -> bool:
        """From here on a batch that fails is not tried for long."""
        return self._is_closed

    @abstractmethod
    async def start(self) -> None:
        """Open the connection. Raises what the driver raises when the database is not there."""

    @abstractmethod
    def _submit(self, batch: list[Posting]) -> None:
        """Commit these; `_finish` hears of it. Not called again before that."""

    @abstractmethod
    async def _shut(self) -> None:
        """Nothing waits any more: close the connection."""
