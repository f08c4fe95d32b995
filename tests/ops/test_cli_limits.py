"""`hub limit`, and limits in `hub apply`, `hub export` and `hub doctor`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.base.config import read_settings
from app.domain.calls import limits
from app.ops import export, house
from app.ops.house import House
from app.ops.marked_yaml import FileRefused
from tests.ops.conftest import HubCommand
from tests.ops.hub_files import applied, planned

KEY = "thisIsTheGivenKeyOfAcme0123456789abcdef"
BASE = f"""\
providers:
  - {{name: openai, kind: openai, credentials: [{{label: main, secret: sk-0123456789abcdef}}]}}
teams:
  - name: acme
    keys: [{{name: ci, secret: {KEY}}}]
models:
  - {{model: lab/x, type: chat}}
"""
ALL_SCOPES = (
    BASE
    + """\
limits:
  - {scope: hub, amount: 1000, unit: requests, per: minute}
  - {scope: team, of: acme, amount: 5000000, unit: tokens, per: day, note: agreed in spring}
  - {scope: key, each: true, amount: 60, unit: requests, per: minute}
  - {scope: key, of: acme/ci, amount: 600, unit: requests, per: minute}
  - {scope: user, of: Ada@example.com, amount: 20, unit: streams}
  - {scope: model, of: lab/x, amount: 100, unit: requests, per: minute}
  - {scope: credential, of: openai/main, amount: 3, unit: streams}
