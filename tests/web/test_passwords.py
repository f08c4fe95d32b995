"""Signing in with e-mail and password, and a mailed link for who has forgotten it."""

from __future__ import annotations

import asyncio
import re

import pytest
from argon2 import PasswordHasher

from app.base.secret import Secret
from app.domain.catalog import settings
from app.domain.identity import hashing, passwords, users
from app.domain.identity.hashing import Hasher
from app.domain.identity.throttle import TooManyTries
from tests.web.hub_of_pages import csrf_token, opened
from tests.web.signing_in import EMAIL, PASSWORD, Watch, is_in, post, sign_in, with_factor, with_password

_MAIL = {
    "HUB_SMTP_URL": "smtps://hub:pass@mail.example.com",
    "HUB_MAIL_FROM": "hub@example.com",
    "HUB_PUBLIC_URL": "http://hub.test",
}


async def test_a_password_that_was_set_signs_in(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await with_password(hub)
        browser = hub.browser()

        answer = await sign_in(browser, " Ada@Example.com ")

        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "Overview" in (await browser.get("/")).text


async def test_who_does_not_run_the_hub_comes_to_their_account(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await with_password(hub, "bob@example.com", role="member")
        browser = hub.browser()

        answer = await sign_in(browser, "bob@example.com")

        assert answer.headers["location"] == "/account"
        page = (await browser.get("/account")).text
        assert "member of this hub" in page and "Providers" not in page


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "15 characters or more"),
        ("fourteen-chars", "15 characters or more"),
        ("x" * 129, "128 characters or fewer"),
        ("passwordpassword", "guessed soon"),
        ("Password123456789!", "guessed soon"),
        ("qwertyuiopasdfghjkl", "guessed soon"),
        ("ada@example.com2026", "guessed soon"),
        ("P4ssw0rdP4ssw0rd", "guessed soon"),
        ("aaaaaaaaaaaaaaaaaaaa", "guessed soon"),
    ],
)
async def test_a_weak_password_is_refused_with_the_reason(
    hub_environ: dict[str, str], password: str, words: str
) -> None:
    async with opened(hub_environ) as hub:
        browser = await hub.signed_in()

        answer = await post(browser, "/account/password", "/account/password", password=password, again=password)

        assert answer.status_code == 422 and words in answer.text
        assert password not in answer.text
        assert (await sign_in(hub.browser(), EMAIL, password)).status_code == 401


