"""What must hold of the books after every step, asked of the tables in plain SQL.

Nothing of the product's own reading or hashing is used here: a mistake made there must not be made twice.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

Rows = Sequence[Sequence[Any]]

_WALLET = """SELECT coalesce(sum(e.amount_nano), 0) FROM entry e JOIN journal j ON j.ref = e.ref
        WHERE e.account = 'wallet'"""

NOTHING_FOUND_BY = {
    "a journal does not come to zero": "SELECT ref FROM entry GROUP BY ref HAVING sum(amount_nano) <> 0",
    "a journal without entries": """
        SELECT ref FROM journal j WHERE NOT EXISTS (SELECT 1 FROM entry e WHERE e.ref = j.ref)""",
    "an entry without a journal": """
        SELECT ref FROM entry e WHERE NOT EXISTS (SELECT 1 FROM journal j WHERE j.ref = e.ref)""",
    "the whole book does not come to zero": "SELECT sum(amount_nano) FROM entry HAVING sum(amount_nano) <> 0",
    "posted is not the sum of the wallet's entries": f"""
        SELECT a.team_id, a.posted_nano FROM account a WHERE a.posted_nano <> ({_WALLET} AND j.team_id = a.team_id)""",
    "posted is not what the grants have left, less overage": """
        SELECT a.team_id, a.posted_nano, a.overage_nano FROM account a WHERE a.posted_nano + a.overage_nano <>
        (SELECT coalesce(sum(g.remaining_nano), 0) FROM credit_grant g WHERE g.team_id = a.team_id)""",
    "overage is not the sum of its entries": f"""
        SELECT a.team_id, a.overage_nano FROM account a
        WHERE -a.overage_nano <> ({_WALLET} AND j.team_id = a.team_id AND e.grant_id IS NULL)""",
    "a grant has not left what its entries say": """
        SELECT g.id, g.remaining_nano FROM credit_grant g LEFT JOIN
        (SELECT grant_id, sum(amount_nano) AS rest FROM entry WHERE account = 'wallet' GROUP BY grant_id) e
        ON e.grant_id = g.id WHERE g.remaining_nano <> coalesce(e.rest, 0)""",
    "a grant is burnt by another team": """
        SELECT e.ref FROM entry e JOIN journal j ON j.ref = e.ref JOIN credit_grant g ON g.id = e.grant_id
        WHERE g.team_id <> j.team_id""",
    "a grant of the house": "SELECT ref FROM entry WHERE account <> 'wallet' AND grant_id IS NOT NULL",
    "a grant out of its bounds": """
        SELECT id FROM credit_grant WHERE remaining_nano < 0 OR remaining_nano > amount_nano
        OR taken_back_nano < 0 OR taken_back_nano > amount_nano""",
    "held is not the sum of the open holds": """
        SELECT a.team_id, a.held_nano FROM account a WHERE a.held_nano <>
        (SELECT coalesce(sum(h.amount_nano), 0) FROM hold h WHERE h.team_id = a.team_id AND h.state = 'open')""",
    "a settled hold without its journal": """
        SELECT call_id FROM hold h WHERE h.state = 'settled'
        AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.ref = 'settle:' || h.call_id AND j.team_id = h.team_id)""",
    "a settlement without its hold": """
        SELECT ref FROM journal j WHERE j.kind = 'settle'
        AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.call_id = substr(j.ref, 8) AND h.state = 'settled')""",
    "an ended hold without its moment": "SELECT call_id FROM hold WHERE (state = 'open') <> (ended_us IS NULL)",
    "a negative charge": """
        SELECT e.ref FROM entry e JOIN journal j ON j.ref = e.ref
        WHERE e.account = 'revenue' AND (j.kind = 'settle') <> (e.amount_nano > 0)""",
    "a house account that moves the wrong way": """
        SELECT ref, account FROM entry WHERE (account IN ('expired', 'refunded', 'adjusted') AND amount_nano < 0)
        OR (account IN ('granted', 'sold', 'written_off') AND amount_nano > 0)""",
    "a grant without its journal": """
        SELECT g.id FROM credit_grant g LEFT JOIN
        (SELECT e.grant_id, min(e.amount_nano) AS amount, count(*) AS times FROM entry e JOIN journal j ON j.ref = e.ref
        WHERE e.amount_nano > 0 AND e.grant_id IS NOT NULL AND j.kind IN ('grant', 'refund') GROUP BY e.grant_id) e
        ON e.grant_id = g.id WHERE e.grant_id IS NULL OR e.times <> 1 OR e.amount <> g.amount_nano""",
    "taken back is not what the entries say": """
        SELECT j.team_id FROM journal j JOIN entry e ON e.ref = j.ref WHERE e.account = 'refunded' GROUP BY j.team_id
        HAVING sum(e.amount_nano) <>
        (SELECT sum(g.taken_back_nano) FROM credit_grant g WHERE g.team_id = j.team_id)""",
}
"""Each query finds nothing in books that are right."""

_OF_CHAINS = "SELECT team_id, ref, seq, kind, actor, reason, created_us, prev, hash FROM journal ORDER BY team_id, seq"
_OF_ENTRIES = "SELECT ref, n, account, grant_id, amount_nano FROM entry ORDER BY ref, n"
_OF_HEADS = "SELECT team_id, journals, head FROM account"
_OF_HOLDS = "SELECT budgets FROM hold WHERE state = 'open' AND budgets <> ''"
_OF_SPENDS = "SELECT id, held, spent FROM budget_spend"


def wrong_in_sqlite(path: Path, *, chains: bool = True) -> list[str]:
    """What is wrong with the books, in words; empty when all is well."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return _wrong(lambda sql: connection.execute(sql).fetchall(), chains=chains)


