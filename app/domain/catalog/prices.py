"""What models are sold at, for price lists: the card of the route that is tried first."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.catalog import rates
from app.domain.catalog.models import Deployment, Model
from app.domain.catalog.rates import Card, Line

_WHOLE = 10_000
"""Basis points of one."""


class Price(Struct, frozen=True, kw_only=True):
    """nano-credits per million tokens, and per picture or second; None where nobody has set a price."""

    input_nano: int | None
    output_nano: int | None
    piece_nano: int | None


async def of_models(session: AsyncSession) -> Mapping[str, Price]:
    """By public name, of every model that has a route."""
    rows = await session.execute(
        select(Model.name, Model.markup_basis_points, Deployment.id)
        .join(Deployment, Deployment.model_id == Model.id)
        .order_by(Deployment.priority, Deployment.id)
    )
    first: dict[str, tuple[int | None, str]] = {}
    for name, markup, deployment_id in rows:
        first.setdefault(name, (markup, deployment_id))
    cards = await rates.newest(session, [deployment_id for _, deployment_id in first.values()])
    return {name: _price(cards[deployment_id], markup) for name, (markup, deployment_id) in first.items()}


def _price(card: Card, markup: int | None) -> Price:
    return Price(
        input_nano=_of_line(card.get("input"), markup),
        output_nano=_of_line(card.get("output"), markup),
        piece_nano=_of_line(card.get("images") or card.get("seconds"), markup),
    )


def _of_line(line: Line | None, markup: int | None) -> int | None:
    """The explicit price, else the cost with the model's markup, rounded up."""
    if line is None:
        return None
    if line.price_nano is not None or line.cost_nano is None or markup is None:
        return line.price_nano
    return -(-line.cost_nano * (_WHOLE + markup) // _WHOLE)
