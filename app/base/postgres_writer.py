"""The group-commit writer on PostgreSQL: one asyncpg connection, one task.

A connection that breaks is opened again; the batch that was under way is tried again. Its postings are made so that a
second run changes nothing (an insert by primary key, an update of a row still running), because the first commit may
have arrived although its answer did not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

from app.base.config import Settings
from app.base.db import plain_postgres_url
from app.base.writer import (
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

_log = structlog.stdlib.get_logger(__name__)

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    # A server that has become a standby, or was told to be read-only: another connection may find one that writes.
    asyncpg.ReadOnlySQLTransactionError,
    # What asyncpg says when the connection ends in the middle of an operation.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_TRANSIENT = (
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
)
_OF_ONE_POSTING = (
    Refused,
    Undecided,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.RaiseError,
    asyncpg.DataError,
    asyncpg.SyntaxOrAccessError,
)
"""What one posting can cause; the others of its batch are good."""

_dialect = asyncpg_dialect()


class PostgresWriter(Writer):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._url = plain_postgres_url(settings)
        self._connection: asyncpg.Connection[Any] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._connection = await self._connect()

    def _submit(self, batch: list[Posting]) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work(batch))

    async def _shut(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> asyncpg.Connection[Any]:
        return await asyncpg.connect(
            self._url,
            timeout=5,
            command_timeout=30,
            server_settings={"application_name": "hub-writer", "synchronous_commit": "on", "lock_timeout": "2s"},
        )

    async def _work(self, batch: list[Posting]) -> None:
        try:
            outcomes = await self._commit(batch)
        except Exception as failure:  # a fault of ours must not leave the callers waiting
            outcomes = [(posting, failure) for posting in batch]
        self._finish(outcomes)

    async def _commit(self, batch: list[Posting]) -> Outcomes:
        give_up_at = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                return await self._transaction(batch)
            except (*_LOST, *_TRANSIENT) as failure:
                if time.monotonic() > give_up_at or self.is_closing:
                    return [(posting, failure) for posting in batch]
                _log.warning("writer.waiting", reason=type(failure).__name__, waiting=self.waiting)
                if isinstance(failure, _LOST):
                    self._drop_connection()
                await asyncio.sleep(_RETRY_EVERY_SECONDS)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _transaction(self, batch: list[Posting]) -> Outcomes:
        if self._connection is None:
            self._connection = await self._connect()
        connection = self._connection
        try:
            async with connection.transaction():
                writing, refused = decided(batch, await _found(connection, batch))
                for run in runs(writing):
                    await _execute(connection, run)
            return [*((posting, None) for posting, _ in writing), *refused]
        except Exception as failure:
            if not _is_of_one_posting(failure, connection):
                raise
        return await _one_by_one(connection, batch)


async def _one_by_one(connection: asyncpg.Connection[Any], batch: list[Posting]) -> Outcomes:
    """Again, each posting in a savepoint of its own: the bad one fails alone."""
    outcomes: list[tuple[Posting, BaseException | None]] = []
    async with connection.transaction():
        for posting in batch:
            failure: BaseException | None = None
            if not posting.is_withdrawn:
                try:
                    async with connection.transaction():
                        writing, refused = decided([posting], await _found(connection, [posting]))
                        if refused:
                            failure = refused[0][1]
                        for _, steps in writing:
                            for step in steps:
                                await _execute_step(connection, step)
                except Exception as error:
                    if not _is_of_one_posting(error, connection):
                        raise
                    failure = AlreadyThere() if isinstance(error, asyncpg.UniqueViolationError) else error
            outcomes.append((posting, failure))
    return outcomes


def _is_of_one_posting(error: Exception, connection: asyncpg.Connection[Any]) -> bool:
    if isinstance(error, asyncpg.InterfaceError):
        # A wrong number of values, one that cannot be sent: no reason to try it again for minutes.
        return not connection.is_closed()
    return isinstance(error, _OF_ONE_POSTING)


async def _found(connection: asyncpg.Connection[Any], batch: list[Posting]) -> Found:
    found: dict[Lookup, Sequence[Sequence[Any]]] = {}
    for lookup, keys in needed(batch).items():
        sql = lookup.sql(_dialect).replace("KEYS", "= ANY($1)")
        rows = await connection.fetch(sql, keys)
        if lookup.blank is not None and len(rows) < len(keys):
            there = {row[0] for row in rows}
            for key in keys:
                if key not in there:
                    await _execute_step(connection, lookup.blank(key))
            rows = await connection.fetch(sql, keys)
        found[lookup] = rows
    return found


async def _execute(connection: asyncpg.Connection[Any], run: Run) -> None:
    if run.must_touch is not None:
        await _execute_step(connection, Step(run.statement, run.rows[0], run.must_touch))
        return
    compiled = run.statement.compiled(_dialect)
    await connection.executemany(compiled.sql, [compiled.in_places(values) for values in run.rows])


async def _execute_step(connection: asyncpg.Connection[Any], step: Step) -> None:
    compiled = step.statement.compiled(_dialect)
    status = await connection.execute(compiled.sql, *compiled.in_places(step.values))
    if step.must_touch is not None and int(status.rsplit(" ", 1)[-1]) != step.must_touch:
        raise Refused
