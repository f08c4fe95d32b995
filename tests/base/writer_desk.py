"""A writer and a table to write to, on either database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from app.base.config import Settings, read_settings
from app.base.db import Database
from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.base.writer import (
    Posting,
    Statement,
    Step,
    Writer,
)
from app.domain.calls.models import JobLease

PUT = Statement(
    insert(JobLease).values(name=bindparam("name"), boot_id=bindparam("boot"), until_us=bindparam("until")),
    ("name", "boot", "until"),
)
PUT_MANY = Statement(
    insert(JobLease).values(name=bindparam("name"), boot_id=bindparam("boot"), until_us=bindparam("until")),
    ("name", "boot", "until"),
    is_independent=True,
)
MOVE = Statement(
    update(JobLease).where(JobLease.name == bindparam("of_name")).values(until_us=bindparam("new_until")),
    ("of_name", "new_until"),
)
DROP = Statement(delete(JobLease).where(JobLease.name == bindparam("of_name")), ("of_name",))


class Desk:
    """A writer, and what stands in its table."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.db = Database(settings)
        self.writer: Writer = SqliteWriter(self.db) if self.db.is_sqlite else PostgresWriter(settings)

    async def rows(self) -> dict[str, int]:
        async with self.db.reading() as session:
            return dict((await session.execute(select(JobLease.name, JobLease.until_us))).tuples().all())

    def put(self, name: str, until: Any = 1, *, statement: Statement = PUT) -> Posting:
        return self.writer.post(Step(statement, (name, "boot", until)))


@asynccontextmanager
async def opened_desk(environ: dict[str, str]) -> AsyncIterator[Desk]:
    made = Desk(read_settings(environ))
    await made.writer.start()
    try:
        yield made
    finally:
        await made.writer.close()
        await made.db.close()


async def failure_of(posting: Posting) -> BaseException | None:
    assert await posting.ended_within(5)
    return posting.failure


async def all_committed(postings: list[Posting]) -> None:
    for posting in postings:
        assert await posting.ended_within(10), "it waits for its commit"
        assert posting.is_committed, posting.failure


def environ_of(settings: Settings) -> dict[str, str]:
    environ = {"HUB_DATA_DIR": str(settings.data_dir)}
    if settings.database_url is not None:
        environ["DATABASE_URL"] = settings.database_url.reveal()
    return environ
