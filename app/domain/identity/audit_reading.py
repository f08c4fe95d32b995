"""The audit trail, looked at: a page of it by filters, one event, and all of it as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Select, func, or_, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, NotFound
from app.domain.identity.models import AuditEvent

Format = Literal["jsonl", "csv"]

MOST_SEARCHED = 64
"""Characters of a text that is searched for."""
MOST_PER_PAGE = 1_000

_ROWS_PER_QUERY = 500
_SEARCH_MS = 2_000
_CANCELED = "57014"
"""What PostgreSQL says of a query that took too long."""
_SEARCHED = (
    AuditEvent.actor,
    AuditEvent.as_whom,
    AuditEvent.action,
    AuditEvent.object,
    AuditEvent.object_id,
    AuditEvent.before,
    AuditEvent.after,
    AuditEvent.source,
    AuditEvent.request_id,
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for one at the beginning of a cell."""


class Filters(Struct, frozen=True, kw_only=True):
    """Which events; all that are given must fit."""

    actor: str | None = None
    """Name or id of who did it."""
    action: str | None = None
    """What an action begins with: `key` for all that was done to keys."""
    object: str | None = None
    """`KIND`, or `KIND:NAME` with a name or an id."""
    team_id: str | None = None
    from_us: int | None = None
    until_us: int | None = None
    """Not that moment itself any more."""
    text: str | None = None
    """Anywhere in what is told, in small or capital letters; at most `MOST_SEARCHED` characters."""


class Told(Struct, frozen=True, kw_only=True):
    """An event as people and programs read it."""

    seq: int
    at: str
    """UTC, ISO 8601."""
    actor_kind: str
    actor_id: str | None
    actor: str
    as_whom: str | None
    action: str
    object_kind: str
    object_id: str
    object: str
    team_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    source: str
    request_id: str | None
    prev: str
    hash: str


async def page(
    session: AsyncSession, filters: Filters, *, before_seq: int | None = None, limit: int = 50
) -> Sequence[AuditEvent]:
    """The newest events that fit; those before `before_seq`, where the last page ended.

    Raises:
        BadValue: the text to search for is too long, or the search takes too long.
    """
    query = await _query(session, filters)
    if before_seq is not None:
        query = query.where(AuditEvent.seq < before_seq)
    query = query.order_by(AuditEvent.seq.desc()).limit(min(limit, MOST_PER_PAGE))
    try:
        return (await session.scalars(query)).all()
    except DBAPIError as failure:
        if getattr(failure.orig, "sqlstate", None) != _CANCELED:
            raise
        raise BadValue("This search takes too long. Narrow it by time, person or action.", param="text") from None


async def get(session: AsyncSession, seq: int, *, team_id: str | None = None) -> AuditEvent:
    """One event; with a team, only one of its own.

    Raises:
        NotFound: there is no such event.
    """
    event = await session.get(AuditEvent, seq)
    if event is None or (team_id is not None and event.team_id != team_id):
        raise NotFound(f"There is no event {seq} in the audit trail.")
    return event


def told(event: AuditEvent) -> Told:
    return Told(
        seq=event.seq,
        at=clock.from_us(event.at_us).isoformat().replace("+00:00", "Z"),
        actor_kind=event.actor_kind,
        actor_id=event.actor_id,
        actor=event.actor,
        as_whom=event.as_whom,
        action=event.action,
        object_kind=event.object_kind,
        object_id=event.object_id,
        object=event.object,
        team_id=event.team_id,
        before=None if event.before is None else msgspec.json.decode(event.before),
        after=None if event.after is None else msgspec.json.decode(event.after),
        source=event.source,
        request_id=event.request_id,
        prev=event.prev.hex(),
        hash=event.hash.hex(),
    )


async def export(session: AsyncSession, filters: Filters, format: Format) -> AsyncGenerator[bytes]:
    """The events that fit as a file, oldest first, in pieces: JSON lines, or CSV with a line of names.

    Raises:
        BadValue: the text to search for is too long.
    """
    query = (await _query(session, filters)).order_by(AuditEvent.seq).limit(_ROWS_PER_QUERY)
    if format == "csv":
        yield _csv_line(Told.__struct_fields__)
    after = 0
    while True:
        events = (await session.scalars(query.where(AuditEvent.seq > after))).all()
        if not events:
            return
        after = events[-1].seq
        lines = [_csv(event) if format == "csv" else msgspec.json.encode(told(event)) + b"\n" for event in events]
        # What was handed out need not stay in memory.
        session.expunge_all()
        yield b"".join(lines)


async def _query(session: AsyncSession, filters: Filters) -> Select[AuditEvent]:
    query = select(AuditEvent)
    if filters.actor:
        query = query.where(or_(AuditEvent.actor == filters.actor, AuditEvent.actor_id == filters.actor))
    if filters.action:
        query = query.where(AuditEvent.action.startswith(filters.action, autoescape=True))
    if filters.object:
        kind, _, name = filters.object.partition(":")
        query = query.where(AuditEvent.object_kind == kind)
        if name:
            query = query.where(or_(AuditEvent.object == name, AuditEvent.object_id == name))
    if filters.team_id is not None:
        query = query.where(AuditEvent.team_id == filters.team_id)
    if filters.from_us is not None:
        query = query.where(AuditEvent.at_us >= filters.from_us)
    if filters.until_us is not None:
        query = query.where(AuditEvent.at_us < filters.until_us)
    if filters.text:
        if len(filters.text) > MOST_SEARCHED:
            raise BadValue(f"A text to search for has at most {MOST_SEARCHED} characters.", param="text")
        wanted = filters.text.lower()
        query = query.where(or_(*(func.lower(column).contains(wanted, autoescape=True) for column in _SEARCHED)))
        if session.get_bind().dialect.name == "postgresql":
            # It has to read every event: nobody may keep the database busy with that.
            await session.execute(text(f"SET LOCAL statement_timeout = {_SEARCH_MS}"))
    return query


def _csv(event: AuditEvent) -> bytes:
    row = told(event)
    return _csv_line(
        [
            "" if value is None else msgspec.json.encode(value).decode() if isinstance(value, dict) else value
            for value in (getattr(row, name) for name in row.__struct_fields__)
        ]
    )


def _csv_line(cells: Sequence[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in cells]
    )
    return line.getvalue().encode()
