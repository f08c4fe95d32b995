"""Pages under a path prefix, and who may say what the prefix is."""

from __future__ import annotations

import re

import pytest

from app.ops import seed
from tests.web.hub_of_pages import opened

pytestmark = pytest.mark.databases("sqlite")

_ADDRESSES = re.compile(r' (?:href|src|action|hx-get)="([^"#]+)')
_BLOCKLET = {"BLOCKLET_DID": "z8iZ1234", "BLOCKLET_APP_URL": "https://app.example"}


async def test_every_address_of_a_page_is_under_the_prefix_and_works(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ, HUB_MOUNT_PREFIX="/tools/hub") as hub:
        await seed.plant(hub.house, calls=3, is_forced=True)
        browser = hub.browser()
        answer = await browser.post(f"/tools/hub{await hub.link()}")
        assert answer.headers["location"] == "/tools/hub/"
        overview = await browser.get("/tools/hub/")
        call = await browser.get(next(a for a in _ADDRESSES.findall(overview.text) if "/calls/" in a))

        account = await browser.get("/tools/hub/account")
        nobody = await hub.browser().get("/tools/hub")
        for page in (overview, call, account, nobody, await browser.get("/tools/hub/nothing")):
            addresses = set(_ADDRESSES.findall(page.text))
            assert addresses
            for address in addresses:
                assert address.startswith("/tools/hub/"), address
                if not address.endswith("/sign-out"):
                    found = await browser.get(address.replace("&amp;", "&"))
                    # Whoever is signed in is led on from the sign-in page.
                    leads_on = found.headers.get("location", "").startswith("/tools/hub/")
                    assert found.status_code in (200, 204) or leads_on, address
        assert "http://hub.test/tools/hub/v1/chat/completions" in overview.text


@pytest.mark.parametrize(
    ("told", "begins"),
    [
        ("/py", "/py/"),
        ("/a/b", "/a/b/"),
        ("/", "/"),
        ("//evil.example", "/"),
        ("/../x", "/"),
        ('/"><script>', "/"),
        ("/x\\y", "/"),
        ("evil", "/"),
    ],
)
async def test_blocklet_server_says_the_prefix(hub_environ: dict[str, str], told: str, begins: str) -> None:
    async with opened(hub_environ, **_BLOCKLET) as hub:
        near = hub.browser(client=("127.0.0.1", 50_000))

        answer = await near.post(await hub.link(), headers={"X-Path-Prefix": told})
        page = await near.get("/", headers={"X-Path-Prefix": told})

        assert answer.headers["location"] == begins
        assert f'href="{begins}static/' in page.text and "evil" not in page.text
        assert f"https://app.example{begins}v1" in page.text


async def test_nobody_else_says_the_prefix(hub_environ: dict[str, str]) -> None:
    header = {"X-Path-Prefix": "/elsewhere"}
    async with opened(hub_environ, **_BLOCKLET) as hub:
        from_afar = await hub.browser(client=("192.0.2.7", 50_000)).get("/", headers=header)
    async with opened(hub_environ) as hub:
        without_blocklet = await hub.browser(client=("127.0.0.1", 50_000)).get("/", headers=header)

    assert "/elsewhere" not in from_afar.text + without_blocklet.text


async def test_a_host_that_cannot_be_is_not_shown(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        strange = await hub.browser().get("/", headers={"Host": "evil.example;rm -rf"})
        none = await hub.browser().get("/", headers={"Host": ""})

        assert strange.status_code == 400 and "evil" not in strange.text
        assert "http://127.0.0.1:8080/v1" in none.text
