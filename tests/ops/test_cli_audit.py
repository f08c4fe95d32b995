"""`hub audit`, and that no command changes the hub without a word in the trail."""

from __future__ import annotations

import ast
import asyncio
import csv
import getpass
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rich_click as click
from click.testing import CliRunner, Result
from msgspec.structs import replace
from sqlalchemy import select, text

from app.adapters.prices import feed
from app.adapters.providers.registry import KINDS
from app.base import clock
from app.base.config import read_settings
from app.base.secret import Secret
from app.domain.catalog import credentials
from app.domain.identity import audit, links, users
from app.domain.identity.models import AuditEvent, Team
from app.ops import cli, first_start, house, trail
from app.ops.house import House
from tests.billed_calls import fill
from tests.domain.billing.ledger_desk import opened_desk
from tests.domain.catalog.bundles import raw
from tests.emulators.handle import Upstream, running_upstream
from tests.ops.conftest import HubCommand
from tests.ops.hub_files import AWS_SECRET, ENVIRON, FULL, KEY_SECRET, OPENAI_SECRET, everything

APP = Path(__file__).resolve().parents[2] / "app"

READS = frozenset(
    {
        "hub audit list",
        "hub audit show",
        "hub audit verify",
        "hub budget list",
        "hub calls show",
        "hub calls tail",
        "hub credits balance",
        "hub credits list",
        "hub doctor",
        "hub explain",
        "hub key list",
        "hub key show",
        "hub limit list",
        "hub prices diff",
        "hub prices notices",
        "hub prices what-if",
        "hub provider list",
        # What it says is what the hub has recorded of the call already.
        "hub receipt",
        "hub reprice list",
        "hub reprice preview",
        "hub settings get",
        "hub settings list",
        "hub verify",
        "hub voucher list",
    }
)
"""Commands that change nothing."""

WRITES = {
    "hub apply": {
        "provider.add",
        "provider.change",
        "provider.remove",
        "credential.add",
        "credential.change",
        "model.add",
        "alias.add",
        "route.add",
        "rates.add",
        "team.create",
        "member.add",
        "key.create",
        "credits.grant",
        "settings.set",
        "budget.create",
        "budget.end",
    },
    "hub audit export": {"audit.export"},
    "hub budget create": {"budget.create"},
    "hub budget end": {"budget.end"},
    "hub budget recount": {"budget.recount"},
    "hub create-admin": {"user.let_in"},
    "hub credits deduct": {"credits.deduct"},
    "hub credits freeze": {"credits.freeze"},
    "hub credits grant": {"credits.grant"},
    "hub credits line": {"credits.line"},
    "hub credits refund": {"call.refund"},
    "hub credits unfreeze": {"credits.unfreeze"},
    "hub export": {"hub.export"},
    "hub key check": {"key.revoke"},
    "hub key create": {"key.create", "team.create"},
    "hub key disable": {"key.disable"},
    "hub key enable": {"key.enable"},
    "hub key revoke": {"key.revoke"},
    "hub key roll": {"key.roll"},
    "hub limit create": {"limit.create"},
    "hub limit end": {"limit.end"},
    "hub migrate": {"hub.migrate"},
    "hub prices apply": {"prices.apply"},
    "hub prices import": {"prices.import"},
    "hub prices refresh": {"prices.refresh"},
    "hub provider adopt": {"provider.adopt"},
    "hub provider check": {"credential.enable"},
    "hub reprice apply": {"prices.reprice"},
    "hub reprice revert": {"prices.revert"},
    "hub rotate-master-key": {"master_key.rotate"},
    "hub seed": {"seed.people", "seed.catalogue"},
    "hub serve": {"team.create", "key.create", "user.create", "user.let_in"},
    "hub settings set": {"settings.set"},
    "hub shell": {"shell.open"},
    "hub voucher disable": {"voucher.disable"},
    "hub voucher make": {"voucher.make"},
    "hub voucher redeem": {"voucher.redeem"},
}
"""Commands that change something, and the actions that they record."""

ELSEWHERE = {"hub serve", "hub migrate", "hub apply"}
"""They have tests of their own below."""

MAY_WRITE = {"doctor_hub.py", "house.py", "jobs.py", "rotation.py", "trail.py"}
"""What opens a writing session of its own in `app/ops`: the hub's secrets, its jobs, and the batches of a rotation."""


