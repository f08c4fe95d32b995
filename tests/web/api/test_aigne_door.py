"""AIGNE's routes that call models, and how a hub is found: statuses, streams, errors, settings on their way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest

from tests.emulators.handle import Upstream
from tests.hubs import HUB_KEY, TWELVE, RunningHub, client, described, running_hub
from tests.wire.aigne.frames import check_answer, merged

pytestmark = pytest.mark.databases("sqlite")

Json = dict[str, Any]

MODELS = {
    "openai/gpt-4o-mini": "one/gpt-4o-mini",
    "openai/gpt-5-mini": "one/gpt-4o-mini",
    "openai/text-embedding-3-small": "one/text-embedding-3-small",
    "openai/gpt-image-1": "one/gpt-image-1",
    "openai/speech": "one/gpt-4o-mini-tts",
    "openai/transcription": "one/whisper-1",
    "openai/cut": "one/slow-20+fault-cut-after-4",
    "openai/down": "one/fault-500",
}
SPEECH = {"model": "openai/speech", "input": "hello", "voice": "alloy"}


@pytest.fixture
async def hub(hub_environ: dict[str, str], upstream: Upstream) -> AsyncIterator[RunningHub]:
    async with running_hub(hub_environ, described(upstream, models=MODELS)) as started:
        yield started


def chat(model: str = "openai/gpt-4o-mini", *, streaming: bool = False, **fields: Any) -> Json:
    given = {"messages": [{"role": "user", "content": "count to 12"}], "modelOptions": {"model": model}, **fields}
    return {"input": given, "agent": "$CHAT_MODEL", "options": {"streaming": streaming, "memories": []}}


async def test_a_chat_is_answered_and_recorded_for_its_project(hub: RunningHub) -> None:
    answer = await hub.http.post("/api/v2/chat", json=chat(), headers={"x-aigne-hub-client-did": "zProject"})

    whole = answer.json()
    assert answer.status_code == 200
    check_answer(whole)
    assert whole["text"] == TWELVE
    call = await hub.last_call()
    assert (call.endpoint, call.project, call.status) == ("aigne.chat", "zProject", "succeeded")
    assert whole["usage"]["modelCallId"] == call.id == answer.headers["x-hub-call-id"]
    assert (call.input, call.output) == (whole["usage"]["inputTokens"], whole["usage"]["outputTokens"])


async def test_a_stream_is_asked_for_in_the_options(hub: RunningHub) -> None:
    answer = await hub.http.post("/api/v2/chat", json=chat(streaming=True))

    assert answer.headers["content-type"] == "text/event-stream"
    assert merged(answer.text)["text"] == TWELVE
    assert (await hub.last_call()).is_streamed


async def test_the_callers_limit_of_tokens_reaches_the_provider(hub: RunningHub, upstream: Upstream) -> None:
    settings = {"model": "openai/gpt-4o-mini", "maxTokens": 3}
    await hub.http.post("/api/v2/chat", json=chat(modelOptions=settings))
    framework = upstream.last("openai")["body"]
    await hub.http.post(
        "/api/v2/chat/completions", json={"messages": [{"role": "user", "content": "a"}], "max_tokens": 4}
    )
    older = upstream.last("openai")["body"]

    assert 3 in (framework.get("max_tokens"), framework.get("max_completion_tokens"))
    assert 4 in (older.get("max_tokens"), older.get("max_completion_tokens"))


async def test_errors_have_real_statuses_and_are_recorded(hub: RunningHub) -> None:
    for path, body, status, code in (
        ("/api/v2/chat", chat("openai/none"), 404, "model_not_found"),
        ("/api/v2/chat", chat(messages="x"), 400, "invalid_request"),
        ("/api/v2/chat", {"input": "x"}, 400, "invalid_request"),
        ("/api/v2/chat", chat("openai/down"), 502, "provider_failed"),
        ("/api/v2/chat", chat("openai/gpt-image-1x"), 404, "model_not_found"),
        ("/api/v2/completions", {"model": "openai/gpt-4o-mini"}, 400, "invalid_request"),
        ("/api/v2/embeddings", {"input": "x"}, 400, "invalid_request"),
        ("/api/v2/image", {"input": {"prompt": "x", "modelOptions": {"model": "openai/gpt-4o-mini"}}}, 400, None),
    ):
        answer = await hub.http.post(path, json=body)
        error = answer.json()["error"]
        assert answer.status_code == status, (path, body, answer.text)
        assert error["message"] and error["owner"] and (code is None or error["code"] == error["type"] == code)

    failed = [call for call in await hub.calls() if call.status == "failed"]
    assert [call.model for call in failed] == ["openai/down"]


async def test_a_path_on_the_callers_machine_is_refused_and_no_provider_is_asked(
    hub: RunningHub, upstream: Upstream
) -> None:
    messages = [{"role": "user", "content": [{"type": "local", "path": "/etc/passwd"}]}]

    answer = await hub.http.post("/api/v2/chat", json=chat(messages=messages))

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input.messages[0].content[0]")
    assert upstream.calls() == []


async def test_a_stream_that_breaks_ends_with_the_event_that_its_reader_knows(hub: RunningHub) -> None:
    framework = await hub.http.post("/api/v2/chat", json=chat("openai/cut", streaming=True))
    older = await hub.http.post(
        "/api/v2/completions",
        json={"model": "openai/cut", "messages": [{"role": "user", "content": "count to 12"}]},
        headers={"accept": "text/event-stream"},
    )

    *frames, name, data = framework.text.strip().split("\n")
    assert frames and name == "event: error"
    assert "broke off" in json.loads(data.removeprefix("data: "))["message"]
    last = json.loads(older.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert "broke off" in last["error"]["message"]


@pytest.mark.parametrize("base", ["/api/v2", "/api/v1", "/api/v1/sdk"])
async def test_openais_sdk_works_on_the_older_route(hub: RunningHub, base: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{hub.root}{base}", api_key=HUB_KEY, max_retries=0) as sdk:
        messages: Any = [{"role": "user", "content": "count to 12"}]
        whole = await sdk.chat.completions.create(model="openai/gpt-4o-mini", messages=messages)
        stream = await sdk.chat.completions.create(model="openai/gpt-4o-mini", messages=messages, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        vectors = await sdk.embeddings.create(model="openai/text-embedding-3-small", input="a", dimensions=4)

    assert whole.choices[0].message.content == TWELVE
    assert len(pieces) > 12 and "".join(pieces) == TWELVE
    assert len(vectors.data[0].embedding) == 4


async def test_the_sdk_of_blocklets_gets_frames_whatever_it_says_of_streams(hub: RunningHub) -> None:
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "count to 12"}]}

    answer = await hub.http.post("/api/v2/chat/completions", json=body, headers={"accept": "text/event-stream"})

    events = [json.loads(frame.removeprefix("data: ")) for frame in answer.text.strip().split("\n\n")]
    assert "".join(event["delta"]["content"] for event in events if "delta" in event) == TWELVE
    assert events[-1]["usage"]["completionTokens"] == 12


async def test_sound_is_made_and_heard_for_those_who_have_a_key(hub: RunningHub) -> None:
    spoken = await hub.http.post("/api/v2/audio/speech", json=SPEECH)
    heard = await hub.http.post(
        "/api/v2/audio/transcriptions",
        data={"model": "openai/transcription"},
        files={"file": ("note.wav", b"\x07" * 100, "audio/wav")},
    )

    assert spoken.status_code == 200 and len(spoken.content) > 44
    assert heard.json()["text"].startswith("Heard note.wav")
    assert [call.endpoint for call in await hub.calls()] == ["audio.speech", "audio.transcriptions"]


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v2/chat", "/api/v2/chat/completions", "/api/v2/completions", "/api/v2/embeddings", "/api/v2/image"),
        *("/api/v2/image/generations", "/api/v2/audio/speech", "/api/v2/audio/transcriptions", "/api/v1/completions"),
    ],
)
async def test_nobody_calls_without_a_key(hub: RunningHub, path: str) -> None:
    async with client(hub.root, None) as anybody:
        answer = await anybody.post(path, json=chat() | SPEECH)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_api_key")


async def test_a_wish_to_cache_is_no_reason_to_refuse_a_strict_key(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    keys = [{"name": "strict", "secret": HUB_KEY, "strict": True}]
    async with running_hub(hub_environ, described(upstream, models=MODELS, keys=keys)) as hub:
        wish = {"model": "openai/gpt-4o-mini", "cacheConfig": {"autoBreakpoints": {"lastMessage": True}}}
        kept = await hub.http.post("/api/v2/chat", json=chat(modelOptions=wish))
        lost = await hub.http.post("/api/v2/chat", json=chat(modelOptions={"model": "openai/gpt-4o-mini", "future": 1}))

    assert kept.status_code == 200
    assert kept.headers["x-hub-fidelity"] == 'emulated=("input.modelOptions.cacheConfig")'
    assert (lost.status_code, lost.json()["error"]["param"]) == (400, "input.modelOptions.future")


async def test_the_hub_says_where_it_is_mounted(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub({**hub_environ, "HUB_MOUNT_PREFIX": "/ai-kit"}, described(upstream, models=MODELS)) as hub:
        site = (await hub.http.get("/__blocklet__.js?type=json")).json()
        [component] = site["componentMountPoints"]
        answer = await hub.http.post(f"{component['mountPoint']}/api/v2/chat", json=chat())

    assert component["mountPoint"] == "/ai-kit"
    assert answer.json()["text"] == TWELVE


async def test_without_a_type_the_site_is_a_script(hub: RunningHub) -> None:
    async with client(hub.root, None) as anybody:
        script = await anybody.get("/__blocklet__.js")

    assert script.headers["content-type"].startswith("application/javascript")
    assert script.text.startswith("window.blocklet = {") and script.text.endswith("};\n")


async def test_errors_at_unknown_paths_are_said_in_aignes_words(hub: RunningHub) -> None:
    answer: httpx.Response = await hub.http.get("/api/v2/nothing")

    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "unknown_path")
