"""From rates to cards: markups, floors, and which price holds for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.clock import now_us
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue, NotFound
from app.base.money import MAX_NANO, NANO
from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.base.usage import Usage
from app.domain.catalog import cards, cards_store, deployments, prices, pricing, providers, rates, settings
from app.domain.catalog.models import PriceCard
from app.domain.catalog.rates import NewLine
from app.domain.catalog.serving import CallableModel
from app.domain.catalog.settings import Terms
from tests.domain.catalog.card_making import FACTS, card_of

TERMS = Terms(credit_price_nano=NANO, markup_basis_points=0, sells_below_cost=False)
LOSS = Terms(credit_price_nano=NANO, markup_basis_points=0, sells_below_cost=True)
CENT = Terms(credit_price_nano=NANO // 100, markup_basis_points=0, sells_below_cost=False)
THIRD = Terms(credit_price_nano=3 * NANO, markup_basis_points=0, sells_below_cost=False)


@pytest.fixture
async def session(hub_environ: dict[str, str]) -> AsyncIterator[AsyncSession]:
    db = Database(read_settings(hub_environ))
    async with db.writing() as writing:
        yield writing
    await db.close()


@pytest.mark.parametrize(
    ("cost", "explicit", "review", "terms", "markup", "price"),
    [
        (100, None, None, TERMS, 0, 100),
        (100, None, None, TERMS, 2050, 121),
        (100, None, None, CENT, 2000, 12_000),
        (100, None, None, THIRD, 0, 34),
        (0, None, None, TERMS, 5000, 0),
        (None, None, None, TERMS, 5000, None),
        (None, 7, None, TERMS, 5000, 7),
        # Below cost only where that is allowed; zero is never a mistake.
        (100, None, None, TERMS, -3000, 100),
        (100, None, None, LOSS, -3000, 70),
        (100, 80, None, TERMS, 5000, 100),
        (100, 80, None, LOSS, 5000, 80),
        (100, 0, None, TERMS, 5000, 0),
        (100, 150, None, TERMS, 5000, 150),
        (100, 40, None, THIRD, 0, 40),
        # What is in doubt is sold as if the higher cost were true.
        (100, None, 130, TERMS, 1000, 143),
        (100, 110, 130, TERMS, 0, 130),
        (MAX_NANO, None, None, CENT, 0, MAX_NANO),
    ],
)
def test_a_price_is_what_its_rate_says_else_the_cost_with_a_markup(
    cost: int | None, explicit: int | None, review: int | None, terms: Terms, markup: int, price: int | None
):
    assert pricing.price_of(cost, explicit, review, terms, markup) == price


async def _route(session: AsyncSession, name: str, *, markup: int | None, of_provider: int | None) -> str:
    provider = await providers.add(session, name=name, kind="openai")
    await providers.set_markup(session, provider.id, of_provider)
    model = await deployments.add_model(session, name=name, type="chat", markup_basis_points=markup)
    route = await deployments.add(session, model_id=model.id, provider_id=provider.id, upstream_model="m")
    await rates.add_lines(session, route.id, [NewLine("input", 1000, None), NewLine("output", 1000, 5000)], source="f")
    return route.id


async def test_the_closest_markup_counts_and_an_explicit_price_has_none(session: AsyncSession):
    own = await _route(session, "own", markup=1000, of_provider=2000)
    of_provider = await _route(session, "of-provider", markup=None, of_provider=2000)
    of_hub = await _route(session, "of-hub", markup=None, of_provider=None)
    none = await _route(session, "none", markup=0, of_provider=2000)
    await settings.put(session, "markup", "30")

    found = await pricing.load(session)

    def input_price(id_: str, team: int | None = None) -> int | None:
        card = found.card(id_, team)
        assert card is not None and card.lines[1].price_nano == 5000
        return card.lines[0].price_nano

    assert [input_price(id_) for id_ in (own, of_provider, of_hub, none)] == [1100, 1200, 1300, 1000]
    assert [input_price(id_, 500) for id_ in (own, of_provider, of_hub, none)] == [1050] * 4
    assert input_price(own, 0) == 1000
    assert found.card(own, None) is found.card(own, None)
    assert found.card("nobody", None) is None


async def test_prices_know_when_the_next_line_comes_into_force(session: AsyncSession):
    route = await _route(session, "m", markup=None, of_provider=None)
    assert (await pricing.load(session)).changes_at is None
    day = clock.now() + timedelta(days=1)

    await rates.add_lines(session, route, [NewLine("input", 9, None)], source="c", effective_from=day)

    found = await pricing.load(session)
    card = found.card(route, None)
    assert found.changes_at == day
    assert card is not None and card.lines[0].cost_nano == 1000


async def test_a_list_shows_the_prices_that_are_charged_without_conditions(session: AsyncSession):
    route = await _route(session, "m", markup=None, of_provider=None)
    await rates.add_lines(session, route, [NewLine("input", 7, None, {"input_over": 9})], source="f")
    await settings.put(session, "credit_price", "0.5")
    found = await pricing.load(session)

    def listed(*route_ids: str, team: int | None = None) -> prices.Price:
        routes = tuple(_Routed(id_) for id_ in route_ids)
        model = CallableModel(name="m", type="chat", aliases=(), routes=routes, created_at=0)  # type: ignore[arg-type]
        return prices.of_model(model, found, team)

    assert listed(route, "other") == prices.Price(input_nano=2000, output_nano=5000, piece_nano=None)
    assert listed(route, team=5000).input_nano == 3000
    assert listed("other", route) == listed() == prices.UNPRICED


class _Routed:
    """All that a price list asks of a route."""

    def __init__(self, id_: str) -> None:
        self.id = id_


async def test_a_card_is_kept_once_and_found_again(hub_environ: dict[str, str]):
    environ = read_settings(hub_environ)
    db = Database(environ)
    writer = SqliteWriter(db) if db.is_sqlite else PostgresWriter(environ)
    await writer.start()
    made = card_of(input=3, output=5)

    together = [writer.post(cards_store.keep(made, now_us())) for _ in range(2)]
    for posting in together:
        await posting.committed()
    await writer.post(cards_store.keep(made, now_us())).committed()
    await writer.close()

    async with db.reading() as session:
        found = await cards_store.find(session, made.id)
        (row,) = (await session.scalars(select(PriceCard))).all()
        assert await cards_store.find(session, "none") is None
    await db.close()
    assert found == made and row.deployment_id == "d"
    assert cards.charge(found, Usage(input=1_000_000), FACTS) == 3


async def test_settings_have_one_text_for_each_value_and_defaults(session: AsyncSession):
    assert await settings.get(session, "credit_price") == "1"
    assert await settings.terms(session) == TERMS
    for name, written, stored in (
        ("billing", "credits", "credits"),
        ("credit_price", "0.50", "0.5"),
        ("markup", "012.50", "12.5"),
        ("sell_below_cost", "on", "on"),
    ):
        await settings.put(session, name, written)
        assert await settings.get(session, name) == stored
    assert await settings.billing_mode(session) == "credits"
    assert await settings.terms(session) == Terms(
        credit_price_nano=NANO // 2, markup_basis_points=1250, sells_below_cost=True
    )
    await settings.put(session, "markup", "0")
    assert (await settings.values(session))["markup"] == "0"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("billing", "free"),
        ("credit_price", "0"),
        ("credit_price", "-1"),
        ("credit_price", "1e3"),
        ("credit_price", "2000000"),
        ("markup", "-101"),
        ("markup", "a lot"),
        ("sell_below_cost", "maybe"),
    ],
)
async def test_a_setting_that_cannot_be_is_refused_by_its_name(session: AsyncSession, name: str, written: str):
    with pytest.raises(BadValue) as refused:
        await settings.put(session, name, written)

    assert refused.value.param == name


async def test_there_are_no_other_settings(session: AsyncSession):
    for work in (settings.get(session, "secret"), settings.put(session, "secret", "x")):
        with pytest.raises(NotFound, match="there are billing, credit_price"):
            await work


async def test_rates_are_read_again_only_when_there_is_another(session: AsyncSession):
    route = await _route(session, "m", markup=None, of_provider=None)
    first = await pricing.load(session)

    assert await pricing.load(session, first) is first
    await settings.put(session, "markup", "10")
    second = await pricing.load(session, first)
    await rates.add_lines(session, route, [NewLine("input", 2000, None)], source="f")
    third = await pricing.load(session, second)

    found = [prices_.card(route, None) for prices_ in (first, second, third)]
    assert [card and card.lines[0].price_nano for card in found] == [1000, 1100, 2200]
    assert second.lines is first.lines
