"""Callers: who may call, as the snapshot holds them. Read once for every key, never during a call."""

from __future__ import annotations

import fnmatch
import re
from datetime import datetime

from msgspec import Struct
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.errors import NotFound
from app.domain.identity.models import ApiKey, Team


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
    is_strict: bool
    expires_at: datetime | None

    def may_call(self, model_name: str) -> bool:
        return self.allowed is None or self.allowed.fullmatch(model_name) is not None


async def all_callers(session: AsyncSession) -> dict[bytes, Caller]:
    """Every key that is not revoked, by its digest."""
    return dict(await _read(session, ApiKey.revoked_at.is_(None)))


async def of_key(session: AsyncSession, key_id: str) -> Caller:
    """The caller that this key is, or was before it was revoked.

    Raises:
        NotFound: there is no such key.
    """
    found = await _read(session, ApiKey.id == key_id)
    if not found:
        raise NotFound("There is no such key.")
    return found[0][1]


async def _read(session: AsyncSession, condition: ColumnElement[bool]) -> list[tuple[bytes, Caller]]:
    rows = await session.execute(
        select(
            ApiKey.digest,
            ApiKey.id,
            ApiKey.name,
            ApiKey.user_id,
            ApiKey.models,
            ApiKey.is_strict,
            ApiKey.expires_at,
            Team.id,
            Team.name,
            Team.keep_content_days,
            Team.markup_basis_points,
        )
        .join(Team, Team.id == ApiKey.team_id)
        .where(condition)
    )
    found: list[tuple[bytes, Caller]] = []
    for digest, key_id, key_name, user_id, globs, is_strict, expires_at, team_id, team_name, keep_days, markup in rows:
        caller = Caller(
            key_id=key_id,
            key_name=key_name,
            team_id=team_id,
            team_name=team_name,
            user_id=user_id,
            keep_content_days=keep_days,
            markup_basis_points=markup,
            allowed=_any_of(globs),
            is_strict=is_strict,
            expires_at=expires_at,
        )
        found.append((digest, caller))
    return found


def _any_of(globs: list[str]) -> re.Pattern[str] | None:
    if "*" in globs:
        return None
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs) or r"(?!)")
