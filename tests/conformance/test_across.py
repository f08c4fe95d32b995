"""Clients of chat completions that know nothing of it, before providers of other formats."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from tests.conformance import node_clients
from tests.emulators.anthropic.handle import AnthropicUpstream, running_anthropic
from tests.emulators.gemini.handle import GeminiUpstream, running_gemini
from tests.hubs import HUB_KEY, RunningHub, running_hub

MODELS = {"anthropic": "claude-sonnet-4-5-20250929", "google": "gemini-3.8-flash"}


class Joke(pydantic.BaseModel):
    """A joke for the user."""

    setup: str
    stars: int


@tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"sunny in {city}"


@pytest.fixture(scope="module")
def anthropic() -> Iterator[AnthropicUpstream]:
    with running_anthropic() as started:
        yield started


@pytest.fixture(scope="module")
def google() -> Iterator[GeminiUpstream]:
    with running_gemini() as started:
        yield started


def _file(anthropic: AnthropicUpstream, google: GeminiUpstream) -> dict[str, Any]:
    providers = [
        {
            "name": kind,
            "kind": kind,
            "base_url": upstream.base_url(),
            "credentials": [{"label": "main", "secret": upstream.key()}],
        }
        for kind, upstream in (("anthropic", anthropic), ("google", google))
    ]
    models = [
        {"model": kind, "type": "chat", "routes": [{"provider": kind, "upstream_model": model}]}
        for kind, model in MODELS.items()
    ]
    return {
        "providers": providers,
        "models": models,
        "teams": [{"name": "a", "keys": [{"name": "k", "secret": HUB_KEY}]}],
    }


def _chat(hub: RunningHub, model: str, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=f"{hub.root}/v1", api_key=HUB_KEY, max_retries=0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(MODELS))
async def test_langchain_runs_a_tool_loop_and_parses_an_object(
    hub_environ: dict[str, str], anthropic: AnthropicUpstream, google: GeminiUpstream, kind: str
) -> None:
    async with running_hub(hub_environ, _file(anthropic, google)) as hub:
        model = _chat(hub, kind).bind_tools([weather])
        asked: list[Any] = [HumanMessage("weather please")]
        first = await model.ainvoke(asked)
        assert isinstance(first, AIMessage)
        results = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in first.tool_calls]
        second = await model.ainvoke([*asked, first, *results])
        pieces = [piece async for piece in _chat(hub, kind, stream_usage=True).astream("count to 5")]
        joke = await _chat(hub, kind).with_structured_output(Joke).ainvoke("a joke")

    assert [call["name"] for call in first.tool_calls] == ["weather"]
    assert "sunny in" in str(second.content)
    assert "".join(str(piece.content) for piece in pieces) == "1 2 3 4 5"
    counted = [piece.usage_metadata for piece in pieces if piece.usage_metadata]
    assert len(counted) == 1 and counted[0]["output_tokens"] >= 5
    assert isinstance(joke, Joke)


@pytest.mark.parametrize("kind", list(MODELS))
async def test_the_ai_sdk_runs_a_tool_loop_and_parses_an_object(
    hub_environ: dict[str, str], anthropic: AnthropicUpstream, google: GeminiUpstream, kind: str
) -> None:
    missing = node_clients.what_is_missing()
    if missing and node_clients.IS_CI:
        pytest.fail(missing)
    if missing:
        pytest.skip(f"not run: {missing}")
    async with running_hub(hub_environ, _file(anthropic, google)) as hub:
        environ = {"PATH": os.environ["PATH"], "CONFORMANCE_BASE_URL": f"{hub.root}/v1", "CONFORMANCE_API_KEY": HUB_KEY}
        environ["CONFORMANCE_MODELS"] = json.dumps({"chat": kind})
        process = await asyncio.create_subprocess_exec(
            "node",
            "ai_sdk_across.mjs",
            cwd=node_clients.FOLDER,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0, err.decode()
    saw = json.loads(out)
    assert saw["stream"]["text"] == "1 2 3 4 5"
    assert saw["stream"]["usage"]["outputTokens"] >= 5
    assert [name for name, _ in saw["tools"]["calls"]] == ["weather"]
    assert "sunny in" in saw["tools"]["text"]
    assert set(saw["object"]) == {"setup", "stars"}
