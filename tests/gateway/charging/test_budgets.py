"""Budgets as calls meet them: counted in every mode, blocking with holds counted, warned of once."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from app.domain.billing.models import BudgetNotice
from tests.credit_hubs import account, holds, priced, spends
from tests.emulators.handle import Upstream
from tests.hubs import Json, RunningHub, running_hub, until_given


def _budget(**terms: object) -> Json:
    return {"scope": "team", "of": "acme", "unit": "calls", "window": "total", "warn": [50], **terms}


async def test_a_budget_that_blocks_serves_exactly_as_many_calls_as_it_holds(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = priced(upstream, "0", billing="off", models={"chat": "one/slow-20"})
    file["budgets"] = [_budget(amount=5, block=True)]
    async with running_hub(hub_environ, file) as hub:
        answers = await asyncio.gather(*(hub.chat() for _ in range(20)))

        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [402] * 15
        refused = next(answer for answer in answers if answer.status_code == 402)
        assert refused.json()["error"]["code"] == "budget_exceeded"
        assert "team acme" in refused.json()["error"]["message"]
        assert len(upstream.calls()) == 5
        assert [(spend.spent, spend.held) for spend in await spends(hub)] == [(5, 0)]
        assert {hold.state for hold in await holds(hub)} == {"released"}


async def test_a_budget_of_costs_counts_what_calls_cost(hub_environ: dict[str, str], upstream: Upstream) -> None:
    file = priced(upstream, "0", billing="cost")
    file["budgets"] = [_budget(unit="cost", amount="100", block=False)]
    async with running_hub(hub_environ, file) as hub:
        for _ in range(3):
            assert (await hub.stream()).status_code == 200

        calls = await hub.calls()
        assert [spend.spent for spend in await spends(hub)] == [sum(call.cost_nano or 0 for call in calls)]


async def test_a_budget_and_credits_are_held_and_counted_together(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = priced(upstream, "1")
    file["budgets"] = [_budget(unit="credits", amount="0.9", block=True)]
    async with running_hub(hub_environ, file) as hub:
        assert (await hub.chat(max_tokens=100)).status_code == 200

        charged = (await hub.last_call()).charge_nano
        assert [(spend.spent, spend.held) for spend in await spends(hub)] == [(charged, 0)]
        assert (await account(hub)).held_nano == 0


async def test_a_call_that_the_provider_refuses_counts_and_gives_its_room_back(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = priced(upstream, "1", models={"chat": "one/fault-500"})
    file["budgets"] = [_budget(unit="tokens", amount=1000000, block=True)]
    async with running_hub(hub_environ, file) as hub:
        assert (await hub.chat()).status_code == 502

        await hub.calls()
        assert [(spend.spent, spend.held) for spend in await spends(hub)] == [(0, 0)]


async def test_a_warn_level_is_told_once(hub_environ: dict[str, str], upstream: Upstream) -> None:
    file = priced(upstream, "0", billing="off")
    file["budgets"] = [_budget(amount=4, block=False)]
    async with running_hub(hub_environ, file) as hub:
        for _ in range(5):
            assert (await hub.chat()).status_code == 200

        notices = await until_given(lambda: _notices(hub))
        assert [notice.percent for notice in notices] == [50]


async def test_a_budget_of_a_model_binds_whoever_calls_it_and_no_other_model(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = priced(upstream, "0", billing="off", models={"chat": "one/gpt-4o-mini", "chat-2": "one/gpt-4o-mini"})
    file["budgets"] = [{"scope": "model", "of": "chat", "unit": "calls", "window": "day", "amount": 1, "block": True}]
    async with running_hub(hub_environ, file) as hub:
        assert (await hub.chat()).status_code == 200
        assert (await hub.chat()).status_code == 402
        assert (await hub.chat("chat-2")).status_code == 200


async def _notices(hub: RunningHub) -> list[BudgetNotice] | None:
    async with hub.db.reading() as session:
        return list((await session.scalars(select(BudgetNotice))).all()) or None
