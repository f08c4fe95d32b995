"""The group-commit writer on SQLite.

A commit here costs some tens of microseconds and no fsync (WAL, synchronous=NORMAL: a crash of the process loses
nothing, one of the machine perhaps the last moments). So it runs on the event loop: to hand it to a thread costs
several times as much, because two threads that both want Python's lock wake each other up for every statement. What can
take long is the thread's: a batch that meets a lock, commits after a slow one, and checkpoints. One lock keeps the two,
and the control plane's writes, from ever writing at the same time.

Rows of one statement go in together, as one JSON array that SQLite unfolds itself.

A database that does not answer (locked by another process, a full disk) fails no posting at once: a batch is tried
again until `GIVE_UP_SECONDS` have passed, because a record that waits is better than a record that is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import sqlite3
import threading
import time
from typing import Literal

import msgspec
import structlog
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from app.base.db import BUSY_TIMEOUT_MS, Database
from app.base.writer import AlreadyThere, Outcomes, Posting, Refused, Run, Statement, Step, Writer, runs

GIVE_UP_SECONDS = 600
_RETRY_EVERY_SECONDS = 0.2
_CHECKPOINT_BYTES = 8 * 1024 * 1024
_LOOK_EVERY_COMMITS = 256
_SLOW_COMMIT_SECONDS = 0.02
_SLOW_SECONDS = 1.0
"""How long the thread commits after a commit on the loop met a lock or a slow disk."""

_log = structlog.stdlib.get_logger(__name__)

_OF_ONE_POSTING = (
    Refused,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""What one posting can cause; the others of its batch are good."""

_TRANSIENT = ("locked", "busy", "full", "disk i/o error", "readonly", "unable to open")

_dialect = SQLiteDialect(paramstyle="named")
_encode = msgspec.json.Encoder().encode


