"""API keys: 256 random bits with a checksum, stored as a keyed digest, found by it.

Every look-up goes through the team, so that a foreign id finds nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, Conflict, NotFound
from app.base.ids import new_id
from app.base.secret import Secret
from app.domain.identity import key_rights, teams
from app.domain.identity.key_rights import check_models
from app.domain.identity.models import ApiKey, Team

MIN_GIVEN_LENGTH = 32
"""A key that is not made by the hub has at least this many characters."""
OVERLAP_HOURS = (0, 1, 24, 72)
"""How long the old secret of a key may go on to open after it was rolled."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_OURS = re.compile(r"hk-[0-9A-Za-z]{43}[0-9A-Za-z]{6}")
_PREFIX_LENGTH = 10
_REMOVED_AT_ONCE = 1000
_ANEW = {"populate_existing": True}


def new_key() -> str:
    """`hk-`, 43 characters of 256 random bits, 6 of checksum."""
    body = _base62(int.from_bytes(secrets.token_bytes(32)), 43)
    return f"hk-{body}{_checksum(body)}"


def is_ours(key: str) -> bool:
    """Whether a hub may have made it, by its form and checksum; no look-up needed."""
    return bool(_OURS.fullmatch(key)) and key[-6:] == _checksum(key[3:-6])


def is_mistyped(key: str) -> bool:
    """Whether it looks like one of ours but its checksum is wrong: it was cut or mistyped, no look-up needed."""
    return bool(_OURS.fullmatch(key)) and key[-6:] != _checksum(key[3:-6])


def digest(pepper: bytes, key: str) -> bytes:
    """What the database stores. The key has 256 bits of its own, so one fast keyed hash is enough."""
    return hmac.digest(pepper, key.encode("utf-8", "surrogateescape"), hashlib.sha256)


def prefix(key: str) -> str:
    """The part that lists show. Of a given secret only the beginning, too short to be of use."""
    return key[:_PREFIX_LENGTH] if key.startswith("hk-") else key[:4]


def check_given(secret: Secret) -> Secret:
    """`secret`, if it can be an API key that somebody brings along.

    Raises:
        BadValue: shorter than 32 characters, not plain ASCII, or one of our own that was cut or mistyped.
    """
    text = secret.reveal()
    if len(text) < MIN_GIVEN_LENGTH:
        raise BadValue(
            f"secret has {len(text)} characters; a key that is given has at least {MIN_GIVEN_LENGTH}. "
            "`hub key create` makes a good one.",
            param="secret",
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadValue("secret must be letters, digits and signs of ASCII, without spaces.", param="secret")
    if is_mistyped(text):
        raise BadValue(
            "secret looks like a key of a hub, but its last characters do not match: it was cut or mistyped.",
            param="secret",
        )
    return secret


async def create(
    session: AsyncSession,
    pepper: bytes,
    *,
    team_id: str,
    name: str,
    models: Sequence[str],
    secret: Secret | None = None,
    expires_at: datetime | None = None,
    is_strict: bool = False,
    user_id: str | None = None,
    denied_models: Sequence[str] = (),
    endpoints: Sequence[str] = (),
    addresses: Sequence[str] = (),
    is_enabled: bool = True,
    parent_id: str | None = None,
) -> tuple[ApiKey, Secret]:
    """A key for the team; without `secret` the hub makes one. The secret is in the answer and nowhere else.

    `user_id` is whose key it is, for their budgets; None for a program's. `parent_id` is for `child_keys` alone.

    Raises:
        BadValue: a field cannot be; `param` names it.
        NotFound: there is no such team.
        Conflict: the team has a key of that name, or the secret is in use.
    """
    await teams.get(session, team_id)
    teams.check_name(name)
    secret = Secret(new_key()) if secret is None else check_given(secret)
    if await find_by_name(session, team_id, name) is not None:
        raise Conflict(f'The team already has a key "{name}".', param="name")
    await _refuse_twin(session, digest(pepper, secret.reveal()), key_id=None)
    key = ApiKey(
        id=new_id(),
        team_id=team_id,
        user_id=user_id,
        name=name,
        prefix=prefix(secret.reveal()),
        digest=digest(pepper, secret.reveal()),
        models=check_models(models),
        denied_models=key_rights.check_denied_models(denied_models),
        endpoints=key_rights.check_endpoints(endpoints),
        addresses=key_rights.check_addresses(addresses),
        parent_id=parent_id,
        disabled_at=None if is_enabled else clock.now(),
        is_strict=is_strict,
        expires_at=expires_at,
        created_at=clock.now(),
        revoked_at=None,
    )
    session.add(key)
    await session.flush()
    return key, secret


async def listed(session: AsyncSession, team_id: str | None = None) -> Sequence[ApiKey]:
    """The keys of a team, or with None of all teams, oldest first; revoked ones too."""
    query = select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)
    if team_id is not None:
        query = query.where(ApiKey.team_id == team_id)
    return (await session.scalars(query)).all()