"""
)


@pytest.fixture
async def opened(hub_environ: dict[str, str]) -> AsyncIterator[House]:
    async with house.opened(read_settings(hub_environ)) as hub:
        yield hub


async def test_a_file_with_limits_applied_twice_changes_nothing_and_neither_does_what_is_exported(
    opened: House,
) -> None:
    assert await applied(opened, ALL_SCOPES)
    assert await applied(opened, ALL_SCOPES, prune=True) == []

    document = await export.document(opened)
    assert sorted(
        (one["scope"], one.get("of", ""), "each" in one, one["amount"], one.get("per")) for one in document["limits"]
    ) == [
        ("credential", "openai/main", False, 3, None),
        ("hub", "", False, 1000, "minute"),
        ("key", "", True, 60, "minute"),
        ("key", "acme/ci", False, 600, "minute"),
        ("model", "lab/x", False, 100, "minute"),
        ("team", "acme", False, 5000000, "day"),
        ("user", "ada@example.com", False, 20, None),
    ]
    environ = {"HUB_SECRET_OPENAI_MAIN": "sk-0123456789abcdef", "HUB_KEY_ACME_CI": KEY}
    assert await applied(opened, export.text(document), environ=environ, prune=True) == []


async def test_a_changed_amount_is_the_same_limit_and_what_the_file_leaves_out_ends_when_pruning(
    opened: House,
) -> None:
    await applied(opened, ALL_SCOPES)
    fewer = BASE + "limits:\n  - {scope: key, each: true, amount: 61, unit: requests, per: minute}\n"

    assert [str(change.what) for change in (await planned(opened, fewer)).plan.changes] == ["limit"]
    await applied(opened, fewer, prune=True)

    async with opened.db.reading() as session:
        (left,) = await limits.in_force(session)
        assert (left.scope, left.scope_id, left.amount) == ("key", "*", 61)
        assert len(await limits.page(session, limit=100)) == 8


async def test_a_limit_ends_with_what_it_is_of(opened: House) -> None:
    await applied(opened, ALL_SCOPES)
    bare = "providers: []\nteams:\n  - {name: acme, keys: []}\nmodels: []\n"

    await applied(opened, bare, prune=True)

    exported = (await export.document(opened))["limits"]
    assert sorted((one["scope"], one.get("of", "")) for one in exported) == [
        ("hub", ""),
        ("key", ""),
        ("team", "acme"),
        ("user", "ada@example.com"),
    ]


@pytest.mark.parametrize(
    ("limit", "fault"),
    [
        ("{scope: team, of: amce, amount: 1, unit: requests, per: day}", 'there is no team "amce"'),
        ("{scope: key, of: acme/cd, amount: 1, unit: requests, per: day}", 'there is no key "acme/cd"'),
        ("{scope: credential, of: openai/x, amount: 1, unit: streams}", 'there is no credential "openai/x"'),
        ("{scope: key, of: acme/ci, each: true, amount: 1, unit: streams}", "not of both"),
        ('{scope: key, of: "*", amount: 1, unit: streams}', "each: true"),
        ("{scope: hub, of: acme, amount: 1, unit: streams}", "of nothing else"),
        ("{scope: team, of: acme, amount: 0, unit: requests, per: day}", "1 to"),
        ("{scope: team, of: acme, amount: 1, unit: requests}", "per"),
        ("{scope: team, of: acme, amount: 1, unit: streams, per: day}", "at once"),
        ("{scope: team, amount: 1, unit: streams}", "must say of which"),
        ("{scope: team, of: acme, unit: streams}", "amount"),
    ],
)
@pytest.mark.databases("sqlite")
async def test_a_fault_in_a_limit_is_told_with_its_line(opened: House, limit: str, fault: str) -> None:
    with pytest.raises(FileRefused) as refused:
        await planned(opened, f"{BASE}limits:\n  - {limit}\n")
    (told,) = [str(one) for one in refused.value.faults]
    assert fault in told
    assert "hub.yaml:9" in told


def test_limits_are_made_listed_and_ended_by_command(hub: HubCommand) -> None:
    hub("key", "create", "--team", "acme", "--name", "ci")
    made = hub.json("limit", "create", "key", "acme/ci", "--amount", "5")
    each = hub.json("limit", "create", "team", "*", "--amount", "3", "--unit", "streams")

    assert (made["amount"], made["unit"], made["per"]) == (5, "requests", "minute")
    assert (each["each"], each["per"], each["text"]) == (True, "once", "3 calls at once")
    assert {one["id"] for one in hub.json("limit", "list")} == {made["id"], each["id"]}
    text = hub("limit", "list").stdout
    assert "key acme/ci" in text and "5 requests a minute" in text and "each team" in text

    assert hub.json("limit", "end", made["id"]) == {"id": made["id"], "was_in_force": True}
    assert hub.json("limit", "end", made["id"])["was_in_force"] is False
    assert [one["id"] for one in hub.json("limit", "list")] == [each["id"]]
    assert len(hub.json("limit", "list", "--all")) == 2


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("key", "acme/nobody"), "Team acme has no key nobody."),
        (("team",), "must say of which"),
        (("hub", "acme"), "of nothing else"),
        (("credential", "openai/main"), "There is no credential openai/main."),
        (("model", "lab/y"), "There is no model lab/y."),
        (("user", "nobody@example.com"), "nobody@example.com"),
    ],
)
def test_a_limit_of_what_is_not_there_is_refused(hub: HubCommand, asked: tuple[str, ...], told: str) -> None:
    hub("key", "create", "--team", "acme", "--name", "ci")
    assert told in hub("limit", "create", *asked, "--amount", "5", expect=1).stderr


def test_explain_lists_limits_with_what_is_left(hub: HubCommand) -> None:
    hub("seed")
    key = hub.json("key", "list")[0]
    model = hub.json("export")["models"][0]["model"]
    hub("limit", "create", "key", "*", "--amount", "60")

    found = hub.json("explain", f"{key['team']}/{key['name']}", model)

    assert [(one["of"], one["amount"], one["left"]) for one in found["limits"]] == [("each key", 60, 60)]


def test_doctor_says_when_each_process_counts_limits_for_itself(hub: HubCommand) -> None:
    hub.environ |= {"HUB_PORT": "0", "HUB_WORKERS": "4"}

    def found() -> dict[str, str]:
        (one,) = [one for one in hub.json("doctor") if one["check"] == "limits"]
        return one

    assert found()["level"] == "ok"
    hub("key", "create", "--team", "acme", "--name", "ci")
    hub("limit", "create", "key", "*", "--amount", "5")
    assert (found()["level"], "4 processes" in found()["sentence"]) == ("warning", True)
    assert "HUB_REDIS_URL" in found()["mend"]

    hub.environ["HUB_REDIS_URL"] = "redis://127.0.0.1:1/0"
    assert "does not count within 50 ms" in found()["sentence"]
    hub.environ |= {"HUB_WORKERS": "1", "HUB_REDIS_URL": ""}
    assert found()["level"] == "ok"
