"""Signed links to files that models made: who has one may read that file until its moment, and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text, update

from app.base.clock import now_us
from app.domain.media import links
from app.domain.media.models import StoredFile
from app.ops import jobs
from tests.emulators.handle import Upstream
from tests.hubs import RunningHub, client, described, emulator, running_hub, upstream

__all__ = ["emulator", "upstream"]

_CONTENT = bytes(range(256)) * 40


@pytest.fixture
async def hub(hub_environ: dict[str, str], upstream: Upstream) -> AsyncIterator[RunningHub]:
    async with running_hub(hub_environ | {"HUB_FILES_KEEP_DAYS": "2"}, described(upstream)) as started:
        yield started


@pytest.fixture
async def anybody(hub: RunningHub) -> AsyncIterator[httpx.AsyncClient]:
    """Without a key."""
    async with client(hub.root, key=None) as http:
        yield http


async def _kept(hub: RunningHub, content: bytes = _CONTENT, media_type: str = "video/mp4") -> str:
    """The path and query of a link."""
    media = hub.gateway.shared.media
    file_id = await media.keep(content, media_type, team_id="t" * 32, call_id="c" * 32)
    return media.link(file_id, "")


async def test_a_link_gives_the_file_to_anybody_and_nothing_in_it_can_run(
    hub: RunningHub, anybody: httpx.AsyncClient
) -> None:
    answer = await anybody.get(await _kept(hub))

    assert (answer.status_code, answer.content) == (200, _CONTENT)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"].startswith("inline")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("media_type", ["image/svg+xml", "text/html", "application/pdf"])
async def test_what_could_be_a_page_is_downloaded(hub: RunningHub, anybody: httpx.AsyncClient, media_type: str) -> None:
    answer = await anybody.get(await _kept(hub, b"<script>alert(1)</script>", media_type))

    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("asked", "status", "given", "told"),
    [
        ("bytes=0-9", 206, _CONTENT[:10], f"bytes 0-9/{len(_CONTENT)}"),
        ("bytes=10000-", 206, _CONTENT[10000:], f"bytes 10000-{len(_CONTENT) - 1}/{len(_CONTENT)}"),
        ("bytes=-6", 206, _CONTENT[-6:], f"bytes {len(_CONTENT) - 6}-{len(_CONTENT) - 1}/{len(_CONTENT)}"),
        (f"bytes={len(_CONTENT)}-", 416, b"", f"bytes */{len(_CONTENT)}"),
        ("lines=1-2", 200, _CONTENT, None),
    ],
)
async def test_a_player_can_ask_for_a_part(
    hub: RunningHub, anybody: httpx.AsyncClient, asked: str, status: int, given: bytes, told: str | None
) -> None:
    answer = await anybody.get(await _kept(hub), headers={"range": asked})

    assert (answer.status_code, answer.content) == (status, given)
    assert answer.headers.get("content-range") == told


async def test_the_head_of_a_file_says_its_size(hub: RunningHub, anybody: httpx.AsyncClient) -> None:
    answer = await anybody.head(await _kept(hub))

    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, str(len(_CONTENT)), b"")


async def test_a_link_that_was_tampered_with_is_no_link(hub: RunningHub, anybody: httpx.AsyncClient) -> None:
    good, other = await _kept(hub), await _kept(hub)
    found = re.fullmatch(r"/files/([0-9a-f]+)\?expires=(\d+)&signature=(.+)", good)
    assert found is not None
    file_id, expires, signature = found.groups()
    other_id = other.removeprefix("/files/").partition("?")[0]
    foreign = links.query(links.key_from(b"another hub"), file_id, int(expires))
    bad = [
        f"/files/{file_id}",
        f"/files/{file_id}?expires={expires}",
        f"/files/{file_id}?expires={int(expires) + 1}&signature={signature}",
        f"/files/{file_id}?expires=0{expires}&signature={signature}",
        f"/files/{other_id}?expires={expires}&signature={signature}",
        f"/files/{file_id}?expires={expires}&signature={signature[:-1]}",
        f"/files/{file_id}?expires={expires}&signature=%C3%BC",
        f"/files/{file_id}?{foreign}",
    ]

    answers = [await anybody.get(path) for path in bad]

    assert [answer.status_code for answer in answers] == [404] * len(bad)
    assert {answer.json()["error"]["code"] for answer in answers} == {"file_not_found"}
    assert (await anybody.get(good)).status_code == 200


async def test_a_link_ends_at_its_moment() -> None:
    key = links.key_from(b"pepper")
    signature = links.query(key, "f", 1000).rpartition("=")[2]

    assert links.is_valid(key, "f", "1000", signature, 999.9)
    assert not links.is_valid(key, "f", "1000", signature, 1000.0)


async def test_a_file_whose_time_is_over_is_gone_with_its_bytes(hub: RunningHub, anybody: httpx.AsyncClient) -> None:
    old, young = await _kept(hub), await _kept(hub)
    folder = hub.settings.data_dir / "files"
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 2
    async with hub.db.writing() as session:
        old_id = old.removeprefix("/files/").partition("?")[0]
        await session.execute(update(StoredFile).where(StoredFile.id == old_id).values(expires_us=now_us() - 1))

    # Before the sweeper comes, it is gone for everybody else.
    assert (await anybody.get(old)).status_code == 404
    # The hub's own job may have been there first.
    await jobs.sweep_files(hub.db, hub.settings)
    assert await jobs.sweep_files(hub.db, hub.settings) == 0

    assert (await anybody.get(young)).status_code == 200
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1
    async with hub.db.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM stored_file")) == 1


async def test_a_file_is_kept_as_many_days_as_the_setting_says(hub: RunningHub) -> None:
    link = await _kept(hub)

    expires = int(re.findall(r"expires=(\d+)", link)[0])
    assert abs(expires - now_us() / 1e6 - 2 * 86400) < 60


async def test_a_file_whose_bytes_are_lost_is_an_error_of_the_hub(hub: RunningHub, anybody: httpx.AsyncClient) -> None:
    link = await _kept(hub)
    for path in (hub.settings.data_dir / "files").rglob("*"):
        if path.is_file():
            path.unlink()

    answer = await anybody.get(link)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "file_store_failed")
