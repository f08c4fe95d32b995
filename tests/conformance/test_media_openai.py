"""OpenAI's own library at the hub, for pictures and videos of providers that have other APIs."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import httpx
import openai
import pytest

from app.gateway import polling
from tests.emulators import media
from tests.emulators.pictures import running_pictures
from tests.emulators.studio import Pictures
from tests.hubs import HUB_KEY, RunningHub
from tests.media_hubs import running_media_hub

pytestmark = pytest.mark.databases("sqlite")

_IMAGES = {
    "google": ("gemini-3-pro-image",),
    "ideogram": ("ideogram-v3",),
    "xai": ("grok-imagine-image",),
    "doubao": ("doubao-seedream-5-0-260128",),
}
_VIDEOS = {
    "openai": ("sora-2", "sora-2-refuses"),
    "google": ("veo-3.1-generate-preview",),
    "doubao": ("doubao-seedance-2-0-260128",),
    "xai": ("grok-imagine-video",),
}


@pytest.fixture
async def pictures() -> AsyncIterator[Pictures]:
    async with running_pictures() as started:
        yield started


@pytest.fixture
async def hub(
    hub_environ: dict[str, str], pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RunningHub]:
    monkeypatch.setattr(polling, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(polling, "MIN_POLL_SECONDS", 0)
    async with running_media_hub(hub_environ, pictures, image=_IMAGES, video=_VIDEOS) as started:
        yield started


@pytest.fixture
async def openai_client(hub: RunningHub) -> AsyncIterator[openai.AsyncOpenAI]:
    web = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(base_url=f"{hub.root}/v1", api_key=HUB_KEY, max_retries=0, http_client=web) as client:
        yield client


@pytest.mark.parametrize("model", [model for models in _IMAGES.values() for model in models])
async def test_images_generate(openai_client: openai.AsyncOpenAI, model: str) -> None:
    answer = await openai_client.images.generate(
        model=model, prompt="a blue door", size="1536x1024", quality="high", response_format="b64_json"
    )

    assert answer.data is not None
    assert base64.b64decode(answer.data[0].b64_json or "") == media.png("a blue door|0")


async def test_images_generate_by_address(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.images.generate(model="gemini-3-pro-image", prompt="a door", response_format="url")

    assert answer.data is not None and answer.data[0].url is not None
    async with httpx.AsyncClient(trust_env=False) as anybody:
        assert (await anybody.get(answer.data[0].url)).content == media.png("a door|0")


async def test_images_generate_streamed(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.images.generate(model="gemini-3-pro-image", prompt="a door", stream=True)
    events = [event async for event in stream]

    assert [event.type for event in events] == ["image_generation.completed"]
    assert base64.b64decode(events[0].b64_json) == media.png("a door|0")
    assert events[0].usage.output_tokens == 1290


@pytest.mark.parametrize("model", ["gemini-3-pro-image", "ideogram-v3", "grok-imagine-image"])
async def test_images_edit(openai_client: openai.AsyncOpenAI, model: str) -> None:
    answer = await openai_client.images.edit(
        model=model, image=("door.png", media.png("given"), "image/png"), prompt="make it red"
    )

    assert answer.data is not None and answer.data[0].b64_json


@pytest.mark.parametrize(
    "model", ["sora-2", "veo-3.1-generate-preview", "doubao-seedance-2-0-260128", "grok-imagine-video"]
)
async def test_videos_create_and_poll(hub: RunningHub, openai_client: openai.AsyncOpenAI, model: str) -> None:
    video = await openai_client.videos.create_and_poll(
        model=model,
        prompt="a door opens",
        seconds="8",
        size="1280x720",
        input_reference=("door.png", media.png("door"), "image/png"),
        poll_interval_ms=50,
    )

    assert (video.status, video.progress, video.seconds, video.error) == ("completed", 100, "8", None)
    content = await (await openai_client.videos.download_content(video.id)).aread()
    assert content[4:8] == b"ftyp"
    listed = [row.id async for row in openai_client.videos.list()]
    assert listed == [video.id]
    assert (await openai_client.videos.delete(video.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await openai_client.videos.retrieve(video.id)
    [call] = await hub.calls()
    assert (call.endpoint, call.status, call.seconds) == ("videos", "succeeded", 8)


async def test_a_video_that_is_refused(openai_client: openai.AsyncOpenAI) -> None:
    video = await openai_client.videos.create_and_poll(model="sora-2-refuses", prompt="x", poll_interval_ms=50)

    assert video.status == "failed" and video.error is not None
    assert "moderation" in video.error.message
