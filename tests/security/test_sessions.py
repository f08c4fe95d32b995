"""Taking over a browser's session: planted ids, replayed codes and links, forged forms, and where sign-in leads."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from litestar.routes import HTTPRoute
from sqlalchemy import select

from app.domain.identity.models import SecondFactor
from app.web import return_path
from tests.web.hub_of_pages import Hub, csrf_token, opened
from tests.web.signing_in import (
    EMAIL,
    Watch,
    code_of,
    forget_tries,
    is_in,
    post,
    sign_in,
    sign_in_second,
    with_factor,
    with_password,
)

_ELSEWHERE = (
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/%09/evil.example",
    "/%2f/evil.example",
    "/%5cevil.example",
    "/a//evil.example",
    "/../evil.example",
    "/%2e%2e/evil.example",
    "/.//evil.example",
    "javascript:alert(1)",
    "evil.example",
    "/\u2044evil.example",
    "/calls\r\nSet-Cookie: a=b",
    "/sign-out",
    "/" + "a" * 3000,
)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("back", _ELSEWHERE)
async def test_signing_in_leads_to_no_other_place(hub_environ: dict[str, str], back: str) -> None:
    async with opened(hub_environ) as hub:
        browser = await with_password(hub)

        page = await hub.browser().get("/sign-in", params={"next": back})
        signed_in = await sign_in(hub.browser(), next=back)
        already = await browser.get("/sign-in", params={"next": back})
        proved = await browser.get("/account/prove", params={"next": back})

        assert (signed_in.headers["location"], already.headers["location"]) == ("/", "/")
        assert 'name="next"' not in page.text and 'name="next"' not in proved.text


@pytest.mark.parametrize("path", ["/", "/calls/abc", "/?q=a%20b&page=2", "/account", "/keys?tab=apps#x", "/api-keys"])
def test_a_page_of_ours_is_gone_back_to(path: str) -> None:
    assert return_path.own(path) == path


@pytest.mark.databases("sqlite")
async def test_who_asked_for_a_page_comes_back_to_it_below_the_mount_prefix(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await with_factor(await with_password(hub))
    async with opened(hub_environ, HUB_MOUNT_PREFIX="/ai") as hub:
        browser = hub.browser()

        page = await browser.get("/ai/calls/abc?x=1")
        assert page.status_code == 401 and 'name="next" value="/calls/abc?x=1"' in page.text
        answer = await browser.post(
            "/ai/sign-in", data={"email": EMAIL, "password": "four stray ovens hum", "next": "/calls/abc?x=1"}
        )
        assert answer.headers["location"] == "/ai/sign-in/second-factor?next=%2Fcalls%2Fabc%3Fx%3D1"
        # The cookie belongs to the prefix.
        assert 'value="/calls/abc?x=1"' in (await browser.get(answer.headers["location"])).text


async def test_every_step_of_signing_in_has_a_session_id_of_its_own(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    async with opened(hub_environ) as hub:
        secret, _ = await with_factor(await with_password(hub))
        watch.wind(minutes=1)
        browser = hub.browser()
        browser.cookies.set("hub_session", "planted", domain="hub.test")
        seen = ["planted"]

        await sign_in(browser)
        seen.append(browser.cookies["hub_session"])
        # With the password alone nothing opens.
        assert not await is_in(browser) and "Overview" not in (await browser.get("/")).text
        await sign_in_second(browser, code_of(secret))
        seen.append(browser.cookies["hub_session"])

        assert len(set(seen)) == 3 and await is_in(browser)
        for token in seen[:2]:
            assert not await _opens(hub, token)


async def test_a_code_works_once_and_so_do_those_before_it(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    async with opened(hub_environ) as hub:
        secret, _ = await with_factor(await with_password(hub))
        watch.wind(minutes=2)
        one, other = hub.browser(), hub.browser()
        for browser in (one, other):
            await sign_in(browser)
        code, older = code_of(secret), code_of(secret, -1)

        assert (await sign_in_second(one, code)).status_code == 303
        assert (await sign_in_second(other, code)).status_code == 401
        assert (await sign_in_second(other, older)).status_code == 401
        assert (await sign_in_second(other, code_of(secret, 1))).status_code == 303


@pytest.mark.databases("sqlite")
async def test_a_code_counts_a_step_early_and_late_and_no_more(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    async with opened(hub_environ) as hub:
        secret, _ = await with_factor(await with_password(hub))
        for steps, status in ((-2, 401), (2, 401), (-1, 303), (1, 303)):
            watch.wind(minutes=10)
            browser = hub.browser()
            await sign_in(browser)
            assert (await sign_in_second(browser, code_of(secret, steps))).status_code == status, steps


async def test_of_many_uses_of_a_code_at_once_one_signs_in(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    async with opened(hub_environ) as hub:
        secret, recovery = await with_factor(await with_password(hub))
        watch.wind(minutes=2)
        for code in (code_of(secret), recovery[0]):
            browsers = [hub.browser() for _ in range(5)]
            for browser in browsers:
                assert (await sign_in(browser)).status_code == 303
            answers = await asyncio.gather(*(sign_in_second(browser, code) for browser in browsers))
            assert sorted(answer.status_code for answer in answers) == [303, 401, 401, 401, 401]
            await forget_tries(hub)


async def test_a_recovery_code_works_once_and_new_ones_end_the_old(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(hub_environ) as hub:
        owner = await with_password(hub)
        _, codes = await with_factor(owner)
        assert len(set(codes)) == 10

        async def enters(code: str) -> bool:
            browser = hub.browser()
            await sign_in(browser)
            return (await sign_in_second(browser, code)).status_code == 303

        assert await enters(codes[0].upper().replace("-", " "))
        assert not await enters(codes[0])
        assert "9 recovery codes left" in (await owner.get("/account")).text
        await post(owner, "/account/second-factor", "/account/recovery-codes")
        assert not await enters(codes[1])


@pytest.mark.databases("sqlite")
async def test_a_link_of_the_command_is_the_way_in_for_who_lost_the_second_factor(
    hub_environ: dict[str, str],
) -> None:
    async with opened(hub_environ) as hub:
        await with_factor(await with_password(hub))

        browser = await hub.signed_in()
        answer = await post(browser, "/account/second-factor", "/account/second-factor/remove")

        assert answer.headers["location"] == "/account?done=factor-off"
        other = hub.browser()
        assert (await sign_in(other)).headers["location"] == "/"


async def test_every_form_is_refused_without_the_token_of_its_session(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser, stranger = await with_password(hub), await hub.signed_in("eve@example.com")
        foreign = csrf_token(await stranger.get("/account"))
        own = csrf_token(await browser.get("/account"))
        routes = [
            route.path_format.replace("{token}", "x").replace("{handle}", "00")
            for route in hub.litestar.routes
            if isinstance(route, HTTPRoute) and "POST" in route.methods
        ]
        assert {"/sign-in", "/sign-out", "/account/password", "/account/second-factor/remove"} <= set(routes)

        for path in routes:
            answers = [
                await browser.post(path),
                await browser.post(path, data={"csrf_token": foreign}),
                await browser.post(path, headers={"X-CSRF-Token": "x"}),
                await browser.post(path, data={"csrf_token": own}, headers={"Sec-Fetch-Site": "cross-site"}),
                await _from(browser, path, own, "https://evil.example"),
            ]
            assert [answer.status_code for answer in answers] == [403] * 5, path
        assert await is_in(browser)


@pytest.mark.databases("sqlite")
async def test_a_session_that_only_waits_for_its_second_factor_needs_its_token_too(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await with_factor(await with_password(hub))
        browser = hub.browser()
        await sign_in(browser)

        assert (await browser.post("/sign-in/second-factor", data={"code": "123456"})).status_code == 403
        assert (await browser.post("/account/second-factor/begin")).status_code == 403
        token = csrf_token(await browser.get("/sign-in/second-factor"))
        assert (await browser.post("/account/second-factor/begin", data={"csrf_token": token})).status_code == 401


@pytest.mark.databases("sqlite")
async def test_the_secret_of_the_app_is_shown_only_until_it_is_confirmed_and_is_sealed(
    hub_environ: dict[str, str],
) -> None:
    async with opened(hub_environ) as hub:
        browser = await with_password(hub)
        secret, codes = await with_factor(browser)

        page = (await browser.get("/account/second-factor")).text
        assert secret[:4] not in page and '<svg class="qr"' not in page and codes[0] not in page
        async with hub.db.reading() as session:
            row = (await session.scalars(select(SecondFactor))).one()
        assert row.sealed.startswith("v1.") and secret not in row.sealed


async def _opens(hub: Hub, token: str) -> bool:
    browser = hub.browser()
    browser.cookies.set("hub_session", token, domain="hub.test")
    return await is_in(browser)


async def _from(browser: httpx.AsyncClient, path: str, token: str, origin: str) -> httpx.Response:
    """As a browser without Sec-Fetch-Site sends it."""
    site = browser.headers.pop("Sec-Fetch-Site")
    try:
        return await browser.post(path, data={"csrf_token": token}, headers={"Origin": origin})
    finally:
        browser.headers["Sec-Fetch-Site"] = site
