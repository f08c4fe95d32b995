"""`hub apply`: the plan says what happens, it happens whole or not at all, and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from app.base import clock
from app.base.config import read_settings
from app.base.errors import BadValue, Conflict
from app.base.ids import new_id
from app.base.money import NANO
from app.base.usage import METERS
from app.domain.billing import balances, grants
from app.domain.calls.models import Call
from app.domain.catalog import credentials, deployments, providers, rates, settings
from app.domain.catalog.models import Credential, Rate
from app.domain.identity import api_keys, teams
from app.ops import apply, house
from app.ops.house import House
from app.ops.marked_yaml import FileRefused
from tests.ops.hub_files import (
    ENVIRON,
    FULL,
    KEY_SECRET,
    OPENAI_SECRET,
    applied,
    everything,
    planned,
)


@pytest.fixture
async def opened(hub_environ: dict[str, str]) -> AsyncIterator[House]:
    async with house.opened(read_settings(hub_environ)) as hub:
        yield hub


async def test_a_file_makes_the_hub_as_it_says(opened: House):
    lines = await applied(opened, FULL)

    assert lines == [
        "+ provider openai: kind openai, base_url https://api.openai.com/v1",
        "+ credential openai/main: secret set, weight 70",
        "+ provider aws: kind bedrock, region us-east-1",
        "+ credential aws/main: secret set, weight 100",
        "+ provider local: kind ollama",
        "+ model openai/gpt-4o-mini: type chat, markup_percent 20",
        "+ alias gpt-4o-mini: of openai/gpt-4o-mini",
        "+ alias mini: of openai/gpt-4o-mini",
        "+ route openai/gpt-4o-mini via openai:gpt-4o-mini: weight 100, priority 0",
        "+ route openai/gpt-4o-mini via local:llama3:8b: weight 100, priority 1",
        "+ rates openai/gpt-4o-mini via openai:gpt-4o-mini: input cost 0.15, cache_read cost 0.075, output cost 0.6",
        "+ rates openai/gpt-4o-mini via local:llama3:8b: input cost 0.15, cache_read cost 0.075, output cost 0.6",
        "+ model openai/dall-e-3: type image",
        "+ route openai/dall-e-3 via openai:dall-e-3: weight 100, priority 0",
        "+ rates openai/dall-e-3 via openai:dall-e-3: images cost 0.04, images price 0.05",
        "+ team acme: keep_content_days 30",
        "+ member acme/a@example.com: role admin",
        "+ member acme/b@example.com: role member",
        "~ credits acme: granted by files 0 → 100",
        "+ key acme/ci: secret set, models openai/*, expires 2099-02-01T00:00:00Z, strict yes",
        "+ team Research & Co",
    ]
    async with opened.db.reading() as session:
        openai = await providers.find_by_name(session, "openai")
        assert openai is not None
        (main,) = await credentials.listed(session, openai.id)
        assert credentials.reveal(opened.vault, main)["secret"].reveal() == OPENAI_SECRET
        acme = await teams.get_by_name(session, "acme")
        key = await api_keys.find_by_name(session, acme.id, "ci")
        assert key is not None and key.digest == api_keys.digest(opened.pepper, KEY_SECRET)
        assert await grants.granted_by_file(session) == {acme.id: 100 * NANO}


@pytest.mark.parametrize("prune", [False, True])
async def test_applied_again_nothing_changes_and_no_row_is_touched(opened: House, prune: bool):
    await applied(opened, FULL)
    before = await everything(opened)

    assert await applied(opened, FULL, prune=prune) == []
    assert await everything(opened) == before


async def test_what_changed_in_the_file_is_told_field_by_field(opened: House):
    await applied(opened, FULL)
    changed = (
        FULL.replace("billing: off", "billing: credits")
        .replace("https://api.openai.com/v1/", "https://proxy.example.com/v1")
        .replace("weight: 70", "weight: 50")
        .replace("us-east-1", "eu-west-1")
        .replace("priority: 1", "weight: 5")
        .replace('"0.60"', '"0.70"')
        .replace('cache_read: "0.075", ', "")
        .replace('markup_percent: "20"', 'markup_percent: "12.5"')
        .replace("type: image", "type: video")
        .replace("role: admin", "role: member")
        .replace('credits: "100"', 'credits: "80.5"')
        .replace('models: ["openai/*"], expires: 2099-01-31, strict: true', 'models: ["*"]')
        .replace("keep_content_days: 30", "keep_content_days: 0")
    )

    lines = await applied(opened, changed, environ=ENVIRON | {"OPENAI_API_KEY": "sk-another"})

    assert lines == [
        "~ hub billing: mode off → credits",
        "~ provider openai: base_url https://api.openai.com/v1 → https://proxy.example.com/v1",
        "~ credential openai/main: secret changed, weight 70 → 50",
        "~ provider aws: region us-east-1 → eu-west-1",
        "~ model openai/gpt-4o-mini: markup_percent 20 → 12.5",
        "~ route openai/gpt-4o-mini via local:llama3:8b: weight 100 → 5, priority 1 → 0",
        "~ rates openai/gpt-4o-mini via openai:gpt-4o-mini: output cost 0.6 → 0.7, cache_read cost 0.075 → none",
        "~ rates openai/gpt-4o-mini via local:llama3:8b: output cost 0.6 → 0.7, cache_read cost 0.075 → none",
        "~ model openai/dall-e-3: type image → video",
        "~ team acme: keep_content_days 30 → 0",
        "~ member acme/a@example.com: role admin → member",
        "~ credits acme: granted by files 100 → 80.5",
        "~ key acme/ci: models openai/* → *, expires 2099-02-01T00:00:00Z → none, strict yes → no",
    ]
    assert await applied(opened, changed, environ=ENVIRON | {"OPENAI_API_KEY": "sk-another"}) == []
    async with opened.db.reading() as session:
        assert await settings.billing_mode(session) == "credits"


async def test_what_the_file_does_not_have_is_kept_without_prune_and_told(opened: House):
    await applied(opened, FULL)
    before = await everything(opened)

    draft = await planned(
        opened,
        "providers: []\nmodels: []\nteams: [{name: acme, members: [], keys: []}]\n",
    )

    assert draft.plan.changes == ()
    assert set(draft.plan.kept) == {
        "provider openai",
        "provider aws",
        "provider local",
        "model openai/gpt-4o-mini",
        "model openai/dall-e-3",
        "team Research & Co",
        "member acme/a@example.com",
        "member acme/b@example.com",
        "key acme/ci",
    }
    await apply.carry_out(opened, draft)
    assert await everything(opened) == before


async def test_parts_that_the_file_leaves_out_are_left_alone_even_when_pruning(opened: House):
    await applied(opened, FULL)
    before = await everything(opened)
    bare = """\
