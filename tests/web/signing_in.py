"""People with passwords and authenticator apps, made by the pages themselves."""

from __future__ import annotations

import base64
import html
from datetime import timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import delete

from app.base import clock
from app.domain.identity.models import SignInTries
from tests.web.hub_of_pages import Hub, csrf_token

PASSWORD = "four stray ovens hum"
EMAIL = "ada@example.com"


class Watch:
    """The clock, wound by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now, self._ahead = clock.now, timedelta()
        monkeypatch.setattr(clock, "now", lambda: self._now() + self._ahead)
        monkeypatch.setattr(clock, "now_us", lambda: clock.to_us(clock.now()))

    def wind(self, **time: float) -> None:
        self._ahead += timedelta(**time)


async def post(browser: httpx.AsyncClient, page: str, path: str, **fields: str) -> httpx.Response:
    """Send a form as it stands on a page."""
    token = csrf_token(await browser.get(page))
    return await browser.post(path, data={"csrf_token": token, **fields})


async def with_password(
    hub: Hub, email: str = EMAIL, password: str = PASSWORD, role: str = "owner"
) -> httpx.AsyncClient:
    """A browser that signed in by a link and set a password."""
    browser = await hub.signed_in(email, role)
    answer = await post(browser, "/account/password", "/account/password", password=password, again=password)
    assert answer.status_code == 303, answer.text
    return browser


async def with_factor(browser: httpx.AsyncClient) -> tuple[str, list[str]]:
    """Set up a second factor; gives its secret and the recovery codes."""
    await post(browser, "/account/second-factor", "/account/second-factor/begin")
    page = (await browser.get("/account/second-factor")).text
    secret = page.split("<code>", 1)[1].split("</code>", 1)[0].replace(" ", "")
    answer = await post(browser, "/account/second-factor", "/account/second-factor/confirm", code=code_of(secret))
    assert answer.status_code == 200, answer.text
    return secret, html.unescape(answer.text.split("<code>", 1)[1].split("</code>", 1)[0]).split()


def code_of(secret: str, steps: int = 0) -> str:
    """What the app shows, or showed so many steps ago."""
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(clock.now().timestamp() + 30 * steps).decode()


async def sign_in(
    browser: httpx.AsyncClient, email: str = EMAIL, password: str = PASSWORD, **fields: str
) -> httpx.Response:
    return await browser.post("/sign-in", data={"email": email, "password": password, **fields})


async def sign_in_second(browser: httpx.AsyncClient, code: str) -> httpx.Response:
    page = await browser.get("/sign-in/second-factor")
    return await browser.post("/sign-in/second-factor", data={"csrf_token": csrf_token(page), "code": code})


async def forget_tries(hub: Hub) -> None:
    async with hub.db.writing() as session:
        await session.execute(delete(SignInTries))


async def is_in(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/account")).status_code == 200
