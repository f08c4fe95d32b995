"""Static files: what is vendored is what its list says, and what is served may be kept by browsers."""

from __future__ import annotations

import hashlib
import re

import pytest

from app.base.paths import STATIC
from app.web import static
from tests.web.hub_of_pages import opened

_VENDOR = STATIC / "vendor"


def test_vendored_files_are_those_of_the_list() -> None:
    listed = dict(
        reversed(line.split())
        for line in (_VENDOR / "VENDOR.md").read_text().splitlines()
        if re.match(r"[0-9a-f]{64} ", line)
    )

    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in _VENDOR.iterdir()
        if path.name != "VENDOR.md"
    }

    assert found == listed


def test_every_served_vendored_file_has_version_and_licence() -> None:
    table = (_VENDOR / "VENDOR.md").read_text()
    for name in static.shipped().files:
        if name.startswith("vendor/"):
            [row] = [line for line in table.splitlines() if line.startswith(f"| `{name.removeprefix('vendor/')}`")]
            assert re.search(r"\| \d+\.\d+\.\d+ \|", row)
            [licence] = re.findall(r"`([\w-]+LICENSE\.txt)`", row)
            assert (_VENDOR / licence).is_file()


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in (*STATIC.glob("*.css"), *STATIC.glob("*.js"), *STATIC.parent.glob("templates/**/*.html")):
        assert not re.findall(r"(?:src|href|url|import)\W{1,3}(?:https?:)?//", path.read_text()), path


@pytest.mark.databases("sqlite")
async def test_files_may_be_kept_under_the_address_of_their_content(hub_environ: dict[str, str]) -> None:
    version = static.shipped().version
    async with opened(hub_environ) as hub:
        browser = hub.browser()
        packed = await browser.get(f"/static/{version}/app.css")
        plain = await browser.get(f"/static/{version}/app.css", headers={"Accept-Encoding": "identity"})
        font = await browser.get(f"/static/{version}/vendor/inter-latin-wght-normal.woff2")
        older = await browser.get("/static/0123456789abcdef/app.css")

        assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
        assert packed.content == plain.content == (STATIC / "app.css").read_bytes()
        assert font.headers["content-type"] == "font/woff2"
        for answer in (packed, plain, font):
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert (older.status_code, older.headers["cache-control"]) == (200, "no-cache")
        for path in ("vendor/VENDOR.md", "vendor/htmx-LICENSE.txt", "../pyproject.toml", "%2e%2e/pyproject.toml", ""):
            assert (await browser.get(f"/static/{version}/{path}")).status_code in (404, 405), path
