"""Signing in by a one-time link, sessions, and forms that other sites send."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from app.domain.identity import links, users
from tests.web.hub_of_pages import Hub, csrf_token, opened


async def test_a_link_signs_in_once(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        link, browser = await hub.link(), hub.browser()

        answer = await browser.post(link)

        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "Overview" in (await browser.get("/")).text
        assert (await hub.browser().post(link)).status_code == 401


@pytest.mark.databases("sqlite")
async def test_previews_of_a_link_do_not_use_it_up(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        link = await hub.link()

        previews = [await hub.browser().get(link, headers=headers) for headers in ({}, {"Sec-Purpose": "prefetch"})]

        assert [preview.status_code for preview in previews] == [200, 200]
        assert all(not preview.cookies and f'action="{link}"' in preview.text for preview in previews)
        assert (await hub.browser().post(link)).status_code == 303


@pytest.mark.databases("sqlite")
async def test_a_link_that_does_not_work_does_not_say_why(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(hub_environ) as hub:
        used, unknown, disabled = await hub.link(), "/sign-in/AAAA", await hub.link("bob@example.com", "guest")
        await hub.browser().post(used)
        monkeypatch.setattr(links, "LIFETIME", timedelta(seconds=-1))
        expired = await hub.link()

        answers = [await hub.browser().get(link) for link in (used, expired, unknown)]
        answers += [await hub.browser().post(link) for link in (used, expired, unknown)]

        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.text for answer in answers}) == 1
        assert "hub create-admin" in answers[0].text
        assert not any(answer.cookies for answer in answers)
        # A guest's link works and leads nowhere: the console is for those who run the hub.
        guest = hub.browser()
        await guest.post(disabled)
        assert (await guest.get("/")).status_code == 403


@pytest.mark.databases("sqlite")
async def test_a_planted_session_id_is_never_taken_over(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser = hub.browser()
        browser.cookies.set("hub_session", "planted", domain="hub.test")

        assert "Overview" not in (await browser.get("/")).text
        answer = await browser.post(await hub.link())

        assert answer.cookies["hub_session"] != "planted"
        stranger = hub.browser()
        stranger.cookies.set("hub_session", "planted", domain="hub.test")
        assert "Overview" not in (await stranger.get("/")).text


async def test_a_new_sign_in_ends_the_session_before(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser = await hub.signed_in()
        before = browser.cookies["hub_session"]
        confirm = await browser.get(link := await hub.link())

        await browser.post(link, data={"csrf_token": csrf_token(confirm)})

        assert browser.cookies["hub_session"] != before
        assert not await _opens_the_overview(hub, before)


async def test_signing_out_ends_the_session_on_the_server(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser = await hub.signed_in()
        token = browser.cookies["hub_session"]
        overview = await browser.get("/")

        answer = await browser.post("/sign-out", data={"csrf_token": csrf_token(overview)})

        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "hub_session" not in browser.cookies
        assert not await _opens_the_overview(hub, token)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://hub.test.evil.example"},
        {"Origin": "http://["},
        {},
    ],
)
async def test_a_form_of_another_site_does_nothing(hub_environ: dict[str, str], headers: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser, link = await hub.signed_in(), await hub.link("bob@example.com")
        good = {"csrf_token": csrf_token(await browser.get("/"))}
        del browser.headers["Sec-Fetch-Site"]

        refused = [
            await browser.post("/sign-out", data=good, headers=headers),
            await browser.post(link, data=good, headers=headers),
        ]

        assert [answer.status_code for answer in refused] == [403, 403]
        assert "Overview" in (await browser.get("/")).text
        assert (await hub.browser().get(link)).status_code == 200


@pytest.mark.databases("sqlite")
async def test_a_form_needs_the_token_of_its_own_session(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser, other = await hub.signed_in(), await hub.signed_in("eve@example.com")
        foreign = csrf_token(await other.get("/"))

        for token in ({}, {"csrf_token": ""}, {"csrf_token": "ä"}, {"csrf_token": foreign}):
            assert (await browser.post("/sign-out", data=token)).status_code == 403
        assert (await browser.post("/sign-out", headers={"X-CSRF-Token": foreign})).status_code == 403
        assert "Overview" in (await browser.get("/")).text

        own = csrf_token(await browser.get("/"))
        assert (await browser.post("/sign-out", headers={"X-CSRF-Token": own})).status_code == 303


@pytest.mark.databases("sqlite")
async def test_over_plain_http_the_origin_of_our_own_page_is_enough(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser = hub.browser()
        del browser.headers["Sec-Fetch-Site"]

        answer = await browser.post(await hub.link(), headers={"Origin": "http://hub.test"})

        assert answer.status_code == 303


@pytest.mark.databases("sqlite")
async def test_the_session_cookie_is_for_this_hub_alone(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        plain = await hub.browser().post(await hub.link())
        proxied = await hub.browser().post(await hub.link(), headers={"X-Forwarded-Proto": "https"})
    async with opened(hub_environ, HUB_PUBLIC_URL="https://hub.test") as hub:
        by_tls = await hub.browser("https://hub.test").post(await hub.link())
    async with opened(hub_environ, HUB_PUBLIC_URL="https://hub.test/ai", HUB_MOUNT_PREFIX="/ai") as hub:
        mounted = await hub.browser("https://hub.test").post(f"/ai{await hub.link()}")

    assert _cookie(plain) == ("hub_session", {"httponly", "path=/", "samesite=lax"})
    assert _cookie(proxied) == ("hub_session", {"httponly", "path=/", "samesite=lax", "secure"})
    assert _cookie(by_tls) == ("__Host-hub_session", {"httponly", "path=/", "samesite=lax", "secure"})
    assert _cookie(mounted) == ("__Secure-hub_session", {"httponly", "path=/ai", "samesite=lax", "secure"})


async def test_who_no_longer_runs_the_hub_sees_nothing_at_once(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser = await hub.signed_in()
        async with hub.db.writing() as session:
            user = await users.get_by_email(session, "ada@example.com")
            await users.set_role(session, user.id, "member")

        answer = await browser.get("/")

        assert answer.status_code == 403
        assert "Sign out" in answer.text and "Providers" not in answer.text


async def _opens_the_overview(hub: Hub, token: str) -> bool:
    browser = hub.browser()
    browser.cookies.set("hub_session", token, domain="hub.test")
    return "Overview" in (await browser.get("/")).text


def _cookie(answer: httpx.Response) -> tuple[str, set[str]]:
    """Name and attributes of the one cookie that was set."""
    [line] = answer.headers.get_list("set-cookie")
    first, *attributes = [piece.strip() for piece in line.split(";")]
    return first.partition("=")[0], {attribute.lower() for attribute in attributes}
