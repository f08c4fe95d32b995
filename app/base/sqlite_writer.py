"""The group-commit writer on SQLite: one thread, one connection, the only one of the process that checkpoints.

A database that does not answer (locked by another process, a full disk) fails no posting at once: a batch is tried again
until `GIVE_UP_SECONDS` have passed, because a record that waits is better than a record that is lost.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from typing import Any

import structlog
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from app.base.db import BUSY_TIMEOUT_MS, Database
from app.base.writer import MAX_BATCH, AlreadyThere, Posting, Refused, Step, Writer

GIVE_UP_SECONDS = 600
_RETRY_EVERY_SECONDS = 0.2
_CHECKPOINT_EVERY_PAGES = 2000

_log = structlog.stdlib.get_logger(__name__)

_OF_ONE_POSTING = (
    Refused,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
)
"""What one posting can cause; the others of its batch are good."""

_TRANSIENT = ("locked", "busy", "full", "disk i/o error", "readonly", "unable to open")


class SqliteWriter(Writer):
    def __init__(self, db: Database) -> None:
        super().__init__()
        self._path = db.sqlite_path
        self._lock = db.write_lock
        self._queue: queue.SimpleQueue[Posting | None] = queue.SimpleQueue()
        self._dialect = SQLiteDialect(paramstyle="named")
        self._thread = threading.Thread(target=self._run, name="hub-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: asyncio.Future[None] | None = None
        self._stopping = threading.Event()

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        await self._opened

    async def close(self) -> None:
        self._queue.put(None)
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    def _submit(self, posting: Posting) -> None:
        self._queue.put(posting)

    def _run(self) -> None:
        """The thread: open, then batch after batch until the end mark."""
        assert self._loop is not None and self._opened is not None
        try:
            connection = self._open()
        except sqlite3.Error as failure:
            self._loop.call_soon_threadsafe(self._opened.set_exception, failure)
            return
        self._loop.call_soon_threadsafe(self._opened.set_result, None)
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            if batch:
                outcomes = self._commit(connection, batch)
                self._loop.call_soon_threadsafe(self._finish, outcomes)
        connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=256)
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"wal_autocheckpoint={_CHECKPOINT_EVERY_PAGES}",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _next_batch(self) -> tuple[list[Posting], bool]:
        """Wait for one posting, take all others that wait. False: the end mark was seen."""
        first = self._queue.get()
        if first is None:
            return [], False
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                posting = self._queue.get_nowait()
            except queue.Empty:
                break
            if posting is None:
                return batch, False
            batch.append(posting)
        return batch, True

    def _commit(
        self, connection: sqlite3.Connection, batch: list[Posting]
    ) -> list[tuple[Posting, BaseException | None]]:
        give_up_at = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                return self._transaction(connection, batch)
            except sqlite3.OperationalError as failure:
                is_transient = any(word in str(failure).lower() for word in _TRANSIENT)
                if not is_transient or time.monotonic() > give_up_at or self._stopping.is_set():
                    return [(posting, failure) for posting in batch]
                _log.warning("writer.waiting", reason=str(failure), waiting=self._waiting)
                self._stopping.wait(_RETRY_EVERY_SECONDS)

    def _transaction(
        self, connection: sqlite3.Connection, batch: list[Posting]
    ) -> list[tuple[Posting, BaseException | None]]:
        with self._lock:
            postings = [posting for posting in batch if not posting.is_withdrawn]
            try:
                connection.execute("BEGIN IMMEDIATE")
                for posting in postings:
                    for step in posting.steps:
                        self._run_step(connection, step)
                connection.execute("COMMIT")
                return [(posting, None) for posting in batch]
            except _OF_ONE_POSTING:
                connection.execute("ROLLBACK")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return self._one_by_one(connection, batch)

    def _one_by_one(
        self, connection: sqlite3.Connection, batch: list[Posting]
    ) -> list[tuple[Posting, BaseException | None]]:
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
                            self._run_step(connection, step)
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

    def _run_step(self, connection: sqlite3.Connection, step: Step) -> None:
        sql, _ = step.statement.sql(self._dialect)
        values: Any = step.values
        touched = connection.execute(sql, values).rowcount
        if step.must_touch is not None and touched != step.must_touch:
            raise Refused(step)


def _is_unique_violation(error: Exception) -> bool:
    codes = (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE)
    return isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorcode in codes
