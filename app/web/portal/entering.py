"""What every way of signing in ends with: a session under a new token, and a page to go on to."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from app.base.addresses import Address
from app.base.config import Settings
from app.base.db import AsyncSession
from app.domain.identity import sessions
from app.domain.identity.models import User
from app.domain.identity.sessions import Level, Origin
from app.domain.identity.users import STAFF
from app.web import browsers, return_path, trail
from app.web.authentication import lifetimes, session_cookie, session_token
from app.web.mount_point import client_address

ADDRESS_BITS = {4: 24, 6: 64}
"""How much of an address is kept, by the version of IP."""


async def enter(request: Request[Any, Any, Any], session: AsyncSession, user: User, by: str) -> Cookie:
    """Somebody has signed in: a new session, whatever cookie came along; the one before it ends."""
    cookie = await _started(request, session, user, "full")
    await trail.record_sign_in(request, session, user, "sign_in", by=by)
    return cookie


async def half_enter(request: Request[Any, Any, Any], session: AsyncSession, user: User) -> Cookie:
    """The password was right, and the second factor is asked for next."""
    return await _started(request, session, user, "second")


def onward(user: User, back: str) -> str:
    """Back to the page that was asked for; else to the front page of whoever it is."""
    return return_path.own(back) or ("/" if user.hub_role in STAFF else "/account")


def address(request: Request[Any, Any, Any]) -> Address | None:
    settings: Settings = request.app.state.settings
    return client_address(settings, request.scope)


async def _started(request: Request[Any, Any, Any], session: AsyncSession, user: User, level: Level) -> Cookie:
    assert level != "enrol"
    await sessions.end(session, session_token(request))
    started = await sessions.start(session, user.id, level=level, lifetimes=lifetimes(request), origin=_origin(request))
    return session_cookie(request, started)


def _origin(request: Request[Any, Any, Any]) -> Origin:
    found = address(request)
    if found is None:
        network = None
    else:
        bits = ADDRESS_BITS[4 if isinstance(found, IPv4Address) else 6]
        network = str(ip_network((found, bits), strict=False))
    return Origin(network, browsers.named(request.headers.get("user-agent", "")))
