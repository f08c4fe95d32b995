"""`/api/v2/video`: the order waits for its video, as the framework's client does."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.gateway import generations, polling
from tests.emulators.pictures import Pictures, running_pictures
from tests.hubs import RunningHub
from tests.media_hubs import running_media_hub
from tests.wire.aigne.frames import check_file, check_usage

pytestmark = pytest.mark.databases("sqlite")

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(generations, "FIRST_POLL_SECONDS", 0)
    monkeypatch.setattr(generations, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(polling, "MIN_POLL_SECONDS", 0)
    monkeypatch.setattr(polling, "MAX_POLL_SECONDS", 0)


@pytest.fixture
async def pictures() -> AsyncIterator[Pictures]:
    async with running_pictures() as started:
        yield started


@pytest.fixture
async def hub(hub_environ: dict[str, str], pictures: Pictures) -> AsyncIterator[RunningHub]:
    kinds = {"openai": ("sora-2", "sora-2-refuses")}
    async with running_media_hub(hub_environ, pictures, video=kinds) as started:
        yield started


async def order(hub: RunningHub, model: str = "sora-2", **fields: Any) -> httpx.Response:
    """As the recorded client sends it."""
    given = {"prompt": "cat runs", "modelOptions": {"model": model}, "model": model, "outputFileType": "url", **fields}
    options: Json = {"streaming": False, "userContext": {}, "memories": []}
    return await hub.http.post("/api/v2/video", json={"input": given, "agent": "$CHAT_MODEL", "options": options})


async def test_a_video_comes_as_a_link_that_gives_it(hub: RunningHub, pictures: Pictures) -> None:
    answer = await order(hub, size="1280x720", seconds="4")

    whole = answer.json()
    assert answer.status_code == 200, whole
    [video] = whole["videos"]
    check_file(video)
    check_usage(whole["usage"])
    assert (video["type"], video["mimeType"]) == ("url", "video/mp4")
    assert (whole["seconds"], whole["model"]) == (4, "sora-2")
    fetched = await hub.http.get(video["url"])
    assert fetched.status_code == 200 and fetched.content[4:8] == b"ftyp"
    [asked] = pictures.jobs.values()
    assert (asked["body"]["seconds"], asked["body"]["size"]) == ("4", "1280x720")
    [call] = await hub.calls()
    assert (call.endpoint, call.status, call.seconds) == ("aigne.video", "succeeded", 4)


async def test_a_video_comes_inline_where_a_file_is_asked_for(hub: RunningHub) -> None:
    [video] = (await order(hub, outputFileType="file")).json()["videos"]

    assert video["type"] == "file" and base64.b64decode(video["data"])[4:8] == b"ftyp"


async def test_a_video_that_fails_is_an_error_with_a_real_status(hub: RunningHub) -> None:
    answer = await order(hub, "sora-2-refuses")

    assert answer.status_code >= 400 and answer.json()["error"]["message"]
    [call] = await hub.calls()
    assert call.status in ("failed", "refused")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seconds": "long"}, "input.seconds"),
        ({"prompt": None}, "input.prompt"),
        ({"image": {"type": "local", "path": "/etc/passwd"}}, "input.image"),
    ],
)
async def test_a_wrong_order_is_refused_with_the_path(hub: RunningHub, fields: Json, param: str) -> None:
    answer = await order(hub, **fields)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
