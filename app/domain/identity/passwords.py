"""Passwords: which are good enough, and whether somebody's is right. Made and checked by `hashing.Hasher`, outside of
any transaction, because that takes long.
"""

from __future__ import annotations

import unicodedata

from msgspec import Struct
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue
from app.base.secret import Secret
from app.domain.identity import common_passwords
from app.domain.identity.hashing import Hasher
from app.domain.identity.models import Password, User

LEAST_ALONE = 15
"""Characters, where a password is all that is asked for."""
LEAST_WITH_FACTOR = 8
MOST = 128


class Known(Struct, frozen=True):
    """What is stored about an address that somebody wants to sign in with."""

    user: User | None = None
    """None also where the user is disabled."""
    hash: str | None = None
    is_long: bool = False


def least(has_second_factor: bool) -> int:
    """How many characters a password needs."""
    return LEAST_WITH_FACTOR if has_second_factor else LEAST_ALONE


def check_new(password: Secret, *, email: str, has_second_factor: bool) -> None:
    """
    Raises:
        BadValue: too short, too long, or one of those that are guessed first.
    """
    text = unicodedata.normalize("NFKC", password.reveal())
    if len(text) < least(has_second_factor):
        more = "" if has_second_factor else ", or 8 once you have a second factor"
        raise BadValue(f"Use {least(has_second_factor)} characters or more{more}.", param="password")
    if len(text) > MOST:
        raise BadValue(f"Use {MOST} characters or fewer.", param="password")
    if common_passwords.is_common(text, (email,)):
        raise BadValue("This one would be guessed soon. Use one that nobody else has.", param="password")


async def find(session: AsyncSession, email: str) -> Known:
    """What is stored for this address. One statement, whether or not there is anything."""
    row = (
        await session.execute(
            select(User, Password.hash, Password.is_long)
            .outerjoin(Password, Password.user_id == User.id)
            .where(User.email == email.strip().lower(), User.disabled_at.is_(None))
        )
    ).one_or_none()
    return Known() if row is None else Known(row[0], row[1], bool(row[2]))


async def is_right(hasher: Hasher, known: Known, password: Secret) -> bool:
    """After the same time whether or not there is somebody.

    Raises:
        TooManyTries: too many passwords are being checked already.
    """
    # As long as none can be; what is longer is no password, and must not cost more to find out.
    fits = len(password.reveal()) <= MOST
    is_known = await hasher.is_right(known.hash, password if fits else Secret(""))
    return fits and is_known


async def get(session: AsyncSession, user_id: str) -> Password | None:
    return await session.get(Password, user_id)


async def is_still(session: AsyncSession, user_id: str, hash: str) -> bool:
    """Whether the hash that was checked is still the one, and its user is not disabled."""
    found = await session.scalar(
        select(Password.user_id)
        .join(User, User.id == Password.user_id)
        .where(Password.user_id == user_id, Password.hash == hash, User.disabled_at.is_(None))
    )
    return found is not None


async def put(session: AsyncSession, user_id: str, hash: str, password: Secret) -> None:
    """Set it, whatever it was. `hash` is that of `password`, which `check_new` has let pass."""
    is_long = len(unicodedata.normalize("NFKC", password.reveal())) >= LEAST_ALONE
    row = await session.get(Password, user_id, with_for_update=True)
    if row is None:
        session.add(Password(user_id=user_id, hash=hash, is_long=is_long, changed_at=clock.now()))
        await session.flush()
        return
    row.hash, row.is_long, row.changed_at = hash, is_long, clock.now()
    await session.flush()


async def put_again(session: AsyncSession, user_id: str, old: str, new: str) -> None:
    """The same password under today's parameters, unless it was changed meanwhile."""
    await session.execute(update(Password).where(Password.user_id == user_id, Password.hash == old).values(hash=new))
