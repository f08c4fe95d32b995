"""Signing in with a one-time link, and signing out.

Opening the link only shows a button: mail programs and chats open links by themselves to preview them, and must not use
them up. The button does.
"""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.response import Template

from app.base.db import Database
from app.domain.identity import links, sessions
from app.domain.identity.links import LinkRefused
from app.web import pages, trail
from app.web.authentication import identify, no_cookie, session_token
from app.web.portal import entering


class SignInController(Controller):
    """`/sign-in/…` and `/sign-out`."""

    include_in_schema = False

    @get("/sign-in/{token:str}")
    async def ask(self, request: Request[Any, Any, Any], token: str, db: Database) -> Template:
        """The page with the button; changes nothing."""
        async with db.reading() as session:
            is_open = await links.is_open(session, token)
        if not is_open:
            return _refused(request)
        await identify(request)
        return pages.page(request, "portal/sign_in/confirm.html", token=token)

    @post("/sign-in/{token:str}")
    async def sign_in(self, request: Request[Any, Any, Any], token: str, db: Database) -> Response[Any]:
        """Uses the link up. The session is a new one, whatever cookie came along; the one before it ends."""
        try:
            async with db.writing() as session:
                user = await links.use(session, token)
                cookie = await entering.enter(request, session, user, "link")
        except LinkRefused:
            async with db.writing() as session:
                user = await links.whose(session, token)
                why = "the link is not known" if user is None else "the link was used, is too old, or its user disabled"
                await trail.record_refusal(request, session, user, "link", why)
            return _refused(request)
        return pages.go(request, entering.onward(user, ""), cookies=[cookie])

    @post("/sign-out")
    async def sign_out(self, request: Request[Any, Any, Any], db: Database) -> Response[None]:
        signed_in = await identify(request)
        async with db.writing() as session:
            await sessions.end(session, session_token(request))
            if signed_in is not None:
                await trail.record_sign_in(request, session, signed_in.user, "sign_out")
        return pages.go(request, "/", cookies=[no_cookie(request)])


def _refused(request: Request[Any, Any, Any]) -> Template:
    """The same page for a link that was used, is too old or never was: a stranger learns nothing about it."""
    return pages.page(request, "portal/sign_in/refused.html", status=LinkRefused.status)
