"""Signed-in browsers. A session ends after a time without a page, after its whole lifetime, when it is ended here, or
when its user is disabled; each of them at once.

The cookie holds a random token, the table its SHA-256. A token is made here and nowhere else, anew at every step that
raises what it opens, so one that somebody planted opens nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, cast

from msgspec import Struct
from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.secret import Secret
from app.domain.identity.models import HubSetting, Password, SecondFactor, Session, User
from app.domain.identity.second_factors import SETTING
from app.domain.identity.users import STAFF

Level = Literal["full", "second", "enrol"]
"""What a session opens: everything; the page that asks for the second factor; the page that sets one up."""

SECOND_LIFETIME = timedelta(minutes=10)
"""How long the second factor may take."""
PROOF_LIFETIME = timedelta(minutes=10)
"""How long after a proof something may be done that needs one."""
SEEN_STEP = timedelta(minutes=1)


class Lifetimes(Struct, frozen=True):
    idle: timedelta = timedelta(hours=12)
    """Without a page."""
    whole: timedelta = timedelta(days=30)


class Origin(Struct, frozen=True):
    """Where a session was started, for its owner to recognise."""

    network: str | None = None
    client: str | None = None


class Started(Struct, frozen=True):
    token: Secret
    """The value of the cookie."""
    csrf_token: str
    """What every form of this session sends back."""


class SignedIn(Struct, frozen=True, kw_only=True):
    user: User
    csrf_token: str
    level: Level
    digest: bytes
    proved_at: datetime
    seen_at: datetime
    has_password: bool
    has_second_factor: bool

    @property
    def is_fresh(self) -> bool:
        """Whether this browser proved a short while ago who it is."""
        return self.proved_at > clock.now() - PROOF_LIFETIME


async def start(
    session: AsyncSession,
    user_id: str,
    *,
    level: Literal["full", "second"] = "full",
    lifetimes: Lifetimes | None = None,
    origin: Origin | None = None,
) -> Started:
    """A new session. Call it at every sign-in; a token from before is never taken over."""
    token, csrf_token, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), clock.now()
    lifetimes, origin = lifetimes or Lifetimes(), origin or Origin()
    whole = lifetimes.whole if level == "full" else SECOND_LIFETIME
    session.add(
        Session(
            digest=_digest(token),
            user_id=user_id,
            level=level,
            csrf_token=csrf_token,
            created_at=now,
            proved_at=now,
            seen_at=now,
            idle_until=now + min(lifetimes.idle, whole),
            expires_at=now + whole,
            network=origin.network,
            client=origin.client,
        )
    )
    await session.flush()
    return Started(Secret(token), csrf_token)


async def prove(session: AsyncSession, signed_in: SignedIn) -> Started | None:
    """The same session under a new token, after its browser proved anew who it is. None when it has ended meanwhile."""
    token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    found = await session.scalar(
        update(Session)
        .where(Session.digest == signed_in.digest)
        .values(digest=_digest(token), csrf_token=csrf_token, proved_at=clock.now())
        .returning(Session.user_id)
    )
    return None if found is None else Started(Secret(token), csrf_token)


async def find(session: AsyncSession, token: str) -> SignedIn | None:
    """Whose session this cookie is, and how much it opens; None when nobody's any more."""
    now, digest = clock.now(), _digest(token)
    has_factor = exists().where(SecondFactor.user_id == User.id, SecondFactor.confirmed_at.is_not(None))
    is_required = exists().where(HubSetting.key == SETTING, HubSetting.value == "on")
    row = (
        await session.execute(
            select(
                User,
                Session.level,
                Session.csrf_token,
                Session.proved_at,
                Session.seen_at,
                exists().where(Password.user_id == User.id).label("has_password"),
                has_factor.label("has_factor"),
                is_required.label("is_required"),
            )
            .join(Session, Session.user_id == User.id)
            .where(
                Session.digest == digest,
                Session.expires_at > now,
                Session.idle_until > now,
                User.disabled_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    level = cast(Level, row.level)
    if level == "full" and row.is_required and row[0].hub_role in STAFF and not row.has_factor:
        level = "enrol"
    return SignedIn(
        user=row[0],
        csrf_token=row.csrf_token,
        level=level,
        digest=digest,
        proved_at=row.proved_at,
        seen_at=row.seen_at,
        has_password=bool(row.has_password),
        has_second_factor=bool(row.has_factor),
    )


async def touch(session: AsyncSession, signed_in: SignedIn, lifetimes: Lifetimes) -> None:
    """It has opened a page: its idle time begins anew."""
    now = clock.now()
    await session.execute(
        update(Session).where(Session.digest == signed_in.digest).values(seen_at=now, idle_until=now + lifetimes.idle)
    )


async def listed(session: AsyncSession, user_id: str) -> Sequence[Session]:
    """Somebody's sessions that open something, the one that was used last first."""
    now = clock.now()
    return (
        await session.scalars(
            select(Session)
            .where(
                Session.user_id == user_id,
                Session.level == "full",
                Session.expires_at > now,
                Session.idle_until > now,
            )
            .order_by(Session.seen_at.desc(), Session.created_at.desc())
        )
    ).all()


async def end(session: AsyncSession, token: str) -> None:
    await session.execute(delete(Session).where(Session.digest == _digest(token)))


async def end_one(session: AsyncSession, user_id: str, handle: str) -> bool:
    """End the session of this user that has this handle; False when there is none."""
    try:
        digest = bytes.fromhex(handle)
    except ValueError:
        return False
    gone = await session.scalar(
        delete(Session).where(Session.digest == digest, Session.user_id == user_id).returning(Session.user_id)
    )
    return gone is not None


async def end_all(session: AsyncSession, user_id: str, *, but: bytes | None = None) -> int:
    """End every session of this user but the one of this digest; how many went."""
    where = [Session.user_id == user_id]
    if but is not None:
        where.append(Session.digest != but)
    gone = await session.execute(delete(Session).where(*where).returning(Session.level))
    return len([level for level in gone.scalars() if level == "full"])


def handle(row: Session) -> str:
    """What a form calls a session. It opens nothing: the cookie is not the digest."""
    return row.digest.hex()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
