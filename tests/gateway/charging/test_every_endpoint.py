"""Every path that calls a model, where credits are charged: what was consumed is paid, and nothing stays held."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import Struct

from app.base.money import NANO
from app.domain.calls.models import Call
from app.gateway import generations, polling
from app.web.api.routes import CALL_PATTERNS, CALLS
from tests.credit_hubs import account, holds, journals, priced
from tests.emulators import media
from tests.emulators.handle import Upstream
from tests.emulators.pictures import running_pictures
from tests.emulators.studio import KEY, Pictures
from tests.hubs import HELLO, Json, RunningHub, running_hub, until_given

SOUND = media.speech({"input": "x" * 500})
"""Three begun seconds."""
MODELS = {
    "chat": "one/gpt-4o-mini",
    "legacy": "one/gpt-3.5-turbo-instruct",
    "embed": "one/text-embedding-3-small",
    "image-tokens": "one/gpt-image-1",
    "image-pieces": "one/dall-e-3",
    "speech": "one/gpt-4o-mini-tts",
    "transcription": "one/whisper-1",
    "transcription-tokens": "one/gpt-4o-transcribe",
    "moderation": "one/omni-moderation-latest",
}
PRICES: Mapping[str, Json] = {
    "chat": {"input": "1", "output": "1000"},
    "legacy": {"input": "1", "output": "1000"},
    "embed": {"input": "1000"},
    "image-tokens": {"input": "10", "output": "40"},
    "image-pieces": {"images": "0.04"},
    "speech": {"characters": "15"},
    "transcription": {"seconds": "0.0001"},
    "transcription-tokens": {"input": "2.5", "audio_in": "6", "output": "10"},
    "moderation": {"requests": "0.001"},
    "film": {"seconds": "0.1"},
    "film-refused": {"seconds": "0.1"},
}
"""Credits, per million units or each. What the provider charges is half of it."""
BY_SIZE = [
    {"meter": "images", "cost": "0.04", "price": "0.08", "when": {"size": "1792x1024"}},
    {"meter": "images", "cost": "0.06", "price": "0.12", "when": {"size": "1792x1024", "quality": "hd"}},
]


class Ask(Struct, frozen=True):
    """A call, and what it is charged (nano-credits) by what its record says that it consumed."""

    model: str
    body: Json
    file: bytes | None = None
    """With one the body is a form."""


def _nano(credits: str) -> int:
    whole, _, rest = credits.partition(".")
    return int(whole) * NANO + int(rest.ljust(9, "0"))


def owed(call: Call, model: str) -> int:
    """By the price list above, in whole numbers, one meter after the other."""
    price = PRICES[model]
    each = ("images", "seconds", "requests")
    millionths = sum(
        getattr(call, meter) * _nano(amount) * (1_000_000 if meter in each else 1) for meter, amount in price.items()
    )
    return -(-millionths // 1_000_000)


_CHAT = Ask("chat", {"messages": HELLO})
_AIGNE_CHAT = Ask("chat", {"input": {"messages": HELLO, "modelOptions": {"model": "chat"}}})
_EMBED = Ask("embed", {"input": "count to 12"})
_DRAW = Ask("image-pieces", {"prompt": "a door"})
_SPEAK = Ask("speech", {"input": "good morning", "voice": "alloy"})
_HEAR = Ask("transcription", {}, SOUND)
_TEXT: Json = {"parts": [{"text": "count to 12"}]}

ASKS: dict[str, list[Ask]] = {
    "/v1/chat/completions": [_CHAT, Ask("chat", {"messages": HELLO, "stream": True})],
    "/v1/completions": [
        Ask("legacy", {"prompt": "count to 12"}),
        Ask("legacy", {"prompt": "count to 12", "stream": True}),
    ],
    "/v1/embeddings": [_EMBED],
    "/v1/images/generations": [_DRAW, Ask("image-tokens", {"prompt": "a door", "n": 2, "size": "1024x1024"})],
    "/v1/images/edits": [Ask("image-tokens", {"prompt": "a red door"}, media.png("door"))],
    "/v1/videos": [Ask("film", {"prompt": "a door opens", "seconds": "8"})],
    "/v1/audio/speech": [_SPEAK],
    "/v1/audio/transcriptions": [_HEAR, Ask("transcription-tokens", {}, SOUND)],
    "/v1/audio/translations": [_HEAR],
    "/v1/moderations": [Ask("moderation", {"input": "count to 12"})],
    "/v1/responses": [Ask("chat", {"input": "count to 12"}), Ask("chat", {"input": "count to 12", "stream": True})],
    "/v1/messages": [
        Ask("chat", {"messages": HELLO, "max_tokens": 90}),
        Ask("chat", {"messages": HELLO, "max_tokens": 90, "stream": True}),
    ],
    "/api/v2/chat": [_AIGNE_CHAT],
    "/api/v2/video": [Ask("film", {"input": {"prompt": "a door opens", "model": "film", "seconds": "4"}})],
    "/api/v2/image": [Ask("image-pieces", {"input": {"prompt": "a door", "modelOptions": {"model": "image-pieces"}}})],
    "/api/v2/chat/completions": [_CHAT],
    "/api/v2/completions": [_CHAT],
    **{
        f"/api/{version}/{path}": [ask]
        for version in ("v1", "v1/sdk")
        for path, ask in (
            ("chat/completions", _CHAT),
            ("completions", _CHAT),
            ("embeddings", _EMBED),
            ("image", _DRAW),
            ("image/generations", _DRAW),
            ("audio/speech", _SPEAK),
            ("audio/transcriptions", _HEAR),
        )
    },
    "/api/v2/embeddings": [_EMBED],
    "/api/v2/image/generations": [_DRAW],
    "/api/v2/audio/speech": [_SPEAK],
    "/api/v2/audio/transcriptions": [_HEAR],
    "/v1beta/models/chat:generateContent": [Ask("chat", {"contents": [{"role": "user", **_TEXT}]})],
    "/v1beta/models/chat:streamGenerateContent": [Ask("chat", {"contents": [{"role": "user", **_TEXT}]})],
    "/v1beta/models/embed:embedContent": [Ask("embed", {"content": _TEXT})],
    "/v1beta/models/embed:batchEmbedContents": [
        Ask("embed", {"requests": [{"model": "models/embed", "content": _TEXT}]})
    ],
}


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


@asynccontextmanager
async def _every_hub(
    environ: Mapping[str, str], upstream: Upstream, pictures: Pictures, credits: str = "1000"
) -> AsyncIterator[RunningHub]:
    file = priced(upstream, credits, models=MODELS)
    studio = {"name": "studio", "kind": "openai", "base_url": pictures.base_url("openai")}
    file["providers"].append({**studio, "credentials": [{"label": "c", "secret": KEY}]})
    for name, upstream_model in (("film", "sora-2"), ("film-refused", "sora-2-refuses")):
        route = {"provider": "studio", "upstream_model": upstream_model}
        file["models"].append({"model": name, "type": "video", "routes": [route]})
    for model in file["models"]:
        price = PRICES[model["model"]]
        model |= {"price": price, "cost": price}
        if model["model"] == "image-pieces":
            model["rates"] = BY_SIZE
    async with running_hub({**environ, "HUB_FETCH_PRIVATE_ADDRESSES": "1"}, file) as hub:
        yield hub


def test_no_path_is_left_out() -> None:
    asked = set(ASKS)

    assert set(CALLS) <= asked
    for route in CALL_PATTERNS:
        assert any(route.pattern.fullmatch(path) for path in asked), route.pattern.pattern


async def test_each_path_is_charged_by_its_price_and_gives_up_what_it_held(
    hub_environ: dict[str, str], upstream: Upstream, pictures: Pictures
) -> None:
    async with _every_hub(hub_environ, upstream, pictures) as hub:
        left = 1000 * NANO
        for path, asks in ASKS.items():
            for ask in asks:
                answer = await _asked(hub, path, ask)
                assert answer == 200, (path, ask)
                call = await _last(hub)

                assert (call.status, call.charged_as) == ("succeeded", "completed.some charge"), (path, call.error_text)
                assert call.charge_nano == owed(call, ask.model) > 0, (path, call.charge_nano)
                assert call.cost_nano == call.charge_nano
                left -= call.charge_nano
                books = await account(hub)
                assert (books.posted_nano, books.held_nano, books.overage_nano) == (left, 0, 0), path
        kinds = [journal.kind for journal in await journals(hub)]
        assert kinds == ["grant", *["settle"] * sum(map(len, ASKS.values()))]
        assert {hold.state for hold in await holds(hub)} == {"settled"}


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({}, "0.04"),
        ({"size": "1024x1024", "quality": "hd"}, "0.04"),
        ({"size": "1792x1024"}, "0.08"),
        ({"size": "1792x1024", "quality": "hd"}, "0.12"),
    ],
)
@pytest.mark.databases("sqlite")
async def test_a_picture_costs_what_its_size_and_quality_cost(
    hub_environ: dict[str, str], upstream: Upstream, pictures: Pictures, fields: Json, price: str
) -> None:
    async with _every_hub(hub_environ, upstream, pictures) as hub:
        assert await _asked(hub, "/v1/images/generations", Ask("image-pieces", {"prompt": "a door", **fields})) == 200

        assert (await _last(hub)).charge_nano == _nano(price)


async def test_a_video_is_held_when_it_is_ordered_and_charged_when_it_is_there(
    hub_environ: dict[str, str], upstream: Upstream, pictures: Pictures
) -> None:
    pictures.looks_needed = 1_000_000
    async with _every_hub(hub_environ, upstream, pictures) as hub:
        body = {"model": "film", "prompt": "a door opens", "seconds": "8"}
        job = (await hub.http.post("/v1/videos", json=body)).raise_for_status().json()
        books = await account(hub)
        assert (books.posted_nano, books.held_nano) == (1000 * NANO, 8 * _nano("0.1"))

        pictures.looks_needed = 0
        call = await _last(hub)

        assert (call.status, call.seconds, call.charge_nano) == ("succeeded", 8, 8 * _nano("0.1")), job
        books = await account(hub)
        assert (books.posted_nano, books.held_nano) == (1000 * NANO - 8 * _nano("0.1"), 0)


async def test_a_video_that_is_not_made_costs_nothing_and_gives_its_credits_back(
    hub_environ: dict[str, str], upstream: Upstream, pictures: Pictures
) -> None:
    async with _every_hub(hub_environ, upstream, pictures) as hub:
        body = {"model": "film-refused", "prompt": "a door opens", "seconds": "8"}
        (await hub.http.post("/v1/videos", json=body)).raise_for_status()
        call = await _last(hub)

        assert (call.status != "succeeded", call.charge_nano) == (True, 0)
        assert call.charged_as == "failed.none free"
        books = await account(hub)
        assert (books.posted_nano, books.held_nano) == (1000 * NANO, 0)
        assert [hold.state for hold in await holds(hub)] == ["released"]


async def test_an_order_that_cannot_be_paid_is_not_placed(
    hub_environ: dict[str, str], upstream: Upstream, pictures: Pictures
) -> None:
    async with _every_hub(hub_environ, upstream, pictures, credits="0.5") as hub:
        body = {"model": "film", "prompt": "a door opens", "seconds": "8"}
        answer = await hub.http.post("/v1/videos", json=body)

        assert answer.status_code == 402
        assert pictures.jobs == {}
        assert (await account(hub)).held_nano == 0


async def _asked(hub: RunningHub, path: str, ask: Ask) -> int:
    body: dict[str, Any] = {"model": ask.model, **ask.body}
    if ask.file is None:
        return (await hub.http.post(path, json=body)).status_code
    name = "image" if "images" in path else "file"
    given = ("door.png", ask.file, "image/png") if name == "image" else ("note.wav", ask.file, "audio/wav")
    return (await hub.http.post(path, data=body, files={name: given})).status_code


async def _last(hub: RunningHub) -> Call:
    """The newest call, once it has ended and its hold with it."""

    async def look() -> Call | None:
        call = await hub.last_call()
        return call if (await account(hub)).held_nano == 0 else None

    return await until_given(look, 10)
