"""The locks of the page doors. They hang on a door's router, so that no page can forget its own."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urlencode, urlsplit

from litestar import Request
from litestar.handlers import BaseRouteHandler

from app.base.config import Settings
from app.base.errors import NotAllowed
from app.domain.identity.sessions import SignedIn
from app.domain.identity.users import STAFF
from app.web import return_path
from app.web.authentication import SignInNeeded, session_of
from app.web.mount_point import Connection

CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"


class StepNeeded(NotAllowed):
    """Somebody is signed in who has something to do first, at `path`."""

    code = "step_needed"

    def __init__(self, path: str) -> None:
        super().__init__("There is a step to take before this page: open the hub in a browser.")
        self.path = path


_SAFE = ("GET", "HEAD", "OPTIONS")


async def requires_admin(connection: Connection, _handler: BaseRouteHandler) -> None:
    """
    Raises:
        SignInNeeded: nobody is signed in.
        NotAllowed: somebody is who does not run this hub.
    """
    signed_in = await _signed_in(connection)
    if signed_in.user.hub_role not in STAFF:
        raise NotAllowed("This page is for the people who run this hub. You are not one of them.")


async def requires_person(connection: Connection, _handler: BaseRouteHandler) -> None:
    """
    Raises:
        SignInNeeded: nobody is signed in.
        StepNeeded: a step is missing.
    """
    await _signed_in(connection)


async def requires_enrolling(connection: Connection, _handler: BaseRouteHandler) -> None:
    """The pages for setting up a second factor are also for those who see nothing else before they have one.

    Raises:
        SignInNeeded: nobody is signed in.
    """
    found = await session_of(connection)
    if found is None or found.level == "second":
        raise SignInNeeded("Sign in to see this page.")


async def requires_proof(connection: Connection, _handler: BaseRouteHandler) -> None:
    """For what a browser that was left alone must not do: secrets, roles, money. Hangs behind one of the others.

    Raises:
        StepNeeded: the last proof is too old.
    """
    found = await session_of(connection)
    if found is not None and not found.is_fresh:
        # What was posted is asked for anew, from its page.
        back = return_path.here(connection)
        raise StepNeeded("/account/prove" + (f"?{urlencode({'next': back})}" if back else ""))


async def refuses_forgeries(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Whatever changes something must come from a page of ours and, in a session, carry that session's own token.

    Raises:
        NotAllowed: it does not.
    """
    if connection.scope["method"] in _SAFE:  # pyright: ignore[reportGeneralTypeIssues]
        return
    if not _comes_from_our_page(connection):
        raise NotAllowed("This form was sent from another site. Nothing was done.", code="forged_request")
    signed_in = await session_of(connection)
    if signed_in is None:
        return
    given = connection.headers.get(CSRF_HEADER) or await _posted_token(connection)
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), signed_in.csrf_token.encode()):
        raise NotAllowed(
            "This form is from an earlier session. Nothing was done; load the page again.", code="forged_request"
        )


async def _signed_in(connection: Connection) -> SignedIn:
    found = await session_of(connection)
    if found is not None and found.level == "enrol":
        raise StepNeeded("/account/second-factor")
    if found is None or found.level != "full":
        raise SignInNeeded("Sign in to see this page.")
    return found


def _comes_from_our_page(connection: Connection) -> bool:
    """By the browser's own word. Over plain HTTP only Origin says it, and a page cannot forge either."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    settings: Settings = connection.app.state.settings
    try:
        origin = urlsplit(connection.headers.get("origin", "")).netloc
    except ValueError:
        return False
    ours = {
        connection.headers.get("host"),
        # Another site's page cannot make a browser send this one.
        connection.headers.get("x-forwarded-host"),
        urlsplit(settings.public_url).netloc,
    }
    return bool(origin) and origin in ours


async def _posted_token(connection: Connection) -> str:
    assert isinstance(connection, Request)
    request: Request[Any, Any, Any] = connection
    token = (await request.form()).get(CSRF_FIELD, "")
    return token if isinstance(token, str) else ""
