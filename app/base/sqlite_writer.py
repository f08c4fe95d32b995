"""The group-commit writer on SQLite.

A commit here costs some tens of microseconds and no fsync (WAL, synchronous=NORMAL: a crash of the process loses
nothing, one of the machine perhaps the last moments). So it runs on the event loop: to hand it to a thread costs
several times as much, because two threads that both want Python's lock wake each other up for every statement. What can
take long is the thread's: a batch that meets a lock, commits after a slow one, and checkpoints. One lock keeps the two,
and the control plane's writes, from ever writing at the same time.

A database that does not answer (locked by another process, a full disk) fails no posting at once: a batch is tried
again until `GIVE_UP_SECONDS` have passed, because a record that waits is better than a record that is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from functools import lru_cache
from typing import Literal

import structlog
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from app.base.db import BUSY_TIMEOUT_MS, Database
from app.base.writer import (
    MAX_BATCH,
    AlreadyThere,
    Found,
    Lookup,
    Outcomes,
    Posting,
    Refused,
    Run,
    Step,
    Undecided,
    Writer,
    decided,
    needed,
    runs,
)

GIVE_UP_SECONDS = 600
_RETRY_EVERY_SECONDS = 0.2
_CHECKPOINT_EVERY_POSTINGS = 4000
"""The log then has some 50 MB. A checkpoint costs milliseconds however little it has to do."""
_SLOW_COMMIT_SECONDS = 0.02
_SLOW_SECONDS = 1.0
"""How long the thread commits after a commit on the loop met a lock or a slow disk."""

_log = structlog.stdlib.get_logger(__name__)

_OF_ONE_POSTING = (
    Refused,
    Undecided,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What one posting can cause; the others of its batch are good."""

_TRANSIENT = ("locked", "busy", "full", "disk i/o error", "readonly", "unable to open")

_dialect = SQLiteDialect(paramstyle="qmark")


class SqliteWriter(Writer):
    def __init__(self, db: Database) -> None:
        super().__init__()
        self._path = db.sqlite_path
        self._lock = db.write_lock
        self._quick: sqlite3.Connection | None = None
        """The loop's own connection: it waits for nobody and never checkpoints."""
        self._slow_until = 0.0
        self._since_checkpoint = 0
        self._orders: queue.SimpleQueue[list[Posting] | Literal["checkpoint", "end"]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="hub-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: asyncio.Future[None] | None = None

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
            self._since_checkpoint += len(batch)
            if time.monotonic() - began_at > _SLOW_COMMIT_SECONDS:
                self._slow_until = time.monotonic() + _SLOW_SECONDS
            if self._since_checkpoint >= _CHECKPOINT_EVERY_POSTINGS:
                self._since_checkpoint = 0
                self._orders.put("checkpoint")

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
            writing, refused = decided(batch, _found(connection, batch))
            for run in runs(writing):
                _execute(connection, run)
            connection.execute("COMMIT")
            return [*((posting, None) for posting, _ in writing), *refused]
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
                        writing, refused = decided([posting], _found(connection, [posting]))
                        if refused:
                            failure = refused[0][1]
                        for _, steps in writing:
                            for step in steps:
                                _execute_step(connection, step)
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


def _found(connection: sqlite3.Connection, batch: list[Posting]) -> Found:
    return {
        lookup: connection.execute(_query(lookup, len(keys)), keys).fetchall() for lookup, keys in needed(batch).items()
    }


@lru_cache(maxsize=8 * MAX_BATCH)
def _query(lookup: Lookup, count: int) -> str:
    return lookup.sql(_dialect).replace("KEYS", f"IN ({','.join('?' * count)})")


def _execute(connection: sqlite3.Connection, run: Run) -> None:
    if run.must_touch is not None or len(run.rows) == 1:
        _execute_step(connection, Step(run.statement, run.rows[0], run.must_touch))
        return
    compiled = run.statement.compiled(_dialect)
    connection.executemany(compiled.sql, map(compiled.in_places, run.rows))


def _execute_step(connection: sqlite3.Connection, step: Step) -> None:
    compiled = step.statement.compiled(_dialect)
    touched = connection.execute(compiled.sql, compiled.in_places(step.values)).rowcount
    if step.must_touch is not None and touched != step.must_touch:
        raise Refused


def _is_unique_violation(error: Exception) -> bool:
    codes = (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE)
    return isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorcode in codes