async def wrong_in(database_url: str, *, chains: bool = True) -> list[str]:
    """The same on either database."""
    if database_url.startswith("sqlite"):
        return wrong_in_sqlite(Path(database_url.removeprefix("sqlite:///")), chains=chains)
    connection = await asyncpg.connect(database_url)
    try:
        found: dict[str, Rows] = {}
        # One snapshot, as SQLite has.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for sql in [*NOTHING_FOUND_BY.values(), _OF_CHAINS, _OF_ENTRIES, _OF_HEADS, _OF_HOLDS, _OF_SPENDS]:
                found[sql] = [tuple(row) for row in await connection.fetch(sql)]
        return _wrong(found.__getitem__, chains=chains)
    finally:
        await connection.close()


def _wrong(ask: Callable[[str], Rows], *, chains: bool) -> list[str]:
    wrong = [f"{name}: {rows[:3]}" for name, sql in NOTHING_FOUND_BY.items() if (rows := ask(sql))]
    held = Counter[str]()
    for (budgets,) in ask(_OF_HOLDS):
        for spend_id, amount in json.loads(budgets):
            held[spend_id] += amount
    for spend_id, amount, spent in ask(_OF_SPENDS):
        if held.pop(spend_id, 0) != amount or spent < 0:
            wrong.append(f"the budget {spend_id} holds {amount} of {spent}, its calls something else")
    wrong += [f"calls hold {amount} of {spend_id}, which is not there" for spend_id, amount in held.items() if amount]
    return wrong + (_wrong_chains(ask) if chains else [])


def _wrong_chains(ask: Callable[[str], Rows]) -> list[str]:
    entries: dict[str, list[list[Any]]] = defaultdict(list)
    for ref, n, account, grant_id, amount in ask(_OF_ENTRIES):
        if n != len(entries[ref]):
            return [f"{ref} has no line {len(entries[ref])}"]
        entries[ref].append([account, grant_id, amount])
    heads: dict[str, tuple[int, bytes]] = {}
    for team_id, ref, seq, kind, actor, reason, created_us, prev, digest in ask(_OF_CHAINS):
        last_seq, last_head = heads.get(team_id, (0, bytes(32)))
        if (seq, prev) != (last_seq + 1, last_head):
            return [f"{ref} does not follow journal {last_seq} of {team_id}"]
        said = [prev.hex(), ref, team_id, seq, kind, actor, reason, created_us, entries[ref]]
        if digest != hashlib.sha256(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()).digest():
            return [f"{ref} does not say what its hash was made of"]
        heads[team_id] = (seq, digest)
    return [
        f"the account {team_id} ends at {journals}, its journals elsewhere"
        for team_id, journals, head in ask(_OF_HEADS)
        if heads.get(team_id, (0, bytes(32))) != (journals, head)
    ]
