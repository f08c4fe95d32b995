"""What `hub explain` says of a call before it is made, and that it says what the call then meets."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from app.base import addresses, clock
from app.base.config import read_settings
from app.base.errors import Conflict, NotFound
from app.base.money import NANO
from app.domain.billing import budgets
from app.domain.catalog import credentials
from app.domain.identity import api_keys, child_keys, teams
from app.gateway.desk import budgeting, explaining
from app.gateway.desk.explanation import Explanation
from app.gateway.health import Health
from app.gateway.snapshot import SnapshotKeeper
from app.ops import house
from app.ops.house import House
from tests.hubs import HUB_KEY
from tests.ops.conftest import HubCommand
from tests.ops.hub_files import applied

FILE = f"""\
billing: credits
providers:
  - name: one
    kind: openai
    credentials: [{{label: main, secret: sk-one-0123456789abcdef}}, {{label: spare, secret: sk-two-0123456789abcdef}}]
  - {{name: two, kind: openai, enabled: false, credentials: [{{secret: sk-three-0123456789abcdef}}]}}
models:
  - model: lab/x
    type: chat
    aliases: [x]
    routes:
      - {{provider: one, upstream_model: x-1}}
      - {{provider: two, upstream_model: x-2, priority: 1}}
    cost: {{input: "1", output: "4"}}
    price: {{markup_percent: "25"}}
  - {{model: lab/free, type: chat, routes: [{{provider: one, upstream_model: free-1}}]}}
teams:
  - name: acme
    credits: "20"
    keys: [{{name: ci, secret: {HUB_KEY}, models: ["lab/x"]}}]
