"""Setting up a second factor, its recovery codes, and removing it."""

from __future__ import annotations

from typing import Any

import segno
from litestar import Controller, Request, Response, get, post
from msgspec.structs import replace

from app.base.db import Database
from app.base.secret import Secret
from app.domain.identity import passwords, second_factors, sessions, throttle
from app.domain.identity.sessions import SignedIn
from app.domain.identity.throttle import TooManyTries
from app.gateway.gateway import Gateway
from app.web import forms, pages, trail
from app.web.authentication import session_cookie
from app.web.guards import requires_enrolling, requires_proof
from app.web.portal.account import own, own_page

_QUIET = 4
"""Modules of white around the picture, as its standard wants."""


class SecondFactorController(Controller):
    """`/account/second-factor…`."""

    include_in_schema = False
    guards = [requires_enrolling]  # noqa: RUF012

    @get("/second-factor", guards=[requires_proof])
    async def show(self, request: Request[Any, Any, Any], db: Database, gateway: Gateway) -> Response[Any]:
        return await _page(request, db, gateway)

    @post("/second-factor/begin", guards=[requires_proof])
    async def begin(self, request: Request[Any, Any, Any], db: Database, gateway: Gateway) -> Response[Any]:
        """A new secret; nothing is asked for before a code of it was right."""
        me = own(request)
        async with db.writing() as session:
            await second_factors.begin(session, gateway.shared.vault, me.user.id)
        return pages.go(request, "/account/second-factor")

    @post("/second-factor/confirm", guards=[requires_proof])
    async def confirm(self, request: Request[Any, Any, Any], db: Database, gateway: Gateway) -> Response[Any]:
        """Switches it on, ends every other session, and shows the recovery codes: this once."""
        me = own(request)
        (code,) = await forms.read(request, "code")
        counted = throttle.second_factor(me.user.id)
        try:
            async with db.writing() as session:
                await throttle.take(session, counted)
        except TooManyTries as refusal:
            return await _page(request, db, gateway, refusal.sentence, refusal.status)
        async with db.writing() as session:
            is_on = await second_factors.confirm(session, gateway.shared.vault, me.user.id, code)
            if is_on:
                await throttle.clear(session, counted)
                codes = await second_factors.new_recovery_codes(session, me.user.id)
                await sessions.end_all(session, me.user.id, but=me.digest)
                started = await sessions.prove(session, me)
                await trail.record_sign_in(request, session, me.user, "second_factor.on")
            else:
                codes, started = [], None
        if not is_on:
            problem = "This code is not right. Is the clock of your phone right? Try the code that it shows now."
            return await _page(request, db, gateway, problem, 422)
        return _codes_page(request, codes, started)

    @post("/second-factor/remove", guards=[requires_proof])
    async def remove(self, request: Request[Any, Any, Any], db: Database, gateway: Gateway) -> Response[Any]:
        me = own(request)
        async with db.writing() as session:
            problem = await _why_not(session, me)
            if not problem:
                await second_factors.remove(session, me.user.id)
                await sessions.end_all(session, me.user.id, but=me.digest)
                started = await sessions.prove(session, me)
                await trail.record_sign_in(request, session, me.user, "second_factor.off")
            else:
                started = None
        if problem:
            return await _page(request, db, gateway, problem, 409)
        cookies = [] if started is None else [session_cookie(request, started)]
        return pages.go(request, "/account?done=factor-off", cookies=cookies)

    @post("/recovery-codes", guards=[requires_proof])
    async def renew_codes(self, request: Request[Any, Any, Any], db: Database, gateway: Gateway) -> Response[Any]:
        """Ten new ones, shown this once; the old ones no longer work."""
        me = own(request)
        if not me.has_second_factor:
            return await _page(request, db, gateway, "Set up a second factor first.", 409)
        async with db.writing() as session:
            codes = await second_factors.new_recovery_codes(session, me.user.id)
            await trail.record_sign_in(request, session, me.user, "recovery_codes.renew")
        return _codes_page(request, codes, None)


async def _page(
    request: Request[Any, Any, Any], db: Database, gateway: Gateway, problem: str = "", status: int = 200
) -> Response[Any]:
    me = own(request)
    async with db.reading() as session:
        begun = await second_factors.pending(session, gateway.shared.vault, me.user.id, me.user.email)
        codes_left = await second_factors.recovery_codes_left(session, me.user.id)
        is_required = await second_factors.is_required(session, me.user.hub_role)
    picture = None if begun is None else _picture(begun.address)
    secret = "" if begun is None else begun.secret.reveal()
    return own_page(
        request,
        "portal/account/second_factor.html",
        status=status,
        problem=problem,
        picture=picture,
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        codes_left=codes_left,
        is_required=is_required,
    )


def _codes_page(request: Request[Any, Any, Any], codes: list[str], started: sessions.Started | None) -> Response[Any]:
    if started is None:
        return own_page(request, "portal/account/codes.html", codes=codes)
    # The forms of this page belong to the session under its new token.
    now = replace(own(request), csrf_token=started.csrf_token, level="full", has_second_factor=True)
    request.scope["user"] = now
    return own_page(request, "portal/account/codes.html", codes=codes, cookies=[session_cookie(request, started)])


async def _why_not(session: Any, me: SignedIn) -> str:
    """Why the second factor cannot be removed; empty when it can."""
    if await second_factors.is_required(session, me.user.hub_role):
        return "This hub requires a second factor of owners and admins."
    password = await passwords.get(session, me.user.id)
    if password is not None and not password.is_long:
        return f"Your password is too short to stand alone. First choose one of {passwords.LEAST_ALONE} characters."
    return ""


def _picture(address: Secret) -> tuple[int, str]:
    """Width in modules, and the path that draws them."""
    code = segno.make(address.reveal(), error="m", micro=False)
    drawn = [
        f"M{x + _QUIET} {y + _QUIET}h1v1h-1z"
        for y, row in enumerate(code.matrix)
        for x, is_dark in enumerate(row)
        if is_dark
    ]
    return len(code.matrix) + 2 * _QUIET, "".join(drawn)
