"""Signing in with e-mail and password, and with a second factor where somebody has one.

Whoever tries learns nothing about who has an account: the same page, after the same time.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Controller, Request, Response, get, post

from app.base.db import Database
from app.base.secret import Secret
from app.domain.identity import passwords, second_factors, throttle, users
from app.domain.identity.hashing import Hasher
from app.domain.identity.passwords import Known
from app.domain.identity.throttle import TooManyTries
from app.gateway.gateway import Gateway
from app.web import forms, pages, return_path, trail
from app.web.authentication import identify, session_of
from app.web.portal import entering

_WRONG = "E-mail or password is wrong."
_WRONG_CODE = "This code is not right, or was used before. Each code of the app works once; wait for the next one."


class PasswordController(Controller):
    """`/sign-in` and `/sign-in/second-factor`."""

    include_in_schema = False

    @get("/sign-in")
    async def ask(self, request: Request[Any, Any, Any]) -> Response[Any]:
        back = request.query_params.get("next", "")
        signed_in = await identify(request)
        if signed_in is not None:
            return pages.go(request, entering.onward(signed_in.user, back))
        return _form(request, email="", back=back)

    @post("/sign-in")
    async def sign_in(self, request: Request[Any, Any, Any], db: Database, hasher: Hasher) -> Response[Any]:
        """A new session; of somebody with a second factor one that only asks for it."""
        email, written, back = await forms.read(request, "email", "password", "next")
        password, counted = Secret(written), throttle.signing_in(email, entering.address(request))
        try:
            async with db.writing() as session:
                await throttle.take(session, counted)
            async with db.reading() as session:
                known = await passwords.find(session, email)
            is_right = await passwords.is_right(hasher, known, password)
            newer = await _rehashed(hasher, known, password) if is_right else None
        except TooManyTries as refusal:
            return _form(request, email=email, back=back, problem=refusal.sentence, refusal=refusal)
        async with db.writing() as session:
            user = known.user
            if not is_right or user is None or not await passwords.is_still(session, user.id, known.hash or ""):
                await trail.record_refusal(request, session, user, "password", "wrong password or no such user")
                return _form(request, email=email, back=back, problem=_WRONG)
            if newer is not None:
                await passwords.put_again(session, user.id, known.hash or "", newer)
            await throttle.clear(session, counted[:1])
            await throttle.give_back(session, counted[1:])
            if await second_factors.is_on(session, user.id):
                cookie, path = await entering.half_enter(request, session, user), "/sign-in/second-factor"
                if kept := return_path.own(back):
                    path += f"?{urlencode({'next': kept})}"
            else:
                await users.note_sign_in(session, user.id)
                cookie, path = await entering.enter(request, session, user, "password"), entering.onward(user, back)
        return pages.go(request, path, cookies=[cookie])

    @get("/sign-in/second-factor")
    async def ask_second(self, request: Request[Any, Any, Any]) -> Response[Any]:
        half = await session_of(request)
        if half is None or half.level != "second":
            return pages.go(request, "/sign-in")
        return _second_form(request, request.query_params.get("next", ""))

    @post("/sign-in/second-factor")
    async def sign_in_second(self, request: Request[Any, Any, Any], db: Database, gateway: Gateway) -> Response[Any]:
        """A new session in the place of the one that only asked."""
        code, back = await forms.read(request, "code", "next")
        half = await session_of(request)
        if half is None or half.level != "second":
            return pages.go(request, "/sign-in")
        user, counted = half.user, throttle.second_factor(half.user.id)
        try:
            async with db.writing() as session:
                await throttle.take(session, counted)
        except TooManyTries as refusal:
            return _second_form(request, back, refusal.sentence, refusal)
        async with db.writing() as session:
            used = await second_factors.use(session, gateway.shared.vault, user.id, code)
            if used is None:
                await trail.record_refusal(request, session, user, "second factor", "wrong or used code")
                return _second_form(request, back, _WRONG_CODE)
            await throttle.clear(session, counted)
            await users.note_sign_in(session, user.id)
            by = "password and recovery code" if used == "recovery" else "password and second factor"
            cookie = await entering.enter(request, session, user, by)
        return pages.go(request, entering.onward(user, back), cookies=[cookie])


async def _rehashed(hasher: Hasher, known: Known, password: Secret) -> str | None:
    """The hash under today's parameters, where it was made with others."""
    if known.hash is None or not hasher.is_outdated(known.hash):
        return None
    return await hasher.hash(password)


def _form(
    request: Request[Any, Any, Any], *, email: str, back: str, problem: str = "", refusal: TooManyTries | None = None
) -> Response[Any]:
    return pages.page(
        request,
        "portal/sign_in/form.html",
        status=_status(problem, refusal),
        headers=_retry(refusal),
        email=email[:200],
        next=return_path.own(back),
        problem=problem,
        is_reset=request.query_params.get("reset") == "done",
    )


def _second_form(
    request: Request[Any, Any, Any], back: str, problem: str = "", refusal: TooManyTries | None = None
) -> Response[Any]:
    return pages.page(
        request,
        "portal/sign_in/second_factor.html",
        status=_status(problem, refusal),
        headers=_retry(refusal),
        next=return_path.own(back),
        problem=problem,
    )


def _status(problem: str, refusal: TooManyTries | None) -> int:
    if refusal is not None:
        return refusal.status
    return 401 if problem else 200


def _retry(refusal: TooManyTries | None) -> dict[str, str]:
    return {} if refusal is None else {"Retry-After": str(refusal.retry_after_seconds)}
