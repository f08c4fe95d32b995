"""`hub budget`, and budgets in `hub apply` and `hub export`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.base import clock
from app.base.config import read_settings
from app.base.db import Database
from app.base.ids import new_id
from app.base.money import NANO
from app.base.usage import METERS
from app.domain.billing import budgets
from app.domain.calls.models import Call
from app.domain.identity import api_keys, teams
from app.gateway.desk import budgeting
from app.ops import export, house
from app.ops.house import House
from app.ops.marked_yaml import FileRefused
from tests.ops.conftest import HubCommand
from tests.ops.hub_files import applied, planned

KEY = "thisIsTheGivenKeyOfAcme0123456789abcdef"
BASE = f"""\
teams:
  - name: acme
    keys: [{{name: ci, secret: {KEY}, user: Ada@Example.com}}]
  - name: a/b
models:
  - {{model: lab/x, type: chat}}
"""
ALL_SCOPES = (
    BASE
    + """\
budgets:
  - {scope: hub, amount: "1000", unit: cost, window: total, block: true}
  - scope: team
    of: acme
    amount: "50"
    unit: cost
    window: month
    timezone: Europe/Berlin
    warn: [80, 95]
    block: true
  - {scope: project, of: acme/site, amount: 500, unit: calls, window: day}
  - {scope: project, of: a/b/site, amount: 500, unit: calls, window: day}
  - {scope: key, of: acme/ci, amount: 1000000, unit: tokens, window: week, warn: [], block: true}
  - {scope: user, of: Ada@example.com, amount: "2.5", unit: credits, window: day, note: "until spring"}
  - {scope: model, of: lab/x, amount: "7", unit: cost, window: month}
