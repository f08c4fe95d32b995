"""Cards for tests, from amounts per unit of each meter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.base.money import NANO
from app.domain.catalog import cards, conditions, rates
from app.domain.catalog.cards import Card, Facts, Line

NOON_US = 1_795_176_000_000_000
"""2026-11-20 12:00 UTC."""
FACTS = Facts(started_us=NOON_US)


def line(
    meter: str, price_nano: int | None, cost_nano: int | None = None, when: Mapping[str, Any] | None = None
) -> Line:
    """A line whose id tells what it is."""
    condition = conditions.read(when or {})
    return Line(
        rate_id=f"{meter} {condition.key}" if when else meter,
        meter=meter,
        per_units=rates.per_units(meter),
        cost_nano=cost_nano,
        price_nano=price_nano,
        condition=condition,
    )


def card(*lines: Line, credit_price_nano: int = NANO, markup_basis_points: int = 0) -> Card:
    return cards.make(
        deployment_id="d", lines=lines, credit_price_nano=credit_price_nano, markup_basis_points=markup_basis_points
    )


def card_of(**prices: int | None) -> Card:
    """Unconditional prices by meter; what it costs is the same."""
    return card(*(line(meter, price, price) for meter, price in prices.items()))
