"""Somebody's own account: how they sign in, and where they are signed in."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, post

from app.base.db import Database
from app.base.errors import BadValue, NotFound
from app.base.secret import Secret
from app.domain.identity import links, passwords, second_factors, sessions, throttle
from app.domain.identity.hashing import Hasher
from app.domain.identity.sessions import SignedIn
from app.domain.identity.throttle import TooManyTries
from app.domain.identity.users import STAFF
from app.gateway.gateway import Gateway
from app.web import forms, pages, return_path, trail
from app.web.authentication import begun, session_cookie
from app.web.guards import requires_enrolling, requires_proof
from app.web.portal.forgotten import check_new


class AccountController(Controller):
    """`/account`, `/account/password` and `/account/sessions/…`."""

    include_in_schema = False

    @get("/")
    async def show(self, request: Request[Any, Any, Any], db: Database) -> Response[Any]:
        me = own(request)
        async with db.reading() as session:
            password = await passwords.get(session, me.user.id)
            codes_left = await second_factors.recovery_codes_left(session, me.user.id)
            rows = await sessions.listed(session, me.user.id)
        return own_page(
            request,
            "portal/account/index.html",
            password=password,
            codes_left=codes_left,
            rows=[(row, sessions.handle(row), row.digest == me.digest) for row in rows],
            done=_DONE.get(request.query_params.get("done", ""), ""),
        )

    @post("/sessions/{handle:str}/end")
    async def end(self, request: Request[Any, Any, Any], handle: str, db: Database) -> Response[Any]:
        """
        Raises:
            NotFound: no session of whoever asks has this handle.
        """
        me = own(request)
        async with db.writing() as session:
            if not await sessions.end_one(session, me.user.id, handle):
                raise NotFound("There is no such session. It may have ended already.")
            await trail.record_sign_in(request, session, me.user, "session.end")
        return pages.go(request, "/account?done=ended")

    @post("/sessions/end-others")
    async def end_others(self, request: Request[Any, Any, Any], db: Database) -> Response[Any]:
        me = own(request)
        async with db.writing() as session:
            await sessions.end_all(session, me.user.id, but=me.digest)
            await trail.record_sign_in(request, session, me.user, "session.end_others")
        return pages.go(request, "/account?done=ended")

    @get("/password", guards=[requires_proof])
    async def ask_password(self, request: Request[Any, Any, Any]) -> Response[Any]:
        return _password_page(request)

    @post("/password", guards=[requires_proof])
    async def put_password(self, request: Request[Any, Any, Any], db: Database, hasher: Hasher) -> Response[Any]:
        """Sets it and ends every other session."""
        me = own(request)
        password, again = await forms.read(request, "password", "again")
        try:
            check_new(password, again, email=me.user.email, has_second_factor=me.has_second_factor)
            hash = await hasher.hash(Secret(password))
        except BadValue as problem:
            return _password_page(request, problem.sentence, 422)
        except TooManyTries as refusal:
            return _password_page(request, refusal.sentence, refusal.status)
        async with db.writing() as session:
            await passwords.put(session, me.user.id, hash, Secret(password))
            await links.end_resets(session, me.user.id)
            await sessions.end_all(session, me.user.id, but=me.digest)
            started = await sessions.prove(session, me)
            await trail.record_sign_in(request, session, me.user, "password.set", by="account")
        cookies = [] if started is None else [session_cookie(request, started)]
        return pages.go(request, "/account?done=password", cookies=cookies)


class ProofController(Controller):
    """`/account/prove`: who it is, asked anew before something that needs it."""

    include_in_schema = False
    guards = [requires_enrolling]  # noqa: RUF012

    @get("/prove")
    async def ask(self, request: Request[Any, Any, Any]) -> Response[Any]:
        return _proof_page(request, request.query_params.get("next", ""))

    @post("/prove")
    async def prove(
        self, request: Request[Any, Any, Any], db: Database, hasher: Hasher, gateway: Gateway
    ) -> Response[Any]:
        """The same session under a new token, and back to what was asked for."""
        me = own(request)
        written, code, back = await forms.read(request, "password", "code", "next")
        counted = [throttle.account(me.user.email)] if me.has_password else []
        factor = throttle.second_factor(me.user.id) if me.has_second_factor else []
        if not counted and not factor:
            return _proof_page(request, back)
        try:
            async with db.writing() as session:
                await throttle.take(session, [*counted, *factor])
            async with db.reading() as session:
                known = await passwords.find(session, me.user.email)
            is_right = not counted or await passwords.is_right(hasher, known, Secret(written))
        except TooManyTries as refusal:
            return _proof_page(request, back, refusal.sentence, refusal.status)
        async with db.writing() as session:
            if is_right and factor:
                is_right = await second_factors.use(session, gateway.shared.vault, me.user.id, code) is not None
            started = await sessions.prove(session, me) if is_right else None
            if started is None:
                await trail.record_refusal(request, session, me.user, "proof", "wrong password or code")
                return _proof_page(request, back, "This is not right. A code of the app works once.", 401)
            await throttle.clear(session, [*counted, *factor])
        path = return_path.own(back) or "/account"
        return pages.go(request, path, cookies=[session_cookie(request, started)])


_DONE = {
    "password": "Your password is set. Every other browser was signed out.",
    "ended": "Signed out there.",
    "factor-off": "The second factor is removed. Every other browser was signed out.",
}


def own(request: Request[Any, Any, Any]) -> SignedIn:
    """Whose account it is; a guard has looked that there is somebody."""
    found = begun(request)
    assert found is not None
    return found


def own_page(request: Request[Any, Any, Any], template: str, *, status: int = 200, **names: Any) -> Response[Any]:
    """A page of the account, in the frame that its owner works in."""
    me = own(request)
    is_staff = me.user.hub_role in STAFF and me.level == "full"
    layout = "layouts/admin.html" if is_staff else "layouts/portal.html"
    return pages.page(request, template, status=status, layout=layout, own=me, is_overview=False, **names)


def _password_page(request: Request[Any, Any, Any], problem: str = "", status: int = 200) -> Response[Any]:
    least = passwords.least(own(request).has_second_factor)
    return own_page(
        request, "portal/account/password.html", status=status, least=least, most=passwords.MOST, problem=problem
    )


def _proof_page(request: Request[Any, Any, Any], back: str, problem: str = "", status: int = 200) -> Response[Any]:
    kept = return_path.own(back)
    return own_page(request, "portal/account/prove.html", status=status, next=kept, problem=problem)