"""
)


@pytest.fixture
async def opened(hub_environ: dict[str, str]) -> AsyncIterator[House]:
    async with house.opened(read_settings(hub_environ)) as hub:
        yield hub


async def _call(db: Database, team_id: str, *, days_ago: float = 0, **fields: object) -> None:
    values = {
        "id": new_id(),
        "boot_id": "boot",
        "team_id": team_id,
        "api_key_id": "key",
        "endpoint": "chat.completions",
        "model": "lab/x",
        "is_streamed": False,
        "status": "succeeded",
        "started_us": clock.now_us() - int(days_ago * 86_400_000_000),
        **dict.fromkeys(METERS, 0),
        **fields,
    }
    async with db.writing() as session:
        session.add(Call(**values))


async def test_a_file_sets_budgets_of_every_scope_and_applied_again_changes_nothing(opened: House):
    lines = await applied(opened, ALL_SCOPES)

    assert "+ budget team acme cost/month: amount 50 USD, timezone Europe/Berlin, warn 80,95, block yes" in lines
    of_ada = next(line for line in lines if line.startswith("+ budget user"))
    assert of_ada.partition(": ")[0] == "+ budget user ada@example.com credits/day"
    assert of_ada.partition(": ")[2] == "amount 2.5 credits, timezone UTC, warn 80,100, block no, note until spring"
    assert await applied(opened, ALL_SCOPES, prune=True) == []
    async with opened.db.reading() as session:
        rules = {rule.scope: rule for rule in await budgets.in_force(session)}
        acme = await teams.get_by_name(session, "acme")
        key = await api_keys.find_by_name(session, acme.id, "ci")
    assert key is not None and key.user_id == rules["user"].scope_id
    assert (rules["team"].scope_id, rules["key"].scope_id) == (acme.id, key.id)
    assert (rules["team"].amount, rules["project"].amount) == (50 * NANO, 500)


async def test_exported_budgets_applied_again_change_nothing(opened: House):
    await applied(opened, ALL_SCOPES)

    exported = await export.document(opened)

    text = export.text(exported).replace("env:HUB_KEY_ACME_CI", KEY)
    assert await applied(opened, text, prune=True) == []
    assert {(one["scope"], one.get("of")) for one in exported["budgets"]} == {
        ("hub", None),
        ("team", "acme"),
        ("project", "acme/site"),
        ("project", "a/b/site"),
        ("key", "acme/ci"),
        ("user", "ada@example.com"),
        ("model", "lab/x"),
    }
    assert exported["teams"][1]["keys"][0]["user"] == "ada@example.com"


async def test_a_changed_budget_keeps_its_spend_and_a_missing_one_goes_only_with_prune(opened: House):
    await applied(opened, ALL_SCOPES)
    async with opened.db.writing() as session:
        (team,) = [rule for rule in await budgets.in_force(session) if rule.scope == "team"]
        (before,) = await budgeting.standings(session, [team], clock.now_us())
        await budgets.set_spent(session, team, before.room.begins_us, 12 * NANO)

    terms = 'amount: "80", unit: cost, window: month, timezone: Europe/Berlin'
    changed = BASE + f"budgets: [{{scope: team, of: acme, {terms}}}]"
    lines = await applied(opened, changed)

    assert lines == ["~ budget team acme cost/month: amount 50 USD → 80 USD, warn 80,95 → 80,100, block yes → no"]
    async with opened.db.reading() as session:
        rules = await budgets.in_force(session)
        (standing,) = await budgeting.standings(
            session, [rule for rule in rules if rule.scope == "team"], clock.now_us()
        )
    assert (len(rules), standing.spend.spent, standing.rule.amount) == (7, 12 * NANO, 80 * NANO)
    pruned = await applied(opened, changed, prune=True)
    assert len(pruned) == 6 and all(line.startswith("- budget ") for line in pruned)


async def test_the_budgets_of_what_is_pruned_end_with_it(opened: House):
    await applied(opened, ALL_SCOPES)

    await applied(opened, "teams: [{name: a/b}]", prune=True)

    async with opened.db.reading() as session:
        scopes = sorted(rule.scope for rule in await budgets.in_force(session))
    assert scopes == ["hub", "model", "project", "user"]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("budget", "fault"),
    [
        ("{scope: team, of: acme, unit: cost, window: day}", "the key amount is missing"),
        ('{scope: galaxy, of: acme, amount: "1", unit: cost, window: day}', '"galaxy" is not possible'),
        ('{scope: team, of: acne, amount: "1", unit: cost, window: day}', 'Did you mean "acme"?'),
        ('{scope: team, amount: "1", unit: cost, window: day}', "must say of which"),
        ('{scope: hub, of: acme, amount: "1", unit: cost, window: day}', "of nothing else"),
        ('{scope: project, of: nobody/site, amount: "1", unit: cost, window: day}', "names no team"),
        ('{scope: key, of: acme/cd, amount: "1", unit: cost, window: day}', 'Did you mean "acme/ci"?'),
        ('{scope: model, of: lab/y, amount: "1", unit: cost, window: day}', 'Did you mean "lab/x"?'),
        ('{scope: user, of: ada, amount: "1", unit: cost, window: day}', "not an e-mail address"),
        ('{scope: hub, amount: "0", unit: cost, window: day}', "more than zero"),
        ("{scope: hub, amount: 1.5, unit: calls, window: day}", "whole number"),
        ('{scope: hub, amount: "1", unit: cost, window: day, timezone: Berlin}', "not a time zone"),
        ('{scope: hub, amount: "1", unit: cost, window: day, warn: [95, 80]}', "must ascend"),
        ('{scope: hub, amount: "1", unit: cost, window: day, warn: []}', "needs a level"),
        (
            '{scope: hub, amount: "1", unit: cost, window: day}, {scope: hub, amount: "2", unit: cost, window: day}',
            "here already",
        ),
    ],
)
async def test_a_budget_that_cannot_be_is_refused_with_its_line(opened: House, budget: str, fault: str):
    with pytest.raises(FileRefused, match="1 fault") as refused:
        await planned(opened, BASE + f"budgets: [{budget}]")
    assert refused.value.faults[0].line == 7 and fault in refused.value.sentence


async def test_a_budget_counts_what_was_spent_before_it_in_its_window_and_scope(opened: House):
    await applied(opened, BASE)
    async with opened.db.reading() as session:
        acme, other = await teams.get_by_name(session, "acme"), await teams.get_by_name(session, "a/b")
        key = await api_keys.find_by_name(session, acme.id, "ci")
    assert key is not None
    money = {"cost_nano": 4 * NANO, "charge_nano": 6 * NANO, "refunded_nano": NANO, "input": 10, "output": 3}
    await _call(opened.db, acme.id, api_key_id=key.id, user_id=key.user_id, project="site", **money)
    await _call(opened.db, acme.id, status="failed")
    await _call(opened.db, acme.id, status="running")
    await _call(opened.db, acme.id, days_ago=40, **money)
    await _call(opened.db, other.id, project="site", model="lab/y", cost_nano=NANO)

    await applied(
        opened,
        BASE
        + """\
budgets:
  - {scope: hub, amount: "100", unit: cost, window: total}
  - {scope: hub, amount: "100", unit: cost, window: day, timezone: Pacific/Kiritimati}
  - {scope: team, of: acme, amount: 100, unit: calls, window: total}
  - {scope: team, of: acme, amount: "100", unit: credits, window: total}
  - {scope: project, of: acme/site, amount: 100, unit: tokens, window: total}
  - {scope: key, of: acme/ci, amount: 100, unit: calls, window: total}
  - {scope: user, of: ada@example.com, amount: 100, unit: calls, window: total}
  - {scope: model, of: lab/x, amount: 100, unit: calls, window: total}
