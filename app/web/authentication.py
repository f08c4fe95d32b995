"""Who is looking at a page: the session cookie, and the user whose it is.

The cookie has a name of its own, `__Host-…`, where the hub is reached by TLS at its root: browsers then take it from no
other host and no plain connection, so nobody can plant one.
"""

from __future__ import annotations

from typing import cast

from litestar.datastructures import Cookie

from app.base.config import Settings
from app.base.db import Database
from app.base.errors import NotAuthenticated
from app.domain.identity import sessions
from app.domain.identity.sessions import SignedIn, Started
from app.web.mount_point import Connection, prefix_of

_NAME = "hub_session"


class SignInNeeded(NotAuthenticated):
    """Nobody is signed in, and the page is for somebody."""

    code = "sign_in_needed"


async def identify(connection: Connection) -> SignedIn | None:
    """Who is signed in; None when nobody is. Looks into the database once per request."""
    if "user" not in connection.scope:
        token = session_token(connection)
        found = None
        if token:
            db: Database = connection.app.state.db
            async with db.reading() as session:
                found = await sessions.find(session, token)
        connection.scope["user"] = found
    return known(connection)


def known(connection: Connection) -> SignedIn | None:
    """Whom `identify` has found earlier in this request; None also when it was not asked."""
    return cast("SignedIn | None", connection.scope["user"]) if "user" in connection.scope else None


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


def _cookie_name(connection: Connection) -> str:
    return f"__Host-{_NAME}" if _is_by_tls(connection) and not prefix_of(connection) else _NAME


def _is_by_tls(connection: Connection) -> bool:
    settings: Settings = connection.app.state.settings
    return connection.scope["scheme"] == "https" or settings.public_url.startswith("https://")