@pytest.mark.databases("sqlite")
async def test_eight_characters_are_enough_with_a_second_factor(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser = await with_password(hub)
        await with_factor(browser)

        answer = await post(browser, "/account/password", "/account/password", password="kG7 vmq2", again="kG7 vmq2")
        assert answer.status_code == 303

        # And the factor cannot go while such a password would stand alone.
        answer = await post(browser, "/account/second-factor", "/account/second-factor/remove")
        assert answer.status_code == 409 and "too short to stand alone" in answer.text


@pytest.mark.databases("sqlite")
async def test_a_new_password_signs_every_other_browser_out(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser, other = await with_password(hub), hub.browser()
        await sign_in(other)
        before = browser.cookies["hub_session"]

        await post(browser, "/account/password", "/account/password", password=PASSWORD + "!", again=PASSWORD + "!")

        assert await is_in(browser) and browser.cookies["hub_session"] != before
        assert not await is_in(other)
        assert (await sign_in(hub.browser())).status_code == 401
        assert (await sign_in(hub.browser(), EMAIL, PASSWORD + "!")).status_code == 303


@pytest.mark.databases("sqlite")
async def test_an_old_hash_is_made_anew_at_the_next_sign_in(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await with_password(hub)
        weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
        async with hub.db.writing() as session:
            user = await users.get_by_email(session, EMAIL)
            await passwords.put(session, user.id, weak, Secret(PASSWORD))

        assert (await sign_in(hub.browser())).status_code == 303

        async with hub.db.reading() as session:
            stored = await passwords.get(session, user.id)
        assert stored is not None and "m=19456,t=2,p=1" in stored.hash and stored.hash.startswith("$argon2id$")
        assert (await sign_in(hub.browser())).status_code == 303


async def test_only_so_many_passwords_wait_to_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "MOST_WAITING", 3)
    hasher = Hasher()
    try:
        answers = await asyncio.gather(*(hasher.is_right(None, Secret("x")) for _ in range(12)), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, TooManyTries)]
        assert len(refused) == 12 - hashing.THREADS - 3
        assert answers.count(False) == hashing.THREADS + 3
        assert await hasher.is_right(None, Secret("x")) is False
    finally:
        hasher.close()


@pytest.mark.databases("sqlite")
async def test_the_same_text_typed_on_another_keyboard_is_the_same_password(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await with_password(hub, password="zwölf späte Kräne")

        assert (await sign_in(hub.browser(), EMAIL, "zwo\u0308lf spa\u0308te Kra\u0308ne")).status_code == 303


async def test_a_mailed_link_sets_a_new_password_once(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(hub_environ, **_MAIL) as hub:
        mails = _mails(monkeypatch)
        signed_in, browser = await with_password(hub), hub.browser()

        answer = await browser.post("/forgot-password", data={"email": EMAIL})
        await hub.litestar.state.resets.finish()

        [(to, text)] = mails
        assert (to, answer.status_code) == (EMAIL, 200)
        link = re.findall(r"http://hub\.test(/reset-password/\S+)", text)[0]
        # It sets a password and does nothing else.
        assert (await browser.post(link.replace("reset-password", "sign-in"))).status_code == 401
        fields = {"password": "nine calm rivers turn", "again": "nine calm rivers turn"}
        assert (await browser.post(link, data={"password": "short", "again": "short"})).status_code == 422
        assert (await browser.post(link, data=fields)).headers["location"] == "/sign-in?reset=done"
        assert (await browser.post(link, data=fields)).status_code == 401
        assert (await browser.get(link)).status_code == 401
        assert not await is_in(signed_in) and not await is_in(browser)
        assert (await sign_in(browser, EMAIL, "nine calm rivers turn")).status_code == 303


@pytest.mark.databases("sqlite")
async def test_a_mailed_link_works_for_a_quarter_of_an_hour(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    async with opened(hub_environ, **_MAIL) as hub:
        mails = _mails(monkeypatch)
        await with_password(hub)
        await hub.browser().post("/forgot-password", data={"email": EMAIL})
        await hub.litestar.state.resets.finish()
        link = re.findall(r"(/reset-password/\S+)", mails[0][1])[0]

        watch.wind(minutes=14)
        assert (await hub.browser().get(link)).status_code == 200
        watch.wind(minutes=2)
        assert (await hub.browser().get(link)).status_code == 401


@pytest.mark.databases("sqlite")
async def test_a_new_password_ends_the_links_that_were_mailed(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(hub_environ, **_MAIL) as hub:
        mails = _mails(monkeypatch)
        browser = await with_password(hub)
        for _ in range(2):
            await hub.browser().post("/forgot-password", data={"email": EMAIL})
        await hub.litestar.state.resets.finish()
        links = [re.findall(r"(/reset-password/\S+)", text)[0] for _, text in mails]
        assert [(await hub.browser().get(link)).status_code for link in links] == [200, 200]

        await post(browser, "/account/password", "/account/password", password=PASSWORD + "!", again=PASSWORD + "!")

        assert [(await hub.browser().get(link)).status_code for link in links] == [401, 401]


@pytest.mark.databases("sqlite")
async def test_without_a_mail_server_the_page_names_the_command(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        page = await hub.browser().get("/forgot-password")
        assert "sends no mail" in page.text and "hub create-admin" in page.text


@pytest.mark.databases("sqlite")
async def test_an_owner_without_a_required_second_factor_sees_nothing_before_it_is_set_up(
    hub_environ: dict[str, str],
) -> None:
    async with opened(hub_environ) as hub:
        browser, member = await with_password(hub), await hub.signed_in("bob@example.com", "member")
        async with hub.db.writing() as session:
            await settings.put(session, "require_second_factor", "on")

        for path in ("/", "/account", "/account/password"):
            answer = await browser.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/account/second-factor"), path
        assert await is_in(member)

        await with_factor(browser)
        assert "Overview" in (await browser.get("/")).text
        answer = await post(browser, "/account/second-factor", "/account/second-factor/remove")
        assert answer.status_code == 409


def _mails(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is mailed from now on: to whom, and the text."""
    sent: list[tuple[str, str]] = []

    async def send(_self: object, to: str, _subject: str, text: str) -> None:
        sent.append((to, text))

    monkeypatch.setattr("app.adapters.mail.sender.Sender.send", send)
    return sent


async def test_signing_out_in_the_middle_of_signing_in_ends_it(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await with_factor(await with_password(hub))
        browser = hub.browser()
        await sign_in(browser)

        page = await browser.get("/sign-in/second-factor")
        await browser.post("/sign-out", data={"csrf_token": csrf_token(page)})

        assert (await browser.get("/sign-in/second-factor")).headers["location"] == "/sign-in"
