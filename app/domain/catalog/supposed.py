"""Price lists looked at from aside: what would be sold if other lines or terms were in force, and what loses money."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from app.domain.catalog import conditions, pricing, rates
from app.domain.catalog.pricing import Prices
from app.domain.catalog.rates import InForce, NewLine
from app.domain.catalog.settings import Terms

_NO_MOMENT = datetime.max.replace(tzinfo=UTC)


class BelowCost(Struct, frozen=True):
    """A line that is to be sold for less than it costs, and not for nothing. Amounts in nano-credits."""

    line: InForce
    wanted_nano: int
    """What its price is meant to be."""
    charged_nano: int
    """What is charged: the cost, unless the hub may sell below it."""
    floor_nano: int
    """What it costs."""


def prices(now: Prices, new: Mapping[str, Iterable[NewLine]], terms: Terms | None = None) -> Prices:
    """As if these lines had been added, by deployment, or these terms were the hub's."""
    lines: dict[str, Sequence[InForce]] = dict(now.lines)
    for deployment_id, added in new.items():
        by_key = {line.key: line for line in lines.get(deployment_id, ())}
        for line in added:
            one = _tried(deployment_id, line)
            by_key[one.key] = one
        lines[deployment_id] = [line for line in by_key.values() if not line.is_ended]
    return Prices(lines, now.markups, terms or now.terms)


def below_cost(now: Prices) -> Iterator[BelowCost]:
    """What a team without a markup of its own is sold at a loss, or would be if the hub's setting allowed it."""
    terms = now.terms
    for deployment_id, lines in now.lines.items():
        markup = now.markups.get(deployment_id, terms.markup_basis_points)
        for line in lines:
            charged = pricing.price_of(line.cost_nano, line.price_nano, line.review_cost_nano, terms, markup)
            if charged is None or line.cost_nano is None or line.price_nano == 0:
                continue
            floor = terms.price_of(max(line.cost_nano, line.review_cost_nano or 0), 0)
            wanted = charged if line.price_nano is None else line.price_nano
            if wanted < floor:
                yield BelowCost(line, wanted, charged, floor)


def _tried(deployment_id: str, line: NewLine) -> InForce:
    return InForce(
        id="",
        deployment_id=deployment_id,
        meter=line.meter,
        per_units=rates.per_units(line.meter),
        cost_nano=line.cost_nano,
        price_nano=line.price_nano,
        condition=conditions.read(line.condition),
        effective_from=_NO_MOMENT,
        source="",
        review_cost_nano=line.review_cost_nano,
        change_id=None,
    )
