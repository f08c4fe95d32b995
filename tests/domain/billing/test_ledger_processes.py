"""The ledger between processes: many that race for one balance, and one that is killed while it posts.

`LEDGER_KILLS` is how often a process is killed on each database: 50 in `make prove`.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.base.clock import now_us
from app.domain.billing.models import Hold, Journal
from tests.domain.billing.ledger_desk import Balance, LedgerDesk, give, settle, take
from tests.domain.billing.poster import CHARGE
from tests.domain.billing.test_movements import room
from tests.proofs import figures

pytestmark = pytest.mark.prove

ROOT = Path(__file__).resolve().parents[3]
KILLS = int(os.environ.get("LEDGER_KILLS", "2"))
RACES = int(os.environ.get("LEDGER_RACES", "1"))
CALLERS = 32


def poster(environ: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.domain.billing.poster", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines_of(process: subprocess.Popen[str]) -> list[list[str]]:
    """What it has said to its end. The last line may be cut."""
    assert process.stdout is not None
    return [line.split() for line in process.stdout.read().splitlines() if line.count(" ") == 2]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("tasks", "affordable"), [(64, 10), (100, 7)])
async def test_a_balance_for_so_many_calls_serves_exactly_so_many(
    desk: LedgerDesk, hub_environ: dict[str, str], tasks: int, affordable: int
) -> None:
    """Two processes, each with its own writer, and all tasks of both at once."""
    await desk.open("acme")
    began = time.monotonic()
    for round_ in range(RACES):
        await desk.done(give(f"r{round_}", affordable * CHARGE, now=now_us()))
        with ExitStack() as stack:
            racers = [stack.enter_context(poster(hub_environ, "race", f"{round_}{name}-", str(tasks))) for name in "ab"]
            for racer in racers:
                assert racer.stdin is not None and racer.stdout is not None
                assert await asyncio.to_thread(racer.stdout.readline) == "ready\n"
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write("\n")
                racer.stdin.flush()
            said = [line for racer in racers for line in await asyncio.to_thread(lines_of, racer)]
            assert [await asyncio.to_thread(racer.wait) for racer in racers] == [0, 0]

        # A call that was let in and settled leaves no credit to the next one: what was held is what is charged.
        assert Counter(line[0] for line in said) == {"take": affordable, "settle": affordable}
        assert await desk.balance() == Balance(0, 0, 0)
        assert await desk.wrong() == []
    if RACES > 1:
        kind = "SQLite" if desk.db.is_sqlite else "PostgreSQL"
        figures.note(
            f"race, {kind}, 2 × {tasks} calls, balance for {affordable}",
            f"{RACES} rounds in {time.monotonic() - began:.0f} s: exactly {affordable} served in each",
        )


async def test_a_budget_for_so_many_calls_lets_in_exactly_so_many(
    desk: LedgerDesk, hub_environ: dict[str, str]
) -> None:
    """Two writers that both meet the first calls of a window."""
    other = LedgerDesk(hub_environ)
    await other.start()
    try:
        for round_ in range(5):
            postings = [
                one.post(take(f"{round_}-{n}-{i}", 0, charges=False, rooms=[room(f"b{round_}", 1, 7)]))
                for n in range(50)
                for i, one in enumerate((desk, other))
            ]
            for posting in postings:
                assert await posting.ended_within(30)
            assert sum(posting.is_committed for posting in postings) == 7
    finally:
        await other.close()


@pytest.mark.timeout(0 if KILLS > 10 else 120)
async def test_what_was_acknowledged_is_there_after_a_kill(desk: LedgerDesk, hub_environ: dict[str, str]) -> None:
    chance = random.Random(1)
    acknowledged: dict[str, set[str]] = {"give": set(), "take": set(), "settle": set()}
    charged = 0
    await desk.open("acme", line=10**15)
    for round_ in range(KILLS):
        with poster(hub_environ, "load", f"k{round_}", str(CALLERS)) as process:
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            # A pipe that nobody reads stops who writes to it.
            reading = asyncio.create_task(asyncio.to_thread(lines_of, process))
            await asyncio.sleep(chance.uniform(0.05, 0.6))
            process.kill()
            for verb, call, amount in await reading:
                acknowledged[verb].add(call)
                charged += int(amount) if verb == "settle" else 0
        # The chains of a long run take longer to read than the rest: at the end.
        assert await desk.wrong(chains=False) == []
        await settled_by_the_next_boot(desk)

    async with desk.db.reading() as session:
        refs = set(await session.scalars(select(Journal.ref)))
        holds = set(await session.scalars(select(Hold.call_id)))
        is_open = await session.scalar(select(func.count()).select_from(Hold).where(Hold.state == "open"))
    assert acknowledged["take"] <= holds and len(acknowledged["take"]) > KILLS * 10
    assert {f"settle:{call}" for call in acknowledged["settle"]} <= refs
    assert {f"grant:test:{call}" for call in acknowledged["give"]} <= refs
    assert not is_open
    balance = await desk.balance()
    assert balance.held == 0 and (await desk.house())["revenue"] >= charged
    assert await desk.wrong() == []
    kind = "SQLite" if desk.db.is_sqlite else "PostgreSQL"
    count = sum(map(len, acknowledged.values()))
    figures.note(
        f"kill -9 of the writer's process, {kind}",
        f"{KILLS} rounds, {count} acknowledged postings, 0 lost",
    )


async def settled_by_the_next_boot(desk: LedgerDesk) -> None:
    """Whoever comes next ends what was left open; a call that was settled meanwhile stays as it is."""
    async with desk.db.reading() as session:
        left = list(await session.scalars(select(Hold.call_id).where(Hold.state == "open")))
    assert len(left) <= CALLERS
    for call in left:
        await desk.done(settle(call, 0, now=now_us()))
