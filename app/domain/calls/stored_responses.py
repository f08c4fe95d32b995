"""Responses that are kept for their callers, for thirty days: the tables' reads and writes.

A row is found by team and id together, so a foreign id finds nothing. What is sealed is the caller's own
(`gateway/response_store.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import bindparam, delete, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import MICROSECONDS, now_us
from app.base.vault import Place
from app.base.writer import Statement, Step
from app.domain.calls.models import StoredItem, StoredResponse

KEPT_US = 30 * 24 * 3600 * MICROSECONDS
MAX_TURNS = 1000
"""Of one conversation; what is older is not read."""


class Stored(Struct, frozen=True, kw_only=True):
    """One turn. Names as in `StoredResponse`."""

    digest: bytes
    team_id: str
    previous: bytes | None
    origin: str
    sealed: str


def digest_of(team_id: str, id_: str) -> bytes:
    """The key of a team's response or item."""
    return hashlib.sha256(f"{team_id}\0{id_}".encode("utf-8", "replace")).digest()


def place(digest: bytes, team_id: str) -> Place:
    return Place("stored_response", "sealed", row=digest.hex(), team=team_id)


def keep(stored: Stored, item_ids: Sequence[str], moment_us: int) -> list[Step]:
    """Write a turn and where its items are; of two with the same id the later one stands."""
    expires_us = moment_us + KEPT_US
    values = (stored.digest, stored.team_id, stored.previous, stored.origin, stored.sealed, expires_us)
    steps = [Step(_KEEP, values)]
    for item_id in item_ids:
        steps.append(Step(_KEEP_ITEM, (digest_of(stored.team_id, item_id), stored.digest, expires_us)))
    return steps


async def history(session: AsyncSession, digest: bytes) -> list[Stored]:
    """A turn and those before it, the oldest first; empty where it is not there. One that names a turn before it which
    is not in the list has lost it."""
    moment_us = now_us()
    found = (
        select(StoredResponse.digest, StoredResponse.previous, literal(0).label("depth"))
        .where(StoredResponse.digest == digest, StoredResponse.expires_us >= moment_us)
        .cte("turns", recursive=True)
    )
    before = select(StoredResponse.digest, StoredResponse.previous, (found.c.depth + 1).label("depth")).where(
        StoredResponse.digest == found.c.previous,
        StoredResponse.expires_us >= moment_us,
        found.c.depth < MAX_TURNS - 1,
    )
    turns = found.union_all(before)
    rows = await session.execute(
        select(
            StoredResponse.digest,
            StoredResponse.team_id,
            StoredResponse.previous,
            StoredResponse.origin,
            StoredResponse.sealed,
        )
        .join(turns, turns.c.digest == StoredResponse.digest)
        .order_by(turns.c.depth.desc())
    )
    return [
        Stored(digest=key, team_id=team_id, previous=previous, origin=origin, sealed=sealed)
        for key, team_id, previous, origin, sealed in rows
    ]


async def holding(session: AsyncSession, items: Sequence[bytes]) -> list[Stored]:
    """The turns in which these items (their digests) are."""
    rows = await session.execute(
        select(
            StoredResponse.digest,
            StoredResponse.team_id,
            StoredResponse.previous,
            StoredResponse.origin,
            StoredResponse.sealed,
        ).where(
            StoredResponse.expires_us >= now_us(),
            StoredResponse.digest.in_(select(StoredItem.response).where(StoredItem.digest.in_(items))),
        )
    )
    return [
        Stored(digest=key, team_id=team_id, previous=previous, origin=origin, sealed=sealed)
        for key, team_id, previous, origin, sealed in rows
    ]


async def remove(session: AsyncSession, digest: bytes) -> bool:
    """Forget a turn; False where it was not there."""
    await session.execute(delete(StoredItem).where(StoredItem.response == digest))
    gone = await session.execute(
        delete(StoredResponse)
        .where(StoredResponse.digest == digest, StoredResponse.expires_us >= now_us())
        .returning(StoredResponse.team_id)
    )
    return gone.first() is not None


async def forget_expired(session: AsyncSession) -> int:
    """Delete what has expired; how many responses went."""
    moment_us = now_us()
    await session.execute(delete(StoredItem).where(StoredItem.expires_us < moment_us))
    gone = await session.execute(
        delete(StoredResponse).where(StoredResponse.expires_us < moment_us).returning(StoredResponse.team_id)
    )
    return len(gone.all())


_NAMES = ("digest", "team_id", "previous", "origin", "sealed", "expires_us")
_ITEM_NAMES = ("digest", "response", "expires_us")


def _upsert(table: type[StoredResponse] | type[StoredItem], names: Sequence[str]) -> Statement:
    # A row that is there must not undo the settlement that this belongs to. SQLite has the same words for it.
    new = insert(table).values({name: bindparam(name) for name in names})
    changed = {name: new.excluded[name] for name in names[1:]}
    return Statement(new.on_conflict_do_update(index_elements=["digest"], set_=changed), names)


_KEEP = _upsert(StoredResponse, _NAMES)
_KEEP_ITEM = _upsert(StoredItem, _ITEM_NAMES)