class SqliteWriter(Writer):
    def __init__(self, db: Database) -> None:
        super().__init__()
        self._path = db.sqlite_path
        self._log_path = db.sqlite_path.with_name(db.sqlite_path.name + "-wal")
        self._lock = db.write_lock
        self._quick: sqlite3.Connection | None = None
        """The loop's own connection: it waits for nobody and never checkpoints."""
        self._slow_until = 0.0
        self._commits = 0
        self._orders: queue.SimpleQueue[list[Posting] | Literal["checkpoint", "end"]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="hub-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: asyncio.Future[None] | None = None
        self._together: dict[int, str] = {}
        """Statement → its text for many rows."""

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        await self._opened
        self._quick = self._open(busy_timeout_ms=0)

    def _submit(self, batch: list[Posting]) -> None:
        outcomes = self._commit_at_once(batch)
        if outcomes is None:
            self._orders.put(batch)
        else:
            self._finish(outcomes)

    def _commit_at_once(self, batch: list[Posting]) -> Outcomes | None:
        """Commit on the loop; None where that would mean waiting. Then nothing was written."""
        began_at = time.monotonic()
        if self._quick is None or began_at < self._slow_until or not self._lock.acquire(blocking=False):
            return None
        try:
            return self._transaction(self._quick, batch)
        except Exception:  # the thread tries it again, and says what is wrong with it
            self._slow_until = time.monotonic() + _SLOW_SECONDS
            return None
        finally:
            self._lock.release()
            self._commits += 1
            if time.monotonic() - began_at > _SLOW_COMMIT_SECONDS:
                self._slow_until = time.monotonic() + _SLOW_SECONDS
            if self._commits % _LOOK_EVERY_COMMITS == 0 and self._log_is_long():
                self._orders.put("checkpoint")

    def _log_is_long(self) -> bool:
        try:
            return self._log_path.stat().st_size > _CHECKPOINT_BYTES
        except OSError:
            return False

    async def _shut(self) -> None:
        self._orders.put("end")
        await asyncio.to_thread(self._thread.join)
        if self._quick is not None:
            self._quick.close()

    def _work(self) -> None:
        """The thread: open, then order after order until the end."""
        assert self._loop is not None and self._opened is not None
        try:
            connection = self._open(busy_timeout_ms=BUSY_TIMEOUT_MS)
        except sqlite3.Error as failure:
            self._loop.call_soon_threadsafe(self._opened.set_exception, failure)
            return
        self._loop.call_soon_threadsafe(self._opened.set_result, None)
        while (order := self._orders.get()) != "end":
            if order == "checkpoint":
                with self._lock, contextlib.suppress(sqlite3.OperationalError):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            else:
                self._loop.call_soon_threadsafe(self._finish, self._commit(connection, order))
        connection.close()

    def _open(self, *, busy_timeout_ms: int) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=256)
        for pragma in (
            f"busy_timeout={busy_timeout_ms}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "wal_autocheckpoint=0",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _commit(self, connection: sqlite3.Connection, batch: list[Posting]) -> Outcomes:
        give_up_at = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                with self._lock:
                    return self._transaction(connection, batch)
            except sqlite3.OperationalError as failure:
                is_transient = any(word in str(failure).lower() for word in _TRANSIENT)
                if not is_transient or time.monotonic() > give_up_at or self.is_closing:
                    return [(posting, failure) for posting in batch]
                _log.warning("writer.waiting", reason=str(failure), waiting=self.waiting)
                time.sleep(_RETRY_EVERY_SECONDS)
            except Exception as failure:  # a damaged file, a fault of ours: the callers hear of it, the thread goes on
                _log.error("writer.failed", reason=repr(failure), postings=len(batch))
                return [(posting, failure) for posting in batch]

    def _transaction(self, connection: sqlite3.Connection, batch: list[Posting]) -> Outcomes:
        """Whoever calls holds the lock."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            for run in runs([posting for posting in batch if not posting.is_withdrawn]):
                self._execute(connection, run)
            connection.execute("COMMIT")
            return [(posting, None) for posting in batch]
        except _OF_ONE_POSTING:
            connection.execute("ROLLBACK")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return self._one_by_one(connection, batch)

    def _one_by_one(self, connection: sqlite3.Connection, batch: list[Posting]) -> Outcomes:
        """Again, each posting in a savepoint of its own: the bad one fails alone."""
        outcomes: list[tuple[Posting, BaseException | None]] = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            for posting in batch:
                failure: BaseException | None = None
                if not posting.is_withdrawn:
                    connection.execute("SAVEPOINT posting")
                    try:
                        for step in posting.steps:
                            self._execute_step(connection, step)
                    except _OF_ONE_POSTING as error:
                        connection.execute("ROLLBACK TO posting")
                        failure = AlreadyThere() if _is_unique_violation(error) else error
                    connection.execute("RELEASE posting")
                outcomes.append((posting, failure))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes

    def _execute(self, connection: sqlite3.Connection, run: Run) -> None:
        if run.steps:
            self._execute_step(connection, run.steps[0])
            return
        together = self._together.get(id(run.statement))
        if together is None:
            together = self._together[id(run.statement)] = _for_many_rows(run.statement)
        connection.execute(together, (_encode(run.rows).decode(),))

    def _execute_step(self, connection: sqlite3.Connection, step: Step) -> None:
        statement = step.statement
        touched = connection.execute(
            statement.sql(_dialect)[0], dict(zip(statement.names, step.values, strict=True))
        ).rowcount
        if step.must_touch is not None and touched != step.must_touch:
            raise Refused(step)


def _for_many_rows(statement: Statement) -> str:
    """The statement over a JSON array of rows: each parameter becomes an element of the row at hand."""
    sql = statement.sql(_dialect)[0]
    places = {name: f"(batch.value ->> {number})" for number, name in enumerate(statement.names)}
    sql = re.sub(r":(\w+)", lambda found: places[found[1]], sql)
    source = "FROM json_each(?) AS batch"
    if sql.startswith("INSERT"):
        head, _, values = sql.partition(" VALUES (")
        # WHERE true: without it SQLite could read a following ON as the join's.
        return f"{head} SELECT {values.rstrip().removesuffix(')')} {source} WHERE true"
    head, _, condition = sql.partition(" WHERE ")
    return f"{head} {source} WHERE {condition}"


def _is_unique_violation(error: Exception) -> bool:
    codes = (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE)
    return isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorcode in codes
