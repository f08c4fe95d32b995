"""The prices in a snapshot: new ones come with a change, and with the moment for which they were announced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from app.base import clock
from app.base.config import read_settings
from app.domain.catalog import deployments, providers, rates, settings
from app.domain.catalog.rates import NewLine
from app.domain.identity import api_keys, teams
from app.gateway.snapshot import SnapshotKeeper
from app.ops import house
from app.ops.house import House


@pytest.fixture
async def opened(hub_environ: dict[str, str]) -> AsyncIterator[House]:
    async with house.opened(read_settings(hub_environ)) as hub:
        yield hub


async def _route(hub: House) -> str:
    async with hub.db.writing() as session:
        provider = await providers.add(session, name="p", kind="openai")
        model = await deployments.add_model(session, name="m", type="chat")
        route = await deployments.add(session, model_id=model.id, provider_id=provider.id, upstream_model="m")
        await rates.add_lines(session, route.id, [NewLine("input", 100, None)], source="file")
        return route.id


def _price(keeper: SnapshotKeeper, route_id: str, team: int | None = None) -> int | None:
    card = keeper.current.prices.card(route_id, team)
    assert card is not None
    return card.lines[0].price_nano


async def test_a_price_that_was_announced_comes_into_force_though_nothing_was_changed(
    opened: House, monkeypatch: pytest.MonkeyPatch
):
    route_id = await _route(opened)
    day = clock.now() + timedelta(days=1)
    async with opened.db.writing() as session:
        await rates.add_lines(session, route_id, [NewLine("input", 300, None)], source="c", effective_from=day)
    keeper = SnapshotKeeper(opened.db, opened.vault, lambda: None)
    await keeper.load()
    revision = keeper.current.revision

    def at(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    at(day - timedelta(seconds=1))
    assert not await keeper.refresh() and _price(keeper, route_id) == 100
    at(day)
    assert await keeper.refresh() and _price(keeper, route_id) == 300
    assert keeper.current.revision == revision
    assert not await keeper.refresh()
    at(day - timedelta(hours=1))
    assert not await keeper.refresh() and _price(keeper, route_id) == 300


async def test_a_change_of_terms_or_markups_is_a_change_of_prices(opened: House):
    route_id = await _route(opened)
    keeper = SnapshotKeeper(opened.db, opened.vault, lambda: None)
    await keeper.load()
    assert _price(keeper, route_id) == 100

    for work, price in (
        (lambda session: settings.put(session, "markup", "10"), 110),
        (lambda session: settings.put(session, "credit_price", "0.5"), 220),
        (lambda session: rates.add_lines(session, route_id, [NewLine("input", 200, None)], source="f"), 440),
    ):
        async with opened.db.writing() as session:
            await work(session)
        assert await keeper.refresh() and _price(keeper, route_id) == price


async def test_a_caller_brings_the_markup_of_its_team(opened: House):
    route_id = await _route(opened)
    async with opened.db.writing() as session:
        team = await teams.create(session, name="acme")
        await teams.set_markup(session, team.id, 5000)
        await api_keys.create(session, opened.pepper, team_id=team.id, name="ci", models=["*"])
    keeper = SnapshotKeeper(opened.db, opened.vault, lambda: None)
    await keeper.load()

    (caller,) = keeper.current.callers.values()

    assert _price(keeper, route_id, caller.markup_basis_points) == 150
