"""Who is looking at a page: the session cookie, and the user whose it is.

The cookie has a name of its own, `__Host-…`, where the hub is reached by TLS at its root: browsers then take it from no
other host and no plain connection, so nobody can plant one. Below a mount prefix that name is not possible;
`__Secure-…` still keeps plain connections out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from litestar.datastructures import Cookie

from app.base import clock
from app.base.config import Settings
from app.base.db import Database
from app.base.errors import NotAuthenticated
from app.domain.identity import sessions
from app.domain.identity.sessions import Lifetimes, SignedIn, Started
from app.web.mount_point import Connection, prefix_of

_NAME = "hub_session"


class SignInNeeded(NotAuthenticated):
    """Nobody is signed in, and the page is for somebody."""

    code = "sign_in_needed"


async def identify(connection: Connection) -> SignedIn | None:
    """Who is signed in; None when nobody is. Looks into the database once per request."""
    await session_of(connection)
    return known(connection)


async def session_of(connection: Connection) -> SignedIn | None:
    """The same, also of somebody who has a step of signing in before them yet. Only the pages of that step ask this."""
    if "user" not in connection.scope:
        token = session_token(connection)
        found = None
        if token:
            db: Database = connection.app.state.db
            async with db.reading() as session:
                found = await sessions.find(session, token)
            if found is not None and _counts_as_use(connection, found):
                async with db.writing() as session:
                    await sessions.touch(session, found, lifetimes(connection))
        connection.scope["user"] = found
    return begun(connection)


def known(connection: Connection) -> SignedIn | None:
    """Whom `identify` has found earlier in this request; None also when it was not asked."""
    found = begun(connection)
    return found if found is not None and found.level == "full" else None


def begun(connection: Connection) -> SignedIn | None:
    """What `session_of` has found earlier in this request."""
    return cast("SignedIn | None", connection.scope["user"]) if "user" in connection.scope else None


def lifetimes(connection: Connection) -> Lifetimes:
    settings: Settings = connection.app.state.settings
    return Lifetimes(timedelta(hours=settings.session_idle_hours), timedelta(days=settings.session_days))


def session_token(connection: Connection) -> str:
    """What the browser sent, believed by nobody yet; empty when it sent nothing."""
    return connection.cookies.get(_cookie_name(connection), "")


def session_cookie(connection: Connection, started: Started) -> Cookie:
    """Ends with the browser; the session itself ends earlier, by its own clock."""
    return _cookie(connection, started.token.reveal(), max_age=None)


def no_cookie(connection: Connection) -> Cookie:
    return _cookie(connection, "", max_age=0)


def _cookie(connection: Connection, value: str, max_age: int | None) -> Cookie:
    return Cookie(
        key=_cookie_name(connection),
        value=value,
        max_age=max_age,
        path=prefix_of(connection) or "/",
        secure=_is_by_tls(connection) or connection.headers.get("x-forwarded-proto") == "https",
        httponly=True,
        samesite="lax",
    )


def _counts_as_use(connection: Connection, found: SignedIn) -> bool:
    """A part of a page that refreshes by itself is not somebody who is there."""
    is_page = "hx-request" not in connection.headers
    return is_page and found.level != "second" and found.seen_at < clock.now() - sessions.SEEN_STEP


def _cookie_name(connection: Connection) -> str:
    if not _is_by_tls(connection):
        return _NAME
    return f"__Secure-{_NAME}" if prefix_of(connection) else f"__Host-{_NAME}"


def _is_by_tls(connection: Connection) -> bool:
    settings: Settings = connection.app.state.settings
    return connection.scope["scheme"] == "https" or settings.public_url.startswith("https://")
