"""Budgets on real calls: they count, warn, and refuse, whoever calls and however many at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.base import clock
from app.domain.billing import budget_notices, budgets
from app.gateway.desk import budgeting
from app.gateway.desk.budgeting import Standing
from tests.emulators.handle import Upstream
from tests.hubs import HUB_KEY, RunningHub, apply_file, client, described, running_hub, until_given

OTHER_KEY = "hk-othr-0123456789abcdef0123456789abcdef"
EITHER = [{"name": "ci", "secret": HUB_KEY}, {"name": "other", "secret": OTHER_KEY, "user": "ada@example.com"}]


def _file(upstream: Upstream, *listed: dict[str, Any], **more: Any) -> dict[str, Any]:
    usual = {"unit": "calls", "window": "total", "block": True}
    return {**described(upstream, keys=EITHER, **more), "budgets": [usual | one for one in listed]}


async def _standings(hub: RunningHub) -> list[Standing]:
    async with hub.db.reading() as session:
        return await budgeting.standings(session, await budgets.in_force(session), clock.now_us())


async def _recounted(hub: RunningHub) -> list[int]:
    async with hub.db.reading() as session:
        return [await budgeting.recounted(session, one.rule, one.room) for one in await _standings(hub)]


async def test_of_many_calls_at_once_no_more_pass_than_the_budget_has(hub_environ: dict[str, str], upstream: Upstream):
    async with running_hub(hub_environ, _file(upstream, {"scope": "team", "of": "acme", "amount": 7})) as hub:
        answers = await asyncio.gather(*(hub.chat() for _ in range(40)))
        again = await hub.stream()

        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [402] * 33
        refused = next(answer for answer in answers if answer.status_code == 402).json()["error"]
        assert (refused["code"], refused["owner"]) == ("budget_exceeded", "you")
        assert "The budget of team acme for all time is used up" in refused["message"]
        assert again.status_code == 402
        (standing,) = await _standings(hub)
        assert (standing.spend.spent, standing.spend.held) == (7, 0)
        assert await _recounted(hub) == [7]


async def test_a_budget_counts_only_the_calls_of_its_scope(hub_environ: dict[str, str], upstream: Upstream):
    file = _file(
        upstream,
        {"scope": "key", "of": "acme/ci", "amount": 1},
        {"scope": "user", "of": "ada@example.com", "amount": 2},
        {"scope": "project", "of": "acme/site", "amount": 1, "window": "day"},
        {"scope": "model", "of": "lab", "amount": 1},
        models={"chat": "one/gpt-4o-mini", "lab": "one/gpt-4o-mini"},
    )
    async with running_hub(hub_environ, file) as hub:
        async with client(hub.root, OTHER_KEY) as other:

            async def ask(model: str = "chat", project: str | None = None) -> tuple[int, str]:
                headers = {} if project is None else {"x-hub-project": project}
                body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
                answer = await other.post("/v1/chat/completions", json=body, headers=headers)
                return answer.status_code, "" if answer.is_success else answer.json()["error"]["message"]

            assert (await hub.chat()).status_code == 200
            assert "API key ci" in (await hub.chat()).json()["error"]["message"]
            assert (await ask("lab", "site"))[0] == 200
            assert "project site for today" in (await ask(project="site"))[1]
            assert "The budget of lab" in (await ask("lab"))[1]
            assert (await ask(project="shop"))[0] == 200
            assert "the person whose API key this is" in (await ask())[1]

        assert {one.rule.scope: one.spend.spent for one in await _standings(hub)} == {
            "key": 1,
            "user": 2,
            "project": 1,
            "model": 1,
        }
        assert await _recounted(hub) == [one.spend.spent for one in await _standings(hub)]


async def test_tokens_and_costs_are_counted_as_the_calls_are_recorded(hub_environ: dict[str, str], upstream: Upstream):
    file = _file(
        upstream,
        {"scope": "hub", "unit": "tokens", "amount": 10_000_000},
        {"scope": "hub", "unit": "cost", "amount": "1000", "window": "month", "block": False, "warn": [1]},
    )
    file["billing"] = "cost"
    file["models"][0]["cost"] = {"input": "2", "output": "8"}
    async with running_hub(hub_environ, file) as hub:
        await hub.chat()
        await hub.stream()
        await hub.calls()

        tokens, cost = await _standings(hub)
        assert tokens.spend.spent > 0 and cost.spend.spent > 0 and not (tokens.spend.held or cost.spend.held)
        assert await _recounted(hub) == [tokens.spend.spent, cost.spend.spent]


async def test_a_warn_level_is_told_once_and_refuses_nobody(hub_environ: dict[str, str], upstream: Upstream):
    file = _file(upstream, {"scope": "hub", "amount": 4, "block": False, "warn": [50, 100]})
    async with running_hub(hub_environ, file) as hub:
        for _ in range(6):
            assert (await hub.chat()).status_code == 200
        (standing,) = await _standings(hub)

        async def told() -> list[int] | None:
            async with hub.db.reading() as session:
                found = await budget_notices.reached(session, [standing.room.spend_id])
            levels = found.get(standing.room.spend_id, [])
            return levels if len(levels) == 2 else None

        assert await until_given(told) == [50, 100]


@pytest.mark.databases("sqlite")
async def test_a_raised_budget_lets_calls_pass_again_within_a_second(hub_environ: dict[str, str], upstream: Upstream):
    async with running_hub(hub_environ, _file(upstream, {"scope": "team", "of": "acme", "amount": 1})) as hub:
        assert [(await hub.chat()).status_code for _ in range(2)] == [200, 402]

        raised = _file(upstream, {"scope": "team", "of": "acme", "amount": 3})["budgets"]
        await apply_file(hub.settings, {"budgets": raised})

        async def passes() -> bool:
            return (await hub.chat()).status_code == 200

        assert await until_given(passes, 2)
        assert [(await hub.chat()).status_code for _ in range(2)] == [200, 402]
