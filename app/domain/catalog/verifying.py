"""Cards, checked: is each the one that its id stands for, and do its lines say what the rates said that they name?"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.errors import BadValue
from app.base.wrongs import Report
from app.domain.catalog import cards, conditions, pricing
from app.domain.catalog.cards import Card, Line
from app.domain.catalog.models import PriceCard, Rate
from app.domain.catalog.settings import Terms

_CARDS_PER_QUERY = 100
_IDS_PER_QUERY = 500
"""SQLite takes 32766 parameters, older ones 999."""


async def check_cards(session: AsyncSession, report: Report) -> None:
    """Check all cards.

    Raises:
        Enough
    """
    after = ""
    columns = select(PriceCard.id, PriceCard.deployment_id, PriceCard.content)
    while True:
        query = columns.where(PriceCard.id > after).order_by(PriceCard.id).limit(_CARDS_PER_QUERY)
        rows = (await session.execute(query)).all()
        if not rows:
            return
        after = rows[-1][0]
        report.count("cards", len(rows))
        found: list[Card] = []
        for card_id, deployment_id, content in rows:
            card = _read(content)
            if card is None:
                report.tell("card", "price_card", card_id, content[:80], "the content of a card")
                continue
            report.same("card", "price_card", card_id, card_id, card.id)
            report.same("card", "price_card", card_id, deployment_id, card.deployment_id)
            found.append(card)
        rates = await _rates(session, {line.rate_id for card in found for line in card.lines})
        for card in found:
            for line in card.lines:
                _check_line(report, card, line, rates.get(line.rate_id))


async def load(session: AsyncSession, card_ids: Collection[str]) -> Mapping[str, Card]:
    """Those of the cards that are there and can be read."""
    found: dict[str, Card] = {}
    ids = sorted(card_ids)
    for start in range(0, len(ids), _IDS_PER_QUERY):
        some = ids[start : start + _IDS_PER_QUERY]
        rows = await session.execute(select(PriceCard.id, PriceCard.content).where(PriceCard.id.in_(some)))
        for card_id, content in rows:
            card = _read(content)
            if card is not None:
                found[card_id] = card
    return found


def _read(content: str) -> Card | None:
    try:
        return cards.read(content)
    except msgspec.MsgspecError:
        return None


async def _rates(session: AsyncSession, rate_ids: Collection[str]) -> Mapping[str, Rate]:
    found: dict[str, Rate] = {}
    ids = sorted(rate_ids)
    for start in range(0, len(ids), _IDS_PER_QUERY):
        rows = await session.scalars(select(Rate).where(Rate.id.in_(ids[start : start + _IDS_PER_QUERY])))
        found |= {rate.id: rate for rate in rows}
    return found


def _check_line(report: Report, card: Card, line: Line, rate: Rate | None) -> None:
    key = f"{card.id}/{line.rate_id}"
    if rate is None:
        report.tell("line", "price_card", key, line.rate_id, "a rate")
        return
    report.same("line", "price_card", key, card.deployment_id, rate.deployment_id)
    report.same("line", "price_card", key, f"{line.meter} per {line.per_units}", f"{rate.meter} per {rate.per_units}")
    report.same("line", "price_card", key, line.condition.key, _condition_key(rate))
    report.same("line", "price_card", key, line.cost_nano, rate.cost_nano)
    terms = Terms(
        credit_price_nano=card.credit_price_nano,
        markup_basis_points=card.markup_basis_points,
        sells_below_cost=card.sells_below_cost,
    )
    price = pricing.price_of(rate.cost_nano, rate.price_nano, rate.review_cost_nano, terms, card.markup_basis_points)
    report.same("line", "price_card", key, line.price_nano, price)


def _condition_key(rate: Rate) -> str:
    try:
        return conditions.read(rate.condition).key
    except BadValue as refusal:
        return refusal.sentence
