"""One-time links: the way in for people while there is no password yet, and when one is lost.

The token has 256 random bits and is shown once; the table holds its SHA-256, so reading the table opens nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import NotAuthenticated
from app.base.secret import Secret
from app.domain.identity import users
from app.domain.identity.models import OneTimeLink, User

LIFETIME = timedelta(hours=1)


class LinkRefused(NotAuthenticated):
    """The link was used before, is too old, or was never made by this hub; which of them is not said."""

    code = "link_refused"


async def create(session: AsyncSession, user_id: str) -> Secret:
    """The token of a new link for this user; the address is `<hub>/sign-in/<token>`."""
    token = secrets.token_urlsafe(32)
    session.add(
        OneTimeLink(digest=_digest(token), user_id=user_id, expires_at=clock.now() + LIFETIME, used_at=None),
    )
    return Secret(token)


async def is_open(session: AsyncSession, token: str) -> bool:
    """Whether `use` would succeed: for the page that asks before it uses the link up."""
    return await session.scalar(select(OneTimeLink.user_id).where(*_usable(token))) is not None


async def use(session: AsyncSession, token: str) -> User:
    """Who the link signs in. Of several uses at once exactly one succeeds.

    Raises:
        LinkRefused: used, too old, unknown, or its user is disabled.
    """
    user_id = await session.scalar(
        update(OneTimeLink).where(*_usable(token)).values(used_at=clock.now()).returning(OneTimeLink.user_id)
    )
    if user_id is None:
        raise LinkRefused("This link has been used or is too old. Make a new one with: hub create-admin EMAIL")
    await users.note_sign_in(session, user_id)
    return await users.get(session, user_id)


def _usable(token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeLink.digest == _digest(token),
        OneTimeLink.used_at.is_(None),
        OneTimeLink.expires_at > clock.now(),
        OneTimeLink.user_id.in_(select(User.id).where(User.disabled_at.is_(None))),
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
