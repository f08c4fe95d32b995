"""That a key was used is written down without anybody hearing of it."""

from __future__ import annotations

from app.base.config import read_settings
from app.base.db import Database
from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.domain.catalog import serving
from app.domain.identity import api_keys, key_uses, teams


async def test_a_use_changes_nothing_that_snapshots_hold_and_an_earlier_one_nothing_at_all(
    hub_environ: dict[str, str],
) -> None:
    settings = read_settings(hub_environ)
    db = Database(settings)
    writer = SqliteWriter(db) if db.is_sqlite else PostgresWriter(settings)
    await writer.start()
    async with db.writing() as session:
        team = await teams.create(session, name="acme")
        key, _ = await api_keys.create(session, b"p" * 32, team_id=team.id, name="ci", models=["*"])
        before = await serving.current_revision(session)

    for used_us, used_from, used_by in ((60, "10.0.0.1", None), (120, None, "curl/8"), (60, "10.0.0.2", "late")):
        await writer.post(key_uses.used(key.id, used_us, used_from, used_by)).committed()

    async with db.reading() as session:
        row = await api_keys.of_team(session, team.id, key.id)
        assert (row.used_us, row.used_from, row.used_by) == (120, None, "curl/8")
        assert await serving.current_revision(session) == before
    await writer.close()
    await db.close()