async def newest(session: AsyncSession, limit: int) -> Sequence[tuple[ApiKey, str]]:
    """The keys of all teams that were made last, newest first, each with its team's name; revoked ones too."""
    rows = await session.execute(
        select(ApiKey, Team.name)
        .join(Team, Team.id == ApiKey.team_id)
        .order_by(ApiKey.created_at.desc(), ApiKey.id.desc())
        .limit(limit)
    )
    return [(key, team_name) for key, team_name in rows]


async def count(session: AsyncSession) -> int:
    """How many keys all teams have, revoked ones too."""
    return await session.scalar(select(func.count()).select_from(ApiKey)) or 0


async def names(session: AsyncSession, key_ids: Collection[str]) -> Mapping[str, tuple[str, str]]:
    """Key id → names of key and team, of those that are still there."""
    rows = await session.execute(
        select(ApiKey.id, ApiKey.name, Team.name)
        .join(Team, Team.id == ApiKey.team_id)
        .where(ApiKey.id.in_(list(key_ids)))
    )
    return {key_id: (key_name, team_name) for key_id, key_name, team_name in rows}


async def of_team(session: AsyncSession, team_id: str, key_id: str) -> ApiKey:
    """
    Raises:
        NotFound: the team has no such key.
    """
    key = await session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.team_id == team_id))
    if key is None:
        raise NotFound("The team has no such key.")
    return key


async def of_prefix(session: AsyncSession, text: str) -> Sequence[ApiKey]:
    """The keys whose first characters, as lists show them, these are; of a whole key its own, and its namesakes."""
    prefixes = {text, prefix(text)} if len(text) > _PREFIX_LENGTH else {text}
    return (await session.scalars(select(ApiKey).where(ApiKey.prefix.in_(prefixes)).order_by(ApiKey.id))).all()


async def find_by_name(session: AsyncSession, team_id: str, name: str) -> ApiKey | None:
    return await session.scalar(select(ApiKey).where(ApiKey.team_id == team_id, ApiKey.name == name))


async def revoked_of(session: AsyncSession, key_ids: Sequence[str]) -> Sequence[str]:
    """The names of those that were revoked."""
    query = select(ApiKey.name).where(ApiKey.id.in_(key_ids), ApiKey.revoked_at.is_not(None))
    return (await session.scalars(query.order_by(ApiKey.created_at, ApiKey.id))).all()


async def below(session: AsyncSession, key_id: str) -> Sequence[str]:
    """The ids of the keys that this one made, those that these made, and so on; revoked ones too."""
    return (await session.scalars(_below(key_id))).all()


async def revoke(session: AsyncSession, team_id: str, key_id: str) -> bool:
    """From now on the key and all below it open nothing. Returns False if it was revoked before; then nothing changes.

    Raises:
        NotFound: the team has no such key.
    """
    await of_team(session, team_id, key_id)
    revoked = await session.scalar(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.team_id == team_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=clock.now())
        .returning(ApiKey.id)
    )
    if revoked is not None:
        # They end with it anyway; written down, so that they stay ended should it ever work again.
        await session.execute(
            update(ApiKey)
            .where(ApiKey.id.in_(_below(key_id)), ApiKey.revoked_at.is_(None))
            .values(revoked_at=clock.now())
            .execution_options(synchronize_session=False)
        )
    return revoked is not None


async def set_enabled(session: AsyncSession, team_id: str, key_id: str, *, is_enabled: bool) -> bool:
    """Switch a key off for a while, and all below it with it, or on again. Returns False if it was so before.

    Raises:
        NotFound: the team has no such key.
    """
    key = await of_team(session, team_id, key_id)
    if (key.disabled_at is None) == is_enabled:
        return False
    key.disabled_at = None if is_enabled else clock.now()
    await session.flush()
    return True


