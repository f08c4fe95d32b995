"""The group-commit writer: call records and every movement of credits go through here.

Callers hand over a `Posting` (a few statements that belong together) and await its commit. While one batch is being
committed the next gathers, so under load a transaction carries many postings, and a single one waits for nobody. When a
transaction fails, its postings run again one by one, so that only the bad one fails. A step may demand how many rows it
must touch; a posting whose step touches another number is undone and raises `Refused`: so a guarded UPDATE says no.

What a posting has to write may depend on what stands in the tables. Then it brings a `Movement`: the rows that all
movements of a batch need are read and locked at its beginning, each movement decides in turn, in memory, and its steps
go out with all the others. So a hot account costs a batch no more than a cold one.

Statements are SQLAlchemy Core, compiled once per database; the values are plain (int, str, bytes, None).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol, cast

from msgspec import Struct
from sqlalchemy import ColumnElement, Executable, Insert, Select, bindparam
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

    Steps of an independent statement run together with those of other postings, in one round trip: what adds rows
    before what changes them, the steps of one statement in their order. One that `replaces` sets all it ever changes of
    the row that its first value names: of several for one row only the last runs.
    """

    __slots__ = ("_compiled", "adds", "clause", "is_independent", "names", "replaces")

    def __init__(
        self, clause: Executable, names: Sequence[str], *, is_independent: bool = False, replaces: bool = False
    ) -> None:
        self.clause = clause
        self.names = tuple(names)
        self.is_independent = is_independent
        self.adds = isinstance(clause, Insert)
        self.replaces = replaces
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        """The text for one database."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self.clause.compile(dialect=dialect)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
            names = cast(Sequence[str], compiled.positiontup or ())  # pyright: ignore[reportUnknownMemberType]
            found = Compiled(str(compiled), _in_places([self.names.index(name) for name in names]))  # pyright: ignore[reportUnknownArgumentType]
            self._compiled[dialect.name] = found
        return found


def _in_places(places: Sequence[int]) -> Callable[[Values], tuple[Any, ...]]:
    if len(places) > 1:
        return itemgetter(*places)
    # An itemgetter of one gives the item itself.
    return lambda values: tuple(values[place] for place in places)


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
    """A guarded step touched another number of rows than it had to, or a movement said no; nothing of the posting is
    written."""

    def __init__(self, reason: str = "A guarded statement did not apply.") -> None:
        super().__init__(reason)


class AlreadyThere(Exception):
    """An insert met a row with the same unique key; the whole posting is undone."""


class Undecided(Exception):
    """A movement broke while it decided: a fault of ours, or rows that make no sense. Nothing of the posting is
    written; its cause says what it was."""


class Lookup:
    """Rows that movements need, found by a text column.

    Those of a locking one are kept from other writers, and all writers lock in the same `order`: lookup after lookup,
    and each by its key. `blank` gives the step that adds an empty row for a key that has none: where several writers
    may be the first, there must be something to lock. It must do nothing where the row is there by then.
    """

    __slots__ = ("_compiled", "_key", "_select", "blank", "order")

    def __init__(
        self,
        select: Select[*tuple[Any, ...]],
        key: ColumnElement[str],
        *,
        order: int,
        locks: bool = False,
        blank: Callable[[str], Step] | None = None,
    ) -> None:
        self.order = order
        self.blank = blank
        self._key = key
        self._select = select.order_by(key).with_for_update() if locks else select
        self._compiled: dict[str, str] = {}

    def sql(self, dialect: Dialect) -> str:
        """The text for one database, with `KEYS` for the right side of the comparison with the key."""
        found = self._compiled.get(dialect.name)
        if found is None:
            clause = self.of(bindparam("keys", expanding=True))
            found = str(clause.compile(dialect=dialect)).replace("IN (__[POSTCOMPILE_keys])", "KEYS")
            self._compiled[dialect.name] = found
        return found

    def of(self, keys: Any) -> Select[*tuple[Any, ...]]:
        """The query itself, for a session."""
        return self._select.where(self._key.in_(keys))


Found = Mapping[Lookup, Sequence[Sequence[Any]]]
"""The rows of each lookup, in the order of its columns."""


class Movement(Protocol):
    """What a posting writes is decided by rows that are read in its own transaction."""

    def reads(self) -> Iterable[tuple[Lookup, Sequence[str]]]:
        """What it needs to know."""
        ...

    def opens(self, found: Found, /) -> Any:
        """The book for a whole batch; the first movement opens it for all."""
        ...

    def decide(self, book: Any, /) -> Sequence[Step]:
        """Note in the book what changes, and give the steps that write it.

        Raises:
            Refused: it must not be. The book is as it was.
        """
        ...


class Posting:
    """Steps that are committed together. Whoever likes may wait for the commit, several at once, and each its time."""

    __slots__ = ("_loop", "_waiters", "failure", "is_committed", "is_withdrawn", "movement", "on_failure", "steps")

    def __init__(self, steps: Sequence[Step], movement: Movement | None, loop: asyncio.AbstractEventLoop) -> None:
        self.steps = steps
        self.movement = movement
        self.is_committed = False
        self.failure: BaseException | None = None
        self.is_withdrawn = False
        """Set when the caller no longer waits and wants nothing written; the writer skips it if it still can."""
        self.on_failure: Callable[[BaseException], None] | None = None
        """Called when the database refused it for good, whether or not anybody waits."""
        self._loop = loop
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def is_ended(self) -> bool:
        return self.is_committed or self.failure is not None

    async def ended_within(self, seconds: float) -> bool:
        """Wait for the outcome, but not longer; whether there is one. Never raises: `failure` has it."""
        if self.is_ended:
            return True
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        timer = self._loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiters.remove(waiter)
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
        for waiter in self._waiters:
            _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


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

    def post(self, *steps: Step, movement: Movement | None = None, must_take: bool = False) -> Posting:
        """Hand over a posting, whose commit can be waited for. The steps of the movement come after the others.

        `must_take` is for the end of something whose beginning was taken: there is one end to each, so the bound on
        beginnings bounds them too.

        Raises:
            Busy: `MAX_WAITING` postings wait already, or the writer is closed. Nothing was taken.
        """
        if self._is_closed or (self._waiting >= MAX_WAITING and not must_take):
            raise Busy("The hub's database does not keep up. Try again in a moment.", code="database_busy")
        loop = asyncio.get_running_loop()
        posting = Posting(steps, movement, loop)
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


def needed(batch: Iterable[Posting]) -> dict[Lookup, list[str]]:
    """The keys of the rows that the movements of a batch need, each once and in order: so are they locked.

    Raises:
        Undecided: a movement does not even know what it needs.
    """
    keys: dict[Lookup, set[str]] = {}
    try:
        for posting in batch:
            if posting.movement is not None and not posting.is_withdrawn:
                for lookup, wanted in posting.movement.reads():
                    keys.setdefault(lookup, set()).update(wanted)
        return {lookup: sorted(keys[lookup]) for lookup in sorted(keys, key=_order) if keys[lookup]}
    except Exception as failure:
        raise Undecided from failure


def decided(
    batch: Iterable[Posting], found: Found
) -> tuple[list[tuple[Posting, Sequence[Step]]], list[tuple[Posting, Refused]]]:
    """Who writes what, and who was refused.

    Raises:
        Undecided: what the book says by then is worth nothing.
    """
    book: Any = None
    writing: list[tuple[Posting, Sequence[Step]]] = []
    refused: list[tuple[Posting, Refused]] = []
    for posting in batch:
        if posting.is_withdrawn:
            writing.append((posting, ()))
            continue
        movement = posting.movement
        if movement is None:
            writing.append((posting, posting.steps))
            continue
        try:
            if book is None:
                book = movement.opens(found)
            writing.append((posting, [*posting.steps, *movement.decide(book)]))
        except Refused as refusal:
            refused.append((posting, refusal))
        except Exception as failure:
            raise Undecided from failure
    return writing, refused


class Run(Struct, frozen=True):
    """Rows that one statement writes together."""

    statement: Statement
    rows: list[Values]
    must_touch: int | None = None


def runs(writing: Iterable[tuple[Posting, Sequence[Step]]]) -> list[Run]:
    """All steps of a batch: those of independent statements gathered, the others each alone and in their order."""
    adding: dict[Statement, Run] = {}
    changing: dict[Statement, Run] = {}
    ordered: list[Run] = []
    for _, steps in writing:
        for step in steps:
            statement = step.statement
            if not statement.is_independent or step.must_touch is not None:
                ordered.append(Run(statement, [step.values], step.must_touch))
                continue
            gathered = adding if statement.adds else changing
            run = gathered.get(statement)
            if run is None:
                run = gathered[statement] = Run(statement, [])
                if not statement.adds:
                    ordered.append(run)
            run.rows.append(step.values)
    for run in changing.values():
        if run.statement.replaces and len(run.rows) > 1:
            run.rows[:] = {row[0]: row for row in run.rows}.values()
    return [*adding.values(), *ordered]


def _order(lookup: Lookup) -> int:
    return lookup.order
