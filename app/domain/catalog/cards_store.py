"""Keeps the cards that priced calls. One is written with the first call that it prices, and never again."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.writer import Statement, Step
from app.domain.catalog import cards
from app.domain.catalog.cards import Card
from app.domain.catalog.models import PriceCard

_FIELDS = ("id", "deployment_id", "content", "created_us")
_KEEP = Statement(
    # Not independent: the same card in two postings of a batch is one row.
    insert(PriceCard).values({name: bindparam(name) for name in _FIELDS}).on_conflict_do_nothing(),
    _FIELDS,
)


def keep(card: Card, now_us: int) -> Step:
    """The card's row; nothing if it is there already."""
    return Step(_KEEP, (card.id, card.deployment_id, cards.content(card), now_us))


async def find(session: AsyncSession, card_id: str) -> Card | None:
    text = await session.scalar(select(PriceCard.content).where(PriceCard.id == card_id))
    return None if text is None else cards.read(text)
