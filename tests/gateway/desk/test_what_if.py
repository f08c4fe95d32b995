"""What if: calls priced anew come to exactly what each of them would have been charged."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import insert, update

from app.base.clock import MICROSECONDS
from app.base.config import read_settings
from app.base.db import Database
from app.base.ids import new_id
from app.base.money import NANO
from app.domain.calls import bills, replaying
from app.domain.calls.models import Call
from app.domain.catalog import deployments, pricing, settings, supposed
from app.domain.catalog.pricing import Prices
from app.domain.catalog.rates import NewLine
from app.gateway.desk import verifying, what_if
from app.gateway.desk.what_if import Replay, Sums
from tests.replayed_calls import MODELS, any_row, row, stock

NOON_US = 1_795_176_000_000_000
DAY_US = 86_400 * MICROSECONDS
MARKUP = 2_500


class Stocked:
    def __init__(self, db: Database, deployments: list[str], teams: list[str]) -> None:
        self.db, self.deployments, self.teams = db, deployments, teams

    async def add(self, *rows: dict[str, Any]) -> None:
        async with self.db.writing() as session:
            await session.execute(insert(Call), list(rows))

    async def prices(self) -> Prices:
        async with self.db.reading() as session:
            return await pricing.load(session)

    async def replayed(self, then: Prices | None = None) -> Replay:
        then = then or await self.prices()
        return await what_if.replay(self.db, then, since_us=NOON_US, until_us=NOON_US + DAY_US)

    async def sums(self, then: Prices | None = None) -> Sums:
        """Of all."""
        return (await self.replayed(then)).total


@pytest.fixture
async def stocked(hub_environ: dict[str, str]) -> AsyncIterator[Stocked]:
    db = Database(read_settings(hub_environ))
    async with db.writing() as session:
        ids, team_ids = await stock(session)
    yield Stocked(db, ids, team_ids)
    await db.close()


async def test_sums_are_those_of_each_call_priced_by_itself(stocked: Stocked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replaying, "PER_QUERY", 97)
    chance = random.Random(7)
    rows = [any_row(chance, stocked.teams, stocked.deployments, NOON_US + n * 80_000_000) for n in range(1_000)]
    await stocked.add(*rows)
    now = await stocked.prices()
    then = supposed.prices(now, {}, replace(now.terms, markup_basis_points=MARKUP))

    found = await stocked.replayed(then)

    # The check of the books knows what a call has to come to, from its row and a card; it took nothing from here.
    markups = dict(zip(stocked.teams, (None, 5_000), strict=True))
    wanted: dict[tuple[str, str], Sums] = {}
    async with stocked.db.reading() as session:
        calls = await bills.after(session, "")
    models = {one["id"]: one["model"] for one in rows}
    names = dict(zip(stocked.teams, ("acme", "globex"), strict=True))
    for call in calls:
        sums = wanted.setdefault((names[call.team_id], models[call.id]), Sums())
        card = then.card(call.deployment_id or "", markups[call.team_id])
        cost, charge = verifying.expected(call, card)
        sums.calls += 1
        sums.charged_nano += call.charge_nano or 0
        sums.charged_then_nano += charge or 0
        sums.cost_nano += call.cost_nano or 0
        sums.cost_then_nano += cost or 0
        sums.cost_unknown += cost is None
        is_free = call.charged_as is not None and call.charged_as.endswith(" free")
        sums.unpriced += card is None and not is_free and call.usage_source != "none"
    assert len(wanted) == 2 * MODELS
    for effect in found.effects:
        sums = wanted[effect.team, effect.model]
        sums.margin_nano, sums.margin_then_nano = effect.sums.margin_nano, effect.sums.margin_then_nano
        assert effect.sums == sums, (effect.team, effect.model)
    assert found.total.calls == len(rows) and found.total.unpriced > 0
    assert found.total.charged_then_nano == sum(one.charged_then_nano for one in wanted.values())


async def test_only_calls_of_that_time_that_have_ended_count(stocked: Stocked):
    team, deployment = stocked.teams[0], stocked.deployments[0]
    fields = {"deployment_id": deployment, "output": 1_000_000}
    await stocked.add(
        row(team, NOON_US - 1, **fields),
        row(team, NOON_US, **fields),
        row(team, NOON_US + DAY_US - 1, **fields),
        row(team, NOON_US + DAY_US, **fields),
        row(team, NOON_US + 1, status="running", **fields),
    )

    assert (await stocked.sums()).calls == 2


async def test_calls_of_some_deployments_can_be_looked_at_alone(stocked: Stocked):
    team, (one, other, *_) = stocked.teams[0], stocked.deployments
    await stocked.add(*(row(team, NOON_US, deployment_id=id_, output=1_000_000) for id_ in (one, other, None)))

    found = await what_if.replay(
        stocked.db, await stocked.prices(), since_us=NOON_US, until_us=NOON_US + DAY_US, deployment_ids=[other]
    )

    assert (found.total.calls, found.total.charged_then_nano) == (1, 4 * NANO + 3)


async def test_a_hub_without_calls_has_nothing_to_price(stocked: Stocked):
    found = await stocked.replayed()

    assert (found.effects, found.total) == ([], Sums())


async def test_margins_are_what_credits_are_worth_less_the_cost(stocked: Stocked):
    charged = {"charge_nano": 6 * NANO, "cost_nano": 4 * NANO}
    await stocked.add(row(stocked.teams[0], NOON_US, deployment_id=stocked.deployments[0], output=1_000_000, **charged))
    now = await stocked.prices()
    dear = replace(now.terms, credit_price_nano=2 * NANO, markup_basis_points=10_000)

    sums = await stocked.sums(supposed.prices(now, {}, dear))

    cost = 4 * NANO + 3
    assert (sums.margin_nano, sums.cost_then_nano, sums.charged_then_nano) == (2 * NANO, cost, cost)
    assert sums.margin_then_nano == 2 * cost - cost


async def test_other_lines_price_what_could_not_be_priced_before(stocked: Stocked):
    bare = stocked.deployments[-1]
    call = row(stocked.teams[0], NOON_US, deployment_id=bare, input=10, output=1_000_000)
    await stocked.add(call)
    now = await stocked.prices()
    before = await stocked.sums(now)

    after = await stocked.sums(supposed.prices(now, {bare: [NewLine("input", None, 0), NewLine("output", None, NANO)]}))

    assert (before.unpriced, before.charged_then_nano) == (1, 0)
    assert (after.unpriced, after.charged_then_nano, after.cost_unknown) == (0, NANO, 1)


async def test_calls_of_a_time_without_billing_are_charged_as_the_policy_says(stocked: Stocked):
    price = {"billing": "off", "charged_as": None, "deployment_id": stocked.deployments[0], "model": "m0"}
    team = stocked.teams[0]
    answered = {"output": 1_000_000, **price}
    await stocked.add(
        row(team, NOON_US, **answered),
        row(team, NOON_US, status="client_gone", **answered),
        row(team, NOON_US, status="failed", input=1_000_000, **price),
        row(team, NOON_US, status="failed", **answered),
    )
    each = 4 * NANO + 3

    assert (await stocked.sums()).charged_then_nano == 3 * each
    async with stocked.db.writing() as session:
        await settings.put(session, "charging_policy", "client_gone.some=free, failed.some=free")
    assert (await stocked.sums()).charged_then_nano == each


async def test_calls_of_a_route_that_is_gone_and_of_the_demo_are_priced_too(stocked: Stocked):
    team, gone = stocked.teams[0], stocked.deployments[0]
    await stocked.add(
        row(team, NOON_US, deployment_id=gone, output=1_000_000),
        row(team, NOON_US, deployment_id="demo-chat", model="demo/chat", output=1_000_000),
        row(team, NOON_US, deployment_id=None, model="m1", usage_source="none"),
        row(new_id(), NOON_US, deployment_id=gone, output=1_000_000),
    )
    async with stocked.db.writing() as session:
        await deployments.remove(session, gone)
        await session.execute(update(Call).where(Call.team_id == team).values(charge_nano=0))

    found = await stocked.replayed()

    assert (found.total.unpriced, found.total.charged_then_nano) == (0, 2 * (4 * NANO + 3))
    assert {effect.team == "acme" for effect in found.effects} == {True, False}
