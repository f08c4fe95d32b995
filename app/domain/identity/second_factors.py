"""The second factor: codes of an authenticator app (TOTP, 30 seconds, 6 digits), and recovery codes for a lost one.

A code counts in its own time step and the ones beside it, and each step counts once: a code that was seen by somebody
else is worth nothing after its owner used it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b32decode, b32encode
from datetime import timedelta

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from msgspec import Struct
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import Conflict
from app.base.secret import Secret
from app.base.vault import Place, Vault
from app.domain.identity.models import HubSetting, RecoveryCode, SecondFactor
from app.domain.identity.users import STAFF

STEP_SECONDS = 30
BESIDE = 1
"""Steps before and after the present one that count."""
RECOVERY_CODES = 10
SETTING = "require_second_factor"
"""The setting by which owners and admins need one."""

_KEY_BYTES = 20
_PENDING = timedelta(hours=1)
_RECOVERY_BYTES = 10
_DIGITS = re.compile(r"\d{6}")
_ISSUER = "AIGNE Hub"


class Pending(Struct, frozen=True):
    """A secret that no code has confirmed yet. Both are shown to its owner alone."""

    secret: Secret
    """In base32, for typing."""
    address: Secret
    """`otpauth://…`, for the picture."""


def place(user_id: str) -> Place:
    """Where the secret lives."""
    return Place("second_factor", "sealed", row=user_id)


async def is_on(session: AsyncSession, user_id: str) -> bool:
    row = await session.get(SecondFactor, user_id)
    return row is not None and row.confirmed_at is not None


async def is_required(session: AsyncSession, hub_role: str) -> bool:
    """Whether people in this role need one."""
    if hub_role not in STAFF:
        return False
    return await session.scalar(select(HubSetting.value).where(HubSetting.key == SETTING)) == "on"


async def begin(session: AsyncSession, vault: Vault, user_id: str) -> None:
    """A new secret, in the place of one that was never confirmed.

    Raises:
        Conflict: there is one in use.
    """
    row = await session.get(SecondFactor, user_id, with_for_update=True)
    if row is not None and row.confirmed_at is not None:
        raise Conflict("You have a second factor. Remove it before you set up another one.")
    if row is not None:
        await session.delete(row)
        await session.flush()
    sealed = vault.seal(Secret(b32encode(secrets.token_bytes(_KEY_BYTES)).decode()), place(user_id))
    session.add(SecondFactor(user_id=user_id, sealed=sealed, last_step=0, created_at=clock.now(), confirmed_at=None))
    await session.flush()


async def pending(session: AsyncSession, vault: Vault, user_id: str, email: str) -> Pending | None:
    """What was begun within the last hour and is not confirmed."""
    row = await session.get(SecondFactor, user_id)
    if row is None or row.confirmed_at is not None or row.created_at < clock.now() - _PENDING:
        return None
    secret = vault.open(row.sealed, place(user_id))
    return Pending(secret, Secret(_totp(secret).get_provisioning_uri(email, _ISSUER)))


async def confirm(session: AsyncSession, vault: Vault, user_id: str, code: str) -> bool:
    """Switch on what was begun, if the code is right."""
    row = await session.get(SecondFactor, user_id, with_for_update=True)
    if row is None or row.confirmed_at is not None or row.created_at < clock.now() - _PENDING:
        return False
    step = _step_of(vault.open(row.sealed, place(user_id)), code, row.last_step)
    if step is None:
        return False
    row.last_step, row.confirmed_at = step, clock.now()
    await session.flush()
    return True


async def use(session: AsyncSession, vault: Vault, user_id: str, code: str) -> str | None:
    """Whether this is a code of the app, `app`, or a recovery code, `recovery`; None where it is neither, or was used
    before. Of several uses at once one succeeds."""
    code = re.sub(r"[\s-]+", "", code)
    if not _DIGITS.fullmatch(code):
        return "recovery" if await _use_recovery(session, user_id, code) else None
    row = await session.get(SecondFactor, user_id)
    if row is None or row.confirmed_at is None:
        return None
    step = _step_of(vault.open(row.sealed, place(user_id)), code, row.last_step)
    if step is None:
        return None
    taken = await session.scalar(
        update(SecondFactor)
        .where(SecondFactor.user_id == user_id, SecondFactor.last_step < step)
        .values(last_step=step)
        .returning(SecondFactor.user_id)
        .execution_options(synchronize_session=False)
    )
    return "app" if taken is not None else None


async def remove(session: AsyncSession, user_id: str) -> None:
    """With its recovery codes."""
    await session.execute(delete(SecondFactor).where(SecondFactor.user_id == user_id))
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


async def new_recovery_codes(session: AsyncSession, user_id: str) -> list[str]:
    """Ten codes, shown once; those from before no longer work."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(digest=_digest(user_id, code), user_id=user_id, used_at=None) for code in codes)
    await session.flush()
    return ["-".join(code[start : start + 4] for start in range(0, len(code), 4)) for code in codes]


async def recovery_codes_left(session: AsyncSession, user_id: str) -> int:
    unused = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return await session.scalar(unused) or 0


async def _use_recovery(session: AsyncSession, user_id: str, code: str) -> bool:
    taken = await session.scalar(
        update(RecoveryCode)
        .where(
            RecoveryCode.digest == _digest(user_id, code.lower()),
            RecoveryCode.user_id == user_id,
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=clock.now())
        .returning(RecoveryCode.user_id)
    )
    return taken is not None


def _digest(user_id: str, code: str) -> bytes:
    # 80 random bits: nothing that a slow hash would protect better.
    return hashlib.sha256(f"{user_id}:{code}".encode("utf-8", "surrogateescape")).digest()


def _step_of(secret: Secret, code: str, last_step: int) -> int | None:
    """The step whose code this is, after the last one that was used."""
    totp, now = _totp(secret), int(clock.now().timestamp()) // STEP_SECONDS
    given, found = re.sub(r"\s+", "", code).encode("utf-8", "surrogateescape"), None
    for step in range(now - BESIDE, now + BESIDE + 1):
        if hmac.compare_digest(totp.generate(step * STEP_SECONDS), given) and step > last_step:
            found = step
    return found


def _totp(secret: Secret) -> TOTP:
    # SHA-1 is what authenticator apps speak.
    return TOTP(b32decode(secret.reveal()), 6, SHA1(), STEP_SECONDS)  # noqa: S303
