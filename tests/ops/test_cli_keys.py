"""`hub key` and `hub create-admin`."""

from __future__ import annotations

import pytest

from app.base.db import Database
from app.domain.identity import links
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
    import asyncio

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
