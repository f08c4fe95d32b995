"""The audit trail: who did what to what, in a chain of hashes. Written in the transaction of the change itself.

Each event carries the hash of the one before it, so that one which was edited, left out or moved is found
(`audit_upkeep.verify`). Secrets never get here: `audit_masking`.

Recording waits for whoever else records until this transaction ends, so it comes last in it: rows are locked before the
trail, never after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.domain.identity import audit_masking
from app.domain.identity.models import AuditEvent, HubSetting

ActorKind = Literal["user", "key", "command", "hub"]

NO_HEAD = bytes(32)
"""What stands before the first event."""
ANCHOR = "audit.anchor"
"""The setting that holds the last event which was forgotten, as `SEQ:HASH`."""
UNKNOWN = "unknown"
"""The source of what came from an address that is not known."""
SHELL = "shell"
"""The source of what somebody did at the hub's own machine."""

_LOCK = 0x6875625F61756469
"""Of PostgreSQL's advisory locks, the one of the trail: "hub_audi"."""
_MOST_NAME = 200

_encode = msgspec.json.Encoder(order="deterministic").encode


class Actor(Struct, frozen=True):
    """Who does it."""

    kind: ActorKind
    name: str
    """As people know them: an e-mail address, a key's name, a user of the machine."""
    id: str | None = None
    as_whom: str | None = None
    """Whose place they have taken to look at the hub."""


HUB = Actor("hub", "hub")
"""Nobody: the hub by itself."""


class Event(Struct, frozen=True, kw_only=True):
    """What is to be recorded. Of `before` and `after`, what is equal is left out and secrets are masked."""

    actor: Actor
    action: str
    """`<what>.<verb>`, such as `key.create`."""
    object_kind: str
    object_id: str
    object: str
    """As people know it."""
    source: str
    """An address, or `shell`, or `hub`."""
    team_id: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    request_id: str | None = None


class Head(Struct, frozen=True):
    """Where the chain stands."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"


async def record(
    session: AsyncSession,
    actor: Actor,
    action: str,
    object_kind: str,
    object_id: str,
    object: str,
    *,
    team_id: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    source: str,
    request_id: str | None = None,
) -> int:
    """Add one event, as the last thing that its transaction does; gives its number."""
    event = Event(
        actor=actor,
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        object=object,
        team_id=team_id,
        before=before,
        after=after,
        source=source,
        request_id=request_id,
    )
    return (await append(session, [event])).seq


async def append(session: AsyncSession, events: Sequence[Event]) -> Head:
    """Add events in their order, as the last thing that their transaction does; gives where the chain stands then."""
    await session.flush()
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
    at = await head(session)
    now_us = clock.now_us()
    rows: list[dict[str, Any]] = []
    for event in events:
        row = _row(event, at, now_us)
        at = Head(row["seq"], row["hash"])
        rows.append(row)
    if rows:
        await session.execute(insert(AuditEvent), rows)
    return at


async def head(session: AsyncSession) -> Head:
    """The newest event; of a trail that is empty, the last one that was forgotten."""
    newest = select(AuditEvent.seq, AuditEvent.hash).order_by(AuditEvent.seq.desc()).limit(1)
    row = (await session.execute(newest)).first()
    return await anchor(session) if row is None else Head(row.seq, row.hash)


async def anchor(session: AsyncSession) -> Head:
    """What the oldest event stands on."""
    found = await session.scalar(select(HubSetting.value).where(HubSetting.key == ANCHOR))
    return Head(0, NO_HEAD) if found is None else read_head(found)


def read_head(written: str) -> Head:
    """
    Raises:
        ValueError: not `SEQ:HASH`.
    """
    seq, _, digest = written.partition(":")
    return Head(int(seq), bytes.fromhex(digest))


def hash_of(row: Mapping[str, Any]) -> bytes:
    """SHA-256 of the JSON array of all that an event says, in the order of its columns, without white space."""
    said = (row["prev"].hex(), *(row[name] for name in COLUMNS))
    return hashlib.sha256(_encode(said)).digest()


COLUMNS = (
    "seq",
    "at_us",
    "actor_kind",
    "actor_id",
    "actor",
    "as_whom",
    "action",
    "object_kind",
    "object_id",
    "object",
    "team_id",
    "before",
    "after",
    "source",
    "request_id",
)
"""What the hash of an event covers, besides the hash before it."""


def _row(event: Event, at: Head, now_us: int) -> dict[str, Any]:
    before, after = _changed(event.before, event.after)
    row: dict[str, Any] = {
        "seq": at.seq + 1,
        "at_us": now_us,
        "actor_kind": event.actor.kind,
        "actor_id": event.actor.id,
        "actor": _name(event.actor.name),
        "as_whom": _name(event.actor.as_whom),
        "action": _name(event.action),
        "object_kind": _name(event.object_kind),
        "object_id": _name(event.object_id),
        "object": _name(event.object),
        "team_id": event.team_id,
        "before": before,
        "after": after,
        "source": _name(event.source),
        "request_id": _name(event.request_id),
        "prev": at.hash,
    }
    row["hash"] = hash_of(row)
    return row


def _changed(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """As JSON, without what is equal. Compared first, masked then: that a secret changed is worth telling."""
    if before is not None and after is not None:
        same = {name for name, value in before.items() if name in after and after[name] == value}
        before = {name: value for name, value in before.items() if name not in same}
        after = {name: value for name, value in after.items() if name not in same}
    return _json(before), _json(after)


def _json(said: Mapping[str, Any] | None) -> str | None:
    return _encode(audit_masking.masked(said)).decode() if said else None


def _name(written: str | None) -> Any:
    return None if written is None else audit_masking.text(written, _MOST_NAME)
