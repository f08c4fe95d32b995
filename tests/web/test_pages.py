"""What holds for every page: who sees it, its headers, its errors, and that no secret is on it."""

from __future__ import annotations

import httpx
import pytest
import structlog
from litestar.routes import HTTPRoute

from app.base.secret import Secret
from app.domain.identity import api_keys, teams
from app.domain.identity.users import FIRST_OWNER
from app.ops import seed
from tests.web.hub_of_pages import ADDRESS, PROVIDER_SECRET, Hub, csrf_token, opened, part

_PUBLIC = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/sign-in",
    "/sign-in/second-factor",
    "/sign-in/{token:str}",
    "/sign-out",
    "/forgot-password",
    "/reset-password/{token:str}",
    "/static/{version:str}/{name:path}",
}

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "vary": "Cookie, HX-Request, HX-Target",
    "x-robots-tag": "noindex",
}


@pytest.mark.databases("sqlite")
async def test_without_a_session_no_page_shows_anything(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        call_id = await _filled(hub)
        routes = [route for route in hub.litestar.routes if isinstance(route, HTTPRoute) and route.path not in _PUBLIC]
        assert {route.path for route in routes} >= {"/", "/calls/{call_id:str}"}

        answers = [
            await hub.browser().request(method, route.path_format.replace("{call_id}", call_id), headers=headers)
            for route in routes
            for method in set(route.methods) - {"OPTIONS"}
            for headers in ({}, part("call-list"), part("model-list"), {"Accept": "*/*"})
        ]

        for answer in answers:
            is_front = answer.request.url.path == "/" and "HX-Request" not in answer.request.headers
            assert answer.status_code == (200 if is_front or answer.request.method == "HEAD" else 401), answer.request
            for word in ("acme", "lab/", "openai", "demo", "hk-", call_id, "SQLite", "Overview"):
                # Where to come back to is what was asked for, and tells nothing about what is there.
                shown = answer.text.replace(f'name="next" value="{answer.request.url.path}"', "")
                assert word not in shown, f"{word} at {answer.request.method} {answer.request.url}"
        assert answers[0].headers["content-security-policy"]


@pytest.mark.databases("sqlite")
async def test_every_page_has_its_headers(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        call_id, link = await _filled(hub), await hub.link()
        nobody, browser = hub.browser(), await hub.signed_in("eve@example.com")
        pages = [
            *[await nobody.get(path) for path in ("/", "/calls/x", "/nothing", link, "/sign-in/x")],
            await nobody.head("/"),
            await nobody.put("/"),
            await nobody.post(link),
            *[await browser.get(path) for path in ("/", f"/calls/{call_id}", "/calls/x", "/?q=demo")],
            *[await browser.get("/", headers=part(target)) for target in ("call-list", "model-list")],
            await browser.post("/sign-out"),
            await browser.post("/sign-out", data={"csrf_token": csrf_token(await browser.get("/"))}),
        ]

    for page in pages:
        assert page.headers.items() >= _HEADERS.items(), page.request
        policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
        assert (policy["frame-ancestors"], policy["base-uri"], policy["object-src"]) == ("'self'", "'none'", "'none'")
        assert "set-cookie" not in page.headers or page.request.method == "POST"
        assert "style=" not in page.text and "<style" not in page.text
        assert not [piece for piece in page.text.split("<script")[1:] if " src=" not in piece.split(">", 1)[0]]
        assert " onclick=" not in page.text and "javascript:" not in page.text
        if page.status_code == 200 and page.text:
            assert page.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.databases("sqlite")
async def test_every_link_of_a_page_leads_somewhere(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        call_id, browser = await _filled(hub), await hub.signed_in()
        for path in ("/", f"/calls/{call_id}", "/nothing"):
            page = (await browser.get(path)).text
            links = {piece.split('"', 1)[0] for name in ("href", "src") for piece in page.split(f' {name}="')[1:]}
            for link in links - {"#main", "#to-do"}:
                address, _, anchor = link.partition("#")
                answer = await browser.get(address)
                assert answer.status_code == 200, link
                assert not anchor or f'id="{anchor}"' in answer.text, link


async def test_no_secret_is_on_any_page(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ, HUB_METRICS_TOKEN="t" * 40) as hub:
        call_id = await _filled(hub)
        await hub.add_provider("broken", secret="sk-another-one-that-nobody-shall-see")
        async with hub.db.writing() as session:
            team = await teams.create(session, name="umbrella")
            _, key = await api_keys.create(session, hub.pepper, team_id=team.id, name="one", models=["*"])
            given = Secret("a-secret-that-somebody-brought-along-0123456789")
            await api_keys.create(session, hub.pepper, team_id=team.id, name="two", models=["*"], secret=given)
        browser, link = await hub.signed_in(), await hub.link("bob@example.com")
        session_id = browser.cookies["hub_session"]
        paths = ("/", f"/calls/{call_id}", "/calls/x", "/nothing", "/readyz", "/metrics", "/?q=broken", "/sign-in/x")

        texts = [(await browser.get(path)).text for path in paths]
        texts += [(await browser.get("/", headers=part(target))).text for target in ("call-list", "model-list")]

    everything = "\n".join(texts)
    assert "umbrella" in everything and "sk-…-one" in everything
    secrets = [key.reveal(), given.reveal(), PROVIDER_SECRET, session_id, link.rsplit("/", 1)[1], "t" * 40]
    secrets.append((hub.settings.data_dir / "master.key").read_text().strip())
    for secret in (*secrets, "sk-another-one-that-nobody-shall-see", hub.pepper.hex()):
        assert secret not in everything
        assert secret[12:] not in everything


@pytest.mark.databases("sqlite")
async def test_errors_are_pages_for_people_and_json_for_programs(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        browser = await hub.signed_in()
        program = httpx.AsyncClient(transport=httpx.ASGITransport(hub.app), base_url=ADDRESS)

        for path in ("/nothing", "/calls/x", "/calls/%00", "/static/0/app.txt"):
            page, answer = await browser.get(path), await program.get(path)
            assert page.headers["content-type"].startswith("text/html")
            assert answer.json()["error"]["message"]
            assert page.status_code == 404
            assert answer.status_code == (401 if path.startswith("/calls") else 404)
        assert (await browser.delete("/")).status_code == 405
        assert (await program.get("/")).headers["content-type"].startswith("text/html")


@pytest.mark.databases("sqlite")
async def test_a_fault_of_ours_is_a_page_that_gives_nothing_away(
    hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError("the inside of the hub")

    async with opened(hub_environ) as hub:
        browser, link = await hub.signed_in(), await hub.link()
        monkeypatch.setattr("app.domain.calls.reports.latest", crash)
        monkeypatch.setattr("app.domain.identity.links.is_open", crash)

        with structlog.testing.capture_logs() as lines:
            answers = [await browser.get("/"), await browser.get(link)]

        for answer in answers:
            assert answer.status_code == 500
            assert "Something went wrong" in answer.text and "inside" not in answer.text
            assert answer.headers["cache-control"] == "no-store"
        assert [line["path"] for line in lines] == ["/", "/sign-in/{token}"]


@pytest.mark.databases("sqlite")
async def test_blocklet_servers_probe_asks_nobody(hub_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(hub_environ) as hub:
        monkeypatch.setattr(hub.db, "reading", None)

        answer = await hub.browser().head("/")

        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.databases("sqlite")
async def test_a_page_whose_session_has_ended_loads_itself_again(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        answer = await hub.browser().get("/", headers=part("call-list"))

        assert (answer.status_code, answer.headers["hx-refresh"]) == (401, "true")


async def _filled(hub: Hub) -> str:
    """A hub with people, providers, keys and calls; gives the id of a call."""
    await seed.plant(hub.house, calls=30, is_forced=True)
    await hub.add_provider()
    browser = await hub.signed_in(FIRST_OWNER)
    page = (await browser.get("/")).text
    return page.split('href="/calls/', 1)[1].split('"', 1)[0]
