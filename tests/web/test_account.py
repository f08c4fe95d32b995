"""The account page: where somebody is signed in, and what is asked anew before something changes."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.domain.identity.models import AuditEvent
from tests.web.hub_of_pages import csrf_token, opened
from tests.web.signing_in import EMAIL, PASSWORD, Watch, code_of, is_in, post, sign_in, with_factor, with_password

_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def test_the_account_lists_where_one_is_signed_in_and_ends_one(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser, other = await with_password(hub), hub.browser(client=("2001:db8:1:2:3::4", 50_000))
        other.headers["User-Agent"] = _FIREFOX
        await sign_in(other)
        third = hub.browser()
        await sign_in(third)

        page = (await browser.get("/account")).text

        assert "Firefox on Linux" in page and "2001:db8:1:2::/64" in page and "192.0.2.0/24" in page
        assert "192.0.2.7" not in page and "2001:db8:1:2:3::4" not in page
        row = page.split("Firefox on Linux", 1)[1]
        path = row.split('action="', 1)[1].split('"', 1)[0]
        assert (await post(browser, "/account", path)).status_code == 303
        assert not await is_in(other)
        assert await is_in(browser) and await is_in(third)


async def test_all_other_sessions_end_at_once_and_this_one_stays(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser = await with_password(hub)
        others = [hub.browser() for _ in range(3)]
        for other in others:
            await sign_in(other)
        stranger = await hub.signed_in("bob@example.com")

        await post(browser, "/account", "/account/sessions/end-others")

        assert [await is_in(other) for other in others] == [False] * 3
        assert await is_in(browser) and await is_in(stranger)


@pytest.mark.databases("sqlite")
async def test_nobody_ends_the_session_of_somebody_else(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser, again = await with_password(hub), hub.browser()
        await sign_in(again)
        path = (await browser.get("/account")).text.split('action="/account/sessions/')[2].split('"', 1)[0]
        stranger = await hub.signed_in("eve@example.com")

        for handle in (path, "xyz/end", "00" * 32 + "/end"):
            token = csrf_token(await stranger.get("/account"))
            answer = await stranger.post(f"/account/sessions/{handle}", data={"csrf_token": token})
            assert answer.status_code == 404
        assert await is_in(browser) and await is_in(again)


@pytest.mark.databases("sqlite")
async def test_a_password_is_not_changed_without_a_fresh_proof(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    async with opened(hub_environ) as hub:
        browser = await with_password(hub)
        before = browser.cookies["hub_session"]
        watch.wind(minutes=11)

        for page in ("/account/password", "/account/second-factor"):
            answer = await browser.get(page)
            assert answer.headers["location"].startswith("/account/prove?next=")
        posted = await post(browser, "/account", "/account/password", password="n" * 20, again="n" * 20)
        assert posted.headers["location"] == "/account/prove"
        wrong = await post(browser, "/account/prove", "/account/prove", password="wrong", next="/account/password")
        assert wrong.status_code == 401
        right = await post(browser, "/account/prove", "/account/prove", password=PASSWORD, next="/account/password")

        assert right.headers["location"] == "/account/password"
        assert browser.cookies["hub_session"] != before
        assert (await browser.get("/account/password")).status_code == 200


@pytest.mark.databases("sqlite")
async def test_with_a_second_factor_the_proof_asks_for_it_too(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    async with opened(hub_environ) as hub:
        browser = await with_password(hub)
        secret, _ = await with_factor(browser)
        watch.wind(minutes=11)

        alone = await post(browser, "/account/prove", "/account/prove", password=PASSWORD, code="000000")
        both = await post(browser, "/account/prove", "/account/prove", password=PASSWORD, code=code_of(secret))

        assert (alone.status_code, both.status_code) == (401, 303)


@pytest.mark.databases("sqlite")
async def test_a_session_ends_when_it_was_idle_and_when_its_time_is_over(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    async with opened(hub_environ, HUB_SESSION_IDLE_HOURS="2", HUB_SESSION_DAYS="1") as hub:
        idle, busy = await hub.signed_in(), await hub.signed_in("bob@example.com")
        for _ in range(15):
            watch.wind(hours=1.5)
            assert await is_in(busy)
        assert not await is_in(idle)

        watch.wind(hours=1.6)
        assert not await is_in(busy)


@pytest.mark.databases("sqlite")
async def test_a_page_that_refreshes_by_itself_keeps_nobody_signed_in(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    async with opened(hub_environ, HUB_SESSION_IDLE_HOURS="1") as hub:
        browser = await hub.signed_in()
        for _ in range(3):
            watch.wind(minutes=25)
            answer = await browser.get("/", headers={"HX-Request": "true", "HX-Target": "call-list"})

        assert answer.status_code == 401


async def test_the_trail_tells_of_sign_in_password_and_second_factor(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser = await with_password(hub)
        secret, codes = await with_factor(browser)
        await sign_in(hub.browser(), EMAIL, "wrong")
        await post(browser, "/account", "/account/sessions/end-others")

        async with hub.db.reading() as session:
            events = (await session.scalars(select(AuditEvent).order_by(AuditEvent.seq))).all()

    assert [event.action for event in events if event.actor == EMAIL] == [
        "sign_in",
        "password.set",
        "second_factor.on",
        "sign_in.refuse",
        "session.end_others",
    ]
    told = " ".join(f"{event.before}{event.after}" for event in events)
    assert not any(word in told for word in (PASSWORD, secret, *codes, "argon2"))