"""


@pytest.fixture
async def opened(hub_environ: dict[str, str]):
    async with house.opened(read_settings(hub_environ)) as hub:
        await applied(hub, FILE)
        yield hub


async def _explained(hub: House, model: str = "lab/x", key: str = "acme/ci", **more: Any) -> Explanation:
    snapshot = await SnapshotKeeper(hub.db, hub.vault, lambda: None).load()
    async with hub.db.reading() as session:
        return await explaining.explain(session, snapshot, await explaining.find_key(session, key), model, **more)


async def _budget(hub: House, *, spent: int, **fields: Any) -> None:
    line = {"scope": "team", "of": "acme", "unit": "cost", "window": "month", "amount": "10", "block": True} | fields
    await applied(hub, f"budgets: [{line}]".replace("True", "true").replace("False", "false"))
    async with hub.db.writing() as session:
        rule = (await budgets.in_force(session))[-1]
        (standing,) = await budgeting.standings(session, [rule], clock.now_us())
        await budgets.set_spent(session, rule, standing.room.begins_us, spent)


async def test_a_call_that_would_pass_is_explained_whole(opened: House):
    await _budget(opened, spent=4 * NANO)

    found = await _explained(opened, "x")

    assert found.passes and found.billing == "credits"
    assert (found.key.team, found.key.name, found.key.state) == ("acme", "ci", "active")
    assert found.model is not None and (found.model.name, list(found.model.aliases)) == ("lab/x", ["x"])
    first, second = found.routes
    assert (first.provider, first.takes_calls, first.price.is_whole) == ("one", True, True)
    assert [(one.label, one.state) for one in first.credentials] == [("main", "ready"), ("spare", "ready")]
    assert (second.provider, second.is_enabled, second.takes_calls) == ("two", False, False)
    (line,) = [line for line in first.price.lines if line.meter == "output"]
    assert line.cost_nano == 4 * NANO and line.price_nano == 5 * NANO
    (budget,) = found.budgets
    assert (budget.of, budget.standing.left, budget.standing.blocks) == ("team acme", 6 * NANO, False)
    assert found.account is not None and found.account.free_nano == 20 * NANO


async def test_every_reason_against_a_call_is_told_at_once(opened: House):
    await _budget(opened, spent=10 * NANO)
    async with opened.db.writing() as session:
        acme = await teams.get_by_name(session, "acme")
        key = await explaining.find_key(session, "acme/ci")
        await api_keys.revoke(session, acme.id, key.id)
        for row in await credentials.listed(session):
            await credentials.disable(session, row.id, "OpenAI refused it")

    found = await _explained(opened)

    assert not found.passes
    revoked, route, budget = found.refusals
    assert "was revoked" in revoked and "No route of lab/x" in route
    assert "The budget of team acme for this month is used up" in budget
    assert found.key.state == "revoked"
    assert found.routes[0].credentials[0].state == "disabled: OpenAI refused it"


async def test_a_model_that_the_key_may_not_call_or_that_is_not_there_is_said(opened: House):
    other = await _explained(opened, "lab/free")
    absent = await _explained(opened, "lab/xx")

    assert "may not call lab/free" in other.refusals[0] and "has no price" in other.refusals[1]
    assert other.model is not None
    assert absent.refusals == ["There is no model lab/xx. Did you mean lab/x or x?"] or "no model" in absent.refusals[0]
    assert absent.model is None and absent.routes == []


async def test_a_budget_that_only_warns_and_one_of_another_project_refuse_nothing(opened: House):
    await _budget(opened, spent=30 * NANO, block=False)
    await _budget(opened, spent=30 * NANO, scope="project", of="acme/site")

    plain, of_site = await _explained(opened), await _explained(opened, project="site")

    assert plain.passes and [one.of for one in plain.budgets] == ["team acme"]
    assert not of_site.passes and len(of_site.budgets) == 2
    assert "The budget of project site" in of_site.refusals[0]


async def test_without_credits_a_call_is_refused_only_where_they_are_charged(opened: House):
    await applied(opened, 'teams: [{name: empty, keys: [{name: k, secret: "0123456789abcdef0123456789abcdefgh"}]}]')

    charged = await _explained(opened, key="empty/k")
    await applied(opened, "billing: cost")
    free = await _explained(opened, key="empty/k")

    [refusal] = charged.refusals
    assert refusal.startswith("Team empty has 0 credits; the least call needs 0.")
    assert free.passes and free.account is None


async def test_the_built_in_demo_is_free_where_credits_are_charged(hub_environ: dict[str, str]):
    async with house.opened(read_settings(hub_environ)) as hub:
        await applied(
            hub, f'billing: credits\nteams: [{{name: acme, credits: "1", keys: [{{name: ci, secret: {HUB_KEY}}}]}}]'
        )

        found = await _explained(hub, "demo/chat")

    assert found.passes and found.routes[0].price.is_whole


async def test_a_resting_credential_counts_as_none_in_the_process_where_it_rests(opened: House):
    health = Health(time.monotonic)
    async with opened.db.reading() as session:
        ids = {row.label: row.id for row in await credentials.listed(session) if row.label != "main"}
        main = [row.id for row in await credentials.listed(session) if row.label == "main"]
    health.rest(ids["spare"], "x-1", 30, is_limited=True)

    one_rests = await _explained(opened, health=health)
    for id_ in main:
        health.rest(id_, "x-1", 30, is_limited=True)
    all_rest = await _explained(opened, health=health)

    assert one_rests.passes and "rests for" in one_rests.routes[0].credentials[1].state
    assert not all_rest.passes


async def test_a_key_is_found_by_its_name_or_by_how_it_begins(opened: House):
    async with opened.db.reading() as session:
        key = await explaining.find_key(session, "acme/ci")
        assert (await explaining.find_key(session, key.prefix)).id == key.id
        assert (await explaining.find_key(session, HUB_KEY)).id == key.id
        for unknown in ("acme/cd", "hk-nobody00", "hk-" + "x" * 49):
            with pytest.raises(NotFound) as refused:
                await explaining.find_key(session, unknown)
            assert "x" * 49 not in refused.value.sentence
    await applied(opened, "teams: [{name: twin, keys: [{name: k, secret: hk-test-01xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}]}]")
    async with opened.db.reading() as session:
        with pytest.raises(Conflict, match="2 keys"):
            await explaining.find_key(session, key.prefix)


async def test_the_command_says_it_and_exits_with_one_when_the_call_would_be_refused(
    opened: House, hub_environ: dict[str, str]
):
    hub = HubCommand(hub_environ)

    passing = await asyncio.to_thread(hub, "explain", "acme/ci", "lab/x")
    await _budget(opened, spent=12 * NANO)
    refused = await asyncio.to_thread(hub, "explain", "acme/ci", "lab/x", expect=1)
    as_json = await asyncio.to_thread(hub.json, "explain", "acme/ci", "lab/x", expect=1)

    assert "The call would pass." in passing.stdout and "No budget binds this call." in passing.stdout
    assert "the provider is switched off" in passing.stdout and "20 free" in passing.stdout
    assert "The call would be refused:" in refused.stdout and "10 USD" in refused.stdout
    assert "12" in refused.stdout and "used up" in refused.stdout
    assert as_json["passes"] is False and as_json["budgets"][0]["blocks"] is True
    assert as_json["routes"][0]["price"]["lines"] and as_json["key"]["team"] == "acme"
    assert HUB_KEY not in refused.stdout + str(as_json)


async def test_the_rules_of_a_key_and_of_those_above_it_are_told(opened: House):
    async with opened.db.writing() as session:
        row = await explaining.find_key(session, "acme/ci")
        row.endpoints, row.addresses, row.denied_models = ["embedding"], ["192.0.2.0/24"], ["lab/free"]
        await child_keys.mint(session, opened.pepper, row.id, child_keys.Wish(name="sub"))
        row.disabled_at = clock.now()

    found = await _explained(
        opened, key="acme/ci/sub", task="conversation", address=addresses.address("::ffff:198.51.100.1")
    )

    assert [sentence.partition(" may ")[0] for sentence in found.refusals[:3]] == [
        "The API key ci is switched off.",
        "The API key ci is for embedding; it",
        "The API key ci",
    ]
    assert "from 198.51.100.1" in found.refusals[2]
    assert (found.key.state, found.key.above, found.key.endpoints) == ("disabled", ["ci"], [])
    allowed = await _explained(opened, key="acme/ci", task="embedding", address=addresses.address("192.0.2.7"))
    assert allowed.refusals == ["The API key ci is switched off."]
    assert (allowed.key.denied_models, allowed.key.networks) == (["lab/free"], ["192.0.2.0/24"])
