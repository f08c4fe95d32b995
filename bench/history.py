"""What stands in a hub's database: read for a figure, or multiplied, so that a hub has a past."""

import asyncio
import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from bench.hub import Hub

_WAITS = "SELECT queue_us FROM call WHERE started_us >= {since} AND queue_us IS NOT NULL"
_BATCH = 200
"""Copies of each real call that one statement makes."""

# What a charged call leaves behind, and what its copy says instead of the same: a name that begins with a number,
# a moment before everything real, a place in the chain that nobody has.
_ID = "printf('%012x', n.i) || substr({column}, 13)"
_REF = "'settle:' || printf('%012x', n.i) || substr({column}, 20)"
_COPIED: dict[str, dict[str, str]] = {
    "call": {"id": _ID, "started_us": "{column} - 4000000000 + n.i"},
    "attempt": {"call_id": _ID},
    "hold": {"call_id": _ID},
    "journal": {"ref": _REF, "seq": "-(n.i * 1000000 + {column})"},
    "entry": {"ref": _REF},
}


def median_wait_ms(hub: Hub, since_us: int) -> float:
    """From the arrival of a call to the question to its provider, over the calls since then."""
    sql = _WAITS.format(since=since_us)
    if hub.database_url is not None:
        rows = asyncio.run(_ask(hub.database_url, sql))
    else:
        with closing(sqlite3.connect(hub.sqlite_path)) as connection:
            rows = connection.execute(sql).fetchall()
    return statistics.median(row[0] for row in rows) / 1000


def seed(path: Path, calls: int) -> None:
    """Give the database of a hub that does not run so many calls, copied from those that it has had."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-500000")
        [real] = connection.execute("SELECT count(*) FROM call WHERE charge_nano > 0").fetchone()
        copies = -(-calls // real)
        for start in range(1, copies + 1, _BATCH):
            connection.execute("BEGIN")
            for table, changed in _COPIED.items():
                _copy(connection, table, changed, start, min(start + _BATCH, copies + 1))
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(connection: sqlite3.Connection, table: str, changed: dict[str, str], start: int, end: int) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    said = [changed.get(column, "{column}").format(column=f"t.{column}") for column in columns]
    key = next(iter(changed))
    real = {
        "call": "t.charge_nano > 0 AND t.id >= '01'",
        "journal": "t.ref >= 'settle:01'",
        "entry": "t.ref >= 'settle:01'",
    }.get(table, f"t.{key} >= '01'")
    connection.execute(
        f"WITH RECURSIVE n(i) AS (VALUES({start}) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {end})"
        f" INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(said)} FROM n CROSS JOIN {table} t"
        f" WHERE {real} ORDER BY n.i, t.{key}"
    )


async def _ask(database_url: str, sql: str) -> Sequence[Sequence[Any]]:
    connection = await asyncpg.connect(database_url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
