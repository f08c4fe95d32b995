"""Cards: which line is for what was consumed, what that costs and is charged, and when a price is unknown."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from fractions import Fraction
from time import thread_time
from timeit import repeat
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.errors import BadValue
from app.base.money import MAX_NANO, NANO
from app.base.usage import METERS, Usage
from app.domain.catalog import cards, conditions
from app.domain.catalog.cards import Card, Facts
from tests.domain.catalog.card_making import FACTS, NOON_US, card, card_of, line
from tests.proofs import figures

MILLION = 1_000_000
DOLLAR = NANO
ROUNDING_CALLS = int(os.environ.get("ROUNDING_CALLS", "100000"))


def chosen(card: Card, usage: Usage, facts: Facts = FACTS) -> dict[str, str | None]:
    """Meter → the id of the line that is for it."""
    return {item.meter: item.line and item.line.rate_id for item in cards.items(card, usage, facts)}


def test_the_same_rates_make_the_same_card_on_every_process():
    lines = [
        line("input", 3, 2),
        line("output", 5, 4),
        line("input", 9, 8, {"input_over": 10, "size": "A", "from": "01:00", "until": "02:00"}),
    ]
    one, other = card(*lines), card(*reversed(lines))

    assert one == other and one.id == other.id and len(one.id) == 32
    assert cards.read(cards.content(one)) == one
    again = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from app.domain.catalog import cards; print(cards.read(sys.stdin.read()).id)",
        ],
        input=cards.content(one),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    assert again.stdout.strip() == one.id
    others = [
        card(*lines, credit_price_nano=NANO + 1),
        card(*lines, markup_basis_points=1),
        card(*lines[:2]),
        card(line("input", 4, 2), *lines[1:]),
    ]
    assert len({one.id, *(other.id for other in others)}) == 5


def test_a_content_that_was_changed_gives_another_id_and_one_that_is_none_is_refused():
    made = card_of(input=3, output=5)
    changed = json.loads(cards.content(made))
    changed["lines"][0]["price_nano"] = 2

    assert cards.read(json.dumps(changed)).id != made.id
    with pytest.raises(msgspec.MsgspecError):
        cards.read('{"lines": []}')


def test_the_most_specific_line_that_holds_is_taken():
    made = card(
        line("input", 1),
        line("input", 2, when={"input_over": 1000}),
        line("input", 3, when={"input_over": 2000}),
        line("input", 4, when={"service_tier": "flex"}),
        line("input", 5, when={"service_tier": "flex", "input_over": 1000}),
        line("output", 1),
    )

    def price(tokens: int, tier: str | None = None, cached: int = 0) -> int | None:
        facts = Facts(service_tier=tier, started_us=NOON_US)
        found = cards.items(made, Usage(input=tokens, cache_read=cached), facts)
        return found[0].line and found[0].line.price_nano

    assert [price(1000), price(1001), price(2001)] == [1, 2, 3]
    assert [price(999, cached=1), price(999, cached=2)] == [1, 2]
    assert [price(10, "flex"), price(10, "FLEX"), price(2001, "flex"), price(10, "priority")] == [4, 4, 5, 1]


def test_a_picture_is_priced_by_size_and_quality():
    made = card(
        line("images", 40),
        line("images", 80, when={"size": "1792x1024"}),
        line("images", 120, when={"size": "1792x1024", "quality": "hd"}),
    )

    def charge(size: str | None, quality: str | None) -> int | None:
        return cards.charge(made, Usage(images=2), Facts(size=size, quality=quality, started_us=NOON_US))

    assert charge(None, None) == charge("1024x1024", "hd") == 80
    assert (charge("1792x1024", None), charge("1792x1024", "HD")) == (160, 240)


@pytest.mark.parametrize(
    ("begins", "ends", "holds"),
    [
        (
            "16:30",
            "00:30",
            {"16:29": False, "16:30": True, "23:59": True, "00:00": True, "00:29": True, "00:30": False},
        ),
        ("00:30", "16:30", {"00:29": False, "00:30": True, "16:29": True, "16:30": False}),
    ],
)
def test_a_window_of_the_day_may_pass_midnight(begins: str, ends: str, holds: dict[str, bool]):
    made = card(line("output", 10), line("output", 5, when={"from": begins, "until": ends}))
    midnight_us = NOON_US - NOON_US % (86_400 * MILLION)

    for time, is_within in holds.items():
        at_us = midnight_us + (int(time[:2]) * 60 + int(time[3:])) * 60 * MILLION
        charged = cards.charge(made, Usage(output=MILLION), Facts(started_us=at_us))
        assert (time, charged) == (time, 5 if is_within else 10)


@pytest.mark.parametrize(
    ("written", "param"),
    [
        ({"over": 1}, "over"),
        ({"input_over": "200000"}, "input_over"),
        ({"input_over": True}, "input_over"),
        ({"input_over": -1}, "input_over"),
        ({"service_tier": 5}, "service_tier"),
        ({"size": ""}, "size"),
        ({"quality": "h d"}, "quality"),
        ({"from": "16:30"}, "until"),
        ({"until": "16:30"}, "from"),
        ({"from": "24:00", "until": "01:00"}, "from"),
        ({"from": "1:00", "until": "02:00"}, "from"),
        ({"from": "01:00", "until": "01:00"}, "until"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_by_its_key(written: dict[str, Any], param: str):
    with pytest.raises(BadValue) as refused:
        conditions.read(written)

    assert refused.value.param == param and param in refused.value.sentence


def test_a_condition_is_written_back_as_it_was_read():
    written = {
        "input_over": 5,
        "service_tier": "flex",
        "size": "1x1",
        "quality": "hd",
        "from": "01:00",
        "until": "02:00",
    }

    assert conditions.read(written).as_json() == written
    assert conditions.read({"quality": "HD"}) == conditions.read({"quality": "hd"})
    assert conditions.read({}).as_json() == {} and conditions.read({}).is_empty


def test_the_facts_of_a_call_come_back_from_its_row():
    facts = Facts(size="1x1", quality="hd", started_us=5)

    assert cards.facts_json(FACTS) is None
    assert cards.read_facts(None, NOON_US) == FACTS
    assert cards.read_facts(cards.facts_json(facts), 5) == facts


def test_a_meter_without_a_line_is_charged_by_the_one_that_contains_it():
    usage = Usage(
        input=1, cache_read=1, cache_write_5m=1, cache_write_1h=1, output=2, reasoning=1, audio_in=1, audio_out=1
    )

    assert chosen(card_of(input=1, output=2), usage) == {
        "input": "input",
        "cache_read": "input",
        "cache_write_5m": "input",
        "cache_write_1h": "input",
        "output": "output",
        "audio_in": "input",
        "audio_out": "output",
    }
    assert chosen(card_of(input=1, output=2, cache_write_5m=3), usage)["cache_write_1h"] == "cache_write_5m"
    assert chosen(card_of(input=1, output=2, cache_write_5m=3, cache_write_1h=4), usage)["cache_write_1h"] == (
        "cache_write_1h"
    )


def test_reasoning_is_paid_as_the_output_that_it_is_part_of():
    made = card_of(input=MILLION, output=MILLION)

    thinking, silent = Usage(output=9, reasoning=8), Usage(output=9)

    assert cards.charge(made, thinking, FACTS) == cards.charge(made, silent, FACTS) == 9
    assert cards.cost(made, thinking, FACTS) == 9


@pytest.mark.parametrize(
    ("prices", "usage", "charge"),
    [
        # What is counted beside what is priced costs nothing.
        ({"input": 1, "output": 1}, Usage(output=MILLION, images=3, requests=1, web_searches=2), 1),
        ({"images": 4}, Usage(input=50, output=4000, images=2, requests=1), 8),
        ({"images": 4, "input": MILLION}, Usage(input=50, output=4000, images=2), 58),
        ({"characters": MILLION}, Usage(characters=7, requests=1), 7),
        ({"seconds": 2}, Usage(seconds=3, output=900), 6),
        ({"input": MILLION, "output": MILLION}, Usage(audio_in=5, output=2, seconds=9), 7),
        ({"requests": 6}, Usage(input=10, output=10, requests=1), 6),
        ({"input": MILLION, "output": MILLION, "web_searches": 10, "requests": 5}, Usage(output=1, requests=1), 6),
        ({"input": MILLION, "output": MILLION, "web_searches": 10}, Usage(output=1, web_searches=2, requests=1), 21),
        ({"images": 4}, Usage(input=50), 0),
        ({"input": 1, "output": 1}, Usage(requests=1), 0),
        ({"input": 1, "output": 1}, Usage(), 0),
        # What may be all that was sold is unknown, not free.
        ({"input": 1}, Usage(input=1, output=1), None),
        ({"output": 1}, Usage(input=1, output=1), None),
        ({"input": 1, "requests": 1}, Usage(input=1, output=1, requests=1), None),
        ({"input": 1, "output": 1}, Usage(images=1), None),
        ({"input": 1, "output": 1}, Usage(input=5, images=1), None),
        ({"input": 1, "output": 1}, Usage(seconds=1), None),
        ({"seconds": 2}, Usage(output=900), None),
        ({"images": 4, "input": 1}, Usage(input=5, output=9), None),
        ({"web_searches": 1}, Usage(input=5, web_searches=1), None),
        ({"characters": 1}, Usage(seconds=2), None),
    ],
)
def test_what_has_no_line_is_part_of_what_has_one_or_unknown(prices: dict[str, int], usage: Usage, charge: int | None):
    made = card_of(**prices)

    assert cards.charge(made, usage, FACTS) == charge
    assert cards.cost(made, usage, FACTS) == charge


def test_a_cost_that_nobody_knows_is_not_zero_but_its_price_holds():
    made = card(line("input", MILLION, None), line("output", MILLION, 0))

    assert cards.charge(made, Usage(input=5, output=2), FACTS) == 7
    assert cards.cost(made, Usage(input=5), FACTS) is None
    assert cards.cost(made, Usage(output=2), FACTS) == 0


def test_a_price_that_nobody_knows_is_not_zero():
    made = card(line("input", MILLION, 1), line("output", None, 1))

    assert cards.charge(made, Usage(input=5), FACTS) == 5
    assert cards.charge(made, Usage(output=5), FACTS) is None


def test_costs_are_rounded_half_to_even_and_charges_up():
    made = card_of(input=500_000, output=1, images=3)

    assert [cards.cost(made, Usage(input=n), FACTS) for n in (1, 2, 3, 4, 5)] == [0, 1, 2, 2, 2]
    assert [cards.charge(made, Usage(input=n), FACTS) for n in (1, 2, 3, 4, 5)] == [1, 1, 2, 2, 3]
    assert cards.cost(made, Usage(input=1, output=1), FACTS) == 1


@pytest.mark.parametrize(
    ("markup", "credit", "cost", "charge"),
    [
        (0, DOLLAR, 7, 7),
        (2000, DOLLAR, 10, 12),
        (2000, DOLLAR, 1, 2),
        (0, DOLLAR // 100, 7, 700),
        (0, DOLLAR * 3, 7, 3),
        (-5000, DOLLAR, 10, 10),
        (0, DOLLAR, 0, 0),
    ],
)
def test_a_cost_that_the_provider_tells_is_charged_with_the_markup(markup: int, credit: int, cost: int, charge: int):
    made = card(line("input", 1), credit_price_nano=credit, markup_basis_points=markup)

    assert cards.charge_of_cost(made, cost) == charge


_USAGES = st.builds(
    lambda counts: Usage(**{**counts, "output": counts["output"] + counts["reasoning"]}),
    st.fixed_dictionaries({meter: st.integers(0, 500_000_000) for meter in METERS}),
)
_PRICES = st.dictionaries(
    st.sampled_from([meter for meter in METERS if meter != "reasoning"]), st.integers(0, 10**12), min_size=1
)


@given(_PRICES, _USAGES, st.booleans())
def test_a_charge_is_the_exact_sum_rounded_up_once(prices: dict[str, int], usage: Usage, is_conditional: bool):
    lines = [line(meter, price, price) for meter, price in prices.items()]
    if is_conditional:
        lines.append(line("input", prices.get("input", 1), 1, {"input_over": 10}))
    made = card(*lines)

    charge = cards.charge(made, usage, FACTS)

    if charge is not None:
        exact = _exact(made, usage)
        assert charge == min(-(-exact.numerator // exact.denominator), MAX_NANO)


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_a_million_random_calls_are_never_charged_less_than_their_exact_sum():
    """`ROUNDING_CALLS` says how many; each is at most one nano-credit above."""
    chooser = random.Random(20)
    prices = {"input": 1_250_000_007, "cache_read": 125_000_003, "output": 10_000_000_001, "audio_in": 3}
    made = card_of(**prices)
    charged = units = 0
    for _ in range(ROUNDING_CALLS):
        usage = Usage(
            input=chooser.getrandbits(14),
            cache_read=chooser.getrandbits(15),
            output=chooser.getrandbits(12),
            audio_in=chooser.getrandbits(3),
        )
        charge = cards.charge(made, usage, FACTS)
        assert charge is not None
        charged += charge
        units += sum(getattr(usage, meter) * price for meter, price in prices.items())

    exact = Fraction(units, MILLION)
    assert exact <= charged < exact + ROUNDING_CALLS
    above = float((charged - exact) / ROUNDING_CALLS)
    figures.note(
        "rounding", f"{ROUNDING_CALLS} calls, {above:.3f} nano-credits a call above the exact sum, never below"
    )


def test_working_out_the_charge_of_a_chat_call_takes_no_more_than_six_microseconds():
    plain = card_of(input=150_000_000, cache_read=75_000_000, output=600_000_000)
    tiers = [
        line(meter, price, price, {"input_over": 200_000})
        for meter, price in (("input", 300_000_000), ("output", 900_000_000), ("cache_read", 150_000_000))
    ]
    usage = Usage(input=1000, cache_read=300, output=200, requests=1)

    for made in (plain, card(*plain.lines, *tiers)):
        # The thread's own time: others may be busy beside it.
        spent = repeat(lambda made=made: cards.charge(made, usage, FACTS), timer=thread_time, number=2000, repeat=9)
        assert min(spent) / 2000 < 6e-6


def _exact(card: Card, usage: Usage) -> Fraction:
    total = Fraction(0)
    for item in cards.items(card, usage, FACTS):
        if item.line is not None and item.line.price_nano is not None:
            total += Fraction(item.units * item.line.price_nano, item.line.per_units)
    return total
