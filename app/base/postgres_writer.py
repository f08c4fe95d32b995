"""The group-commit writer on PostgreSQL: one asyncpg connection, one task.

A connection that breaks is opened again; the batch that was under way is tried again. Its postings are made so that a
second run changes nothing (an insert by primary key, an update of a row still running), because the first commit may have
arrived although its answer did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import asyncpg
import structlog
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

from app.base.config import Settings
from app.base.db import plain_postgres_url
from app.base.writer import MAX_BATCH, AlreadyThere, Posting, Refused, Step, Writer

GIVE_UP_SECONDS = 600
_RETRY_EVERY_SECONDS = 0.2

_log = structlog.stdlib.get_logger(__name__)

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    OSError,
    TimeoutError,
)
_TRANSIENT = (
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
)


class PostgresWriter(Writer):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._url = plain_postgres_url(settings)
        self._dialect = asyncpg_dialect()
        self._queue: asyncio.Queue[Posting | None] = asyncio.Queue()
        self._connection: asyncpg.Connection[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def start(self) -> None:
        self._connection = await self._connect()
        self._task = asyncio.create_task(self._run(), name="hub-writer")

    async def close(self) -> None:
        self._is_stopping = True
        self._queue.put_nowait(None)
        if self._task is not None:
            await self._task
        if self._connection is not None:
            await self._connection.close()

    def _submit(self, posting: Posting) -> None:
        self._queue.put_nowait(posting)

    async def _connect(self) -> asyncpg.Connection[Any]:
        return await asyncpg.connect(
            self._url,
            timeout=5,
            command_timeout=30,
            server_settings={"application_name": "hub-writer", "synchronous_commit": "on", "lock_timeout": "2s"},
        )

    async def _run(self) -> None:
        is_open = True
        while is_open:
            first = await self._queue.get()
            if first is None:
                return
            batch = [first]
            while len(batch) < MAX_BATCH and not self._queue.empty():
                posting = self._queue.get_nowait()
                if posting is None:
                    is_open = False
                    break
                batch.append(posting)
            self._finish(await self._commit(batch))

    async def _commit(self, batch: list[Posting]) -> list[tuple[Posting, BaseException | None]]:
        give_up_at = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                return await self._transaction(batch)
            except (*_LOST, *_TRANSIENT) as failure:
                if time.monotonic() > give_up_at or self._is_stopping:
                    return [(posting, failure) for posting in batch]
                _log.warning("writer.waiting", reason=type(failure).__name__, waiting=self._waiting)
                if isinstance(failure, _LOST):
                    await self._drop_connection()
                await asyncio.sleep(_RETRY_EVERY_SECONDS)

    async def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _transaction(self, batch: list[Posting]) -> list[tuple[Posting, BaseException | None]]:
        if self._connection is None:
            self._connection = await self._connect()
        connection = self._connection
        postings = [posting for posting in batch if not posting.is_withdrawn]
        with contextlib.suppress(Refused, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
            async with connection.transaction():
                for run in _runs(postings):
                    await self._run_together(connection, run)
            return [(posting, None) for posting in batch]
        return await self._one_by_one(connection, batch)

    async def _one_by_one(
        self, connection: asyncpg.Connection[Any], batch: list[Posting]
    ) -> list[tuple[Posting, BaseException | None]]:
        """Again, each posting in a savepoint of its own: the bad one fails alone."""
        outcomes: list[tuple[Posting, BaseException | None]] = []
        async with connection.transaction():
            for posting in batch:
                failure: BaseException | None = None
                if not posting.is_withdrawn:
                    try:
                        async with connection.transaction():
                            for step in posting.steps:
                                await self._run_together(connection, [step])
                    except (Refused, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
                        failure = AlreadyThere() if isinstance(error, asyncpg.UniqueViolationError) else error
                outcomes.append((posting, failure))
        return outcomes

    async def _run_together(self, connection: asyncpg.Connection[Any], steps: list[Step]) -> None:
        """Steps of one statement in one round trip; a guarded step alone, for its row count."""
        sql, names = steps[0].statement.sql(self._dialect)
        if len(steps) > 1:
            await connection.executemany(sql, [[step.values[name] for name in names] for step in steps])
            return
        step = steps[0]
        status = await connection.execute(sql, *[step.values[name] for name in names])
        if step.must_touch is not None and int(status.rsplit(" ", 1)[-1]) != step.must_touch:
            raise Refused(step)


def _runs(postings: list[Posting]) -> list[list[Step]]:
    """All steps in order, neighbours of the same unguarded statement together."""
    runs: list[list[Step]] = []
    for posting in postings:
        for step in posting.steps:
            last = runs[-1][-1] if runs else None
            if (
                last is not None
                and last.statement is step.statement
                and last.must_touch is None
                and step.must_touch is None
            ):
                runs[-1].append(step)
            else:
                runs.append([step])
    return runs
