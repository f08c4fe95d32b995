"""The database, for everything but the hot path: `reading()` for a look, `writing()` for one transaction.

SQLite: readers are query-only and never checkpoint; all writes of this process, these and those of the group-commit
writer (`writer.py`), go one after another through `write_lock`, and only the writer checkpoints: SQLite before 3.51.3
can lose pages when one connection resets the log while another writes. PostgreSQL needs none of that.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from advanced_alchemy.config import EngineConfig, SQLAlchemyAsyncConfig
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.base.config import Settings

BUSY_TIMEOUT_MS = 5000


class Database:
    """Engines and sessions of one process. Made once by `asgi` or the command line, closed at its end."""

    def __init__(self, settings: Settings) -> None:
        self.is_sqlite = settings.database_url is None
        self.sqlite_path = settings.sqlite_path
        self.write_lock = threading.Lock()
        url = async_url(settings)
        if self.is_sqlite:
            self._reader = _sqlite_engine(url, is_query_only=True)
            self._writer = _sqlite_engine(url, is_query_only=False)
        else:
            self._reader = self._writer = _engine(url, pool_size=5, max_overflow=5, pool_pre_ping=True)
        self._reading = async_sessionmaker(self._reader, expire_on_commit=False)
        self._writing = async_sessionmaker(self._writer, expire_on_commit=False)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """A session to look with. What it changes is refused (SQLite) or not committed (PostgreSQL)."""
        async with self._reading() as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession]:
        """One transaction: commits at the end of the block, or not at all when the block raises. No network inside."""
        if not self.is_sqlite:
            async with self._writing.begin() as session:
                yield session
            return
        await self._take_write_lock()
        try:
            async with self._writing.begin() as session:
                yield session
        finally:
            self.write_lock.release()

    async def _take_write_lock(self) -> None:
        taking = asyncio.ensure_future(asyncio.to_thread(self.write_lock.acquire))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The thread gets the lock all the same, when nobody is there any more to give it back.
            taking.add_done_callback(lambda _: self.write_lock.release())
            raise

    async def is_reachable(self) -> bool:
        """Whether the database answers at all, for readiness."""
        try:
            async with self.reading() as session:
                await session.execute(text("SELECT 1"))
        except Exception:  # any driver's error means the same here
            return False
        return True

    async def close(self) -> None:
        await self._reader.dispose()
        await self._writer.dispose()


def async_url(settings: Settings) -> str:
    """The SQLAlchemy URL for asyncio drivers."""
    if settings.database_url is None:
        return f"sqlite+aiosqlite:///{settings.sqlite_path}"
    return "postgresql+asyncpg://" + plain_postgres_url(settings).split("://", 1)[1]


def plain_postgres_url(settings: Settings) -> str:
    """`postgresql://…` as asyncpg itself takes it, whichever spelling the setting has."""
    assert settings.database_url is not None
    scheme, _, rest = settings.database_url.reveal().partition("://")
    if not scheme.startswith("postgres"):
        raise ValueError(
            "DATABASE_URL must begin with postgresql://. Without it the hub uses SQLite in its data folder."
        )
    return f"postgresql://{rest}"


def _engine(url: str, **pool: Any) -> AsyncEngine:
    config = SQLAlchemyAsyncConfig(connection_string=url, engine_config=EngineConfig(**pool))
    return config.get_engine()


def _sqlite_engine(url: str, *, is_query_only: bool) -> AsyncEngine:
    pool: dict[str, Any] = {"pool_size": 4} if is_query_only else {"pool_size": 1, "max_overflow": 0}
    engine = _engine(url, **pool)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        # The driver must not open transactions by itself: BEGIN below decides how.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "wal_autocheckpoint=0",
            f"query_only={int(is_query_only)}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        # IMMEDIATE takes the write lock at once; a later upgrade could fail with SQLITE_BUSY unretried.
        connection.exec_driver_sql("BEGIN" if is_query_only else "BEGIN IMMEDIATE")

    return engine
