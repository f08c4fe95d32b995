"""AIGNE's chats at a vendor of each format: tools, thoughts, schemas and pictures, whole and streamed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.gateway.test_vendors import Vendors, every_step, others, vendors
from tests.hubs import Json, RunningHub, running_hub
from tests.wire.aigne.frames import check_answer, merged

pytestmark = pytest.mark.databases("sqlite")

__all__ = ["others", "vendors"]

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Asks.", "parameters": WEATHER}}
    for name in ("get_weather", "get_time")
]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


async def say(hub: RunningHub, model: str, messages: list[Json], *, streaming: bool, **given: Any) -> Json:
    """As the framework's client says it, its wish to cache included; the answer as it reads it."""
    settings = {"model": model, "cacheConfig": {"autoBreakpoints": {"lastMessage": True}}}
    body = {
        "input": {"messages": messages, **given, "modelOptions": settings | given.get("modelOptions", {})},
        "options": {"streaming": streaming},
    }
    answer = await hub.http.post("/api/v2/chat", json=body)
    assert answer.status_code == 200, (model, len(messages), answer.text)
    whole = merged(answer.text) if streaming else answer.json()
    check_answer(whole)
    assert whole["usage"]["outputTokens"] > 0 and whole["modelWithProvider"] == model
    return whole


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("effort", [None, "low", 2048])
async def test_a_tool_loop_goes_on_at_every_other_vendor(
    hub_environ: dict[str, str], vendors: Vendors, streaming: bool, effort: str | int | None
) -> None:
    given: Json = {"tools": TOOLS} | ({"modelOptions": {"reasoningEffort": effort}} if effort is not None else {})
    messages: list[Json] = [{"role": "system", "content": "Be brief."}]
    async with running_hub(hub_environ, vendors.file) as hub:
        for n, (asked, answering) in enumerate(pairwise(every_step(vendors.names))):
            tools = "get_weather and get_time" if n % 2 else "get_weather"
            messages.append({"role": "user", "content": [{"type": "text", "text": f"use {tools} for city {n}"}]})
            called = await say(hub, asked, messages, streaming=streaming, **given)
            assert len(called["toolCalls"]) == 1 + n % 2 and called["finishReason"] == "tool_calls"
            messages.append({"role": "agent", "toolCalls": called["toolCalls"]})
            messages += [
                {"role": "tool", "toolCallId": call["id"], "content": f"cold {n}"} for call in called["toolCalls"]
            ]

            told = await say(hub, answering, messages, streaming=streaming, **given)

            assert f"cold {n}" in told["text"], (asked, answering)
            messages.append({"role": "agent", "content": told["text"]})


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
async def test_an_answer_by_a_schema_is_a_value_at_every_vendor(
    hub_environ: dict[str, str], vendors: Vendors, streaming: bool
) -> None:
    schema = {"type": "object", "properties": {"stars": {"type": "integer"}}, "required": ["stars"]}
    format_ = {"type": "json_schema", "jsonSchema": {"name": "out", "schema": schema, "strict": True}}
    async with running_hub(hub_environ, vendors.file) as hub:
        for model in vendors.names:
            whole = await say(
                hub, model, [{"role": "user", "content": "teach me"}], streaming=streaming, responseFormat=format_
            )
            assert isinstance(whole["json"]["stars"], int) and "text" not in whole, model


async def test_pictures_and_limits_reach_every_vendor(hub_environ: dict[str, str], vendors: Vendors) -> None:
    content = [{"type": "text", "text": "look"}, {"type": "file", "data": PNG, "mimeType": "image/png"}]
    async with running_hub(hub_environ, vendors.file) as hub:
        # DeepSeek's models do not look at pictures.
        for model in (name for name in vendors.names if name != "deepseek"):
            messages: list[Json] = [{"role": "user", "content": content}]
            whole = await say(hub, model, messages, streaming=False, modelOptions={"maxTokens": 500})
            assert whole["text"], model

        assert vendors.anthropic.last()["body"]["max_tokens"] == 500
        assert vendors.bedrock.last()["body"]["inferenceConfig"]["maxTokens"] == 500
        assert vendors.gemini.last()["body"]["generationConfig"]["maxOutputTokens"] == 500
        [message] = vendors.anthropic.last()["body"]["messages"]
        assert [part["type"] for part in message["content"]] == ["text", "image"]


async def test_the_clients_wish_to_cache_is_granted_by_who_caches_when_told(
    hub_environ: dict[str, str], vendors: Vendors
) -> None:
    async with running_hub(hub_environ, vendors.file) as hub:
        for model in ("anthropic", "bedrock"):
            await say(hub, model, [{"role": "user", "content": "hi"}], streaming=False, tools=TOOLS)

        assert '"cache_control"' in str(vendors.anthropic.last()["body"]).replace("'", '"')
        assert "cachePoint" in str(vendors.bedrock.last()["body"])
