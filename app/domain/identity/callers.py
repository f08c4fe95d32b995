"""Callers: who may call, as the snapshot holds them. Read once for every key, never during a call.

A key that was made by another one may do what both may: every question is put to it and to all that are above it. So
nothing that stands in its own row can make it wider, and whatever narrows or ends the one above does so at once.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import addresses, clock
from app.base.addresses import Network
from app.base.errors import BadValue, NotFound
from app.domain.identity import globs
from app.domain.identity.models import ApiKey, Team

MAX_DEPTH = 5
"""How many keys may stand in one line, the first included."""


class Caller(Struct, frozen=True, kw_only=True):
    """Who may call: an API key and the team that it calls for."""

    key_id: str
    key_name: str
    team_id: str
    team_name: str
    user_id: str | None
    """Whose key it is; None for a program's."""
    keep_content_days: int
    markup_basis_points: int | None
    """What the team pays above cost; None: as everybody does."""
    allowed: re.Pattern[str] | None
    """Matches the public names that the key may call; None allows all."""
    denied: re.Pattern[str] | None
    """Matches those that it may not call all the same; None denies nothing."""
    tasks: frozenset[str]
    """What it may be used for; empty for everything."""
    networks: tuple[Network, ...] | None
    """Where it may be used from; None for everywhere."""
    is_disabled: bool
    is_strict: bool
    """Whether it, or one above it, is."""
    expires_at: datetime | None
    secret_until: datetime | None = None
    """Until when the secret that was shown opens; None for the one in force, which does as long as the key does."""
    parent: Caller | None = None
    """The key that made this one."""

    def line(self) -> Iterator[Caller]:
        """This one and all above it."""
        caller: Caller | None = self
        while caller is not None:
            yield caller
            caller = caller.parent

    def may_call(self, model_name: str) -> bool:
        return self.who_refuses_model(model_name) is None

    def who_refuses_model(self, model_name: str) -> Caller | None:
        """The first in the line that may not call it."""
        caller: Caller | None = self
        while caller is not None:
            if caller.allowed is not None and caller.allowed.fullmatch(model_name) is None:
                return caller
            if caller.denied is not None and caller.denied.fullmatch(model_name) is not None:
                return caller
            caller = caller.parent
        return None


async def all_callers(session: AsyncSession) -> dict[bytes, Caller]:
    """Every key that is not revoked, nor one above it, by its digest, and by the one before while that opens too."""
    rows = {row.id: row for row in await _read(session, ApiKey.revoked_at.is_(None))}
    known: dict[str, Caller | None] = {}
    moment = clock.now()
    found: dict[bytes, Caller] = {}
    for row in rows.values():
        caller = _with_parents(row, rows, known)
        if caller is None:
            continue
        found[row.digest] = caller
        if row.previous_digest is not None and row.previous_until is not None and row.previous_until > moment:
            found.setdefault(row.previous_digest, replace(caller, secret_until=row.previous_until))
    return found


async def of_key(session: AsyncSession, key_id: str) -> Caller:
    """The caller that this key is, or was before it or one above it was revoked.

    Raises:
        NotFound: there is no such key.
    """
    rows: dict[str, _KeyRow] = {}
    wanted: str | None = key_id
    while wanted is not None and wanted not in rows and len(rows) < MAX_DEPTH:
        read = await _read(session, ApiKey.id == wanted)
        if not read:
            break
        rows[wanted] = read[0]
        wanted = read[0].parent_id
    caller = _with_parents(rows[key_id], rows, {}) if key_id in rows else None
    if caller is None:
        raise NotFound("There is no such key.")
    return caller


async def parents(session: AsyncSession) -> dict[str, str]:
    """Key id → id of the key that made it, of all that were made by one; revoked ones too."""
    rows = await session.execute(select(ApiKey.id, ApiKey.parent_id).where(ApiKey.parent_id.is_not(None)))
    return {key_id: parent_id for key_id, parent_id in rows if parent_id is not None}


_KeyRow = Row[*tuple[Any, ...]]


async def _read(session: AsyncSession, condition: ColumnElement[bool]) -> Sequence[_KeyRow]:
    rows = await session.execute(
        select(
            ApiKey.digest,
            ApiKey.previous_digest,
            ApiKey.previous_until,
            ApiKey.id,
            ApiKey.parent_id,
            ApiKey.name,
            ApiKey.user_id,
            ApiKey.models,
            ApiKey.denied_models,
            ApiKey.endpoints,
            ApiKey.addresses,
            ApiKey.is_strict,
            ApiKey.expires_at,
            ApiKey.disabled_at,
            Team.id.label("team_id"),
            Team.name.label("team_name"),
            Team.keep_content_days,
            Team.markup_basis_points,
        )
        .join(Team, Team.id == ApiKey.team_id)
        .where(condition)
    )
    return rows.all()


def _with_parents(row: _KeyRow, rows: Mapping[str, _KeyRow], known: dict[str, Caller | None]) -> Caller | None:
    """The caller with all above it; None where one of them is gone, revoked or of another team."""
    if row.id in known:
        return known[row.id]
    # A row that stood above itself would be its own end.
    known[row.id] = None
    parent: Caller | None = None
    if row.parent_id is not None:
        above = rows.get(row.parent_id)
        parent = None if above is None else _with_parents(above, rows, known)
        if parent is None or parent.team_id != row.team_id or len(list(parent.line())) >= MAX_DEPTH:
            return None
    caller = known[row.id] = _caller(row, parent)
    return caller


def _caller(row: _KeyRow, parent: Caller | None) -> Caller:
    return Caller(
        key_id=row.id,
        key_name=row.name,
        team_id=row.team_id,
        team_name=row.team_name,
        user_id=row.user_id,
        keep_content_days=row.keep_content_days,
        markup_basis_points=row.markup_basis_points,
        allowed=globs.matcher(row.models),
        denied=globs.pattern(row.denied_models) if row.denied_models else None,
        tasks=frozenset(row.endpoints),
        networks=_networks(row.addresses) if row.addresses else None,
        is_disabled=row.disabled_at is not None,
        is_strict=row.is_strict or (parent is not None and parent.is_strict),
        expires_at=row.expires_at,
        parent=parent,
    )


def _networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """What nobody can read lets nobody in."""
    found: list[Network] = []
    for text in texts:
        with contextlib.suppress(BadValue):
            found.append(addresses.network(text))
    return tuple(found)
