"""Callers: who may call, as the snapshot holds them. Read once for every key, never during a call."""

from __future__ import annotations

import fnmatch
import re
from datetime import datetime

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.identity.models import ApiKey, Team


class Caller(Struct, frozen=True, kw_only=True):
    """Who may call: an API key and the team that it calls for."""

    key_id: str
    key_name: str
    team_id: str
    team_name: str
    keep_content_days: int
    allowed: re.Pattern[str] | None
    """Matches the public names that the key may call; None allows all."""
    is_strict: bool
    expires_at: datetime | None

    def may_call(self, model_name: str) -> bool:
        return self.allowed is None or self.allowed.fullmatch(model_name) is not None


async def all_callers(session: AsyncSession) -> dict[bytes, Caller]:
    """Every key that is not revoked, by its digest."""
    rows = await session.execute(
        select(
            ApiKey.digest,
            ApiKey.id,
            ApiKey.name,
            ApiKey.models,
            ApiKey.is_strict,
            ApiKey.expires_at,
            Team.id,
            Team.name,
            Team.keep_content_days,
        )
        .join(Team, Team.id == ApiKey.team_id)
        .where(ApiKey.revoked_at.is_(None))
    )
    return {
        digest: Caller(
            key_id=key_id,
            key_name=key_name,
            team_id=team_id,
            team_name=team_name,
            keep_content_days=keep_content_days,
            allowed=_any_of(globs),
            is_strict=is_strict,
            expires_at=expires_at,
        )
        for digest, key_id, key_name, globs, is_strict, expires_at, team_id, team_name, keep_content_days in rows
    }


def _any_of(globs: list[str]) -> re.Pattern[str] | None:
    if "*" in globs:
        return None
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs) or r"(?!)")
