"""The ledger alone, in a process of its own: holds and settlements through the writer, without a call around them.

    python -m bench.ledger --wallets 200 --callers 32 --seconds 5

The database is that of the environment, migrated. Prints one JSON object.
"""

import asyncio
import itertools
import os
import resource
import statistics
import time

import click
import msgspec
from msgspec import Struct

from app.base.clock import now_us
from app.base.config import read_settings
from app.base.db import Database
from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.base.writer import Writer
from app.domain.billing import book
from app.domain.billing.giving import Give
from app.domain.billing.movements import Settle, Take

_WARM_SECONDS = 0.5
_CREDITS = 10**15
_HOLD = 1_000_000
_CHARGE = 400_000


class LedgerResult(Struct, frozen=True, kw_only=True):
    """A call here is a hold and its settlement, two transactions one after the other."""

    calls: int
    seconds: float
    cpu_us_per_call: float
    take_p50_ms: float
    take_p99_ms: float
    settle_p50_ms: float
    settle_p99_ms: float


@click.command()
@click.option("--wallets", type=click.IntRange(min=1), default=1)
@click.option("--callers", type=click.IntRange(min=1), default=32)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=5.0)
def main(*, wallets: int, callers: int, seconds: float) -> None:
    """Measure, and print the figures."""
    print(msgspec.json.encode(asyncio.run(_measure(wallets, callers, seconds))).decode())


async def _measure(wallets: int, callers: int, seconds: float) -> LedgerResult:
    settings = read_settings(os.environ)
    db = Database(settings)
    writer: Writer = SqliteWriter(db) if db.is_sqlite else PostgresWriter(settings)
    await writer.start()
    teams = [f"team{n}" for n in range(wallets)]
    for team in teams:
        await writer.post(book.opening(team, now_us())).committed()
        for n in range(2):
            await writer.post(movement=_grant(team, n)).committed()
    await _load(writer, teams, callers, _WARM_SECONDS, "warm")
    cpu_before = _cpu_seconds()
    began = time.perf_counter()
    takes, settles = await _load(writer, teams, callers, seconds, "load")
    passed = time.perf_counter() - began
    cpu = _cpu_seconds() - cpu_before
    await writer.close()
    await db.close()
    return LedgerResult(
        calls=len(settles),
        seconds=passed,
        cpu_us_per_call=cpu * 1e6 / len(settles),
        take_p50_ms=statistics.median(takes) * 1e3,
        take_p99_ms=_p99(takes) * 1e3,
        settle_p50_ms=statistics.median(settles) * 1e3,
        settle_p99_ms=_p99(settles) * 1e3,
    )


async def _load(
    writer: Writer, teams: list[str], callers: int, seconds: float, name: str
) -> tuple[list[float], list[float]]:
    """How long each hold and each settlement took, in seconds."""
    numbers = itertools.count()
    takes: list[float] = []
    settles: list[float] = []
    until = time.perf_counter() + seconds

    async def call_on() -> None:
        while True:
            begun = time.perf_counter()
            if begun > until:
                return
            n = next(numbers)
            call, team, moment = f"{name}{n}", teams[n % len(teams)], now_us()
            taking = Take(
                call_id=call,
                team_id=team,
                boot_id="bench",
                now_us=moment,
                expires_us=moment + 900_000_000,
                wish_nano=_HOLD,
                least_nano=_HOLD,
            )
            await writer.post(movement=taking).committed()
            held = time.perf_counter()
            settling = Settle(call_id=call, team_id=team, now_us=moment, charge_nano=_CHARGE)
            await writer.post(movement=settling).committed()
            takes.append(held - begun)
            settles.append(time.perf_counter() - held)

    await asyncio.gather(*(call_on() for _ in range(callers)))
    return takes, settles


def _grant(team: str, n: int) -> Give:
    return Give(
        team_id=team,
        grant_id=f"{team}-{n}",
        category="promo",
        source="bench",
        source_ref=f"{team}-{n}",
        amount_nano=_CREDITS,
        reason="bench",
        actor="hub",
        now_us=now_us(),
        priority=50 + n,
    )


def _p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
