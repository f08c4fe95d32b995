"""Every path that makes a call declares what it meters, and can be priced by it."""

from __future__ import annotations

import itertools
import random

import pytest

from app.base.usage import PER_MILLION_METERS, PER_UNIT_METERS, Usage
from app.domain.catalog import cards
from app.web.api.routes import CALL_PATTERNS, CALLS
from app.wire.endpoint import Endpoint
from tests.domain.catalog.card_making import FACTS, card, card_of, line

_RATED = PER_MILLION_METERS | PER_UNIT_METERS
_PIECES = frozenset({"images", "seconds", "characters"})

ENDPOINTS: dict[str, Endpoint] = {
    **{path: route.endpoint for path, route in CALLS.items()},
    **{f"{route.pattern.pattern} {route.endpoint.name}": route.endpoint for route in CALL_PATTERNS},
}


@pytest.mark.parametrize("path", ENDPOINTS)
def test_pain_P16_every_path_of_a_call_has_meters_and_can_be_priced_by_them(path: str):
    meters = ENDPOINTS[path].meters

    assert set(meters) - {"reasoning"} <= _RATED and "requests" in meters
    assert _bases(meters), f"No card at all could price {path}."
    assert not cards.is_priced(card_of(web_searches=1), meters)


@pytest.mark.parametrize(
    ("path", "bases"),
    [
        ("/v1/chat/completions", {"input output", "requests"}),
        ("/v1/messages", {"input output", "requests"}),
        ("/v1/embeddings", {"input", "requests"}),
        ("/v1/moderations", {"requests"}),
        ("/v1/images/generations", {"images", "input output", "requests"}),
        ("/v1/videos", {"seconds", "output", "requests"}),
        ("/v1/audio/speech", {"characters", "requests"}),
        ("/v1/audio/transcriptions", {"seconds", "input output", "requests"}),
        ("/api/v2/image", {"images", "input output", "requests"}),
    ],
)
def test_what_is_enough_to_price_an_endpoint(path: str, bases: set[str]):
    assert {" ".join(sorted(basis)) for basis in _bases(ENDPOINTS[path].meters)} == bases


def test_a_price_that_holds_under_a_condition_alone_does_not_make_an_endpoint_callable():
    meters = ENDPOINTS["/v1/images/generations"].meters

    assert not cards.is_priced(card(line("images", 5, when={"size": "1x1"})), meters)
    assert cards.is_priced(card(line("images", 5, when={"size": "1x1"}), line("images", 4)), meters)
    assert not cards.is_priced(card(line("images", None, 4)), meters)


def test_zero_is_a_price_and_a_card_of_zeros_is_free_where_only_requests_are_counted():
    chat, moderation = ENDPOINTS["/v1/chat/completions"].meters, ENDPOINTS["/v1/moderations"].meters

    assert cards.is_priced(card_of(input=0, output=0), chat)
    assert not cards.is_priced(card_of(input=0), chat)
    assert cards.is_priced(card_of(input=0), moderation)
    assert not cards.is_priced(card_of(input=1), moderation)
    assert cards.charge(card_of(input=0), Usage(requests=1), FACTS) == 0


@pytest.mark.parametrize("meters", sorted({endpoint.meters for endpoint in ENDPOINTS.values()}))
def test_what_is_called_priced_can_be_charged_whatever_was_consumed(meters: tuple[str, ...]):
    """As long as there is something of what is sold there: what was made, counted as its price is."""
    chooser = random.Random(" ".join(meters))
    rated = [meter for meter in meters if meter in _RATED]
    tried = 0
    for _ in range(3000):
        priced = [meter for meter in rated if chooser.random() < 0.5]
        made = card_of(**dict.fromkeys(priced, 7))
        if not cards.is_priced(made, meters):
            continue
        pieces = [meter for meter in priced if meter in _PIECES]
        sold = pieces or [next(meter for meter in ("output", "input", "requests") if meter in priced)]
        consumed = {*sold, *(meter for meter in rated if chooser.random() < 0.5), "requests"}

        charge = cards.charge(made, Usage(**dict.fromkeys(consumed, 1_000_000)), FACTS)

        assert charge is not None and charge > 0, (priced, consumed)
        tried += 1
    assert tried


def _bases(meters: tuple[str, ...]) -> list[set[str]]:
    """The smallest sets of the endpoint's meters that price it."""
    rated = [meter for meter in meters if meter in _RATED]
    found: list[set[str]] = []
    for size in (1, 2, 3):
        for chosen in itertools.combinations(rated, size):
            is_more = any(basis <= set(chosen) for basis in found)
            if not is_more and cards.is_priced(card_of(**dict.fromkeys(chosen, 1)), meters):
                found.append(set(chosen))
    return found
