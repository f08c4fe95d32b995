"""Two hubs on one database, one balance and one budget: what is there is spent once."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.credit_hubs import CREDIT, TOKEN, priced
from tests.emulators.handle import Upstream
from tests.faults.books import Books, right_books
from tests.faults.server import Server, serving
from tests.hubs import CHAT, HELLO, Json, client

CALLS = 64
"""At each hub, all at once."""
SLICE = 256 * TOKEN

pytestmark = pytest.mark.databases("postgresql")


async def test_two_hubs_on_one_balance_never_charge_more_than_was_there_beyond_a_slice(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = priced(upstream, "1", models={"chat": "one/slow-20"})

    statuses, books, left = await _crowd(hub_environ, file, {"max_tokens": 90})

    assert set(statuses) == {200, 402}
    # Each holds the ninety tokens that it may write and charges twelve, so there is room for more than eleven.
    assert statuses[200] >= 11
    assert len(books.charged) == statuses[200]
    assert sum(books.charged.values()) <= CREDIT + SLICE
    assert left >= -SLICE


async def test_of_a_budget_of_ten_calls_exactly_ten_are_served_by_two_hubs(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = priced(upstream, "1000", models={"chat": "one/slow-20"})
    budget = {"scope": "team", "of": "acme", "amount": 10, "unit": "calls", "window": "total", "block": True}
    file["budgets"] = [budget]

    statuses, books, left = await _crowd(hub_environ, file, {})

    assert statuses == {200: 10, 402: 2 * CALLS - 10}
    assert len(books.charged) == 10
    assert left == 1000 * CREDIT - sum(books.charged.values())


async def _crowd(environ: dict[str, str], file: Json, fields: Json) -> tuple[Counter[int], Books, int]:
    """What all calls were answered, the books after them, and what is left of the balance."""
    async with serving(environ, file) as first, serving(environ, None) as second:
        statuses: Counter[int] = Counter()

        async def ask(server: Server) -> None:
            async with client(server.root) as http:
                body = {"model": "chat", "messages": HELLO, **fields}
                answer = await http.post(CHAT, json=body, timeout=60)
                statuses[answer.status_code] += 1

        await asyncio.gather(*(ask(server) for server in (first, second) for _ in range(CALLS)))
        await first.ended_calls(1)
        books = await right_books(first.db, first.settings)
        return statuses, books, books.posted
