"""The ledger under everything that may happen to it: whatever comes, no credit is lost and none is made.

`LEDGER_OPERATIONS` is how much a seeded run does: 40,000 for each of the 8 seeds is the long proof (`make prove`).
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.domain.billing.invariants import wrong_in, wrong_in_sqlite
from tests.domain.billing.ledger_desk import LedgerDesk
from tests.domain.billing.random_ledger import HOUR, TEAMS, RandomLedger, live
from tests.proofs import figures

pytestmark = pytest.mark.prove

OPERATIONS = int(os.environ.get("LEDGER_OPERATIONS", "150"))
SEEDS = range(int(os.environ.get("LEDGER_SEEDS", "2")))

_team = st.sampled_from(TEAMS)
_which = st.integers(0, 1000)
_amount = st.one_of(st.sampled_from([0, 1, 1_000]), st.integers(0, 5_000))
_hostile = st.one_of(
    st.integers(max_value=-1),
    st.integers(min_value=2**62 + 1),
    st.floats(),
    st.booleans(),
    st.text(max_size=3),
    st.none(),
)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self, template: Path, folder: Path) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        path = folder / "hub.db"
        for suffix in ("", "-wal", "-shm"):
            path.with_name(f"hub.db{suffix}").unlink(missing_ok=True)
        with closing(sqlite3.connect(template)) as source, closing(sqlite3.connect(path)) as copy:
            source.backup(copy)
        self.path = path
        self.ledger = RandomLedger(LedgerDesk({"HUB_DATA_DIR": str(folder)}))
        self.run(self.ledger.start())

    def run(self, work: Awaitable[Any]) -> None:
        self.loop.run_until_complete(work)

    @rule(team=_team, wish=_amount, least=_amount, budget=st.sampled_from([0, 100]))
    def take(self, team: str, wish: int, least: int, budget: int) -> None:
        self.run(self.ledger.take(team, wish, min(wish, least), budget))

    @rule(which=_which, wish=_amount, least=_amount)
    def extend(self, which: int, wish: int, least: int) -> None:
        self.run(self.ledger.extend(which, wish, least))

    @rule(which=_which, charge=st.one_of(_amount, st.integers(0, 50_000)), overdraft=_amount, budget=st.integers(0, 50))
    def settle(self, which: int, charge: int, overdraft: int, budget: int) -> None:
        self.run(self.ledger.settle(which, charge, overdraft, budget))

    @rule(which=_which)
    def release(self, which: int) -> None:
        self.run(self.ledger.settle(which, 0, 0, 0))

    @rule(
        team=_team,
        amount=st.integers(1, 20_000),
        priority=st.sampled_from([0, 50, 100]),
        category=st.sampled_from(["paid", "promo"]),
        begins=st.one_of(st.just(0), st.integers(-HOUR, HOUR)),
        ends=st.one_of(st.none(), st.integers(-HOUR, 2 * HOUR)),
    )
    def give(self, team: str, amount: int, priority: int, category: str, begins: int, ends: int | None) -> None:
        self.run(self.ledger.give(team, amount, priority, category, begins, ends))

    @rule(team=_team)
    def sweep(self, team: str) -> None:
        self.run(self.ledger.sweep(team))

    @rule(team=_team, amount=st.integers(1, 5_000))
    def deduct(self, team: str, amount: int) -> None:
        self.run(self.ledger.deduct(team, amount))

    @rule(which=_which, amount=st.integers(1, 30_000), freezes=st.booleans())
    def take_back(self, which: int, amount: int, freezes: bool) -> None:
        self.run(self.ledger.take_back(which, amount, freezes))

    @rule(team=_team)
    def thaw(self, team: str) -> None:
        self.run(self.ledger.thaw(team))

    @rule(which=_which)
    def replay(self, which: int) -> None:
        self.run(self.ledger.replay(which))

    @rule(team=_team, amounts=st.lists(_amount, min_size=2, max_size=6))
    def batch(self, team: str, amounts: list[int]) -> None:
        self.run(self.ledger.batch(team, amounts))

    @rule(team=_team, amount=_hostile)
    def hostile(self, team: str, amount: Any) -> None:
        self.run(self.ledger.hostile(team, amount))

    @rule(team=_team, amount=_amount, turns=st.integers(0, 4))
    def crash(self, team: str, amount: int, turns: int) -> None:
        self.run(self.ledger.crash(team, amount, turns))

    @rule(seconds=st.one_of(st.integers(0, 600), st.just(-3600), st.just(7200)))
    def wait(self, seconds: int) -> None:
        self.ledger.wait(seconds)

    @invariant()
    def the_books_are_right(self) -> None:
        assert wrong_in_sqlite(self.path) == []

    def teardown(self) -> None:
        self.run(self.ledger.desk.close())
        self.loop.close()


@pytest.mark.timeout(0)
@pytest.mark.databases("sqlite")
def test_no_credit_is_lost_or_made_whatever_happens(migrated_sqlite: Path, tmp_path: Path) -> None:
    run_state_machine_as_test(
        lambda: LedgerMachine(migrated_sqlite, tmp_path),
        settings=settings(
            max_examples=int(os.environ.get("LEDGER_EXAMPLES", "25")),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(0 if OPERATIONS > 1000 else 120)
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_long_random_life_keeps_the_books(hub_environ: dict[str, str], seed: int) -> None:
    ledger = RandomLedger(LedgerDesk(hub_environ))
    await ledger.start()
    chance = random.Random(seed)
    began = time.monotonic()
    every = max(50, OPERATIONS // 20)
    for done in range(0, OPERATIONS, every):
        await live(ledger, chance, min(every, OPERATIONS - done))
        assert await wrong_in(ledger.desk.url) == []
    kind = "SQLite" if ledger.desk.db.is_sqlite else "PostgreSQL"
    seconds = time.monotonic() - began
    await ledger.desk.close()
    figures.note(
        f"random ledger, {kind}, seed {seed}",
        f"{OPERATIONS} operations in {seconds:.0f} s: 0 violations; {ledger.replays} replays changed nothing,"
        f" {ledger.refusals} refusals",
    )
