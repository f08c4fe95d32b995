"""Whatever a provider says that it counted: what can be true is charged, and what was seen where it cannot."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from app.base import clock
from app.base.money import NANO
from app.domain.billing.models import CreditGrant
from tests.credit_hubs import CREDIT, TOKEN, account, credit_hub, holds, journals, priced
from tests.emulators.handle import Upstream
from tests.faults.books import right_books
from tests.hubs import CHAT, HELLO, TWELVE, running_hub

INPUT = 1000
"""What one token of input is sold for."""
SEEN = -(-len(TWELVE) // 4)
"""Tokens, by the characters that went by."""
ASKED = 13
"""Tokens of the question, by the bytes of its messages."""


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("fault", "source", "tokens"),
    [
        ("no-usage", "estimated", (ASKED, SEEN)),
        ("usage-null", "estimated", (ASKED, SEEN)),
        ("negative-usage", "estimated", (ASKED, SEEN)),
        ("huge-usage", "estimated", (ASKED, SEEN)),
        ("string-usage", "estimated", (ASKED, SEEN)),
        ("zero-usage", "provider", (0, 0)),
        ("usage-twice", "provider", (6, 12)),
        ("usage-every-chunk", "provider", (6, 12)),
    ],
)
async def test_a_report_is_charged_as_it_is_or_not_at_all(
    hub_environ: dict[str, str],
    upstream: Upstream,
    fault: str,
    source: str,
    tokens: tuple[int, int],
    is_streamed: bool,
) -> None:
    async with credit_hub(hub_environ, upstream, "10", models={"chat": f"one/fault-{fault}"}) as hub:
        answer = await hub.chat(stream=is_streamed)

        assert answer.status_code == 200
        call = await hub.last_call()
        assert (call.status, call.usage_source, call.input, call.output) == ("succeeded", source, *tokens)
        assert call.charge_nano == tokens[0] * INPUT + tokens[1] * TOKEN
        [hold] = await holds(hub)
        assert call.charge_nano <= hold.amount_nano
        books = await right_books(hub.db, hub.settings)
        assert len(books.charged) == bool(call.charge_nano)


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("price", "charge"), [({"markup_percent": "50"}, 1_851_852), ({"input": "0", "output": "0"}, 0)]
)
async def test_a_provider_that_tells_its_cost_alone_is_believed_in_that(
    hub_environ: dict[str, str], upstream: Upstream, price: dict[str, str], charge: int, is_streamed: bool
) -> None:
    file = priced(upstream, "10", kind="openrouter", models={"chat": "one/meta-llama/llama-3.3-70b-instruct"})
    file["models"][0]["price"] = price
    async with running_hub(hub_environ, file) as hub:
        choice = {"index": 0, "finish_reason": "stop"}
        made = {"id": "gen-1", "object": "chat.completion", "model": "m", "usage": {"cost": 0.00123456789}}
        if is_streamed:
            delta = {"choices": [{**choice, "delta": {"role": "assistant", "content": "one two"}}]}
            upstream.script({"events": [f"data: {json.dumps(made | delta)}\n\n", "data: [DONE]\n\n"]})
        else:
            message = {"role": "assistant", "content": "one two"}
            upstream.script({"body": made | {"choices": [{**choice, "message": message}]}})

        answer = await hub.chat(stream=is_streamed)

        assert answer.status_code == 200
        call = await hub.last_call()
        assert (call.usage_source, call.provider_cost_nano, call.cost_nano) == ("reported_cost", 1_234_568, 1_234_568)
        # The markup on what the provider says; what is free stays free.
        assert call.charge_nano == charge
        await right_books(hub.db, hub.settings)


async def test_a_clock_that_jumps_back_an_hour_changes_no_charge_and_leaves_no_hold(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with credit_hub(hub_environ, upstream, "1", models={"chat": "one/slow-30"}) as hub:
        async with hub.db.writing() as session:
            # Given long ago: what is given in an hour that comes again has to wait for it.
            await session.execute(update(CreditGrant).values(effective_us=CreditGrant.effective_us - 24 * 3600 * 10**6))
        before = await hub.stream()
        body = {"model": "chat", "messages": HELLO, "stream": True}
        async with hub.http.stream("POST", CHAT, json=body) as answer:
            lines = answer.aiter_lines()
            for _ in range(6):
                await anext(lines)
            real = time.time_ns
            monkeypatch.setattr(clock, "time", SimpleNamespace(time_ns=lambda: real() - 3600 * NANO))
            async for _ in lines:
                pass
        after = await hub.stream()

        assert {before.status_code, answer.status_code, after.status_code} == {200}
        calls = await hub.calls()
        charge = 12 * TOKEN + 6 * INPUT
        assert [(call.status, call.charge_nano) for call in calls] == [("succeeded", charge)] * 3
        books = await account(hub)
        assert (books.posted_nano, books.held_nano) == (CREDIT - 3 * charge, 0)
        moments = [journal.created_us for journal in await journals(hub)]
        assert moments[-1] < moments[1]
        await right_books(hub.db, hub.settings)
