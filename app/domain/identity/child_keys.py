"""Keys that a key makes for others: narrower than itself, ended with it.

What is asked here, whether a new key asks for no more than all above it have, is a courtesy to whoever asks for too
much. What a key may do is decided at each call, by it and by all above it (`callers`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import addresses, clock
from app.base.errors import BadValue, NotAllowed, NotAuthenticated, NotFound
from app.base.secret import Secret
from app.domain.identity import api_keys, globs, key_rights
from app.domain.identity.callers import MAX_DEPTH
from app.domain.identity.models import ApiKey

MAX_CHILDREN = 1000
"""That one key can have at a time; those that were revoked do not count."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,58}[A-Za-z0-9]|[A-Za-z0-9]")


class Wish(Struct, frozen=True, kw_only=True):
    """What the new key is to be. None is as the key has it that makes it."""

    name: str
    models: Sequence[str] | None = None
    denied_models: Sequence[str] = ()
    endpoints: Sequence[str] | None = None
    addresses: Sequence[str] | None = None
    expires_at: datetime | None = None
    is_strict: bool = False


async def mint(session: AsyncSession, pepper: bytes, parent_id: str, wish: Wish) -> tuple[ApiKey, Secret]:
    """A key below that one, called `parent/name`. The secret is in the answer and nowhere else.

    Raises:
        BadValue: a field cannot be; `param` names it.
        NotAllowed: `key_not_narrower`, it would be more than a key above it; `key_limit_reached`, it would be one too
            many, or too far below the first.
        NotAuthenticated: the key that makes it, or one above that, has ended by now.
        Conflict: there is one of that name.
    """
    line = await _locked_line(session, parent_id)
    parent = line[0]
    if not _NAME.fullmatch(wish.name):
        raise BadValue(
            "name has 1 to 60 letters and digits of ASCII, and between them spaces, dots, hyphens and _.", param="name"
        )
    if len(line) >= MAX_DEPTH:
        raise NotAllowed(f"No more than {MAX_DEPTH} keys stand in one line.", code="key_limit_reached")
    if await _count(session, parent_id) >= MAX_CHILDREN:
        raise NotAllowed(f"This key has made {MAX_CHILDREN} keys. Revoke some of them first.", code="key_limit_reached")
    models = list(parent.models) if wish.models is None else key_rights.check_models(wish.models)
    endpoints = key_rights.check_endpoints(wish.endpoints or ())
    networks = key_rights.check_addresses(wish.addresses or ())
    ends = [row.expires_at for row in line if row.expires_at is not None]
    expires_at = min(ends, default=None) if wish.expires_at is None else wish.expires_at
    if expires_at is not None and expires_at <= clock.now():
        raise BadValue("expires_at is over already.", param="expires_at")
    for row in line:
        _refuse_wider(row, models, endpoints, networks, expires_at)
    return await api_keys.create(
        session,
        pepper,
        team_id=parent.team_id,
        name=f"{parent.name}/{wish.name}",
        models=models,
        denied_models=wish.denied_models,
        endpoints=endpoints,
        addresses=networks,
        expires_at=expires_at,
        is_strict=wish.is_strict or any(row.is_strict for row in line),
        user_id=parent.user_id,
        parent_id=parent_id,
    )


async def listed(session: AsyncSession, parent_id: str) -> Sequence[ApiKey]:
    """The keys that this one has made and that were not revoked, oldest first."""
    query = select(ApiKey).where(ApiKey.parent_id == parent_id, ApiKey.revoked_at.is_(None))
    return (await session.scalars(query.order_by(ApiKey.created_at, ApiKey.id))).all()


async def revoke(session: AsyncSession, parent_id: str, key_id: str) -> tuple[ApiKey, bool]:
    """End a key that this one has made, and all below it; the key, and whether it had not been revoked before.

    Raises:
        NotFound: this key has made no such key.
    """
    key = await session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.parent_id == parent_id))
    if key is None:
        raise NotFound("This key has made no such key.")
    return key, await api_keys.revoke(session, key.team_id, key_id)


async def _locked_line(session: AsyncSession, key_id: str) -> list[ApiKey]:
    """The key, kept from being ended meanwhile, and all above it."""
    line: list[ApiKey] = []
    wanted: str | None = key_id
    while wanted is not None and len(line) <= MAX_DEPTH:
        query = select(ApiKey).where(ApiKey.id == wanted)
        row = await session.scalar(query if line else query.with_for_update())
        if row is None or row.revoked_at is not None or row.disabled_at is not None:
            raise NotAuthenticated("The API key has just ended.")
        line.append(row)
        wanted = row.parent_id
    return line


async def _count(session: AsyncSession, parent_id: str) -> int:
    query = select(func.count()).where(ApiKey.parent_id == parent_id, ApiKey.revoked_at.is_(None))
    return await session.scalar(query) or 0


def _refuse_wider(
    row: ApiKey, models: Sequence[str], endpoints: Sequence[str], networks: Sequence[str], expires_at: datetime | None
) -> None:
    wider: str | None = None
    if not globs.covers(row.models, models):
        wider = "models"
    elif row.endpoints and not set(endpoints) <= set(row.endpoints):
        wider = "endpoints"
    elif row.addresses:
        own = [addresses.network(text) for text in row.addresses]
        if not all(addresses.is_within(addresses.network(text), own) for text in networks):
            wider = "addresses"
    if wider is None and row.expires_at is not None and (expires_at is None or expires_at > row.expires_at):
        wider = "expires_at"
    if wider is not None:
        raise NotAllowed(
            f"{wider} would be more than the API key {row.name} has; a key makes no key that may more than itself.",
            param=wider,
            code="key_not_narrower",
        )
