"""`verify` on large books: `VERIFY_JOURNALS` settlements with their calls; 1,000,000 of them are the long proof.

A minute is what a million journals may take; one nano-credit among them is found.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import text

from app.base.config import read_settings
from app.base.db import Database
from app.base.money import NANO
from app.base.usage import Usage, meters
from app.domain.billing import book
from app.domain.billing.book import EntryLine
from app.domain.catalog import cards, pricing, rates
from app.domain.catalog.cards import Card, Facts
from app.domain.catalog.models import PriceCard
from app.domain.catalog.rates import NewLine
from app.domain.catalog.settings import Terms
from app.gateway.desk import verifying
from tests.proofs.figures import note

JOURNALS = int(os.environ.get("VERIFY_JOURNALS", "5000"))
TEAMS = 200
GIVEN = 10**15
BEGIN_US = 1_790_000_000_000_000
TERMS = Terms(credit_price_nano=NANO, markup_basis_points=2_000, sells_below_cost=False)
_ROWS_PER_INSERT = 5_000
_SECONDS_PER_MILLION = 60

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    await _fill(database)
    yield database
    await database.close()


@pytest.mark.prove
@pytest.mark.databases("sqlite")
@pytest.mark.timeout(900)
async def test_a_million_journals_are_checked_within_a_minute_and_one_nano_credit_is_found(db: Database) -> None:
    begun, begun_cpu = time.perf_counter(), time.process_time()
    books = await verifying.verify(db, now_us=BEGIN_US, with_calls=False)
    took, took_cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    whole = await verifying.verify(db, now_us=BEGIN_US)
    took_whole = time.perf_counter() - begun - took

    assert (books.wrong, whole.wrong) == ([], [])
    assert (books.checked["journals"], whole.checked["calls"]) == (JOURNALS + TEAMS, JOURNALS)
    note("verify, books", f"{JOURNALS:,} journals in {took:.1f} s; with the price of each call {took_whole:.1f} s")
    # Of this process: what else runs on the machine is no fault of the check. Short runs pay for their beginning.
    assert took_cpu < 5 + _SECONDS_PER_MILLION * JOURNALS / 1_000_000

    ref = await _plant(db)
    wrong = (await verifying.verify(db, now_us=BEGIN_US)).wrong
    assert [(one.check, one.key) for one in wrong] == [("hash", ref)]


async def _plant(db: Database) -> str:
    async with db.writing() as session:
        await session.execute(text("DROP TRIGGER append_only_entry_update"))
        ref = await session.scalar(
            text("SELECT ref FROM journal WHERE kind = 'settle' ORDER BY ref LIMIT 1 OFFSET :n"), {"n": JOURNALS // 2}
        )
        await session.execute(
            text("UPDATE entry SET amount_nano = amount_nano + 1 WHERE ref = :ref AND account = 'revenue'"),
            {"ref": ref},
        )
    return str(ref)


async def _fill(db: Database) -> None:
    async with db.writing() as session:
        lines = [NewLine("input", 1_000_000_000, None), NewLine("output", 4_000_000_000, None)]
        await rates.add_lines(session, "dep", lines, source="file")
        in_force = (await rates.in_force(session, ["dep"], await rates.moment(session)))["dep"]
        card = pricing.card_of("dep", in_force, TERMS, TERMS.markup_basis_points)
        session.add(PriceCard(id=card.id, deployment_id="dep", content=cards.content(card), created_us=0))
    with closing(sqlite3.connect(db.sqlite_path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-262144")
        for rows in _batches(card):
            for table, values in rows.items():
                names = list(values[0])
                into = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
                connection.executemany(into, values)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _batches(card: Card) -> Iterator[Rows]:
    """As the hub would have written it, in the order of time."""
    chance = random.Random(46)
    teams = [f"{chance.getrandbits(128):032x}" for _ in range(TEAMS)]
    state: dict[str, tuple[int, bytes, int]] = dict.fromkeys(teams, (0, book.NO_HEAD, GIVEN))
    rows: Rows = {"journal": [], "entry": [], "call": []}

    def add(team: str, ref: str, kind: str, at_us: int, lines: list[EntryLine]) -> None:
        seq, prev, left = state[team]
        made = book.hash_of(prev, ref, team, seq + 1, kind, "hub", "", at_us, lines)
        spent = 0 if kind == "grant" else lines[0].amount
        state[team] = (seq + 1, made, left + spent)
        says: dict[str, Any] = {"kind": kind, "actor": "hub", "reason": "", "created_us": at_us}
        rows["journal"].append({"ref": ref, "team_id": team, "seq": seq + 1, "prev": prev, "hash": made, **says})
        rows["entry"] += [
            {"ref": ref, "n": n, "account": one.account, "grant_id": one.grant_id, "amount_nano": one.amount}
            for n, one in enumerate(lines)
        ]

    for team in teams:
        lines = [EntryLine("granted", -GIVEN), EntryLine("wallet", GIVEN, team)]
        add(team, f"grant:file:{team}", "grant", BEGIN_US, lines)
    for n in range(JOURNALS):
        at_us, team = BEGIN_US + 1_000 * (n + 1), chance.choice(teams)
        call_id = f"{at_us // 1_000:012x}{chance.getrandbits(80):020x}"
        usage = Usage(input=chance.randrange(1, 5_000), output=chance.randrange(1, 900), requests=1)
        facts = Facts(started_us=at_us)
        charge = cards.charge(card, usage, facts) or 0
        add(
            team,
            f"settle:{call_id}",
            "settle",
            at_us,
            [EntryLine("wallet", -charge, team), EntryLine("revenue", charge)],
        )
        rows["call"].append(_call(call_id, team, at_us, card, usage, charge))
        if len(rows["call"]) == _ROWS_PER_INSERT:
            yield rows
            rows = {"journal": [], "entry": [], "call": []}
    rows["account"] = [
        {
            "team_id": team,
            "posted_nano": left,
            "held_nano": 0,
            "overage_nano": 0,
            "credit_line_nano": 0,
            "is_frozen": False,
        }
        | {"journals": seq, "head": head, "created_us": BEGIN_US}
        for team, (seq, head, left) in state.items()
    ]
    rows["credit_grant"] = [
        {"id": team, "team_id": team, "category": "promo", "source": "file", "source_ref": team, "priority": 50}
        | {"amount_nano": GIVEN, "remaining_nano": left, "taken_back_nano": 0, "reason": ""}
        | {"effective_us": BEGIN_US, "created_us": BEGIN_US}
        for team, (_, _, left) in state.items()
    ]
    yield {table: values for table, values in rows.items() if values}


def _call(call_id: str, team: str, at_us: int, card: Card, usage: Usage, charge: int) -> dict[str, Any]:
    return {
        "id": call_id,
        "boot_id": "boot",
        "team_id": team,
        "api_key_id": "key",
        "endpoint": "chat.completions",
        "model": "lab/small",
        "is_streamed": False,
        "status": "succeeded",
        "started_us": at_us,
        "attempts": 1,
        "billing": "credits",
        "deployment_id": "dep",
        "card_id": card.id,
        "charged_as": "completed.some charge",
        "usage_source": "provider",
        "cost_nano": cards.cost(card, usage, Facts(started_us=at_us)),
        "charge_nano": charge,
        "refunded_nano": 0,
        **meters(usage),
    }
