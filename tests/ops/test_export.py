"""`hub export`: what it prints makes the same hub, and opens nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import yaml

from app.base.config import read_settings
from app.domain.billing import budget_rules
from app.domain.catalog import deployments, rates
from app.domain.identity import api_keys, child_keys, teams
from app.gateway.desk import budgeting
from app.ops import export, house
from app.ops.house import House
from app.ops.marked_yaml import FileRefused
from tests.ops.conftest import HubCommand
from tests.ops.hub_files import AWS_SECRET, ENVIRON, FULL, KEY_SECRET, OPENAI_SECRET, applied, everything

PLACEHOLDERS = {
    "HUB_SECRET_OPENAI_MAIN": OPENAI_SECRET,
    "HUB_SECRET_AWS_MAIN_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "HUB_SECRET_AWS_MAIN_SECRET_ACCESS_KEY": AWS_SECRET,
    "HUB_KEY_ACME_CI": KEY_SECRET,
}


@pytest.fixture
async def opened(hub_environ: dict[str, str]) -> AsyncIterator[House]:
    async with house.opened(read_settings(hub_environ)) as hub:
        yield hub


async def test_an_exported_file_applied_again_changes_nothing(opened: House):
    await applied(opened, FULL)
    before = await everything(opened)

    exported = export.text(await export.document(opened))

    for prune in (False, True):
        assert await applied(opened, exported, prune=prune, environ=PLACEHOLDERS) == []
    assert await everything(opened) == before


async def test_an_empty_hub_exports_an_empty_file(opened: House):
    exported = export.text(await export.document(opened))

    assert yaml.safe_load(exported) == {
        "billing": "off",
        "settings": {},
        "providers": [],
        "models": [],
        "teams": [],
        "budgets": [],
        "limits": [],
    }
    assert await applied(opened, exported, prune=True) == []


async def test_an_exported_file_says_what_the_first_one_said(opened: House):
    await applied(opened, FULL)

    exported = await export.document(opened)

    aws, local, openai = exported["providers"]
    assert openai == {
        "name": "openai",
        "kind": "openai",
        "base_url": "https://api.openai.com/v1",
        "credentials": [{"label": "main", "secret": "env:HUB_SECRET_OPENAI_MAIN", "weight": 70}],
    }
    assert aws["credentials"] == [
        {
            "label": "main",
            "access_key_id": "env:HUB_SECRET_AWS_MAIN_ACCESS_KEY_ID",
            "secret_access_key": "env:HUB_SECRET_AWS_MAIN_SECRET_ACCESS_KEY",
        }
    ]
    assert local == {"name": "local", "kind": "ollama", "credentials": []}
    image, mini = exported["models"]
    assert mini["cost"] == {"input": "0.15", "cache_read": "0.075", "output": "0.6"}
    assert mini["price"] == {"markup_percent": "20"}
    assert image["price"] == {"images": "0.05"}
    _, acme = exported["teams"]
    assert acme == {
        "name": "acme",
        "keep_content_days": 30,
        "members": [{"email": "a@example.com", "role": "admin"}, {"email": "b@example.com", "role": "member"}],
        "credits": "100",
        "keys": [
            {
                "name": "ci",
                "secret": "env:HUB_KEY_ACME_CI",
                "models": ["openai/*"],
                "expires": "2099-01-31",
                "strict": True,
            }
        ],
    }


async def test_what_a_file_cannot_say_stays_as_it_is(opened: House):
    """Rates that differ between routes, a revoked key, an end in the middle of a day."""
    await applied(opened, FULL)
    async with opened.db.writing() as session:
        for number, deployment in enumerate(await deployments.listed(session)):
            await rates.set_card(session, deployment.id, {"input": (number, None)}, "console")
        acme = await teams.get_by_name(session, "acme")
        key, _ = await api_keys.create(session, opened.pepper, team_id=acme.id, name="old", models=["*"])
        await api_keys.revoke(session, acme.id, key.id)
        _, secret = await api_keys.create(
            session,
            opened.pepper,
            team_id=acme.id,
            name="until noon",
            models=["*"],
            expires_at=datetime(2099, 1, 31, 12, 0, 0, 5, UTC),
        )
    before = await everything(opened)

    exported = export.text(await export.document(opened))

    assert "old" not in exported
    environ = PLACEHOLDERS | {"HUB_KEY_ACME_UNTIL_NOON": secret.reveal()}
    assert await applied(opened, exported, prune=True, environ=environ) == []
    assert await everything(opened) == before


async def test_what_keys_may_do_goes_there_and_back_without_the_keys_that_keys_have_made(opened: House):
    file = """
    teams:
      - name: acme
        keys:
          - name: ci
            secret: env:ACME_KEY
            models: ["openai/*"]
            denied_models: ["openai/o1-*"]
            endpoints: [embedding, conversation]
            networks: ["::ffff:10.0.0.0/104", 192.0.2.7, "2001:DB8::/32"]
            enabled: false
    """
    assert await applied(opened, file) and await applied(opened, file, prune=True) == []
    async with opened.db.writing() as session:
        acme = await teams.get_by_name(session, "acme")
        key = await api_keys.find_by_name(session, acme.id, "ci")
        assert key is not None
        await api_keys.set_enabled(session, acme.id, key.id, is_enabled=True)
        child, _ = await child_keys.mint(session, opened.pepper, key.id, child_keys.Wish(name="agent"))
        terms = budget_rules.terms(
            scope="key", scope_id=child.id, unit="calls", amount=5, window="day", timezone="UTC",
            warn_percents=(80,), action="block",
        )  # fmt: skip
        await budgeting.open_budget(session, terms, 1)
        await api_keys.set_enabled(session, acme.id, key.id, is_enabled=False)
    before = await everything(opened)

    exported = await export.document(opened)

    (written,) = exported["teams"][0]["keys"]
    assert (written["endpoints"], written["enabled"]) == (["conversation", "embedding"], False)
    assert written["networks"] == ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]
    assert exported["budgets"] == [] and "agent" not in export.text(exported)
    environ = {"HUB_KEY_ACME_CI": KEY_SECRET}
    assert await applied(opened, export.text(exported), prune=True, environ=environ) == []
    assert await everything(opened) == before
    assert await applied(opened, file.replace("enabled: false", "enabled: true"), prune=True) == [
        "~ key acme/ci: enabled no → yes"
    ]
    assert await applied(opened, "teams: [{name: acme, keys: []}]", prune=True) == [
        "- key acme/ci",
    ]
    assert (await everything(opened))["api_key"] == []


async def test_a_file_does_not_bring_back_the_secret_that_a_key_had_before_it_was_rolled(opened: House):
    file = "teams: [{name: acme, keys: [{name: ci, secret: env:ACME_KEY}]}]"
    await applied(opened, file)
    async with opened.db.writing() as session:
        acme = await teams.get_by_name(session, "acme")
        key = await api_keys.find_by_name(session, acme.id, "ci")
        assert key is not None
        fresh = await api_keys.roll(session, opened.pepper, acme.id, key.id, overlap_hours=0)

    with pytest.raises(FileRefused, match="had before it was rolled"):
        await applied(opened, file)
    assert await applied(opened, file, environ={"ACME_KEY": fresh.reveal()}) == []


async def test_two_names_that_look_alike_get_variables_of_their_own(opened: House):
    await applied(
        opened,
        "providers: [{name: a, kind: openai, credentials: [{label: x-y, secret: s}, {label: x_y, secret: t}]}]",
    )

    (provider,) = (await export.document(opened))["providers"]

    assert [one["secret"] for one in provider["credentials"]] == ["env:HUB_SECRET_A_X_Y", "env:HUB_SECRET_A_X_Y_2"]


def test_the_command_prints_yaml_and_json_of_the_same(hub: HubCommand):
    hub.environ |= ENVIRON
    hub("apply", "-", input=FULL)

    assert yaml.safe_load(hub("export").stdout) == hub.json("export")
