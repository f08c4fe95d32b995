"""The schema: what the migrations make is what the models say, on both databases, and back again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.base import migrations
from app.base.config import Settings, read_settings
from app.base.db import Database, async_url
from app.base.paths import MIGRATIONS
from app.base.vault import Vault, load_ring
from app.domain.catalog import serving
from app.gateway.snapshot import SnapshotKeeper
from app.ops.tables import METADATA

_VERBS = {"INSERT", "UPDATE", "DELETE"}
_TRIGGERS = {
    "sqlite": "SELECT tbl_name, upper(substr(name, length('snapshot_' || tbl_name || '_') + 1)) "
    "FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'snapshot_%'",
    "postgresql": "SELECT event_object_table, event_manipulation FROM information_schema.triggers "
    "WHERE trigger_schema = 'public' AND trigger_name LIKE 'snapshot_%'",
}

_Result = TypeVar("_Result")


@pytest.fixture
def settings(hub_environ: dict[str, str]) -> Settings:
    return read_settings(hub_environ)


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    opened = Database(settings)
    yield opened
    await opened.close()


async def _on(settings: Settings, work: Callable[[Connection], _Result]) -> _Result:
    """What `work` gives in one transaction on a connection of its own."""
    engine = create_async_engine(async_url(settings))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)


def _triggers(connection: Connection) -> dict[str, set[str]]:
    """Table → what counts the snapshot's revision up."""
    found: dict[str, set[str]] = {}
    for table, verb in connection.execute(text(_TRIGGERS[connection.dialect.name])):
        found.setdefault(table, set()).add(verb)
    return found


def _downgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.downgrade(config, "base")


async def test_the_migrations_make_the_tables_of_the_models(settings: Settings) -> None:
    assert await _on(settings, _differences) == []


async def test_a_column_that_no_migration_adds_would_be_found(settings: Settings) -> None:
    await _on(settings, lambda connection: connection.execute(text("ALTER TABLE team DROP COLUMN keep_content_days")))

    assert [difference[0] for difference in await _on(settings, _differences)] == ["add_column"]


async def test_every_table_that_the_snapshot_reads_counts_its_revision_up(settings: Settings, db: Database) -> None:
    read: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        read.update(re.findall(r"(?:FROM|JOIN) (\w+)", statement))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await SnapshotKeeper(db, Vault(load_ring(settings)), lambda: None).load()
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert {"api_key", "credential", "deployment"} <= read <= METADATA.tables.keys()
    triggers = await _on(settings, _triggers)
    assert read - {"snapshot_revision"} <= triggers.keys()
    assert [table for table, verbs in triggers.items() if verbs != _VERBS] == []


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO hub_setting (key, value) VALUES ('b', '1')",
        "UPDATE hub_setting SET value = '2' WHERE key = 'a'",
        "DELETE FROM hub_setting WHERE key = 'a'",
    ],
)
async def test_a_change_by_any_program_counts_the_revision_up(settings: Settings, db: Database, change: str) -> None:
    await _on(settings, lambda c: c.execute(text("INSERT INTO hub_setting (key, value) VALUES ('a', '1')")))
    async with db.reading() as session:
        before = await serving.current_revision(session)

    await _on(settings, lambda connection: connection.execute(text(change)))

    async with db.reading() as session:
        assert await serving.current_revision(session) == before + 1


async def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_everything_back(settings: Settings) -> None:
    triggers = await _on(settings, _triggers)

    await _on(settings, _downgrade)

    assert await _on(settings, lambda connection: inspect(connection).get_table_names()) == ["alembic_version"]
    assert await _on(settings, _triggers) == {}
    missing = await migrations.pending(settings)
    assert missing and await migrations.upgrade(settings) == missing
    assert await _on(settings, _differences) == []
    assert await _on(settings, _triggers) == triggers


def test_the_revision_that_a_start_looks_for_is_the_newest() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_current_head() == migrations.NEWEST
