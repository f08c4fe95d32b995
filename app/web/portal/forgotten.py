"""A forgotten password: asking for a link, and choosing a new one by it. Whoever asks learns nothing about who has an
account."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, post

from app.base.db import Database
from app.base.errors import BadValue
from app.base.secret import Secret
from app.domain.identity import links, passwords, second_factors, sessions, throttle
from app.domain.identity.hashing import Hasher
from app.domain.identity.links import LinkRefused
from app.domain.identity.throttle import TooManyTries
from app.web import forms, pages, trail
from app.web.authentication import no_cookie, session_of
from app.web.portal import entering
from app.web.portal.resets import Resets


class ForgottenController(Controller):
    """`/forgot-password` and `/reset-password/…`."""

    include_in_schema = False

    @get("/forgot-password")
    async def ask(self, request: Request[Any, Any, Any], resets: Resets) -> Response[Any]:
        await session_of(request)
        return _ask_page(request, resets)

    @post("/forgot-password")
    async def send(self, request: Request[Any, Any, Any], db: Database, resets: Resets) -> Response[Any]:
        """Says the same to everybody."""
        (email,) = await forms.read(request, "email")
        try:
            async with db.writing() as session:
                await throttle.take(session, throttle.resetting(email, entering.address(request)))
        except TooManyTries as refusal:
            return _ask_page(request, resets, refusal.sentence, refusal)
        resets.ask(email)
        return pages.page(request, "portal/sign_in/reset_asked.html", can_mail=resets.can_mail)

    @get("/reset-password/{token:str}")
    async def choose(self, request: Request[Any, Any, Any], token: str, db: Database) -> Response[Any]:
        await session_of(request)
        async with db.reading() as session:
            user = await links.who_resets(session, token)
            if user is None:
                return _refused(request)
            has_factor = await second_factors.is_on(session, user.id)
        return _choose_page(request, token, user.email, passwords.least(has_factor))

    @post("/reset-password/{token:str}")
    async def put(self, request: Request[Any, Any, Any], token: str, db: Database, hasher: Hasher) -> Response[Any]:
        """Uses the link up, sets the password and ends all sessions; whoever it is then signs in with it."""
        password, again = await forms.read(request, "password", "again")
        async with db.reading() as session:
            user = await links.who_resets(session, token)
            if user is None:
                return _refused(request)
            has_factor = await second_factors.is_on(session, user.id)
        least = passwords.least(has_factor)
        try:
            check_new(password, again, email=user.email, has_second_factor=has_factor)
            hash = await hasher.hash(Secret(password))
        except BadValue as problem:
            return _choose_page(request, token, user.email, least, problem.sentence, 422)
        except TooManyTries as refusal:
            return _choose_page(request, token, user.email, least, refusal.sentence, refusal.status)
        try:
            async with db.writing() as session:
                user = await links.use_to_reset(session, token)
                await passwords.put(session, user.id, hash, Secret(password))
                await sessions.end_all(session, user.id)
                await throttle.clear(session, [throttle.account(user.email)])
                await trail.record_sign_in(request, session, user, "password.set", by="mailed link")
        except LinkRefused:
            return _refused(request)
        return pages.go(request, "/sign-in?reset=done", cookies=[no_cookie(request)])


def check_new(password: str, again: str, *, email: str, has_second_factor: bool) -> None:
    """
    Raises:
        BadValue: the two differ, or `passwords.check_new` refuses it.
    """
    if password != again:
        raise BadValue("The two passwords differ.", param="again")
    passwords.check_new(Secret(password), email=email, has_second_factor=has_second_factor)


def _ask_page(
    request: Request[Any, Any, Any], resets: Resets, problem: str = "", refusal: TooManyTries | None = None
) -> Response[Any]:
    return pages.page(
        request,
        "portal/sign_in/forgotten.html",
        status=200 if refusal is None else refusal.status,
        headers={} if refusal is None else {"Retry-After": str(refusal.retry_after_seconds)},
        can_mail=resets.can_mail,
        problem=problem,
    )


def _choose_page(
    request: Request[Any, Any, Any], token: str, email: str, least: int, problem: str = "", status: int = 200
) -> Response[Any]:
    return pages.page(
        request,
        "portal/sign_in/choose.html",
        status=status,
        token=token,
        email=email,
        least=least,
        most=passwords.MOST,
        problem=problem,
    )


def _refused(request: Request[Any, Any, Any]) -> Response[Any]:
    return pages.page(request, "portal/sign_in/reset_refused.html", status=LinkRefused.status)
