"""What only its provider understands of an assistant's turn, kept for a day: the table's reads and writes.

A row belongs to one tool call of one team at one kind of provider. Who calls `digest_of_call` with another team or kind
finds nothing. What is sealed is the caller's own (`gateway/signatures.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import MICROSECONDS, now_us
from app.base.vault import Place
from app.base.writer import Statement, Step
from app.domain.calls.models import TurnState

KEPT_US = 24 * 3600 * MICROSECONDS


class Kept(Struct, frozen=True, kw_only=True):
    """One row."""

    digest: bytes
    team_id: str
    credential_id: str
    sealed: str | None
    expires_us: int


def digest_of_call(team_id: str, origin: str, call_id: str, content: bytes) -> bytes:
    """The key of a tool call's row. `content` (name and arguments) is in it because some providers number the calls of
    each conversation from 0."""
    return _digest("call", team_id, origin, call_id, content)


def digest_of_opaque(team_id: str, origin: str, value: str) -> bytes:
    """The key of the row that remembers who made a value which the client carries."""
    return _digest("opaque", team_id, origin, "", value.encode())


def place(digest: bytes, team_id: str) -> Place:
    return Place("turn_state", "sealed", row=digest.hex(), team=team_id)


def keep(kept: Kept) -> Step:
    """Write the row; of two for the same call the later one stands."""
    return Step(_KEEP, astuple(kept))


async def find(session: AsyncSession, digests: Sequence[bytes]) -> list[Kept]:
    """Those of them that are there and whose time is not over, in one query."""
    rows = await session.execute(
        select(
            TurnState.digest, TurnState.team_id, TurnState.credential_id, TurnState.sealed, TurnState.expires_us
        ).where(TurnState.digest.in_(digests), TurnState.expires_us >= now_us())
    )
    return [
        Kept(digest=digest, team_id=team_id, credential_id=credential_id, sealed=sealed, expires_us=expires_us)
        for digest, team_id, credential_id, sealed, expires_us in rows
    ]


async def forget_expired(session: AsyncSession) -> int:
    """Delete what has expired; how many rows went."""
    gone = await session.execute(
        delete(TurnState).where(TurnState.expires_us < now_us()).returning(TurnState.credential_id)
    )
    return len(gone.all())


def _digest(*parts: Any) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        text = part if isinstance(part, bytes) else str(part).encode("utf-8", "replace")
        found.update(len(text).to_bytes(8, "big") + text)
    return found.digest()


_NAMES = Kept.__struct_fields__


def _upsert() -> Statement:
    # A row that is there must not undo the settlement that this belongs to. SQLite has the same words for it.
    new = insert(TurnState).values({name: bindparam(name) for name in _NAMES})
    changed = {name: new.excluded[name] for name in _NAMES[1:]}
    return Statement(new.on_conflict_do_update(index_elements=["digest"], set_=changed), _NAMES)


_KEEP = _upsert()
