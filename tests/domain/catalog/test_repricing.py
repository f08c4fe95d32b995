"""Repricing: what a rule would do to a scope, a change with a name, and going back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock, ids
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue, Conflict, NotFound
from app.base.money import NANO, nano
from app.domain.catalog import (
    bundle_changes,
    deployments,
    notices,
    price_changes,
    pricing,
    providers,
    rates,
    repricing,
    settings,
    supposed,
)
from app.domain.catalog.models import PriceNotice, Rate
from app.domain.catalog.rates import NewLine
from app.domain.catalog.repricing import BackToMarkup, Explicit, Factor, Markup, Rule, Scope
from tests.domain.catalog.bundles import bundle_of

LONG = {"input_over": 200_000}
EVERYTHING = Scope()


class Shop(Struct):
    """`lab` serves gpt-9 (markup of the hub) and gpt-8 (explicit); `other` serves gpt-9 too, without any rate."""

    session: AsyncSession
    nine: str
    eight: str
    bare: str

    async def sold(self, deployment_id: str | None = None, at: datetime | None = None) -> dict[tuple[str, str], int]:
        """Prices that would be charged then, by meter and condition."""
        at = at or await rates.moment(self.session)
        wanted = deployment_id or self.nine
        lines = (await rates.in_force(self.session, [wanted], at))[wanted]
        terms = await settings.terms(self.session)
        card = pricing.card_of(wanted, lines, terms, terms.markup_basis_points)
        return {(line.meter, line.condition.key): line.price_nano or 0 for line in card.lines}

    async def prices(self, deployment_id: str | None = None, at: datetime | None = None) -> dict[str, int]:
        """Those without a condition, by meter."""
        return {meter: price for (meter, key), price in (await self.sold(deployment_id, at)).items() if key == "{}"}

    async def change(
        self, name: str, rule: Rule, scope: Scope = EVERYTHING, begins: datetime | None = None, **more: bool
    ) -> str:
        draft = await repricing.draft(self.session, scope, rule, begins, **more)
        made = await repricing.apply(self.session, draft, name=name, actor="ann", effective_from=begins)
        return made.id

    async def revert(self, name: str) -> price_changes.Reverted:
        change = await price_changes.find(self.session, name)
        return await price_changes.revert(self.session, change.id, actor="ann")


@pytest.fixture
async def shop(hub_environ: dict[str, str]) -> AsyncIterator[Shop]:
    db = Database(read_settings(hub_environ))
    async with db.writing() as session:
        await settings.put(session, "markup", "10")
        served: dict[tuple[str, str], str] = {}
        lab = await providers.add(session, name="lab", kind="openai")
        other = await providers.add(session, name="other", kind="openai")
        for name, sources in (("gpt-9", (lab, other)), ("gpt-8", (lab,))):
            model = await deployments.add_model(session, name=f"our/{name}", type="chat")
            for source in sources:
                row = await deployments.add(session, model_id=model.id, provider_id=source.id, upstream_model=name)
                served[name, source.name] = row.id
        shop = Shop(session, served["gpt-9", "lab"], served["gpt-8", "lab"], served["gpt-9", "other"])
        nine = [NewLine("input", NANO, None), NewLine("input", 2 * NANO, None, LONG), NewLine("output", 4 * NANO, None)]
        await rates.add_lines(session, shop.nine, nine, source="prices 2026-11-20")
        await rates.add_lines(session, shop.eight, [NewLine("output", None, 7 * NANO)], source="file")
        yield shop
    await db.close()


async def test_a_markup_is_put_on_every_cost_in_the_scope_and_nothing_else(shop: Shop):
    draft = await repricing.draft(shop.session, Scope(providers=("lab",)), Markup(2_550))

    assert {(row.meter, row.condition.get("input_over"), row.before_nano, row.after_nano) for row in draft.rows} == {
        ("input", None, nano("1.1"), nano("1.255")),
        ("input", 200_000, nano("2.2"), nano("2.51")),
        ("output", None, nano("4.4"), nano("5.02")),
    }
    assert [(left.model, left.why) for left in draft.left] == [("our/gpt-8", "its cost is unknown")]
    assert await shop.prices() == {"input": nano("1.1"), "output": nano("4.4")}

    await shop.change("more", Markup(2_550), Scope(providers=("lab",)))

    assert await shop.sold() == {
        ("input", "{}"): nano("1.255"),
        ("input", '{"input_over":200000}'): nano("2.51"),
        ("output", "{}"): nano("5.02"),
    }
    assert await shop.prices(shop.eight) == {"output": 7 * NANO}


async def test_present_prices_change_by_percent_whatever_they_come_from_and_are_rounded_up(shop: Shop):
    await rates.add_lines(shop.session, shop.eight, [NewLine("input", None, 3)], source="file")

    await shop.change("a tenth", Factor(1_000))

    assert await shop.prices() == {"input": nano("1.21"), "output": nano("4.84")}
    assert await shop.prices(shop.eight) == {"input": 4, "output": nano("7.7")}


async def test_a_scope_is_providers_models_deployments_and_meters_that_all_fit(shop: Shop):
    async def found(**scope: tuple[str, ...]) -> set[tuple[str, str]]:
        draft = await repricing.draft(shop.session, Scope(**scope), Factor(1_000))
        return {(row.model, row.meter) for row in draft.rows}

    nine = {("our/gpt-9", "input"), ("our/gpt-9", "output")}
    eight = {("our/gpt-8", "output")}
    assert await found() == nine | eight
    assert await found(models=("our/*-9",)) == nine
    assert await found(models=("our/*",), meters=("output",)) == eight | {("our/gpt-9", "output")}
    assert await found(deployments=(shop.eight,)) == eight
    assert await found(providers=("other",)) == set()
    for nobody, fault in (
        ({"providers": ("nobody",)}, NotFound),
        ({"deployments": ("nobody",)}, NotFound),
        ({"models": ("theirs/*",)}, BadValue),
        ({"models": ("our/gpt-8",), "providers": ("other",)}, BadValue),
        ({"meters": ("tokens",)}, BadValue),
    ):
        with pytest.raises(fault):
            await found(**nobody)


async def test_an_explicit_price_is_set_for_the_meter_and_added_where_somebody_names_the_model(shop: Shop):
    rule = Explicit({"input": 5 * NANO, "output": 0})

    await shop.change("for the lab", rule, Scope(providers=("lab",)))
    assert (await shop.sold())[("input", '{"input_over":200000}')] == nano("2.2")
    assert await shop.prices() == {"input": 5 * NANO, "output": 0}
    assert await shop.prices(shop.eight) == {"output": 0}
    assert await shop.prices(shop.bare) == {}

    await shop.change("for the model", rule, Scope(models=("our/gpt-9",)))
    assert await shop.prices(shop.bare) == {"input": 5 * NANO, "output": 0}


async def test_back_to_markup_drops_explicit_prices_that_have_a_cost(shop: Shop):
    await shop.change("more", Factor(5_000))

    draft = await repricing.draft(shop.session, EVERYTHING, BackToMarkup())

    assert {row.model for row in draft.rows} == {"our/gpt-9"} and all(row.new_price_nano is None for row in draft.rows)
    assert [left.model for left in draft.left] == ["our/gpt-8"]
    await shop.change("back", BackToMarkup())
    assert await shop.prices() == {"input": nano("1.1"), "output": nano("4.4")}
    assert await shop.prices(shop.eight) == {"output": nano("10.5")}


@pytest.mark.parametrize("rule", [Factor(-2_000), Markup(-100), Markup(-10_000), Explicit({"output": NANO})])
async def test_prices_below_cost_are_refused_by_name_unless_allowed(shop: Shop, rule: Rule):
    scope = Scope(meters=("output",), providers=("lab",), models=("our/gpt-9",))

    with pytest.raises(BadValue, match="output of our/gpt-9 at lab"):
        await repricing.draft(shop.session, scope, rule)

    allowed = await repricing.draft(shop.session, scope, rule, allows_below_cost=True)
    assert [row.is_below_cost for row in allowed.rows] == [True]
    # The hub charges the cost all the same until its setting says otherwise; a price of zero is a gift.
    assert allowed.rows[0].after_nano == (0 if rule == Markup(-10_000) else 4 * NANO)
    await settings.put(shop.session, "sell_below_cost", "on")
    assert (await repricing.draft(shop.session, scope, rule)).rows[0].is_below_cost


async def test_a_cost_in_doubt_counts_as_the_higher_one(shop: Shop):
    await rates.add_lines(
        shop.session, shop.bare, [NewLine("input", NANO, None, review_cost_nano=2 * NANO)], source="b"
    )
    scope = Scope(deployments=(shop.bare,))

    with pytest.raises(BadValue):
        await repricing.draft(shop.session, scope, Explicit({"input": nano("1.5")}))
    await shop.change("twice", Markup(5_000), scope)

    assert await shop.prices(shop.bare) == {"input": 3 * NANO}


async def test_what_was_shown_is_done_or_nothing(shop: Shop):
    draft = await repricing.draft(shop.session, EVERYTHING, Factor(1_000))
    await rates.add_lines(shop.session, shop.nine, [NewLine("output", 5 * NANO, None)], source="file")

    with pytest.raises(Conflict, match="changed since"):
        await repricing.apply(shop.session, draft, name="late", actor="ann")

    await shop.change("once", Factor(1_000))
    with pytest.raises(Conflict, match="already"):
        await shop.change("once", Factor(1_000))
    with pytest.raises(BadValue, match="Nothing would change"):
        await shop.change("nothing", Factor(0))
    for name in ("", " x", "x" * 101, "a\nb"):
        with pytest.raises(BadValue, match="has a name"):
            await shop.change(name, Factor(1_000))
    assert [change.name for change in await price_changes.listed(shop.session)] == ["once"]


async def test_a_change_is_reverted_by_new_lines_and_history_stays(shop: Shop):
    before, rows = await shop.sold(), await shop.session.scalar(select(func.count()).select_from(Rate))
    change_id = await shop.change("spring", Factor(1_000))
    assert await shop.sold() != before

    done = await shop.revert("spring")

    assert (done.restored, done.left, done.was_scheduled) == (4, 0, False)
    assert await shop.sold() == before
    assert await shop.session.scalar(select(func.count()).select_from(Rate)) == (rows or 0) + 8
    (told,) = await price_changes.listed(shop.session)
    assert (told.id, told.state, told.created_by, told.rule) == (
        change_id,
        "reverted",
        "ann",
        {"type": "factor", "basis_points": 1_000},
    )
    assert {(line["meter"], line["before_nano"], line["after_nano"]) for line in told.lines} >= {
        ("output", nano("4.4"), nano("4.84"))
    }
    with pytest.raises(Conflict, match="before"):
        await shop.revert("spring")
    with pytest.raises(NotFound):
        await shop.revert("autumn")


async def test_a_scheduled_change_begins_at_its_moment_or_is_undone_before(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    day = clock.now().replace(microsecond=0) + timedelta(days=1)
    await shop.change("tomorrow", Factor(1_000), begins=day)
    await shop.change("tomorrow, too", Explicit({"output": 9 * NANO}), Scope(models=("our/gpt-9",)), begins=day)

    assert [change.state for change in await price_changes.listed(shop.session)] == ["scheduled", "scheduled"]
    assert await shop.prices() == {"input": nano("1.1"), "output": nano("4.4")}
    soon = day + timedelta(seconds=1)
    assert await shop.prices(at=soon) == {"input": nano("1.21"), "output": 9 * NANO}

    done = await shop.revert("tomorrow, too")
    assert (done.was_scheduled, done.restored) == (True, 2)
    assert await shop.prices(at=soon) == {"input": nano("1.21"), "output": nano("4.84")}
    assert await shop.prices(shop.bare, at=soon) == {}
    await shop.revert("tomorrow")
    assert await shop.prices(at=soon) == {"input": nano("1.1"), "output": nano("4.4")}

    await shop.change("again", Factor(1_000), begins=day)
    monkeypatch.setattr(clock, "now", lambda: soon)
    monkeypatch.setattr(ids.time, "time_ns", lambda: int(soon.timestamp() * 10**9))
    assert (await price_changes.listed(shop.session))[0].state == "in force"
    assert (await shop.revert("again")).was_scheduled is False
    assert await shop.prices() == {"input": nano("1.1"), "output": nano("4.4")}


async def test_changes_that_stand_on_each_other_can_be_reverted_in_any_order(shop: Shop):
    before = await shop.prices()
    await shop.change("first", Factor(1_000))
    first = await shop.prices()
    await shop.change("second", Factor(1_000))
    second = await shop.prices()

    assert (await shop.revert("first")).left == 4
    assert await shop.prices() == second
    await shop.revert("second")
    assert await shop.prices() == before

    await shop.change("third", Factor(1_000))
    await shop.change("fourth", Factor(1_000))
    await shop.revert("fourth")
    assert await shop.prices() == first
    await shop.revert("third")
    assert await shop.prices() == before


async def test_a_revert_keeps_costs_and_prices_that_came_since(shop: Shop):
    await shop.change("all", Factor(10_000))
    await bundle_changes.apply(shop.session, bundle_of({"meter": "output", "cost_nano": 5 * NANO}, {}))
    await rates.add_lines(shop.session, shop.nine, [NewLine("input", NANO, 6 * NANO)], source="console")

    assert await shop.prices() == {"input": 6 * NANO, "output": nano("8.8")}
    done = await shop.revert("all")

    assert await shop.prices() == {"input": 6 * NANO, "output": nano("5.5")}
    assert (done.restored, done.left) == (3, 1) and await shop.prices(shop.eight) == {"output": 7 * NANO}


async def test_a_scheduled_change_takes_over_what_a_provider_charges_by_then(shop: Shop):
    day = clock.now() + timedelta(days=1)
    soon = day + timedelta(seconds=1)
    await shop.change("tomorrow", Explicit({"input": 3 * NANO, "output": 9 * NANO}), begins=day)

    new = [NewLine("output", 6 * NANO, None), NewLine("input", None, None)]
    await rates.add_lines(shop.session, shop.nine, new, source="prices 2026-11-21")

    def costs(lines: list[rates.InForce]) -> dict[str, tuple[int | None, int | None]]:
        return {line.meter: (line.cost_nano, line.price_nano) for line in lines if line.condition.is_empty}

    then = await rates.in_force(shop.session, [shop.nine], soon)
    assert costs(list(then[shop.nine])) == {"output": (6 * NANO, 9 * NANO)}
    await shop.revert("tomorrow")
    then = await rates.in_force(shop.session, [shop.nine], soon)
    assert costs(list(then[shop.nine])) == {"output": (6 * NANO, None)}


async def test_an_announced_cost_takes_a_price_over_and_gives_it_back_with_the_revert(shop: Shop):
    day = (clock.now() + timedelta(days=2)).date()
    later = clock.now() + timedelta(days=3)
    announced = {"meter": "output", "cost_nano": 5 * NANO, "valid_from": day.isoformat()}
    rows = ({}, {"cost_nano": 2 * NANO, "condition": LONG}, {"meter": "output", "cost_nano": 4 * NANO}, announced)
    await bundle_changes.apply(shop.session, bundle_of(*rows))
    assert await shop.prices(at=later) == {"input": nano("1.1"), "output": nano("5.5")}

    await shop.change("now", Explicit({"output": 9 * NANO}))
    assert await shop.prices(at=later) == {"input": nano("1.1"), "output": 9 * NANO}
    await shop.change("then", Explicit({"output": 8 * NANO}), begins=clock.now() + timedelta(days=1))
    assert (await shop.prices(), await shop.prices(at=later)) == (
        {"input": nano("1.1"), "output": 9 * NANO},
        {"input": nano("1.1"), "output": 8 * NANO},
    )

    await shop.revert("then")
    assert await shop.prices(at=later) == {"input": nano("1.1"), "output": 9 * NANO}
    await shop.revert("now")
    assert await shop.prices() == {"input": nano("1.1"), "output": nano("4.4")}
    assert await shop.prices(at=later) == {"input": nano("1.1"), "output": nano("5.5")}
    assert (await bundle_changes.apply(shop.session, bundle_of(*rows))).changes == ()


async def test_a_draft_can_be_tried_out_without_being_applied(shop: Shop):
    draft = await repricing.draft(shop.session, EVERYTHING, Explicit({"output": 9 * NANO}))
    now = await pricing.load(shop.session)

    then = supposed.prices(now, draft.lines())

    def sold(prices: pricing.Prices, deployment_id: str) -> dict[tuple[str, str], int | None]:
        card = prices.card(deployment_id, None)
        assert card is not None
        return {(line.meter, line.condition.key): line.price_nano for line in card.lines}

    assert sold(now, shop.nine) == await shop.sold()
    await repricing.apply(shop.session, draft, name="real", actor="ann")
    assert sold(then, shop.nine) == await shop.sold()
    assert sold(then, shop.eight) == await shop.sold(shop.eight)


async def test_what_was_told_of_a_deployments_prices_is_forgotten_when_its_rates_change(shop: Shop):
    for deployment_id in (shop.nine, shop.eight):
        row = PriceNotice(deployment_id=deployment_id, kind="drift", text="dearer", created_us=1)
        shop.session.add(row)
    await shop.session.flush()

    await rates.add_lines(shop.session, shop.nine, [NewLine("output", 4 * NANO, None)], source="file")
    assert len(await notices.all_of(shop.session)) == 2
    await rates.add_lines(shop.session, shop.nine, [NewLine("output", 5 * NANO, None)], source="file")

    assert [notice.deployment_id for notice in await notices.all_of(shop.session)] == [shop.eight]


async def test_what_is_priced_below_its_cost_is_found(shop: Shop):
    await rates.add_lines(shop.session, shop.nine, [NewLine("output", 4 * NANO, 5 * NANO)], source="console")
    assert list(supposed.below_cost(await pricing.load(shop.session))) == []
    await rates.add_lines(shop.session, shop.nine, [NewLine("output", 6 * NANO, 5 * NANO)], source="prices 2")
    await rates.add_lines(shop.session, shop.bare, [NewLine("output", 6 * NANO, 0)], source="console")

    async def found() -> list[tuple[str, int, int, int]]:
        return [
            (one.line.meter, one.wanted_nano, one.charged_nano, one.floor_nano)
            for one in supposed.below_cost(await pricing.load(shop.session))
        ]

    assert await found() == [("output", 5 * NANO, 6 * NANO, 6 * NANO)]
    await settings.put(shop.session, "sell_below_cost", "on")
    assert await found() == [("output", 5 * NANO, 5 * NANO, 6 * NANO)]
