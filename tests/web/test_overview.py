"""The overview and a call's page, by what a person reads there."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest
from sqlalchemy import update

from app.base import clock
from app.base.money import NANO
from app.domain.billing import budget_rules, budgets
from app.domain.calls.models import Call
from app.domain.catalog import credentials, deployments, providers, rates, settings
from app.domain.catalog.models import PriceNotice
from app.domain.catalog.rates import NewLine
from app.domain.identity import api_keys, teams
from app.gateway import fidelity
from app.gateway.health import EVERY_MODEL
from app.ops import seed
from app.wire.notes import Note
from tests.web.hub_of_pages import Hub, opened, part


def _text(answer: httpx.Response) -> str:
    """What stands on the page, tags away and spaces joined."""
    assert answer.status_code == 200
    body = answer.text.split("<main", 1)[-1].split(">", 1)[-1]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


async def _key(hub: Hub, name: str = "first") -> str:
    async with hub.db.writing() as session:
        team = await teams.ensure(session, "default")
        _, secret = await api_keys.create(session, hub.pepper, team_id=team.id, name=name, models=["*"])
    await hub.gateway.snapshots.refresh()
    return secret.reveal()


async def test_a_budget_beyond_its_last_warn_level_is_something_to_do(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await _key(hub)
        await hub.add_provider()
        async with hub.db.writing() as session:
            team = await teams.get_by_name(session, "default")
            for scope, scope_id, spent, action in (
                ("team", team.id, 50, "block"),
                ("project", f"{team.id}/site", 48, "warn"),
                ("hub", "", 47, "block"),
            ):
                terms = budget_rules.terms(
                    scope=scope,
                    scope_id=scope_id,
                    unit="calls",
                    amount=50,
                    window="total",
                    timezone="UTC",
                    warn_percents=(50, 95),
                    action=action,
                )
                await budgets.create(session, terms, spent_so_far=spent, now_us=clock.now_us())
        await hub.gateway.snapshots.refresh()

        text = _text(await (await hub.signed_in()).get("/"))

        assert "2 things to do" in text
        assert "The budget of team default is used up 50 of 50 calls spent, 100 %. Calls are refused." in text
        assert "The budget of project default/site is over its last warn level 48 of 50 calls spent, 96 %." in text
        assert "hub budget list" in text and "budget of hub" not in text


async def test_prices_that_lack_or_lose_money_are_something_to_do(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await _key(hub)
        for name in ("bare", "lossy", "drifting"):
            await hub.add_provider(name)
        async with hub.db.writing() as session:
            await settings.put(session, "billing", "credits")
            served = {row.id: row for row in await providers.listed(session)}
            routes = {served[row.provider_id].name: row.id for row in await deployments.listed(session)}
            for name, cost in (("lossy", 3), ("drifting", 1)):
                lines = [NewLine(meter, cost * NANO, 2 * NANO) for meter in ("input", "output")]
                await rates.add_lines(session, routes[name], lines, source="console", allows_below_cost=True)
            session.add(PriceNotice(deployment_id=routes["drifting"], kind="drift", text="It asked 9.", created_us=1))
        await hub.gateway.snapshots.refresh()

        text = _text(await (await hub.signed_in()).get("/"))

        assert "4 things to do" in text
        assert "bare/tiny at bare has no price" in text
        assert "hub reprice apply 'bare/tiny bare' --model bare/tiny --provider bare --price input=…" in text
        assert text.count("lossy/tiny at lossy is priced below cost") == 2
        assert "drifting/tiny at drifting is charged otherwise by its provider than its rates say It asked 9." in text


async def test_an_empty_hub_says_how_to_begin(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        text = _text(await (await hub.signed_in()).get("/"))

        assert "There is no provider yet" in text and "hub provider adopt openai" in text
        assert "No program can call the hub" in text and "hub key create" in text
        assert "Make the first call" in text and "curl -N http://hub.test/v1/chat/completions" in text
        assert '"model": "demo/chat"' in text
        assert "Database SQLite" in text or "Database PostgreSQL" in text
        assert "Billing Off" in text
        assert "No calls yet" in text


async def test_a_hub_in_order_has_nothing_to_do(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await _key(hub)
        await hub.add_provider()

        text = _text(await (await hub.signed_in()).get("/"))

        assert "1 of 1 provider can take calls · 1 model · nothing to do" in text
        assert "To do" not in text
        assert "openai OpenAI main sk-…-one 1 Ready" in text
        assert '"model": "openai/tiny"' in text


@pytest.mark.databases("sqlite")
async def test_what_keeps_a_provider_from_answering_is_named(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await _key(hub)
        refused, resting, limited = [await hub.add_provider(name) for name in ("refused", "resting", "limited")]
        async with hub.db.writing() as session:
            await credentials.disable(session, refused, "OpenAI refused it: <b>no such key</b>")
        await hub.gateway.snapshots.refresh()
        hub.gateway.shared.health.rest(resting, "tiny-1", 20, is_limited=False)
        hub.gateway.shared.health.rest(limited, EVERY_MODEL, 30, is_limited=True)

        answer = await (await hub.signed_in()).get("/")
        text = _text(answer)

        assert "0 of 3 providers can take calls · 3 models · 1 thing to do" in text
        assert "refused: the credential main is disabled OpenAI refused it: <b>no such key</b>" in text
        assert "<b>no such key</b>" not in answer.text
        assert "hub provider check refused --enable" in text
        assert "Disabled 1 None ready" in text
        assert re.search(r"1 model rests \d+ s", text) and re.search(r"Rate limited, rests \d+ s", text)
        assert "refused/tiny Cannot be called" in text


@pytest.mark.databases("sqlite")
async def test_a_credential_that_another_master_key_sealed_is_named(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await hub.add_provider()
        async with hub.db.writing() as session:
            [row] = await credentials.listed(session)
            row.sealed = row.sealed[:-4] + ("AAAA" if row.sealed[-4:] != "AAAA" else "BBBB")
        await hub.gateway.snapshots.load()

        text = _text(await (await hub.signed_in()).get("/"))

        assert "openai: the credential main cannot be opened" in text and "hub doctor" in text


@pytest.mark.databases("sqlite")
async def test_models_are_found_with_and_without_javascript(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await seed.plant(hub.house, calls=0, is_forced=True)
        await hub.gateway.snapshots.refresh()
        browser = await hub.signed_in()

        whole = await browser.get("/", params={"q": " LAB chat "})
        swapped = await browser.get("/", params={"q": " LAB chat "}, headers=part("model-list"))
        none = await browser.get("/", params={"q": '"><script>'}, headers=part("model-list"))
        restored = await browser.get(
            "/", params={"q": "lab"}, headers={**part("model-list"), "HX-History-Restore-Request": "true"}
        )

        assert 'value="LAB chat"' in whole.text and "<html" in restored.text
        for answer in (whole, swapped):
            listed = answer.text.split('id="model-list"', 1)[1]
            assert "lab/small" in listed and "lab/large" in listed
            assert "lab/embed" not in listed and "demo/chat" not in listed
            assert "2 of 9 models" in listed
        assert "<html" not in swapped.text
        assert "No model has that" in none.text and "<script>" not in none.text


async def test_a_call_appears_and_its_page_tells_all(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        key, browser = await _key(hub), await hub.signed_in()
        empty = await browser.get("/", headers=part("call-list"))

        program = hub.browser()
        answer = await program.post(
            "/v1/chat/completions",
            json={"model": "demo/chat", "messages": [{"role": "user", "content": "Hello"}]},
            headers={"Authorization": f"Bearer {key}", "User-Agent": "my-app/1.0"},
        )
        assert answer.status_code == 200
        usage, call_id = answer.json()["usage"], answer.headers["x-hub-call-id"]

        listed = await browser.get("/", headers=part("call-list"))
        seen = listed.text.split("seen=", 1)[1].split('"', 1)[0]
        again = await browser.get("/", params={"seen": seen}, headers=part("call-list"))
        page = _text(await browser.get(f"/calls/{call_id}"))

        assert "No calls yet" in empty.text
        assert f'href="/calls/{call_id}"' in listed.text
        assert f"{usage['prompt_tokens']} in · {usage['completion_tokens']} out" in _text(listed)
        assert (again.status_code, again.content) == (204, b"")
        assert f"Call {call_id} Succeeded demo/chat at demo" in page
        assert "API key first of default" in page and "Client my-app/1.0" in page
        assert f"Input {usage['prompt_tokens']} Output {usage['completion_tokens']}" in page
        assert "Answered 200" in page


@pytest.mark.databases("sqlite")
async def test_a_call_that_failed_says_whose_turn_it_is(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        key = await _key(hub)
        await seed.plant(hub.house, calls=0, is_forced=True)
        await hub.gateway.snapshots.refresh()
        answer = await hub.browser().post(
            "/v1/chat/completions",
            json={"model": "lab/small", "messages": [{"role": "user", "content": "Hello"}]},
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 502

        browser = await hub.signed_in()
        page = await browser.get(f"/calls/{answer.headers['x-hub-call-id']}")

        assert "now it is for the provider to act" in _text(page)
        assert "No answer" in _text(page) and '<svg class="track bad"' in page.text
        assert "the provider" in _text(await browser.get("/", headers=part("call-list")))


@pytest.mark.databases("sqlite")
async def test_times_are_in_the_readers_zone(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await seed.plant(hub.house, calls=3, is_forced=True)
        browser = await hub.signed_in()
        for cookie, shown in (
            ("Asia%2FTokyo", "Asia/Tokyo"),
            ("", "UTC"),
            ("..%2F..%2Fetc%2Fpasswd", "UTC"),
            ("Europe", "UTC"),
            ("x" * 300, "UTC"),
        ):
            browser.cookies.set("hub_zone", cookie, domain="hub.test")
            assert f"Times are in {shown}." in (await browser.get("/")).text


@pytest.mark.databases("sqlite")
async def test_a_calls_page_says_what_the_provider_was_not_told(hub_environ: dict[str, str]) -> None:
    notes = (Note("top_k", "dropped", "OpenAI's format has no <top_k>"), Note("response_format", "emulated", "a tool"))
    async with opened(hub_environ) as hub:
        key, browser = await _key(hub), await hub.signed_in()
        answer = await hub.browser().post(
            "/v1/chat/completions",
            json={"model": "demo/chat", "messages": [{"role": "user", "content": "Hello"}]},
            headers={"Authorization": f"Bearer {key}"},
        )
        path = f"/calls/{answer.headers['x-hub-call-id']}"
        before = _text(await browser.get(path))
        async with hub.db.writing() as session:
            await session.execute(update(Call).values(fidelity=fidelity.record(notes)))

        page = _text(await browser.get(path))

        assert "not told" not in before
        assert "response_format In another way a tool" in page
        assert "top_k Not passed on OpenAI's format has no <top_k>" in page
