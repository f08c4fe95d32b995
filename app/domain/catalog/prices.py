"""What models are sold at, for price lists: by the card of the route that is tried first."""

from __future__ import annotations

from msgspec import Struct

from app.domain.catalog.cards import Card
from app.domain.catalog.pricing import Prices
from app.domain.catalog.serving import CallableModel


class Price(Struct, frozen=True, kw_only=True):
    """nano-credits per million tokens, and per picture or second, without any condition; None where there is none."""

    input_nano: int | None
    output_nano: int | None
    piece_nano: int | None


UNPRICED = Price(input_nano=None, output_nano=None, piece_nano=None)


def of_model(model: CallableModel, prices: Prices, team_markup: int | None) -> Price:
    """What a team with this markup (None: it has none) is charged."""
    card = prices.card(model.routes[0].id, team_markup) if model.routes else None
    if card is None:
        return UNPRICED
    return Price(
        input_nano=_of_meter(card, "input"),
        output_nano=_of_meter(card, "output"),
        piece_nano=_of_meter(card, "images", "seconds"),
    )


def _of_meter(card: Card, *meters: str) -> int | None:
    """The first of the meters that has a price."""
    by_meter = {line.meter: line.price_nano for line in card.lines if line.condition.is_empty}
    return next((price for meter in meters if (price := by_meter.get(meter)) is not None), None)