def _leaves(command: click.Command, path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _leaves(found, f"{path} {name}")
    else:
        yield path


def test_of_every_command_it_is_known_whether_it_writes_and_what_it_records() -> None:
    assert sorted([*READS, *WRITES]) == sorted(_leaves(cli.hub, "hub"))


def test_commands_change_things_only_where_the_trail_is_told() -> None:
    openers = {
        path.name
        for path in (APP / "ops").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "writing"
    }

    assert openers <= MAY_WRITE


async def test_a_change_that_says_nothing_is_undone(hub_environ: dict[str, str]) -> None:
    async with house.opened(read_settings(hub_environ)) as hub:
        with pytest.raises(RuntimeError, match="told the audit trail nothing"):
            async with hub.changing() as deed:
                await users.ensure(deed.session, "eve@example.com")

        async with hub.db.reading() as session:
            assert await users.find(session, "eve@example.com") is None
            assert (await session.scalars(select(AuditEvent))).all() == []


class Walk:
    """Runs commands one after another and looks at what each has changed and recorded."""

    def __init__(self, hub: HubCommand) -> None:
        self.hub = hub
        self.done: dict[str, set[str]] = {}

    def __call__(self, *words: str, expect: int | None = 0, input: str | None = None) -> Result:
        path = max((path for path in (*READS, *WRITES) if " ".join(("hub", *words)).startswith(path)), key=len)
        before, seen = self._state()
        result = CliRunner().invoke(cli.hub, words, env=self.hub.environ, input=input, catch_exceptions=False)
        assert expect is None or result.exit_code == expect, result.output
        after, events = self._state()
        new = events[len(seen) :]
        actions = {event.action for event in new}
        assert (before != after) <= bool(new), f"{path} changed something and recorded nothing"
        assert actions <= WRITES.get(path, set()), f"{path} recorded {actions}"
        for event in new:
            assert (event.actor_kind, event.actor, event.source) == ("command", trail.command_actor().name, "shell")
        self.done.setdefault(path, set()).update(actions)
        return result

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").stdout)

    def _state(self) -> tuple[dict[str, Any], list[AuditEvent]]:
        async def look() -> tuple[dict[str, Any], list[AuditEvent]]:
            async with house.opened(self.hub.settings) as opened:
                state: dict[str, Any] = await everything(opened)
                async with opened.db.reading() as session:
                    events = list((await session.scalars(select(AuditEvent).order_by(AuditEvent.seq))).all())
                # The one is looked at by itself, the other follows from the rest.
                del state["audit_event"], state["snapshot_revision"]
                # Made when it is first asked for.
                state["hub_setting"] = [row for row in state["hub_setting"] if row.key != "receipts.key"]
                for name in ("master.key", "prices.json"):
                    path = opened.settings.data_dir / name
                    state[name] = path.read_bytes() if path.exists() else None
                return state, events

        return asyncio.run(look())


@pytest.fixture(scope="module")
def the_upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture
def upstream(the_upstream: Upstream, monkeypatch: pytest.MonkeyPatch, without_ollama: None) -> Upstream:
    """The network: the address of OpenAI leads to the upstream of the tests."""
    the_upstream.reset()
    openai = replace(KINDS["openai"], base_url=the_upstream.base_url("openai"))  # type: ignore[arg-type]
    monkeypatch.setitem(KINDS, "openai", openai)
    return the_upstream


@pytest.mark.timeout(280)
def test_every_command_that_writes_says_so_and_no_secret_gets_into_the_trail(
    hub: HubCommand, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub("settings", "list")
    call_id = _with_books(hub)
    walk = Walk(hub)
    secrets = [upstream.key("openai"), "canary-in-python-code-0001"]

    # Reading.
    for words in (
        ("settings", "list"),
        ("settings", "get", "markup"),
        ("credits", "balance", "acme"),
        ("credits", "list", "acme"),
        ("calls", "tail"),
        ("calls", "show", call_id),
        ("receipt", call_id),
        ("prices", "notices"),
        ("prices", "what-if"),
        ("key", "list"),
        ("budget", "list"),
        ("limit", "list"),
        ("voucher", "list"),
        ("provider", "list"),
        ("reprice", "list"),
        ("verify",),
        ("audit", "list"),
        ("audit", "verify"),
    ):
        walk(*words)
    walk("doctor", expect=None)

    # Money.
    walk("settings", "set", "billing", "credits")
    walk("settings", "set", "billing", "credits")
    walk("credits", "grant", "acme", "5", "--reason", "welcome")
    walk("credits", "deduct", "acme", "1", "--reason", "a mistake")
    walk("credits", "freeze", "acme")
    walk("credits", "unfreeze", "acme")
    walk("credits", "line", "acme", "10")
    walk("credits", "refund", call_id, "--reason", "It was slow.")
    codes = walk.json("voucher", "make", "spring", "3", "--count", "2")["codes"]
    secrets += codes
    walk("voucher", "redeem", codes[0], "acme")
    walk("voucher", "disable", "spring")
    budget = walk.json("budget", "create", "team", "acme", "--amount", "50")["id"]
    walk("budget", "recount", budget)
    walk("budget", "end", budget)
    walk("budget", "end", budget)
    limit = walk.json("limit", "create", "team", "acme", "--amount", "50")["id"]
    walk("limit", "end", limit)

    # Who may call what.
    link = walk.json("create-admin", "ada@example.com")["link"]
    another = walk.json("create-admin", "ada@example.com", "--role", "admin")["link"]
    key = walk.json("key", "create", "--team", "new", "--name", "ci")["key"]
    rolled = walk.json("key", "roll", "new/ci", "--overlap", "1")["key"]
    secrets += [link.rpartition("/")[2], another.rpartition("/")[2], key, rolled]
    for verb in ("show", "disable", "disable", "enable", "revoke", "revoke"):
        walk("key", verb, "new/ci")
    found = walk.json("key", "create", "--team", "new", "--name", "found")["key"]
    secrets.append(found)
    walk("key", "check", input=f"{found}\n")
    walk("key", "check", "--revoke", input=f"{found}\n")
    hub.environ["OPENAI_API_KEY"] = upstream.key("openai")
    walk("provider", "adopt", "openai")
    walk("explain", "acme/none", "openai/gpt-4o-mini", expect=None)
    _disable_credentials(hub)
    walk("provider", "check", "openai")
    walk("provider", "check", "openai", "--enable")

    # Prices.
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(raw({"model": "gpt-4o-mini", "cost_nano": 7}, version="2999-01-01"))
    walk("prices", "import", str(bundle))
    walk("prices", "diff", str(bundle))
    walk("prices", "apply", str(bundle), "--yes")
    hub.environ["HUB_PRICES_URL"] = "https://ada:canary-in-an-address@prices.example/bundle.json"
    secrets.append("canary-in-an-address")
    _feed(monkeypatch, raw({}, version="2999-02-01"))
    walk("prices", "refresh")
    walk("prices", "refresh")
    walk("reprice", "preview", "--markup", "20")
    walk("reprice", "apply", "dearer", "--markup", "20", "--yes")
    walk("reprice", "revert", "dearer")

    # All of it.
    walk("seed", "--calls", "3", "--force")
    walk("export")
    walk("audit", "show", "1")
    walk("audit", "export", str(tmp_path / "trail.jsonl"))
    walk("shell", "-c", "result = 'canary-in-python-code-0001'")
    old = _master_keys(hub)
    monkeypatch.setattr("app.ops.rotation.SERVERS_RELOAD_SECONDS", 0)
    walk("rotate-master-key")
    secrets += [*old, *_master_keys(hub)]

    assert sorted(walk.done.keys() | ELSEWHERE) == sorted([*READS, *WRITES])
    for path, actions in WRITES.items():
        assert path in ELSEWHERE or walk.done[path] == actions, path
    assert len(set(secrets)) >= 12
    _assert_nowhere(hub, secrets)
    assert hub.json("audit", "verify")["ok"] is True


def test_an_applied_file_is_recorded_change_by_change_without_its_secrets(hub: HubCommand, tmp_path: Path) -> None:
    hub.environ |= ENVIRON
    file = tmp_path / "hub.yaml"
    budgets = "budgets:\n  - {scope: team, of: acme, amount: '5', unit: cost, window: month}\n"
    file.write_text(FULL.replace("billing: off", "billing: credits") + budgets)
    hub("apply", str(file))
    added = _events(hub)
    hub("apply", str(file))
    assert len(_events(hub)) == len(added)

    file.write_text(file.read_text().replace("api.openai.com", "eu.api.openai.com").replace(budgets, "budgets: []\n"))
    hub.environ["OPENAI_API_KEY"] = OPENAI_SECRET[::-1]
    text_ = file.read_text().replace("  - name: local\n    kind: ollama\n", "")
    file.write_text(text_.replace('      - {provider: local, upstream_model: "llama3:8b", priority: 1}\n', ""))
    hub("apply", str(file), "--prune", "--yes")

    events = _events(hub)
    assert {event["action"] for event in events} >= WRITES["hub apply"]
    by_what = {(event["action"], event["object"]): event for event in events}
    changed = by_what["provider.change", "openai"]
    assert changed["before"] == {"base_url": "https://api.openai.com/v1"}
    assert changed["after"] == {"base_url": "https://eu.api.openai.com/v1"}
    secret = by_what["credential.change", "openai/main"]
    assert secret["after"] == {"secret": "•••"} and len(secret["object_id"]) == 32
    team = by_what["team.create", "acme"]
    for action, name in (("key.create", "acme/ci"), ("member.add", "acme/b@example.com"), ("credits.grant", "acme")):
        assert by_what[action, name]["team_id"] == team["object_id"]
    assert by_what["settings.set", "billing"]["after"] == {"billing": "credits"}
    _assert_nowhere(hub, [OPENAI_SECRET, OPENAI_SECRET[::-1], AWS_SECRET, KEY_SECRET, "AKIAIOSFODNN7EXAMPLE"])


def test_a_plan_that_is_only_looked_at_or_refused_records_nothing(hub: HubCommand, tmp_path: Path) -> None:
    hub.environ |= ENVIRON
    file = tmp_path / "hub.yaml"
    file.write_text(FULL)

    hub("apply", str(file), "--dry-run")
    file.write_text(FULL.replace("kind: ollama", "kind: nothing"))
    hub("apply", str(file), expect=1)

    assert _events(hub) == []


async def test_the_first_start_is_recorded_and_later_ones_only_for_the_link_they_make(
    hub_environ: dict[str, str],
) -> None:
    async with house.opened(read_settings(hub_environ)) as hub:
        greeting = await first_start.greet(hub)
        assert [event.action for event in await _rows(hub)] == [
            "team.create",
            "key.create",
            "user.create",
            "user.let_in",
        ]
        await first_start.greet(hub)
        rows = await _rows(hub)
        assert [event.action for event in rows[4:]] == ["user.let_in"]
        async with hub.db.writing() as session:
            owner = await users.first_owner(session)
            assert owner is not None
            await links.use(session, (await links.create(session, owner.id)).reveal())
        await first_start.greet(hub)
        assert len(await _rows(hub)) == 5

    assert greeting.sign_in is not None and greeting.curl is not None
    shown = "".join(f"{event.object}{event.after}" for event in rows)
    assert greeting.sign_in.rpartition("/")[2] not in shown
    assert greeting.curl.partition("Bearer ")[2][:20] not in shown


@pytest.mark.databases("sqlite")
def test_a_migration_of_a_hub_that_was_there_is_recorded(hub: HubCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = iter((["0001", "0002"], [], ["0006", "0007"]))

    async def as_if(_settings: object) -> list[str]:
        return next(runs)

    monkeypatch.setattr("app.base.migrations.upgrade", as_if)
    for _ in range(3):
        hub("migrate")

    (event,) = _events(hub)
    assert (event["action"], event["after"]) == ("hub.migrate", {"revisions": ["0006", "0007"]})


def test_the_trail_is_listed_filtered_shown_exported_and_verified(hub: HubCommand, tmp_path: Path) -> None:
    hub("key", "create", "--team", "acme", "--name", "ci")
    hub("key", "create", "--team", "globex", "--name", "ci")
    hub("settings", "set", "markup", "20")
    hub("key", "revoke", "--team", "acme", "--name", "ci")

    listed = hub.json("audit", "list")
    assert [event["action"] for event in listed] == [
        "key.revoke",
        "settings.set",
        "key.create",
        "team.create",
        "key.create",
        "team.create",
    ]
    assert [event["seq"] for event in hub.json("audit", "list", "--team", "acme", "--action", "key")] == [6, 2]
    assert [event["seq"] for event in hub.json("audit", "list", "--object", "setting:markup")] == [5]
    assert [event["seq"] for event in hub.json("audit", "list", "--text", "GLOBEX")] == [4, 3]
    assert [event["seq"] for event in hub.json("audit", "list", "--before", "3", "--limit", "1")] == [2]
    assert hub.json("audit", "list", "--actor", "nobody-of-that-name") == []
    assert hub.json("audit", "list", "--until", "2020-01-01") == []
    table = hub("audit", "list", "--action", "settings").stdout
    assert "settings.set" in table and "markup: 0 → 20" in table and trail.command_actor().name in table
    assert "No such events." in hub("audit", "list", "--from", "2999-01-01").stdout
    assert "at most 64" in hub("audit", "list", "--text", "x" * 65, expect=1).stderr

    shown = hub.json("audit", "show", "5")
    assert (shown["before"], shown["after"], shown["source"]) == ({"markup": "0"}, {"markup": "20"}, "shell")
    assert "after: markup" in hub("audit", "show", "5").stdout
    assert "no event 99" in hub("audit", "show", "99", expect=1).stderr

    for name in ("trail.jsonl", "trail.csv"):
        told = hub.json("audit", "export", str(tmp_path / name), "--action", "key")
        assert told == {"file": str(tmp_path / name), "format": name.partition(".")[2], "events": 3}
    lines = [json.loads(line) for line in (tmp_path / "trail.jsonl").read_text().splitlines()]
    assert lines == [event for event in reversed(listed) if event["action"].startswith("key")]
    with (tmp_path / "trail.csv").open(newline="") as file:
        assert [row["seq"] for row in csv.DictReader(file)] == [str(line["seq"]) for line in lines]
    assert hub("audit", "export", "-", "--object", "setting").stdout.count("\n") == 1

    head = hub.json("audit", "list", "--limit", "1")[0]
    assert head["action"] == "audit.export" and head["after"] == {"format": "jsonl", "object_": "setting"}
    assert hub.json("audit", "verify") == {
        "ok": True,
        "events": 9,
        "head": f"{head['seq']}:{head['hash']}",
        "findings": [],
    }
    assert "the chain holds" in hub("audit", "verify").stdout


def test_an_event_that_is_taken_out_fails_both_checks_of_the_trail(hub: HubCommand) -> None:
    for team in ("acme", "globex"):
        hub("key", "create", "--team", team, "--name", "ci")
    assert hub.json("verify")["checked"]["audit_event"] == 4

    _run_sql(hub, "DELETE FROM audit_event WHERE seq = 2")

    told = json.loads(hub("audit", "verify", "--json", expect=1).stdout)
    assert (told["ok"], told["findings"][0]["check"], told["findings"][0]["key"]) == (False, "seq", "3")
    assert "seq: audit_event 3 says 3, and should 2." in hub("audit", "verify", expect=1).stderr
    first = json.loads(hub("verify", expect=1).stdout)["first"]
    assert (first["table"], first["key"]) == ("audit_event", "3")


def test_the_actor_of_a_command_is_the_user_of_the_machine_and_not_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = trail.command_actor().name
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "mallory")
    assert getpass.getuser() == "mallory"

    assert trail.command_actor() == audit.Actor("command", name)


def _with_books(hub: HubCommand) -> str:
    """A team acme with credits and a call that can be refunded; gives its id."""

    async def work() -> str:
        async with opened_desk(hub.environ) as desk:
            billed = await fill(desk)
            async with desk.db.writing() as session:
                for name in ("acme", "globex"):
                    session.add(Team(id=name, name=name, markup_basis_points=None, created_at=clock.now()))
            return billed.long

    return asyncio.run(work())


def _disable_credentials(hub: HubCommand) -> None:
    async def work() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            for row in await credentials.listed(session):
                await credentials.disable(session, row.id, "It was refused.")

    asyncio.run(work())


def _feed(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    async def fetch(url: str, *, max_bytes: int) -> bytes:
        return answer

    monkeypatch.setattr(feed, "fetch", fetch)


def _master_keys(hub: HubCommand) -> list[str]:
    lines = (hub.settings.data_dir / "master.key").read_text().splitlines()
    return [line.strip() for line in lines if len(line.strip()) > 20]


def _events(hub: HubCommand) -> list[Any]:
    """As `hub audit list` tells them, oldest first."""
    return hub.json("audit", "list", "--limit", "1000")[::-1]


async def _rows(hub: House) -> list[AuditEvent]:
    async with hub.db.reading() as session:
        return list((await session.scalars(select(AuditEvent).order_by(AuditEvent.seq))).all())


def _run_sql(hub: HubCommand, statement: str) -> None:
    async def work() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            await session.execute(text(statement))

    asyncio.run(work())


def _assert_nowhere(hub: HubCommand, secrets: list[str]) -> None:
    """None of them is in any event, whole or as its hash."""

    async def read() -> str:
        async with house.opened(hub.settings) as opened:
            return repr([[getattr(row, name) for name in audit.COLUMNS] for row in await _rows(opened)])

    told = asyncio.run(read())
    for secret in secrets:
        assert secret not in told
        assert hashlib.sha256(secret.encode()).hexdigest() not in told


def test_a_secret_in_a_deed_is_masked_by_its_type(hub: HubCommand) -> None:
    async def work() -> list[AuditEvent]:
        async with house.opened(hub.settings) as opened:
            async with opened.changing() as deed:
                deed.tell("hub.test", "hub", "hub", "hub", after={"anything": Secret("canary-of-a-type")})
            return await _rows(opened)

    (event,) = asyncio.run(work())
    assert event.after == '{"anything":"•••"}'
