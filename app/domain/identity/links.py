"""One-time links: the way in for people while there is no password yet, and when one is lost.

One that signs in is made by whoever may run the hub's commands on its machine, and asks for no second factor: it is how
an owner gets in who has lost theirs. One that is mailed lets somebody choose a new password, and nothing else.

The token has 256 random bits and is shown once; the table holds its SHA-256, so reading the table opens nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import NotAuthenticated
from app.base.secret import Secret
from app.domain.identity import users
from app.domain.identity.models import OneTimeLink, User

Purpose = Literal["sign_in", "reset"]

LIFETIME = timedelta(hours=1)
RESET_LIFETIME = timedelta(minutes=15)


class LinkRefused(NotAuthenticated):
    """The link was used before, is too old, or was never made by this hub; which of them is not said."""

    code = "link_refused"


async def create(session: AsyncSession, user_id: str, purpose: Purpose = "sign_in") -> Secret:
    """The token of a new link for this user, `<hub>/sign-in/<token>` or `<hub>/reset-password/<token>`."""
    token = secrets.token_urlsafe(32)
    lifetime = LIFETIME if purpose == "sign_in" else RESET_LIFETIME
    session.add(
        OneTimeLink(
            digest=_digest(token), user_id=user_id, purpose=purpose, expires_at=clock.now() + lifetime, used_at=None
        ),
    )
    return Secret(token)


async def is_open(session: AsyncSession, token: str) -> bool:
    """Whether `use` would succeed: for the page that asks before it uses the link up."""
    return await session.scalar(select(OneTimeLink.user_id).where(*_usable(token, "sign_in"))) is not None


async def whose(session: AsyncSession, token: str) -> User | None:
    """For whom the link was made, whether or not it works still; None when this hub never made it."""
    return await session.scalar(
        select(User).join(OneTimeLink, OneTimeLink.user_id == User.id).where(OneTimeLink.digest == _digest(token))
    )


async def who_resets(session: AsyncSession, token: str) -> User | None:
    """Who may choose a new password by this link, while it works."""
    return await session.scalar(
        select(User).join(OneTimeLink, OneTimeLink.user_id == User.id).where(*_usable(token, "reset"))
    )


async def use(session: AsyncSession, token: str) -> User:
    """Who the link signs in. Of several uses at once exactly one succeeds.

    Raises:
        LinkRefused: used, too old, unknown, or its user is disabled.
    """
    user = await _use(session, token, "sign_in")
    await users.note_sign_in(session, user.id)
    return user


async def use_to_reset(session: AsyncSession, token: str) -> User:
    """Who may choose a new password by it; their other links of this kind work no more.

    Raises:
        LinkRefused: as `use`.
    """
    user = await _use(session, token, "reset")
    await end_resets(session, user.id)
    return user


async def end_resets(session: AsyncSession, user_id: str) -> None:
    """Whoever has a new password needs no link for one: those that were mailed work no more."""
    await session.execute(
        update(OneTimeLink)
        .where(OneTimeLink.user_id == user_id, OneTimeLink.purpose == "reset", OneTimeLink.used_at.is_(None))
        .values(used_at=clock.now())
    )


async def _use(session: AsyncSession, token: str, purpose: Purpose) -> User:
    user_id = await session.scalar(
        update(OneTimeLink).where(*_usable(token, purpose)).values(used_at=clock.now()).returning(OneTimeLink.user_id)
    )
    if user_id is None:
        raise LinkRefused("This link has been used or is too old. Make a new one with: hub create-admin EMAIL")
    return await users.get(session, user_id)


def _usable(token: str, purpose: Purpose) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeLink.digest == _digest(token),
        OneTimeLink.purpose == purpose,
        OneTimeLink.used_at.is_(None),
        OneTimeLink.expires_at > clock.now(),
        OneTimeLink.user_id.in_(select(User.id).where(User.disabled_at.is_(None))),
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
