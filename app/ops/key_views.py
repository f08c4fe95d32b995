"""API keys as commands show them: never a secret, only its first characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.base import clock
from app.base.db import AsyncSession
from app.domain.identity import api_keys, teams, users
from app.domain.identity.models import ApiKey, Team


async def views(session: AsyncSession, rows: Sequence[ApiKey]) -> list[dict[str, Any]]:
    """These keys, whatever their teams; `state` is that of the key with all above it."""
    owners = {team.id: team for team in await teams.listed(session)}
    people = await users.addresses(session, {row.user_id for row in rows if row.user_id is not None})
    known = {row.id: row for row in rows}
    if any(row.parent_id is not None and row.parent_id not in known for row in rows):
        known |= {row.id: row for row in await api_keys.listed(session)}
    return [_view(row, owners[row.team_id], people.get(row.user_id or ""), known) for row in rows]


async def view(session: AsyncSession, row: ApiKey) -> dict[str, Any]:
    """One of them."""
    return (await views(session, [row]))[0]


def rights(shown: Mapping[str, Any]) -> str:
    """What it may do, in a few words."""
    words = [*shown["models"], *(f"not {glob}" for glob in shown["denied_models"])]
    if shown["endpoints"]:
        words.append(f"for {','.join(shown['endpoints'])}")
    if shown["networks"]:
        words.append(f"from {','.join(shown['networks'])}")
    return " ".join(words)


def _view(row: ApiKey, team: Team, user: str | None, known: Mapping[str, ApiKey]) -> dict[str, Any]:
    line = _line(row, known)
    return {
        "id": row.id,
        "team": team.name,
        "name": row.name,
        "prefix": row.prefix,
        "models": row.models,
        "denied_models": row.denied_models,
        "endpoints": row.endpoints,
        "networks": row.addresses,
        "kind": "service" if row.user_id is None else "user",
        "user": user,
        "is_strict": row.is_strict,
        "made_by": line[1].name if len(line) > 1 else None,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "disabled_at": row.disabled_at,
        "old_secret_until": _old_secret_until(row),
        "last_used_at": None if row.used_us is None else clock.from_us(row.used_us),
        "last_used_from": row.used_from,
        "last_used_by": row.used_by,
        "state": _state(line),
    }


def _line(row: ApiKey, known: Mapping[str, ApiKey]) -> list[ApiKey]:
    """The key and all above it that are still there."""
    line = [row]
    while (above := line[-1].parent_id) is not None and above in known and len(line) < len(known):
        line.append(known[above])
    return line


def _state(line: Sequence[ApiKey]) -> str:
    moment = clock.now()
    if line[-1].parent_id is not None or any(row.revoked_at is not None for row in line):
        return "revoked"
    if any(row.expires_at is not None and row.expires_at <= moment for row in line):
        return "expired"
    return "disabled" if any(row.disabled_at is not None for row in line) else "active"


def _old_secret_until(row: ApiKey) -> Any:
    until = row.previous_until
    return until if until is not None and until > clock.now() else None
