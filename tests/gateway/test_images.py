"""Pictures behind `images.generations` and `images.edits`, from every kind of provider that draws."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.adapters.files.store import FileStore, StoreFailed
from tests.emulators import media
from tests.emulators.pictures import running_pictures
from tests.emulators.studio import Pictures
from tests.hubs import HUB_KEY, RunningHub, running_hub
from tests.media_hubs import STRICT_KEY, media_file, running_media_hub

pytestmark = pytest.mark.databases("sqlite")

_KINDS = {
    "google": ("gemini-3-pro-image", "imagen-4.0-generate-001", "gemini-2.5-flash-image", "gemini-image-refuses"),
    "ideogram": ("ideogram-v3",),
    "xai": ("grok-imagine-image",),
    "doubao": ("doubao-seedream-5-0-260128", "doubao-seededit-3-0-i2i-250628"),
    "openrouter": ("google/gemini-3-pro-image", "black-forest-labs/flux.2-pro", "google/gemini-speaks"),
    "poe": ("FLUX-2", "bot-speaks"),
    "openai": ("gpt-image-2.5-flare",),
}


@pytest.fixture
async def pictures() -> AsyncIterator[Pictures]:
    async with running_pictures() as started:
        yield started


@pytest.fixture
async def hub(hub_environ: dict[str, str], pictures: Pictures) -> AsyncIterator[RunningHub]:
    async with running_media_hub(hub_environ, pictures, image=_KINDS) as started:
        yield started


async def _draw(hub: RunningHub, model: str, *, key: str = HUB_KEY, **fields: Any) -> httpx.Response:
    body = {"model": model, "prompt": "a blue door", **fields}
    return await hub.http.post("/v1/images/generations", json=body, headers={"authorization": f"Bearer {key}"})


def _bytes(answer: httpx.Response) -> list[bytes]:
    assert answer.status_code == 200, answer.text
    return [base64.b64decode(row["b64_json"]) for row in answer.json()["data"]]


@pytest.mark.parametrize(
    ("model", "drawn"),
    [
        ("gemini-3-pro-image", "a blue door|0"),
        ("gemini-2.5-flash-image", "a blue door|0"),
        ("imagen-4.0-generate-001", "a blue door|0"),
        ("ideogram-v3", "a blue door|0"),
        ("grok-imagine-image", "a blue door|0"),
        ("doubao-seedream-5-0-260128", "a blue door|0"),
        ("google/gemini-3-pro-image", "drawn"),
        ("black-forest-labs/flux.2-pro", "drawn"),
        ("FLUX-2", "bot"),
        ("gpt-image-2.5-flare", "a blue door|0"),
    ],
)
async def test_a_picture_of_any_provider_comes_as_bytes_and_is_counted(hub: RunningHub, model: str, drawn: str) -> None:
    wants = {} if model.startswith("gpt") else {"response_format": "b64_json"}
    answer = await _draw(hub, model, size="1536x1024", **wants)

    assert _bytes(answer) == [media.png(drawn)]
    call = await hub.last_call()
    assert (call.endpoint, call.status, call.images, call.requests) == ("images.generations", "succeeded", 1, 1)


async def test_a_picture_wanted_by_address_is_kept_at_the_hub_and_linked(hub: RunningHub) -> None:
    answer = await _draw(hub, "gemini-3-pro-image", response_format="url")

    [row] = answer.json()["data"]
    assert row["url"].startswith(f"{hub.root}/files/") and "b64_json" not in row
    async with httpx.AsyncClient(trust_env=False) as anybody:
        fetched = await anybody.get(row["url"])
    assert (fetched.status_code, fetched.content) == (200, media.png("a blue door|0"))
    assert fetched.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("environ", "headers", "begins"),
    [
        ({"HUB_PUBLIC_URL": "https://hub.example.com"}, {}, "https://hub.example.com/files/"),
        ({}, {"host": "hub.internal:8443"}, "http://hub.internal:8443/files/"),
        ({"HUB_MOUNT_PREFIX": "/ai"}, {"host": "hub.internal"}, "http://hub.internal/ai/files/"),
    ],
)
async def test_a_link_leads_to_where_the_client_reaches_the_hub(
    hub_environ: dict[str, str],
    pictures: Pictures,
    environ: dict[str, str],
    headers: dict[str, str],
    begins: str,
) -> None:
    body = {"model": "gemini-3-pro-image", "prompt": "a blue door", "response_format": "url"}
    async with running_media_hub(hub_environ | environ, pictures, image=_KINDS) as hub:
        answer = await hub.http.post("/v1/images/generations", json=body, headers=headers)
        link = answer.json()["data"][0]["url"]
        fetched = await hub.http.get("/files/" + link.partition("/files/")[2])

    assert link.startswith(begins)
    assert fetched.status_code == 200


async def test_a_providers_own_address_goes_on_where_an_address_is_wanted(hub: RunningHub, pictures: Pictures) -> None:
    answer = await _draw(hub, "ideogram-v3", response_format="url")

    assert answer.json()["data"][0]["url"].startswith(f"{pictures.root}/made/")
    assert answer.json()["data"][0]["revised_prompt"] == "A picture of a blue door"


async def test_an_address_that_cannot_be_fetched_is_an_error_only_where_bytes_were_asked_for(
    hub_environ: dict[str, str], pictures: Pictures
) -> None:
    # Without the switch the emulator's address is one that the hub does not go to.
    async with running_hub(hub_environ, media_file(pictures, image=_KINDS)) as hub:
        asked = await _draw(hub, "ideogram-v3", response_format="b64_json")
        unsaid = await _draw(hub, "ideogram-v3")
        calls = await hub.calls()

    assert (asked.status_code, asked.json()["error"]["code"]) == (502, "provider_bad_answer")
    assert unsaid.json()["data"][0]["url"].startswith(pictures.root)
    # Both were drawn, and are billed.
    assert [(call.status, call.images) for call in calls] == [("failed", 1), ("succeeded", 1)]


async def test_what_a_provider_cannot_be_told_is_listed_and_refused_to_a_strict_key(
    hub: RunningHub, pictures: Pictures
) -> None:
    fields = {"size": "1536x1024", "quality": "high", "style": "vivid", "background": "transparent", "n": 2}
    answer = await _draw(hub, "gemini-3-pro-image", **fields)
    refused = await _draw(hub, "gemini-3-pro-image", key=STRICT_KEY, **fields)

    assert answer.status_code == 200
    told = answer.headers["x-hub-fidelity"]
    assert 'emulated=("size")' in told
    for field in ("quality", "style", "background", "n"):
        assert f'"{field}"' in told.partition("dropped=")[2].partition(")")[0]
    assert pictures.asked[0]["body"]["generationConfig"]["imageConfig"] == {"aspectRatio": "3:2", "imageSize": "1K"}
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "not_expressible")
    assert len(pictures.asked) == 1


async def test_each_provider_is_told_the_size_in_its_own_words(hub: RunningHub, pictures: Pictures) -> None:
    asked: dict[str, Any] = {}
    for model in (
        "imagen-4.0-generate-001",
        "ideogram-v3",
        "grok-imagine-image",
        "doubao-seedream-5-0-260128",
        "google/gemini-3-pro-image",
    ):
        assert (await _draw(hub, model, size="1792x1024", quality="high")).status_code == 200
        asked[model] = pictures.last["body"]

    assert asked["imagen-4.0-generate-001"]["parameters"] == {
        "sampleCount": 1,
        "aspectRatio": "16:9",
        "sampleImageSize": "2K",
    }
    assert (asked["ideogram-v3"]["aspect_ratio"], asked["ideogram-v3"]["rendering_speed"]) == ("16x9", "QUALITY")
    xai = asked["grok-imagine-image"]
    assert (xai["aspect_ratio"], xai["resolution"], xai["quality"]) == ("16:9", "2k", "high")
    assert asked["doubao-seedream-5-0-260128"]["size"] == "2544x1456"
    assert asked["doubao-seedream-5-0-260128"]["watermark"] is False
    assert asked["google/gemini-3-pro-image"]["image_config"] == {"aspect_ratio": "16:9", "image_size": "2K"}


async def test_a_series_at_doubao_is_what_it_calls_several_pictures(hub: RunningHub, pictures: Pictures) -> None:
    answer = await _draw(hub, "doubao-seedream-5-0-260128", n=3, response_format="b64_json", guidance_scale=2.5)

    assert len(_bytes(answer)) == 3
    body = pictures.last["body"]
    assert (body["sequential_image_generation"], body["guidance_scale"]) == ("auto", 2.5)
    call = await hub.last_call()
    assert (call.images, call.output, call.usage_source) == (3, 3 * 16384, "provider")


async def test_what_only_doubao_knows_is_passed_on_unread(hub: RunningHub, pictures: Pictures) -> None:
    answer = await _draw(hub, "doubao-seedream-5-0-260128", watermark=True)

    assert answer.json()["data"][0]["size"] == "2048x2048"
    sent = {"model": "doubao-seedream-5-0-260128", "prompt": "a blue door", "watermark": True}
    assert pictures.last["body"] == sent
    assert "x-hub-fidelity" not in answer.headers


async def test_pictures_without_a_report_of_tokens_are_counted_not_estimated(hub: RunningHub) -> None:
    await _draw(hub, "imagen-4.0-generate-001", n=4)

    call = await hub.last_call()
    assert (call.images, call.input, call.output, call.usage_source) == (4, 0, 0, "counted")


@pytest.mark.parametrize(
    ("model", "prompt", "code"),
    [
        ("gemini-image-refuses", "x", "content_policy_violation"),
        ("ideogram-v3", "unsafe", "content_policy_violation"),
        ("doubao-seedream-5-0-260128", "refuses", "OutputImageSensitiveContentDetected"),
        ("google/gemini-speaks", "x", "no_picture"),
        ("bot-speaks", "x", "no_picture"),
    ],
)
async def test_a_refusal_to_draw_is_the_callers_to_mend(hub: RunningHub, model: str, prompt: str, code: str) -> None:
    fields = {"response_format": "b64_json", **({"n": 1} if "doubao" in model else {})}
    answer = await _draw(hub, model, prompt=prompt, **fields)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.text
    assert (await hub.last_call()).status == "refused"


async def test_a_stream_of_a_provider_that_does_not_stream_is_one_event(hub: RunningHub) -> None:
    answer = await _draw(hub, "gemini-3-pro-image", stream=True)

    assert answer.headers["content-type"].startswith("text/event-stream")
    name, data = answer.text.strip().split("\n")
    assert name == "event: image_generation.completed"
    assert base64.b64encode(media.png("a blue door|0")).decode() in data


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3-pro-image", "/google/v1beta/models/gemini-3-pro-image:generateContent"),
        ("ideogram-v3", "/ideogram/v1/ideogram-v3/remix"),
        ("grok-imagine-image", "/xai/v1/images/edits"),
        ("doubao-seededit-3-0-i2i-250628", "/doubao/api/v3/images/generations"),
        ("google/gemini-3-pro-image", "/openrouter/api/v1/chat/completions"),
        ("FLUX-2", "/poe/v1/chat/completions"),
        ("gpt-image-2.5-flare", "/openai/v1/images/edits"),
    ],
)
async def test_an_upload_reaches_every_provider_that_changes_pictures(
    hub: RunningHub, pictures: Pictures, model: str, path: str
) -> None:
    given = media.png("given")
    answer = await hub.http.post(
        "/v1/images/edits",
        data={"model": model, "prompt": "make it red"},
        files={"image": ("door.png", given, "image/png")},
    )

    assert answer.status_code == 200, answer.text
    assert pictures.last["path"] == path
    body = pictures.last["body"]
    if model.startswith(("ideogram", "gpt")):
        assert body["image"]["bytes"] == given
    else:
        assert base64.b64encode(given).decode() in str(body)
    call = await hub.last_call()
    assert (call.endpoint, call.status, call.images) == ("images.edits", "succeeded", 1)


async def test_a_picture_named_by_url_is_fetched_for_who_takes_bytes_alone(hub: RunningHub, pictures: Pictures) -> None:
    given = pictures.make("given")
    await _draw(hub, "ideogram-v3", image=pictures.address())

    assert pictures.last["body"]["image"] == {"type": "image/png", "bytes": given}


async def test_a_mask_that_nobody_can_be_told_is_refused(hub: RunningHub, pictures: Pictures) -> None:
    answer = await hub.http.post(
        "/v1/images/edits",
        data={"model": "gemini-3-pro-image", "prompt": "make it red"},
        files={"image": ("a.png", media.png("a"), "image/png"), "mask": ("m.png", media.png("m"), "image/png")},
    )

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "mask")
    assert pictures.asked == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"n": 0}, "n"), ({"n": 11}, "n"), ({"size": "large"}, "size"), ({"response_format": "png"}, "response_format")],
)
async def test_what_is_wrong_in_an_order_is_named(hub: RunningHub, fields: dict[str, Any], param: str) -> None:
    answer = await _draw(hub, "gemini-3-pro-image", **fields)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_picture_that_the_store_does_not_take_is_an_error_and_counted(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_given: Any) -> None:
        raise StoreFailed("no space left")

    monkeypatch.setattr(FileStore, "save", full)

    answer = await _draw(hub, "gemini-3-pro-image", response_format="url")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "file_store_failed")
    call = await hub.last_call()
    assert (call.status, call.images, call.output) == ("failed", 1, 1290)
