"""What users of other gateways were charged wrongly, one test for each; `pains` are numbered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.adapters.providers.registry import KINDS
from app.base import clock
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue
from app.base.money import MAX_NANO, NANO, nano
from app.base.usage import METERS, Usage
from app.domain.catalog import cards, deployments, pricing, providers, rates, settings
from app.domain.catalog.cards import Facts
from app.domain.catalog.models import Rate
from app.gateway.formats import FORMATS
from tests.domain.catalog.card_making import FACTS, NOON_US, card, card_of, line

MILLION = 1_000_000
CONVERSATION = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "requests")


@pytest.fixture
async def session(hub_environ: dict[str, str]) -> AsyncIterator[AsyncSession]:
    db = Database(read_settings(hub_environ))
    async with db.writing() as writing:
        yield writing
    await db.close()


def _read(kind: str, endpoint: str, report: dict[str, Any]) -> Usage:
    return FORMATS[endpoint].read_usage(json.dumps(report).encode(), KINDS[kind].usage, endpoint)


def _cost(usage: Usage, **dollars: str) -> int | None:
    """nano-USD, at these dollars for a million tokens."""
    return cards.cost(card_of(**{meter: nano(amount) for meter, amount in dollars.items()}), usage, FACTS)


def test_pain_P01_a_cached_prompt_is_not_priced_again_as_text():
    usage = _read(
        "google",
        "generate_content",
        {
            "promptTokenCount": 100_000,
            "cachedContentTokenCount": 90_000,
            "candidatesTokenCount": 1_000,
            "totalTokenCount": 101_000,
        },
    )

    cost = _cost(usage, input="1.25", cache_read="0.31", output="10")

    assert cost == (10_000 * nano("1.25") + 90_000 * nano("0.31") + 1_000 * nano("10")) // MILLION


@pytest.mark.parametrize(
    ("kind", "endpoint", "report"),
    [
        (
            "anthropic",
            "messages",
            {
                "input_tokens": 50,
                "cache_creation_input_tokens": 10_000,
                "cache_read_input_tokens": 2_000,
                "output_tokens": 100,
            },
        ),
        (
            "openrouter",
            "chat.completions",
            {
                "prompt_tokens": 12_050,
                "prompt_tokens_details": {"cached_tokens": 2_000, "cache_write_tokens": 10_000},
                "completion_tokens": 100,
                "total_tokens": 12_150,
            },
        ),
    ],
)
def test_pain_P02_cache_writes_are_paid_once_wherever_they_are_counted(
    kind: str, endpoint: str, report: dict[str, Any]
):
    usage = _read(kind, endpoint, report)

    cost = _cost(usage, input="3", cache_read="0.30", cache_write_5m="3.75", output="15")

    wanted = 50 * nano("3") + 2_000 * nano("0.30") + 10_000 * nano("3.75") + 100 * nano("15")
    assert cost == wanted // MILLION


def test_pain_P06_an_hours_cache_write_is_not_paid_as_one_of_five_minutes():
    usage = _read(
        "anthropic",
        "messages",
        {
            "input_tokens": 0,
            "output_tokens": 0,
            "cache_creation_input_tokens": 3_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
        },
    )

    cost = _cost(usage, input="3", cache_write_5m="3.75", cache_write_1h="6", output="15")

    assert cost == (1_000 * nano("3.75") + 2_000 * nano("6")) // MILLION


async def test_pain_P09_a_deployment_without_rates_has_no_card_and_free_is_an_explicit_zero(session: AsyncSession):
    provider = await providers.add(session, name="p", kind="openai")
    ids: list[str] = []
    for name in ("new", "free", "half"):
        model = await deployments.add_model(session, name=name, type="chat")
        route = await deployments.add(session, model_id=model.id, provider_id=provider.id, upstream_model=name)
        ids.append(route.id)
    await rates.set_card(session, ids[1], {"input": (0, 0), "output": (0, 0)}, "file")
    await rates.set_card(session, ids[2], {"input": (1, None)}, "file")

    prices = await pricing.load(session)

    new, free, half = (prices.card(id_, None) for id_ in ids)
    assert new is None
    assert free is not None and cards.is_priced(free, CONVERSATION)
    assert cards.charge(free, Usage(input=9, output=9), FACTS) == 0
    assert half is not None and not cards.is_priced(half, CONVERSATION)


def test_pain_P10_requests_pictures_seconds_and_words_have_prices_of_their_own():
    made = card_of(
        requests=nano("0.001"),
        images=nano("0.04"),
        seconds=nano("0.1"),
        characters=nano("15"),
        web_searches=nano("0.01"),
    )

    usage = Usage(requests=1, images=2, seconds=3, characters=1_000, web_searches=4)

    assert cards.charge(made, usage, FACTS) == sum(map(nano, ("0.001", "0.08", "0.3", "0.015", "0.04")))


def test_pain_P11_long_prompts_tiers_and_hours_have_prices_of_their_own():
    made = card(
        line("input", 2_500_000),
        line("input", 5_000_000, when={"input_over": 272_000}),
        line("input", 1_250_000, when={"service_tier": "flex"}),
        line("input", 600_000, when={"from": "16:30", "until": "00:30"}),
        line("output", 0),
    )
    evening_us = NOON_US + 5 * 3600 * MILLION

    def charge(tokens: int, facts: Facts = FACTS) -> int | None:
        return cards.charge(made, Usage(input=tokens), facts)

    assert (charge(272_000), charge(272_001)) == (680_000, 1_360_005)
    assert charge(1_000, Facts(service_tier="flex", started_us=NOON_US)) == 1_250
    assert charge(1_000, Facts(started_us=evening_us)) == 600


async def test_pain_P12_a_changed_price_leaves_the_old_line_and_the_card_that_charged(session: AsyncSession):
    await rates.add_lines(session, "d", [rates.NewLine("input", 1, 5), rates.NewLine("output", 1, 5)], source="file")
    old = await rates.in_force(session, ["d"], await rates.moment(session))
    terms = await settings.terms(session)
    before = pricing.card_of("d", old["d"], terms, 0)

    await rates.add_lines(session, "d", [rates.NewLine("input", 1, 9)], source="console")

    new = await rates.in_force(session, ["d"], await rates.moment(session))
    after = pricing.card_of("d", new["d"], terms, 0)
    assert before.id != after.id
    assert {one.rate_id for one in before.lines} - {one.rate_id for one in after.lines}
    assert cards.read(cards.content(before)).lines == before.lines


@pytest.mark.parametrize("change", [delete(Rate), update(Rate).values(price_nano=1)])
async def test_pain_P12_the_database_itself_keeps_old_lines(session: AsyncSession, change: Any):
    await rates.add_lines(session, "d", [rates.NewLine("input", 1, 5)], source="file")

    with pytest.raises(DBAPIError, match="append-only"):
        async with session.begin_nested():
            await session.execute(change)


def test_pain_P13_ten_billion_tokens_and_more_are_charged_exactly():
    made = card_of(input=75 * NANO + 7, output=600 * NANO + 1)
    usage = Usage(input=10**15, output=10**15)

    assert cards.charge(made, usage, FACTS) == cards.cost(made, usage, FACTS) == min(10**9 * (675 * NANO + 8), MAX_NANO)
    usage = Usage(input=10**10, output=3)
    exact = 10**10 * (75 * NANO + 7) + 3 * (600 * NANO + 1)
    assert cards.charge(made, usage, FACTS) == -(-exact // MILLION)


def test_pain_P13_what_exceeds_every_column_is_bounded_and_not_wrapped():
    made = card_of(images=MAX_NANO)

    assert cards.charge(made, Usage(images=10**9), FACTS) == MAX_NANO
    assert cards.cost(made, Usage(images=10**9), FACTS) == MAX_NANO


def test_pain_P14_no_float_takes_part():
    made = card(
        *(line(meter, 333_333_333, 333_333_333) for meter in METERS if meter != "reasoning"), credit_price_nano=3 * NANO
    )
    usage = Usage(**dict.fromkeys(METERS, 1))

    found = [
        cards.charge(made, usage, FACTS),
        cards.cost(made, usage, FACTS),
        cards.charge_of_cost(made, 1),
        *(amount for one in made.lines for amount in (one.cost_nano, one.price_nano)),
    ]

    assert {type(amount) for amount in found} == {int}
    assert "." not in cards.content(made).replace('"', "")


async def test_pain_P15_a_price_below_cost_is_refused_and_an_old_one_is_raised(session: AsyncSession):
    with pytest.raises(
        BadValue, match=r"input, 0\.1, lies below its cost: it must be 0\.15 credits or more"
    ) as refused:
        await rates.add_lines(session, "d", [rates.NewLine("input", nano("0.15"), nano("0.1"))], source="console")
    assert refused.value.param == "input"
    doubtful = rates.NewLine("input", nano("0.15"), nano("0.15"), review_cost_nano=nano("0.2"))
    with pytest.raises(BadValue, match=r"0\.2 credits or more"):
        await rates.add_lines(session, "d", [doubtful], source="console")

    # The price of a credit falls: what was above cost no longer is.
    await rates.add_lines(session, "d", [rates.NewLine("input", nano("0.15"), nano("0.16"))], source="console")
    await settings.put(session, "credit_price", "0.5")
    raised = await _price(session)
    await settings.put(session, "sell_below_cost", "on")
    allowed = await _price(session)

    assert (raised, allowed) == (nano("0.30"), nano("0.16"))
    assert await rates.add_lines(session, "d", [rates.NewLine("input", nano("0.15"), 1)], source="console") == 1


async def test_pain_P15_a_cost_that_rises_above_a_standing_price_is_recorded_and_the_price_follows(
    session: AsyncSession,
):
    await rates.add_lines(session, "d", [rates.NewLine("input", 100, 120)], source="console")

    later = clock.now() + timedelta(days=1)
    added = await rates.add_lines(session, "d", [rates.NewLine("input", 130, 120)], source="b", effective_from=later)

    assert added == 1 and await _price(session) == 120
    lines = (await rates.in_force(session, ["d"], later))["d"]
    assert pricing.card_of("d", lines, await settings.terms(session), 0).lines[0].price_nano == 130


async def _price(session: AsyncSession) -> int | None:
    lines = (await rates.in_force(session, ["d"], await rates.moment(session)))["d"]
    return pricing.card_of("d", lines, await settings.terms(session), 0).lines[0].price_nano
