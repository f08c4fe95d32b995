"""Credentials: the secrets that open providers, sealed by the vault and bound to their row."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, Conflict, NotFound
from app.base.ids import new_id
from app.base.secret import Secret
from app.base.vault import Place, Vault
from app.domain.catalog.models import Credential, Provider

MAX_WEIGHT = 1_000_000
DEFAULT_LABEL = "main"

Parts = Mapping[str, Secret]
"""What a credential consists of: `secret`, or the parts that the provider's kind names; empty where none is needed."""


def check_label(label: str) -> str:
    """
    Raises:
        BadValue: empty, longer than 100 characters, or with spaces or control characters.
    """
    if not 1 <= len(label) <= 100 or not label.isprintable() or " " in label:
        raise BadValue("A label has 1 to 100 characters and no spaces.", param="label")
    return label


def fingerprint(pepper: bytes, parts: Parts) -> str:
    """Tells whether two credentials are the same, without opening either. Worth nothing without the pepper."""
    return hmac.new(pepper, _canonical(parts), hashlib.sha256).hexdigest()


async def get(session: AsyncSession, credential_id: str) -> Credential:
    """
    Raises:
        NotFound: there is no such credential.
    """
    credential = await session.get(Credential, credential_id)
    if credential is None:
        raise NotFound("There is no such credential.")
    return credential


async def listed(session: AsyncSession, provider_id: str | None = None) -> Sequence[Credential]:
    """The credentials of a provider, or with None of all, by label."""
    query = select(Credential).order_by(Credential.provider_id, Credential.label)
    if provider_id is not None:
        query = query.where(Credential.provider_id == provider_id)
    return (await session.scalars(query)).all()


async def add(
    session: AsyncSession,
    vault: Vault,
    pepper: bytes,
    *,
    provider_id: str,
    label: str,
    parts: Parts,
    weight: int = 100,
) -> Credential:
    """
    Raises:
        BadValue: the label or the weight cannot be.
        NotFound: there is no such provider.
        Conflict: the provider has a credential of that label.
    """
    check_label(label)
    _check_weight(weight)
    if await session.get(Provider, provider_id) is None:
        raise NotFound("There is no such provider.")
    taken = select(Credential.id).where(Credential.provider_id == provider_id, Credential.label == label)
    if await session.scalar(taken) is not None:
        raise Conflict(f'The provider already has a credential "{label}".', param="label")
    credential_id = new_id()
    credential = Credential(
        id=credential_id,
        provider_id=provider_id,
        label=label,
        sealed=_seal(vault, credential_id, parts),
        fingerprint=fingerprint(pepper, parts),
        hint=_hint(parts),
        weight=weight,
        disabled_reason=None,
        disabled_at=None,
        created_at=clock.now(),
    )
    session.add(credential)
    await session.flush()
    return credential


async def replace(session: AsyncSession, vault: Vault, pepper: bytes, credential_id: str, parts: Parts) -> None:
    """Another secret for the same credential. It is usable again, whatever the old one had been disabled for.

    Raises:
        NotFound: there is no such credential.
    """
    credential = await get(session, credential_id)
    credential.sealed = _seal(vault, credential_id, parts)
    credential.fingerprint = fingerprint(pepper, parts)
    credential.hint = _hint(parts)
    credential.disabled_reason = credential.disabled_at = None
    await session.flush()


async def set_weight(session: AsyncSession, credential_id: str, weight: int) -> None:
    """Its share of the calls among the credentials of its provider; 0 takes none.

    Raises:
        BadValue: the weight cannot be.
        NotFound: there is no such credential.
    """
    _check_weight(weight)
    credential = await get(session, credential_id)
    credential.weight = weight
    await session.flush()


async def remove(session: AsyncSession, credential_id: str) -> None:
    """
    Raises:
        NotFound: there is no such credential.
    """
    if await session.scalar(delete(Credential).where(Credential.id == credential_id).returning(Credential.id)) is None:
        raise NotFound("There is no such credential.")


def reveal(vault: Vault, row: Credential) -> dict[str, Secret]:
    """The parts of a credential, for whoever signs a request with them.

    Raises:
        VaultError: it does not open here; the sentence says what to do.
    """
    opened = vault.open(row.sealed, _place(row.id)).reveal()
    return {name: Secret(text) for name, text in msgspec.json.decode(opened, type=dict[str, str]).items()}


async def disable(session: AsyncSession, credential_id: str, reason: str, *, of_fingerprint: str | None = None) -> bool:
    """Take it out of use. Returns False if it was disabled before or is gone; then nothing changes.

    With `of_fingerprint` only if its secret is still that one: a provider's refusal of the old secret, arriving late,
    must not disable a new one.
    """
    query = update(Credential).where(Credential.id == credential_id, Credential.disabled_reason.is_(None))
    if of_fingerprint is not None:
        query = query.where(Credential.fingerprint == of_fingerprint)
    values = {"disabled_reason": reason, "disabled_at": clock.now()}
    return await session.scalar(query.values(values).returning(Credential.id)) is not None


async def enable(session: AsyncSession, credential_id: str) -> bool:
    """Use it again. Returns False if it was not disabled or is gone; then nothing changes."""
    query = update(Credential).where(Credential.id == credential_id, Credential.disabled_reason.is_not(None))
    values = {"disabled_reason": None, "disabled_at": None}
    return await session.scalar(query.values(values).returning(Credential.id)) is not None


def _place(credential_id: str) -> Place:
    return Place("credential", "sealed", credential_id)


def _seal(vault: Vault, credential_id: str, parts: Parts) -> str:
    return vault.seal(Secret(_canonical(parts).decode()), _place(credential_id))


def _canonical(parts: Parts) -> bytes:
    return msgspec.json.encode({name: secret.reveal() for name, secret in parts.items()}, order="deterministic")


def _hint(parts: Parts) -> str:
    """Of the first part: of several, that is the one that names the others. Empty where there is no secret."""
    return next((secret.hint() for secret in parts.values()), "")


def _check_weight(weight: int) -> None:
    if not 0 <= weight <= MAX_WEIGHT:
        raise BadValue(f"weight must be a whole number from 0 to {MAX_WEIGHT}.", param="weight")
