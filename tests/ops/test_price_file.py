"""Prices in `hub.yaml`: the section `settings`, markups, and rates with a condition."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.base.config import read_settings
from app.base.errors import BadValue
from app.domain.catalog import deployments, pricing, settings
from app.domain.identity import teams
from app.ops import export, house
from app.ops.house import House
from app.ops.marked_yaml import FileRefused
from tests.ops.hub_files import applied, everything, planned

FILE = """\
billing: credits
settings: {credit_price: "0.5", markup: 25, sell_below_cost: on}
providers:
  - {name: lab, kind: openai, markup: "12.5"}
models:
  - model: m
    type: chat
    routes: [{provider: lab, upstream_model: m}]
    cost: {input: "1", output: "2"}
    rates:
      - {meter: input, cost: "3", when: {input_over: 200000}}
      - {meter: output, cost: "4", price: "20", when: {service_tier: priority, from: "16:30", until: 00:30}}
teams:
  - {name: acme, markup: "-5"}
"""


@pytest.fixture
async def opened(hub_environ: dict[str, str]) -> AsyncIterator[House]:
    async with house.opened(read_settings(hub_environ)) as hub:
        yield hub


async def test_a_file_sets_terms_markups_and_rates_with_a_condition(opened: House):
    lines = await applied(opened, FILE)

    assert lines == [
        "~ hub billing: mode off → credits",
        "~ setting credit_price: to 1 → 0.5",
        "~ setting markup: to 0 → 25",
        "~ setting sell_below_cost: to off → on",
        "+ provider lab: kind openai, markup 12.5",
        "+ model m: type chat",
        "+ route m via lab:m: weight 100, priority 0",
        "+ rates m via lab:m: input cost 1, output cost 2, input when input_over 200000 cost 3, "
        "output when service_tier priority from 16:30 until 00:30 cost 4, "
        "output when service_tier priority from 16:30 until 00:30 price 20",
        "+ team acme: markup -5",
    ]
    async with opened.db.reading() as session:
        prices = await pricing.load(session)
        acme = await teams.get_by_name(session, "acme")
        (route,) = await deployments.listed(session)
    assert acme.markup_basis_points == -500
    shown = {
        team: [one.price_nano and one.price_nano / 1e9 for one in card.lines]
        for team in (None, -500)
        if (card := prices.card(route.id, team)) is not None
    }
    assert shown == {None: [6.75, 2.25, 20, 4.5], -500: [5.7, 1.9, 20, 3.8]}


@pytest.mark.parametrize("prune", [False, True])
async def test_such_a_file_applied_again_and_what_is_exported_change_nothing(opened: House, prune: bool):
    await applied(opened, FILE)
    before = await everything(opened)

    exported = export.text(await export.document(opened))

    for text in (FILE, exported):
        assert await applied(opened, text, prune=prune) == []
    assert await everything(opened) == before


async def test_what_a_file_leaves_out_stays_and_none_and_empty_take_it_away(opened: House):
    await applied(opened, FILE)
    silent = "models:\n  - {model: m, type: chat}\nteams: [{name: acme}]\nproviders: [{name: lab, kind: openai}]\n"

    assert await applied(opened, silent) == []
    assert await applied(
        opened,
        "models:\n  - {model: m, type: chat, rates: []}\nteams: [{name: acme, markup: none}]\n"
        "providers: [{name: lab, kind: openai, markup: none}]\n",
    ) == [
        "~ provider lab: markup 12.5 → none",
        "~ rates m via lab:m: input when input_over 200000 cost 3 → none, "
        "output when service_tier priority from 16:30 until 00:30 cost 4 → none, "
        "output when service_tier priority from 16:30 until 00:30 price 20 → none",
        "~ team acme: markup -5 → none",
    ]


async def test_only_pruning_puts_settings_back_that_the_section_leaves_out(opened: House):
    await applied(opened, FILE)

    assert await applied(opened, "settings: {markup: 25}") == []
    assert await applied(opened, "settings: {markup: 25}", prune=True) == [
        "~ setting credit_price: to 0.5 → 1",
        "~ setting sell_below_cost: to on → off",
    ]
    async with opened.db.reading() as session:
        assert (await settings.values(session))["markup"] == "25"


async def test_a_price_below_cost_is_refused_with_the_models_name_and_nothing_is_done(opened: House):
    before = await everything(opened)
    loss = FILE.replace("sell_below_cost: on", "sell_below_cost: off").replace('price: "20"', 'price: "7.9"')

    with pytest.raises(BadValue, match=r"m: The price of output, 7\.9, lies below its cost: it must be 8 credits"):
        await applied(opened, loss)

    assert await everything(opened) == before


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("settings: {credit: 1}", 'settings.credit: there is no such key here. Did you mean "credit_price"?'),
        ("settings: {billing: cost}", "settings.billing: there is no such key here."),
        ("settings: {markup: 2.5}", "settings.markup: a number with a point is read as a float"),
        ("settings: {credit_price: 0}", "settings.credit_price: A credit costs from"),
        ("settings: {sell_below_cost: 1}", "settings.sell_below_cost: This is either on or off."),
        ("teams: [{name: a, markup: '-101'}]", "teams[0].markup: this must be a percentage"),
        ("models: [{model: m, type: chat, rates: [{meter: input, cost: 1}]}]", "rates[0]: the key when is missing."),
        (
            "models: [{model: m, type: chat, rates: [{meter: input, cost: 1, when: {}}]}]",
            "rates[0].when: a rate that always holds belongs into cost and price.",
        ),
        (
            "models: [{model: m, type: chat, rates: [{meter: input, when: {size: 1x1}}]}]",
            "rates[0]: a rate has a cost, a price, or both.",
        ),
        (
            "models: [{model: m, type: chat, rates: [{meter: inputs, cost: 1, when: {size: 1x1}}]}]",
            'rates[0].meter: "inputs" is not possible. Did you mean "input"?',
        ),
        (
            "models: [{model: m, type: chat, rates: [{meter: input, cost: 1, when: {from: '25:00', until: '1:00'}}]}]",
            "rates[0].when: The condition from: must be a time of the day",
        ),
        (
            "models: [{model: m, type: chat, rates: [{meter: input, cost: 1, when: {size: 1x1}}, "
            "{meter: input, cost: 2, when: {size: 1X1}}]}]",
            "rates[1]: this rate is here already, in line 1.",
        ),
    ],
)
async def test_a_fault_is_told_at_its_place(opened: House, text: str, fault: str):
    with pytest.raises(FileRefused) as refused:
        await planned(opened, text)

    (found,) = [str(one) for one in refused.value.faults]
    assert fault in found
