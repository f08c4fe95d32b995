"""Signed-in browsers. A session lives 12 hours and ends at once when it is ended here or its user is disabled.

The cookie holds a random token, the table its SHA-256.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from msgspec import Struct
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.secret import Secret
from app.domain.identity.models import Session, User

LIFETIME = timedelta(hours=12)


class Started(Struct, frozen=True):
    token: Secret
    """The value of the cookie."""
    csrf_token: str
    """What every form of this session sends back."""


class SignedIn(Struct, frozen=True):
    user: User
    csrf_token: str


async def start(session: AsyncSession, user_id: str) -> Started:
    """A new session. Call it at every sign-in; a token from before is never taken over."""
    token, csrf_token, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), clock.now()
    session.add(
        Session(
            digest=_digest(token), user_id=user_id, csrf_token=csrf_token, created_at=now, expires_at=now + LIFETIME
        )
    )
    return Started(Secret(token), csrf_token)


async def find(session: AsyncSession, token: str) -> SignedIn | None:
    """Who is signed in with this cookie; None when nobody is any more."""
    row = (
        await session.execute(
            select(User, Session.csrf_token)
            .join(Session, Session.user_id == User.id)
            .where(Session.digest == _digest(token), Session.expires_at > clock.now(), User.disabled_at.is_(None))
        )
    ).one_or_none()
    return None if row is None else SignedIn(row[0], row[1])


async def end(session: AsyncSession, token: str) -> None:
    await session.execute(delete(Session).where(Session.digest == _digest(token)))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
