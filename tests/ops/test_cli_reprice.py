"""`hub reprice` and `hub prices what-if|notices`, as people type them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from app.base import clock
from app.base.money import NANO, nano
from app.domain.calls.models import Call
from app.domain.catalog import deployments, providers, rates, settings
from app.domain.catalog.models import PriceNotice
from app.domain.catalog.rates import NewLine
from app.domain.identity import teams
from app.ops import house
from tests.domain.catalog.bundles import raw
from tests.ops.conftest import HubCommand
from tests.replayed_calls import row

pytestmark = pytest.mark.databases("sqlite")

OUTPUT = {"meter": "output", "cost_nano": 3 * NANO}


def _do(hub: HubCommand, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            return await work(session)

    return asyncio.run(run())


@pytest.fixture
def shop(hub: HubCommand) -> HubCommand:
    """gpt-9 at the lab, 1 in and 4 out, with a markup of 10 %; acme has called it twice this month, once before."""

    async def add(session: Any) -> None:
        lab = await providers.add(session, name="lab", kind="openai")
        model = await deployments.add_model(session, name="our/gpt-9", type="chat")
        route = await deployments.add(session, model_id=model.id, provider_id=lab.id, upstream_model="gpt-9")
        lines = [NewLine("input", NANO, None), NewLine("output", 4 * NANO, None)]
        await rates.add_lines(session, route.id, lines, source="prices 2026-01-01")
        await settings.put(session, "markup", "10")
        await settings.put(session, "billing", "credits")
        acme = await teams.ensure(session, "acme")
        for days in (1, 20, 40):
            called = {
                "model": "our/gpt-9",
                "deployment_id": route.id,
                "output": 1_000_000,
                "cost_nano": 4 * NANO,
                "charge_nano": nano("4.4"),
            }
            begun = clock.now_us() - days * 86_400 * clock.MICROSECONDS
            await session.execute(insert(Call), [row(acme.id, begun, **called)])

    _do(hub, add)
    return hub


def _price(hub: HubCommand, meter: str = "output", *, ahead: timedelta = timedelta(0)) -> int | None:
    async def read(session: Any) -> int | None:
        ids = [one.id for one in await deployments.listed(session)]
        at = await rates.moment(session) + ahead
        found = await rates.in_force(session, ids, at)
        return next(line.price_nano for line in found[ids[0]] if line.meter == meter and line.condition.is_empty)

    return _do(hub, read)


def test_a_preview_shows_the_prices_and_what_the_last_month_would_have_come_to(shop: HubCommand) -> None:
    shown = shop("reprice", "preview", "--change", "+25%", "--meter", "output").stdout
    found = shop.json("reprice", "preview", "--markup", "25", "--days", "60")

    [line] = [one for one in shown.splitlines() if "our/gpt-9" in one and "output" in one]
    assert "4.4" in line and "5.5" in line
    [of_acme] = [one for one in shown.splitlines() if one.startswith("acme")]
    assert of_acme.split() == ["acme", "our/gpt-9", "2", "8.8", "11", "8", "8", "0.8", "3"]
    assert {(one["meter"], one["before_nano"], one["after_nano"]) for one in found["rows"]} == {
        ("input", nano("1.1"), nano("1.25")),
        ("output", nano("4.4"), 5 * NANO),
    }
    assert (found["replay"]["total"]["calls"], found["replay"]["total"]["charged_then_nano"]) == (3, 15 * NANO)
    assert found["is_applied"] is False and _price(shop) is None


def test_a_change_is_applied_listed_and_reverted_by_its_name(shop: HubCommand) -> None:
    assert "No price change yet" in shop("reprice", "list").stdout
    assert "Say --yes" in shop("reprice", "apply", "spring", "--change", "10", expect=1).stderr
    assert _price(shop) is None

    said = shop("reprice", "apply", "spring", "--change", "10", "--yes").stdout
    assert "Done: 2 prices are set. To go back: hub reprice revert spring" in said
    assert _price(shop) == nano("4.84")
    shop("reprice", "apply", "fixed", "--model", "our/*", "--price", "output=6", "--price", "input=0", "--yes")

    listed = shop("reprice", "list").stdout
    assert "prices +10 %" in listed and "output 6, input 0" in listed and "models: our/*" in listed
    assert [(one["name"], one["state"], one["created_by"]) for one in shop.json("reprice", "list")] == [
        ("fixed", "in force", "command"),
        ("spring", "in force", "command"),
    ]
    assert "2 prices are as before." in shop("reprice", "revert", "fixed").stdout
    assert _price(shop) == nano("4.84")
    assert shop.json("reprice", "revert", "spring") == {
        "name": "spring",
        "was_scheduled": False,
        "restored": 2,
        "left": 0,
    }
    assert _price(shop) is None
    assert "before" in shop("reprice", "revert", "spring", expect=1).stderr


def test_a_change_can_begin_later_and_be_undone_before(shop: HubCommand) -> None:
    begins = (clock.now() + timedelta(days=3)).strftime("%Y-%m-%d %H:%M:%S")

    said = shop("reprice", "apply", "later", "--markup", "50", "--from", begins, "--yes").stdout

    assert f"from {begins} UTC on" in said
    week = timedelta(days=7)
    assert (_price(shop), _price(shop, ahead=week)) == (None, 6 * NANO)
    assert shop.json("reprice", "list")[0]["state"] == "scheduled"
    assert "will not begin" in shop("reprice", "revert", "later").stdout
    assert _price(shop, ahead=week) is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Say one rule"),
        (("--markup", "10", "--change", "10"), "Say one rule"),
        (("--markup", "-10"), "below cost: input of our/gpt-9 at lab"),
        (("--change", "much"), "not a percentage"),
        (("--price", "output"), "not an amount"),
        (("--price", "tokens=1"), "not a meter"),
        (("--provider", "nobody", "--markup", "10"), "no provider nobody"),
        (("--model", "theirs", "--markup", "10"), "No model and provider"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(shop: HubCommand, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in shop("reprice", "preview", *arguments, expect=1).stderr
    assert "is charged" not in shop("reprice", "apply", "x", *arguments, "--yes", expect=1).stdout
    assert shop.json("reprice", "list") == []


def test_below_cost_can_be_allowed_and_is_marked(shop: HubCommand) -> None:
    shown = shop("reprice", "preview", "--change", "-50", "--below-cost").stdout

    assert shown.count("below cost") == 2


def test_what_if_replays_the_month_under_another_markup_credit_price_or_bundle(
    shop: HubCommand, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(raw({}, OUTPUT, version="2999-01-01"))

    def total(*arguments: str) -> tuple[int, int, int, int]:
        found = shop.json("prices", "what-if", *arguments)["total"]
        return found["calls"], found["charged_then_nano"], found["cost_then_nano"], found["margin_then_nano"]

    assert total() == (2, nano("8.8"), 8 * NANO, nano("0.8"))
    assert total("--markup", "50") == (2, 12 * NANO, 8 * NANO, 4 * NANO)
    assert total("--credit-price", "2") == (2, nano("4.4"), 8 * NANO, nano("0.8"))
    assert total("--bundle", str(bundle)) == (2, nano("6.6"), 6 * NANO, nano("0.6"))
    assert total("--bundle", str(bundle), "--markup", "0", "--days", "60")[:3] == (3, 9 * NANO, 9 * NANO)
    shown = shop("prices", "what-if", "--markup", "50").stdout
    [line] = [one for one in shown.splitlines() if one.startswith("acme")]
    assert line.split() == ["acme", "our/gpt-9", "2", "8.8", "12", "8", "8", "0.8", "4"]
    assert "percentage" in shop("prices", "what-if", "--markup", "much", expect=1).stderr


def test_what_is_wrong_with_prices_is_listed_and_doctor_warns_of_it(shop: HubCommand) -> None:
    assert "Nothing is wrong" in shop("prices", "notices").stdout

    async def spoil(session: Any) -> None:
        (route,) = await deployments.listed(session)
        lab = await providers.find_by_name(session, "lab")
        assert lab is not None
        model = await deployments.add_model(session, name="our/new", type="chat")
        await deployments.add(session, model_id=model.id, provider_id=lab.id, upstream_model="new")
        session.add(PriceNotice(deployment_id=route.id, kind="drift", text="It asked for more.", created_us=1))

    _do(shop, spoil)

    found = shop.json("prices", "notices")
    assert [(one["kind"], one["model"], one["provider"]) for one in found] == [
        ("unpriced", "our/new", "lab"),
        ("drift", "our/gpt-9", "lab"),
    ]
    assert "It asked for more." in shop("prices", "notices").stdout
    shop.environ["HUB_PORT"] = "0"
    warned = [one for one in shop.json("doctor") if one["check"] == "prices"]
    assert [one["level"] for one in warned] == ["warning", "warning"]
    assert "our/new at lab has no price" in warned[0]["sentence"]
    assert "hub reprice apply 'our/new lab' --model our/new --provider lab" in warned[0]["mend"]
    # What it says to type mends it.
    shop("reprice", "apply", "n", "--model", "our/new", "--price", "input=1", "--price", "output=2", "--yes")
    assert [one["kind"] for one in shop.json("prices", "notices")] == ["drift"]
    shop("reprice", "apply", "m", "--model", "our/gpt-9", "--markup", "20", "--yes")
    assert shop.json("prices", "notices") == []