async def roll(session: AsyncSession, pepper: bytes, team_id: str, key_id: str, *, overlap_hours: int) -> Secret:
    """Another secret for the same key, made by the hub. The old one goes on to open for so many hours, and then stops
    to the second; one that was still valid from an earlier roll stops at once.

    Raises:
        BadValue: so long an overlap cannot be.
        NotFound: the team has no such key.
        Conflict: it was revoked.
    """
    if overlap_hours not in OVERLAP_HOURS:
        raise BadValue(f"The overlap is one of {', '.join(map(str, OVERLAP_HOURS))} hours.", param="overlap")
    await of_team(session, team_id, key_id)
    # Of two that roll at once the second waits here, and then sees what the first has written.
    key = await session.scalar(select(ApiKey).where(ApiKey.id == key_id).with_for_update().execution_options(**_ANEW))
    if key is None or key.revoked_at is not None:
        raise Conflict("This key was revoked. Make a new one with: hub key create")
    secret = Secret(new_key())
    key.previous_digest = key.digest
    key.previous_until = clock.now() + timedelta(hours=overlap_hours)
    key.digest, key.prefix = digest(pepper, secret.reveal()), prefix(secret.reveal())
    await session.flush()
    return secret


async def of_secret(session: AsyncSession, pepper: bytes, text: str) -> ApiKey | None:
    """The key that this secret opens, or opened before it was revoked or rolled; None where it never did."""
    if not text.isascii():
        return None
    fresh = digest(pepper, text)
    return await session.scalar(
        select(ApiKey).where(or_(ApiKey.digest == fresh, ApiKey.previous_digest == fresh)).limit(1)
    )


async def change(
    session: AsyncSession,
    team_id: str,
    key_id: str,
    *,
    models: Sequence[str],
    expires_at: datetime | None,
    is_strict: bool,
    user_id: str | None,
    denied_models: Sequence[str] | None = None,
    endpoints: Sequence[str] | None = None,
    addresses: Sequence[str] | None = None,
) -> None:
    """What the key may do and until when, and whose it is. What is None of the last three stays as it is.

    Raises:
        BadValue: one of them cannot be; `param` names it.
        NotFound: the team has no such key.
    """
    key = await of_team(session, team_id, key_id)
    key.models = check_models(models)
    key.expires_at = expires_at
    key.is_strict = is_strict
    key.user_id = user_id
    if denied_models is not None:
        key.denied_models = key_rights.check_denied_models(denied_models)
    if endpoints is not None:
        key.endpoints = key_rights.check_endpoints(endpoints)
    if addresses is not None:
        key.addresses = key_rights.check_addresses(addresses)
    await session.flush()


async def replace_secret(session: AsyncSession, pepper: bytes, team_id: str, key_id: str, secret: Secret) -> None:
    """Another secret for the same key; the old one opens nothing from now on. A revoked key works again.

    Raises:
        BadValue: the secret cannot be.
        NotFound: the team has no such key.
        Conflict: the secret is that of another key, or the one with which this key was revoked.
    """
    key = await of_team(session, team_id, key_id)
    fresh = digest(pepper, check_given(secret).reveal())
    await _refuse_twin(session, fresh, key_id=None if key.revoked_at else key_id)
    key.digest, key.prefix, key.revoked_at = fresh, prefix(secret.reveal()), None
    key.previous_digest = key.previous_until = None
    await session.flush()


async def remove(session: AsyncSession, team_id: str, key_id: str) -> None:
    """Forget the key and all below it; their calls stay.

    Raises:
        NotFound: the team has no such key.
    """
    await of_team(session, team_id, key_id)
    ids = await below(session, key_id)
    for begin in range(0, len(ids), _REMOVED_AT_ONCE):
        await session.execute(delete(ApiKey).where(ApiKey.id.in_(ids[begin : begin + _REMOVED_AT_ONCE])))
    removed = await session.scalar(
        delete(ApiKey).where(ApiKey.id == key_id, ApiKey.team_id == team_id).returning(ApiKey.id)
    )
    if removed is None:
        raise NotFound("The team has no such key.")


async def _refuse_twin(session: AsyncSession, fresh: bytes, *, key_id: str | None) -> None:
    """A revoked secret counts as well, and one that was rolled: who leaked it must not get in again because a file
    still names it."""
    twin = await session.scalar(select(ApiKey.id).where(ApiKey.digest == fresh))
    rolled = await session.scalar(select(ApiKey.id).where(ApiKey.previous_digest == fresh).limit(1))
    if rolled is not None or (twin is not None and twin != key_id):
        raise Conflict("This secret is or was that of another key. Take a new one.", param="secret")


def _below(key_id: str) -> Select[str]:
    tree = select(ApiKey.id).where(ApiKey.parent_id == key_id).cte("below", recursive=True)
    tree = tree.union(select(ApiKey.id).where(ApiKey.parent_id == tree.c.id))
    return select(tree.c.id)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), 6)


def _base62(number: int, length: int) -> str:
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
