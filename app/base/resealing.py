"""Walking a column of sealed texts, for the rotation of the master key: in batches, each text swapped by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.base.orm import Base
from app.base.vault import Place


class SealedColumn(Struct, frozen=True, kw_only=True):
    """Where sealed texts are stored, and to which place each is bound."""

    model: type[Base]
    key: InstrumentedAttribute[Any]
    """The primary key; rows are walked in its order."""
    column: InstrumentedAttribute[Any]
    place: Callable[[Any], Place]
    """A row → the place of its text."""
    only: frozenset[str] | None = None
    """The keys of the rows that are sealed, where others of the table are not."""

    @property
    def name(self) -> str:
        return f"{self.model.__tablename__}.{self.column.key}"


class SealedText(Struct, frozen=True):
    key: Any
    text: str
    place: Place


async def next_texts(session: AsyncSession, sealed: SealedColumn, after: Any, limit: int) -> Sequence[SealedText]:
    """The next texts in the order of the key; `after` None begins."""
    query = select(sealed.model).where(sealed.column.is_not(None)).order_by(sealed.key).limit(limit)
    if sealed.only is not None:
        query = query.where(sealed.key.in_(sealed.only))
    if after is not None:
        query = query.where(sealed.key > after)
    return [
        SealedText(getattr(row, sealed.key.key), getattr(row, sealed.column.key), sealed.place(row))
        for row in await session.scalars(query)
    ]


async def swap(session: AsyncSession, sealed: SealedColumn, old: SealedText, text: str) -> bool:
    """Put `text` in the place of the old one; False when somebody has changed it meanwhile, which then stands."""
    swapped = await session.scalar(
        update(sealed.model)
        .where(sealed.key == old.key, sealed.column == old.text)
        .values({sealed.column.key: text})
        .returning(sealed.key)
        .execution_options(synchronize_session=False)
    )
    return swapped is not None
