"""Bring the database to this version's schema. Safe to run twice, and by two processes at once.

A SQLite database that already holds data is first copied to `hub-before-<revision>.db` in the data folder.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.base.config import Settings
from app.base.db import async_url
from app.base.errors import AppError
from app.base.paths import MIGRATIONS

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0007"
"""The revision of this version's schema. A start that finds it need not load Alembic: 7 MB and a tenth of a second."""

_LOCK_NUMBER = 7_203_114_002_551
"""Of the advisory lock that lets one process migrate PostgreSQL at a time."""


class SchemaIsNewer(AppError):
    """The database was migrated by a newer hub."""

    code, owner = "schema_is_newer", "admin"


async def upgrade(settings: Settings) -> list[str]:
    """Run what is missing, in one transaction; gives the revisions that were applied, oldest first.

    Raises:
        SchemaIsNewer: the database knows a revision that this version does not.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = _engine(settings)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade, settings)
    finally:
        await engine.dispose()


async def pending(settings: Settings) -> list[str]:
    """The revisions that `upgrade` would run.

    Raises:
        SchemaIsNewer: as `upgrade`.
    """
    if settings.database_url is None and not settings.sqlite_path.exists():
        return _revisions()
    engine = _engine(settings)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_missing)
    finally:
        await engine.dispose()


def _engine(settings: Settings) -> AsyncEngine:
    engine = create_async_engine(async_url(settings))
    if settings.database_url is None:

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
            connection.isolation_level = None
            connection.execute("PRAGMA busy_timeout=60000").close()
            connection.execute("PRAGMA journal_mode=WAL").close()

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
            # SQLite's DDL is transactional: a second process waits here and then finds nothing to do.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _upgrade(connection: Connection, settings: Settings) -> list[str]:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})"))
    missing = _missing(connection)
    if missing:
        if settings.database_url is None and _current(connection) is not None:
            _copy_aside(settings, missing[0])
        from alembic import command

        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return missing


def _missing(connection: Connection) -> list[str]:
    current = _current(connection)
    if current == NEWEST:
        return []
    known = _revisions()
    if current is None:
        return known
    if current not in known:
        raise SchemaIsNewer(
            f"The database is at revision {current}, which this version of the hub does not know. "
            "Start the newer version, or restore the backup from before its migration."
        )
    return known[known.index(current) + 1 :]


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def _revisions() -> list[str]:
    """All revisions, oldest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in reversed(list(ScriptDirectory.from_config(_config()).walk_revisions()))]


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _copy_aside(settings: Settings, revision: str) -> None:
    """The committed state, by SQLite's own backup, so that the log file is part of it."""
    copy = settings.data_dir / f"hub-before-{revision}.db"
    with sqlite3.connect(settings.sqlite_path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