""",
    )

    async with opened.db.reading() as session:
        found = await budgeting.standings(session, await budgets.in_force(session), clock.now_us())
    spent = {(one.rule.scope, one.rule.unit, one.rule.window): one.spend.spent for one in found}
    # Near midnight of that zone the calls of a moment ago may be of yesterday.
    assert spent.pop(("hub", "cost", "day")) in (0, 5 * NANO)
    assert spent == {
        ("hub", "cost", "total"): 9 * NANO,
        ("team", "calls", "total"): 3,
        ("team", "credits", "total"): 10 * NANO,
        ("project", "tokens", "total"): 13,
        ("key", "calls", "total"): 1,
        ("user", "calls", "total"): 1,
        ("model", "calls", "total"): 3,
    }


async def test_a_recount_takes_the_calls_for_the_truth_and_leaves_what_is_held(hub: HubCommand):
    await asyncio.to_thread(hub, "key", "create", "--team", "acme", "--name", "ci")
    made = await asyncio.to_thread(
        hub.json, "budget", "create", "team", "acme", "--amount", "10", "--unit", "calls", "--window", "total"
    )
    assert (made["spent"], made["percent"], made["state"]) == ("0", 0, "has room")
    db = Database(hub.settings)
    async with db.reading() as session:
        acme = await teams.get_by_name(session, "acme")
    for _ in range(9):
        await _call(db, acme.id)
    await db.close()

    counted = await asyncio.to_thread(hub.json, "budget", "recount", made["id"])
    again = await asyncio.to_thread(hub, "budget", "recount", made["id"])

    assert (counted["spent_before"], counted["spent"], counted["percent"]) == ("0", "9", 90)
    assert "That was right" in again.stdout
    assert "no such budget" in (await asyncio.to_thread(hub, "budget", "recount", "x", expect=1)).stderr


def test_budgets_are_made_listed_replaced_and_ended(hub: HubCommand):
    hub("key", "create", "--team", "acme", "--name", "ci", "--user", "Ada@Example.com")
    assert "No budgets yet" in hub("budget", "list").stdout

    said = hub(
        *("budget", "create", "team", "acme", "--amount", "50", "--unit", "cost", "--window", "month"),
        *("--timezone", "Europe/Berlin", "--warn", "80,95", "--block"),
    ).stdout
    assert "team acme may spend 50 cost a month (Europe/Berlin); it blocks." in said
    made = hub.json("budget", "create", "user", "ada@example.com", "--amount", "3", "--unit", "calls")
    raised = hub.json(
        "budget", "create", "user", "ada@example.com", "--amount", "5", "--unit", "calls", "--warn", "50%"
    )

    rows = hub.json("budget", "list")
    assert {(row["scope"], row["of"], row["amount"]) for row in rows} == {
        ("team", "acme", "50"),
        ("user", "ada@example.com", "5"),
    }
    assert raised["warn"] == [50] and raised["window_ends"] is not None
    listed = hub("budget", "list").stdout
    assert "team acme" in listed and "50 cost" in listed and "has room" in listed
    assert hub.json("budget", "end", raised["id"]) == {"id": raised["id"], "was_in_force": True}
    assert "had ended before" in hub("budget", "end", made["id"]).stdout
    assert len(hub.json("budget", "list")) == 1
    assert [row["state"] for row in hub.json("budget", "list", "--all")] == ["ended", "ended", "has room"]
    assert hub.json("key", "list")[0]["user"] == "ada@example.com"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("team", "nobody", "--amount", "1"), 'no team "nobody"'),
        (("key", "acme/cd", "--amount", "1"), "has no key cd"),
        (("project", "site", "--amount", "1"), "names no team"),
        (("model", "lab/x", "--amount", "1"), "no model lab/x"),
        (("user", "bob@example.com", "--amount", "1"), "no user bob"),
        (("hub", "acme", "--amount", "1"), "of nothing else"),
        (("hub", "--amount", "0"), "more than zero"),
        (("hub", "--amount", "1.5", "--unit", "calls"), "Write a whole number"),
        (("hub", "--amount", "1", "--warn", "many"), "not warn levels"),
        (("hub", "--amount", "1", "--timezone", "Moon"), "not a time zone"),
    ],
)
def test_a_budget_that_cannot_be_is_refused_in_one_sentence(hub: HubCommand, arguments: tuple[str, ...], sentence: str):
    hub("key", "create", "--team", "acme", "--name", "ci")

    assert sentence in hub("budget", "create", *arguments, expect=1).stderr
    assert hub.json("budget", "list") == []
