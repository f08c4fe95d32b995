"""`hub key` and `hub create-admin`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select

from app.base.db import Database
from app.domain.identity import links
from app.domain.identity.models import AuditEvent
from tests.ops.conftest import HubCommand


def test_a_new_key_is_printed_once_and_never_listed(hub: HubCommand) -> None:
    key = hub("key", "create", "--team", "acme", "--name", "ci").stdout.splitlines()[-1]

    assert key.startswith("hk-") and len(key) == 52
    listed = hub("key", "list")
    assert "acme" in listed.stdout and "ci" in listed.stdout and "active" in listed.stdout
    assert key not in listed.stdout
    assert key[:10] in listed.stdout


def test_a_key_can_be_narrowed_to_models_and_a_time(hub: HubCommand) -> None:
    made = hub.json(
        "key", "create", "--team", "acme", "--name", "ci", "-m", "openai/*", "-m", "lab/x", "--expires", "2020-01-01"
    )

    assert made["models"] == ["openai/*", "lab/x"]
    assert made["expires_at"] == "2020-01-01T00:00:00Z"
    assert hub.json("key", "list")[0]["state"] == "expired"
    assert "key" not in hub.json("key", "list")[0]


def test_a_team_has_one_key_of_a_name(hub: HubCommand) -> None:
    hub("key", "create", "--team", "acme", "--name", "ci")

    assert "already has a key" in hub("key", "create", "--team", "acme", "--name", "ci", expect=1).stderr
    hub("key", "create", "--team", "globex", "--name", "ci")
    assert {(row["team"], row["name"]) for row in hub.json("key", "list")} == {("acme", "ci"), ("globex", "ci")}
    assert len(hub.json("key", "list", "--team", "acme")) == 1


def test_a_revoked_key_stays_in_the_list(hub: HubCommand) -> None:
    hub("key", "create", "--team", "acme", "--name", "ci")

    assert hub.json("key", "revoke", "--team", "acme", "--name", "ci")["state"] == "revoked"
    assert hub.json("key", "list")[0]["state"] == "revoked"


@pytest.mark.databases("sqlite")
def test_a_key_or_team_that_is_not_there_is_said(hub: HubCommand) -> None:
    assert "no team nobody" in hub("key", "list", "--team", "nobody", expect=1).stderr
    assert "no team nobody" in hub("key", "revoke", "--team", "nobody", "--name", "ci", expect=1).stderr
    hub("key", "create", "--team", "acme", "--name", "ci")
    assert "no key other" in hub("key", "revoke", "--team", "acme", "--name", "other", expect=1).stderr


async def test_create_admin_gives_a_link_that_signs_in_once(hub: HubCommand) -> None:
    made = await asyncio.to_thread(hub.json, "create-admin", "Ada@Example.com")

    assert made["email"] == "ada@example.com"
    address, _, token = made["link"].rpartition("/")
    assert address == "http://127.0.0.1:8080/sign-in"
    db = Database(hub.settings)
    async with db.writing() as session:
        user = await links.use(session, token)
    assert (user.email, user.hub_role) == ("ada@example.com", "owner")
    with pytest.raises(links.LinkRefused):
        async with db.writing() as session:
            await links.use(session, token)
    await db.close()


@pytest.mark.databases("sqlite")
def test_create_admin_changes_the_role_of_who_is_there(hub: HubCommand) -> None:
    hub("create-admin", "ada@example.com")

    assert hub.json("create-admin", "ada@example.com", "--role", "admin")["role"] == "admin"
    assert "not an e-mail address" in hub("create-admin", "ada", expect=1).stderr


def test_what_a_key_may_do_is_told_and_can_be_switched_off_and_on(hub: HubCommand) -> None:
    made = hub.json(
        "key", "create", "--team", "acme", "--name", "ci", "-m", "openai/*", "--deny", "openai/o1*",
        "--endpoint", "embedding", "--endpoint", "conversation", "--network", "10.0.0.0/8",
        "--network", "::ffff:1.2.3.4", "--service",
    )  # fmt: skip

    assert (made["kind"], made["user"], made["last_used_at"]) == ("service", None, None)
    assert (made["denied_models"], made["endpoints"]) == (["openai/o1*"], ["conversation", "embedding"])
    assert made["networks"] == ["10.0.0.0/8", "1.2.3.4/32"]
    shown = hub("key", "show", "acme/ci").stdout
    assert all(word in shown for word in ("openai/o1*", "conversation embedding", "1.2.3.4/32", "never", "service"))
    assert hub.json("key", "disable", "acme/ci")["state"] == "disabled"
    assert hub.json("key", "list")[0]["state"] == "disabled"
    assert hub.json("key", "disable", "acme/ci")["state"] == "disabled"
    assert hub.json("key", "enable", "acme/ci")["state"] == "active"
    assert [event["action"] for event in _events(hub)] == ["team.create", "key.create", "key.disable", "key.enable"]


@pytest.mark.databases("sqlite")
def test_a_key_that_cannot_be_is_refused(hub: HubCommand) -> None:
    new = ("key", "create", "--team", "acme", "--name", "ci")

    assert "bits beyond" in hub(*new, "--network", "10.0.0.1/8", expect=1).stderr
    assert "not a network" in hub(*new, "--network", "example.com", expect=1).stderr
    assert "person's" in hub(*new, "--service", "--user", "ada@example.com", expect=1).stderr
    assert hub.json("key", "list") == []
    assert hub.json(*new, "--user", "ada@example.com")["kind"] == "user"


def test_a_key_is_rolled_and_the_old_secret_is_said_to_work_for_a_while(hub: HubCommand) -> None:
    first = hub.json("key", "create", "--team", "acme", "--name", "ci")["key"]

    rolled = hub.json("key", "roll", "acme/ci", "--overlap", "1")

    assert rolled["key"] != first and rolled["old_secret_until"] is not None and rolled["prefix"] == rolled["key"][:10]
    found = json.loads(hub("key", "check", "--json", input=f"{first}\n\nnothing\n{rolled['key']}\n").stdout)
    assert [(row["line"], row["name"], row["is_old_secret"]) for row in found] == [(1, "ci", True), (4, "ci", False)]
    assert hub.json("key", "roll", "acme/ci", "--overlap", "0")["old_secret_until"] is None
    assert "hk-" in hub("key", "roll", "acme/ci").stdout.splitlines()[-1]


def test_leaked_keys_are_named_and_can_be_revoked_at_once(hub: HubCommand) -> None:
    leaked = hub.json("key", "create", "--team", "acme", "--name", "ci")["key"]
    hub("key", "create", "--team", "acme", "--name", "other")

    told = hub("key", "check", input=f"{leaked}\n").stdout
    assert "acme/ci" in told and "hub key revoke acme/ci" in told and leaked not in told
    assert "None of them" in hub("key", "check", input="hk-nobody\n").stdout

    assert "revoked" in hub("key", "check", "--revoke", input=f"{leaked}\n").stdout
    assert {row["name"]: row["state"] for row in hub.json("key", "list")} == {"ci": "revoked", "other": "active"}
    assert "was revoked" in hub("key", "roll", "acme/ci", expect=1).stderr


def _events(hub: HubCommand) -> list[dict[str, Any]]:
    """Of the audit trail, oldest first."""

    async def read() -> list[dict[str, Any]]:
        db = Database(hub.settings)
        async with db.reading() as session:
            rows = await session.scalars(select(AuditEvent).order_by(AuditEvent.seq))
            found = [{"action": row.action, "after": row.after} for row in rows]
        await db.close()
        return found

    return asyncio.run(read())