providers:
  - {name: openai, kind: openai, base_url: https://api.openai.com/v1}
  - {name: aws, kind: bedrock, region: us-east-1}
  - {name: local, kind: ollama}
models:
  - {model: openai/gpt-4o-mini, type: chat}
  - {model: openai/dall-e-3, type: image}
teams: [{name: acme}, {name: Research & Co}]
"""

    for text in (bare, "billing: off\n", bare.partition("models:")[0], "teams:" + bare.partition("teams:")[2]):
        assert await applied(opened, text, prune=True) == []
    assert await everything(opened) == before


async def test_prune_removes_what_the_file_does_not_have(opened: House):
    await applied(opened, FULL)
    smaller = """\
providers: [{name: openai, kind: openai, credentials: []}]
models:
  - model: openai/gpt-4o-mini
    type: chat
    aliases: [mini]
    routes: [{provider: openai, upstream_model: gpt-4o}]
teams: [{name: acme, members: [{email: b@example.com}], keys: []}]
"""

    lines = await applied(opened, smaller, prune=True)

    assert [line for line in lines if line[0] == "-"] == [
        "- team Research & Co",
        "- model openai/dall-e-3: with its routes to openai",
        "- provider aws: with credentials main",
        "- provider local: with its routes of openai/gpt-4o-mini",
        "- credential openai/main",
        "- alias gpt-4o-mini",
        "- route openai/gpt-4o-mini via openai:gpt-4o-mini",
        "- member acme/a@example.com",
        "- key acme/ci",
    ]
    assert await applied(opened, smaller, prune=True) == []
    async with opened.db.reading() as session:
        assert [row.name for row in await providers.listed(session)] == ["openai"]
        assert [row.upstream_model for row in await deployments.listed(session)] == ["gpt-4o"]
        assert await credentials.listed(session) == []
        assert await api_keys.listed(session) == []
        # The lines of removed deployments explain old calls.
        assert len((await session.scalars(select(Rate))).all()) == 7


async def test_a_team_with_calls_or_credits_is_not_pruned(opened: House):
    await applied(opened, FULL)
    async with opened.db.writing() as session:
        research = await teams.get_by_name(session, "Research & Co")
        session.add(a_call(research.id))
    before = await everything(opened)

    with pytest.raises(FileRefused) as refused:
        await applied(opened, "billing: cost\nteams: []\n", prune=True)

    assert [str(fault) for fault in refused.value.faults] == [
        'hub.yaml:2: teams: team "Research & Co" is not in the file, but it has made calls, so it cannot be removed. '
        "To close it, write it with members: [] and keys: [].",
        'hub.yaml:2: teams: team "acme" is not in the file, but it was given credits, so it cannot be removed. '
        "To close it, write it with members: [] and keys: [].",
    ]
    assert await everything(opened) == before


@pytest.mark.parametrize("broken", ["app.domain.billing.grants.grant", "app.domain.identity.api_keys.create"])
async def test_a_failure_in_the_middle_leaves_nothing(opened: House, monkeypatch: pytest.MonkeyPatch, broken: str):
    before = await everything(opened)

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(broken, fail)
        with pytest.raises(RuntimeError, match="power cut"):
            await applied(opened, FULL)

    assert await everything(opened) == before
    assert len(await applied(opened, FULL)) == 21


async def test_a_plan_is_not_carried_out_once_the_hub_has_changed(opened: House):
    draft = await planned(opened, FULL)
    async with opened.db.writing() as session:
        await providers.add(session, name="openai", kind="openai")
    before = await everything(opened)

    with pytest.raises(Conflict, match="run it again"):
        await apply.carry_out(opened, draft)

    assert await everything(opened) == before


async def test_of_two_at_once_one_applies_and_the_other_finds_the_hub_changed(
    opened: House, hub_environ: dict[str, str]
):
    async with house.opened(read_settings(hub_environ)) as second:
        drafts = [await planned(hub, FULL) for hub in (opened, second)]
        results = await asyncio.gather(
            apply.carry_out(opened, drafts[0]), apply.carry_out(second, drafts[1]), return_exceptions=True
        )

    assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]
    assert await applied(opened, FULL) == []


async def test_credits_are_a_target_that_several_files_approach(opened: House):
    for target in ("100", "100", "150", "20", "0"):
        await applied(opened, f'teams: [{{name: acme, credits: "{target}"}}]')
    await applied(opened, "teams: [{name: acme}]")

    async with opened.db.reading() as session:
        acme = await teams.get_by_name(session, "acme")
        assert await grants.granted_by_file(session) == {acme.id: 0}
        moves = await balances.page_of_movements(session, acme.id, limit=9)
    assert [move.amount_nano // NANO for move in moves] == [-20, -130, 50, 100]


async def test_a_file_cannot_take_off_what_a_team_has_spent(opened: House):
    await applied(opened, "teams: [{name: acme, credits: 10}]")
    async with opened.db.writing() as session:
        acme = await teams.get_by_name(session, "acme")
        await grants.deduct(session, team_id=acme.id, amount_nano=8 * NANO, reason="spent", actor="test")
    before = await everything(opened)

    with pytest.raises(BadValue, match="can give up 2 credits; to take 5, 3 are missing"):
        await applied(opened, "teams: [{name: acme, credits: 5}]")

    assert await everything(opened) == before
    assert await applied(opened, "teams: [{name: acme, credits: 10}]") == []


async def test_credits_from_elsewhere_do_not_count_towards_the_files_target(opened: House):
    await applied(opened, "teams: [{name: acme, credits: 10}]")
    async with opened.db.writing() as session:
        acme = await teams.get_by_name(session, "acme")
        await grants.grant(session, team_id=acme.id, amount_nano=5 * NANO, source="console", reason="sorry")

    assert await applied(opened, "teams: [{name: acme, credits: 10}]") == []


async def test_rate_lines_are_only_added_and_only_where_they_differ(opened: House):
    await applied(opened, FULL)
    first = (await everything(opened))["rate"]

    await applied(opened, FULL.replace('"0.60"', '"0.70"').replace('cache_read: "0.075", ', ""))

    after = (await everything(opened))["rate"]
    assert set(map(repr, first)) < set(map(repr, after))
    # Two deployments, each a new line for `output` and one that ends `cache_read`.
    assert len(after) == len(first) + 4
    async with opened.db.reading() as session:
        for deployment in await deployments.listed(session):
            card = (await rates.newest(session, [deployment.id]))[deployment.id]
            if "images" not in card:
                assert card == {"input": rates.Line(150_000_000, None), "output": rates.Line(700_000_000, None)}


async def test_cost_and_price_are_set_apart_from_each_other(opened: House):
    start = "providers: [{name: p, kind: openai}]\nmodels:\n  - {model: m, type: chat"
    routes = ", routes: [{provider: p, upstream_model: m}]"
    await applied(opened, start + routes + ", cost: {input: 1, output: 2}, price: {input: 3}}")

    assert await applied(opened, start + ", cost: {input: 1}}") == ["~ rates m via p:m: output cost 2 → none"]
    assert await applied(opened, start + ", price: {markup_percent: 10}}") == [
        "~ model m: markup_percent none → 10",
        "~ rates m via p:m: input price 3 → none",
    ]
    assert await applied(opened, start + ", price: {}}") == ["~ model m: markup_percent 10 → none"]
    assert await applied(opened, start + ", cost: {}}") == ["~ rates m via p:m: input cost 1 → none"]
    assert await applied(opened, start + ", cost: {input: 0}}") == ["+ rates m via p:m: input cost 0"]


async def test_a_changed_secret_makes_a_disabled_credential_usable_and_the_same_one_does_not(opened: House):
    await applied(opened, FULL)
    async with opened.db.writing() as session:
        credential = await session.scalar(select(Credential).where(Credential.weight == 70))
        assert credential is not None
        assert await credentials.disable(session, credential.id, "401 from the provider")

    await applied(opened, FULL)
    async with opened.db.reading() as session:
        assert (await credentials.get(session, credential.id)).disabled_reason == "401 from the provider"
    await applied(opened, FULL, environ=ENVIRON | {"OPENAI_API_KEY": "sk-fresh"})
    async with opened.db.reading() as session:
        row = await credentials.get(session, credential.id)
        assert (row.disabled_reason, row.disabled_at) == (None, None)
        assert credentials.reveal(opened.vault, row)["secret"].reveal() == "sk-fresh"


async def test_a_disabled_provider_stays_so_unless_the_file_says_otherwise(opened: House):
    await applied(opened, "providers: [{name: p, kind: openai, enabled: false}]")

    assert await applied(opened, "providers: [{name: p, kind: openai}]") == []
    assert await applied(opened, "providers: [{name: p, kind: openai, enabled: true}]") == [
        "~ provider p: enabled no → yes"
    ]


async def test_an_alias_moves_to_another_model(opened: House):
    text = "models:\n  - {model: a, type: chat, aliases: [x]}\n  - {model: b, type: chat, aliases: []}\n"
    await applied(opened, text)
    moved = text.replace("[x]", "[]").replace("b, type: chat, aliases: []", "b, type: chat, aliases: [x]")

    for prune in (False, True):
        draft = await planned(opened, moved, prune=prune)
        assert [change.text() for change in draft.plan.changes] == ["~ alias x: of a → b"]
    assert await applied(opened, moved) == ["~ alias x: of a → b"]


async def test_a_renamed_model_takes_its_names_along_when_pruning(opened: House):
    await applied(opened, "models: [{model: a, type: chat, aliases: [x]}]")
    renamed = "models: [{model: b, type: chat, aliases: [x, a]}]"

    assert await applied(opened, renamed, prune=True) == [
        "- model a: with aliases x",
        "+ model b: type chat",
        "+ alias x: of b",
        "+ alias a: of b",
    ]
    assert await applied(opened, renamed, prune=True) == []


async def test_a_revoked_key_does_not_come_back_with_its_secret_but_with_another_one(opened: House):
    await applied(opened, FULL)
    async with opened.db.writing() as session:
        acme = await teams.get_by_name(session, "acme")
        key = await api_keys.find_by_name(session, acme.id, "ci")
        assert key is not None and await api_keys.revoke(session, acme.id, key.id)

    with pytest.raises(FileRefused, match=r"hub.yaml:32: teams\[0\].keys\[0\].secret: this secret was revoked"):
        await applied(opened, FULL)
    assert await applied(opened, FULL, environ=ENVIRON | {"ACME_KEY": KEY_SECRET[::-1]}) == [
        "~ key acme/ci: secret changed, state revoked → active"
    ]


async def test_the_secret_of_another_key_is_refused_unless_that_one_goes(opened: House):
    await applied(opened, "teams: [{name: a, keys: [{name: ci, secret: env:ACME_KEY}]}]")
    renamed = "teams: [{name: a, keys: [{name: cd, secret: env:ACME_KEY}]}]"

    with pytest.raises(FileRefused, match=r'keys\[0\].secret: this is the secret of key "ci" of team "a"'):
        await applied(opened, renamed)
    assert await applied(opened, renamed, prune=True) == ["- key a/ci", "+ key a/cd: secret set, models *"]


def a_call(team_id: str) -> Call:
    return Call(
        id=new_id(),
        boot_id=new_id(),
        team_id=team_id,
        api_key_id=new_id(),
        endpoint="chat.completions",
        model="m",
        is_streamed=False,
        status="succeeded",
        started_us=clock.now_us(),
        attempts=1,
        **dict.fromkeys(METERS, 0),
    )
