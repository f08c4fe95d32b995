"""One conversation that goes from vendor to vendor in the middle of a tool loop stays legal at every step.

Each emulator refuses what its vendor refuses: roles that do not alternate, calls without results, thoughts without
their signatures, signatures that another has made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest

from tests.emulators.anthropic.handle import AnthropicUpstream, running_anthropic
from tests.emulators.bedrock.handle import Bedrock, running_bedrock
from tests.emulators.gemini.handle import GeminiUpstream, running_gemini
from tests.emulators.gemini.speech import signature as gemini_signature
from tests.emulators.handle import Upstream
from tests.hubs import HUB_KEY, Json, RunningHub, running_hub, streamed_message

pytestmark = pytest.mark.databases("sqlite")

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Asks.", "parameters": WEATHER}}
    for name in ("get_weather", "get_time")
]


class Vendors:
    """A provider of each format, and the models that they serve by their names."""

    def __init__(
        self, upstream: Upstream, gemini: GeminiUpstream, bedrock: Bedrock, anthropic: AnthropicUpstream
    ) -> None:
        self.gemini, self.bedrock, self.anthropic = gemini, bedrock, anthropic
        kinds: list[tuple[str, str, Json, str]] = [
            ("deepseek", upstream.base_url("deepseek"), {"secret": upstream.key("deepseek")}, "deepseek-reasoner"),
            ("google", gemini.base_url(), {"secret": gemini.key()}, "gemini-3.8-flash"),
            ("anthropic", anthropic.base_url(), {"secret": anthropic.key()}, "claude-sonnet-4-5-20250929"),
            ("bedrock", bedrock.root, bedrock.access_key, "anthropic.claude-sonnet-4-5"),
            ("openai", upstream.base_url("openai"), {"secret": upstream.key("openai")}, "o3-mini"),
        ]
        self.names = [kind for kind, *_ in kinds]
        self.file: Json = {
            "providers": [
                {
                    "name": kind,
                    "kind": kind,
                    "base_url": url,
                    **({"region": "us-east-1"} if kind == "bedrock" else {}),
                    "credentials": [{"label": "c", **secret}],
                }
                for kind, url, secret, _ in kinds
            ],
            "models": [
                {"model": kind, "type": "chat", "routes": [{"provider": kind, "upstream_model": model}]}
                for kind, _, _, model in kinds
            ],
            "teams": [{"name": "acme", "keys": [{"name": "ci", "secret": HUB_KEY}]}],
        }


@pytest.fixture(scope="module")
def others() -> Iterator[tuple[GeminiUpstream, Bedrock, AnthropicUpstream]]:
    with ExitStack() as stack:
        enter = stack.enter_context
        yield enter(running_gemini()), enter(running_bedrock()), enter(running_anthropic())


@pytest.fixture
def vendors(upstream: Upstream, others: tuple[GeminiUpstream, Bedrock, AnthropicUpstream]) -> Vendors:
    return Vendors(upstream, *others)


def every_step(names: list[str]) -> list[str]:
    """A walk on which each vendor comes after each, itself among them."""
    walk = [names[0]]
    left = {(a, b) for a in names for b in names}
    while left:
        after = [b for b in names if (walk[-1], b) in left]
        # Where nothing is left from here, on to whoever still has something.
        onward = after[-1] if after else next(a for a, _ in sorted(left))
        left.discard((walk[-1], onward))
        walk.append(onward)
    assert {(a, b) for a in names for b in names} <= set(pairwise(walk))
    return walk


async def say(hub: RunningHub, model: str, messages: list[Json], **more: Any) -> Json:
    answer = await hub.http.post(
        "/v1/chat/completions", json={"model": model, "messages": messages, "tools": TOOLS, **more}
    )
    assert answer.status_code == 200, (model, len(messages), answer.text)
    return streamed_message(answer.text) if more.get("stream") else answer.json()["choices"][0]["message"]


def as_given_back(message: Json, *, is_faithful: bool) -> Json:
    """By a client that gives back all it got, or by one that keeps what OpenAI's format has."""
    if is_faithful:
        return message
    kept = {name: message.get(name) for name in ("role", "content", "tool_calls") if message.get(name)}
    if "tool_calls" in kept:
        kept["tool_calls"] = [{name: call[name] for name in ("id", "type", "function")} for call in kept["tool_calls"]]
    return kept


@pytest.mark.parametrize("effort", [None, "low"])
@pytest.mark.parametrize("is_faithful", [True, False], ids=["gives back all", "drops what it does not know"])
async def test_a_tool_loop_goes_on_at_every_other_vendor(
    hub_environ: dict[str, str], vendors: Vendors, is_faithful: bool, effort: str | None
) -> None:
    more = {} if effort is None else {"reasoning_effort": effort}
    messages: list[Json] = [{"role": "system", "content": "Be brief."}]
    async with running_hub(hub_environ, vendors.file) as hub:
        for n, (asked, answering) in enumerate(pairwise(every_step(vendors.names))):
            tools = "get_weather and get_time" if n % 2 else "get_weather"
            messages.append({"role": "user", "content": f"use {tools} for city {n}"})
            called = await say(hub, asked, messages, **more)
            assert len(called["tool_calls"]) == 1 + n % 2
            messages.append(as_given_back(called, is_faithful=is_faithful))
            messages += [
                {"role": "tool", "tool_call_id": call["id"], "content": f"cold {n}"} for call in called["tool_calls"]
            ]

            told = await say(hub, answering, messages, **more)

            assert f"cold {n}" in told["content"], (asked, answering)
            messages.append(as_given_back(told, is_faithful=is_faithful))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("between", ["openai", "deepseek"])
async def test_a_vendor_gets_its_own_signatures_back_after_another_has_spoken(
    hub_environ: dict[str, str], vendors: Vendors, between: str, stream: bool
) -> None:
    async with running_hub(hub_environ, vendors.file) as hub:
        for model in ("google", "anthropic", "bedrock"):
            messages: list[Json] = [{"role": "user", "content": "use get_weather"}]
            called = await say(hub, model, messages, reasoning_effort="low", stream=stream)
            [call] = called["tool_calls"]
            messages += [
                as_given_back(called, is_faithful=False),
                {"role": "tool", "tool_call_id": call["id"], "content": "cold"},
            ]
            await say(hub, between, messages)

            await say(hub, model, messages, reasoning_effort="low")

        [thought, used] = vendors.anthropic.last()["body"]["messages"][1]["content"]
        assert thought["type"] == "thinking" and thought["signature"] and used["type"] == "tool_use"
        [thought, used] = vendors.bedrock.last()["body"]["messages"][1]["content"]
        assert thought["reasoningContent"]["reasoningText"]["signature"] and "toolUse" in used
        [*_, signed] = vendors.gemini.last()["body"]["contents"][1]["parts"]
        assert signed["functionCall"]["name"] == "get_weather"
        assert signed["thoughtSignature"] == gemini_signature(signed["functionCall"]["id"])


async def test_a_client_of_anthropics_format_may_drop_geminis_signatures(
    hub_environ: dict[str, str], vendors: Vendors
) -> None:
    tools = [{"name": "get_weather", "description": "Asks.", "input_schema": WEATHER}]
    messages: list[Json] = [{"role": "user", "content": "use get_weather"}]
    asking = {"model": "google", "max_tokens": 2000, "tools": tools, "messages": messages}
    async with running_hub(hub_environ, vendors.file) as hub:
        first = await hub.http.post("/v1/messages", json=asking)
        assert first.status_code == 200, first.text
        used = [block for block in first.json()["content"] if block["type"] == "tool_use"]
        kept = [{name: block[name] for name in ("type", "id", "name", "input")} for block in used]
        results = [{"type": "tool_result", "tool_use_id": block["id"], "content": "cold"} for block in used]
        messages += [{"role": "assistant", "content": kept}, {"role": "user", "content": results}]

        answer = await hub.http.post("/v1/messages", json=asking)

        assert answer.status_code == 200 and "cold" in answer.json()["content"][-1]["text"], answer.text
        [*_, signed] = vendors.gemini.last()["body"]["contents"][1]["parts"]
        assert signed["thoughtSignature"] == gemini_signature(signed["functionCall"]["id"])


@pytest.mark.parametrize("model", ["anthropic", "bedrock"])
async def test_a_client_of_geminis_format_may_drop_anthropics_signatures(
    hub_environ: dict[str, str], vendors: Vendors, model: str
) -> None:
    asking: Json = {
        "contents": [{"role": "user", "parts": [{"text": "use get_weather"}]}],
        "tools": [{"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": WEATHER}]}],
        "generationConfig": {"maxOutputTokens": 4000, "thinkingConfig": {"thinkingBudget": 1024}},
    }
    path = f"/v1beta/models/{model}:generateContent"
    async with running_hub(hub_environ, vendors.file) as hub:
        first = await hub.http.post(path, json=asking)
        assert first.status_code == 200, first.text
        parts = first.json()["candidates"][0]["content"]["parts"]
        called = [{"functionCall": part["functionCall"]} for part in parts if "functionCall" in part]
        results = [{"functionResponse": {**call["functionCall"], "response": {"output": "cold"}}} for call in called]
        for result in results:
            del result["functionResponse"]["args"]
        asking["contents"] += [{"role": "model", "parts": called}, {"role": "user", "parts": results}]

        answer = await hub.http.post(path, json=asking)

        assert answer.status_code == 200, answer.text
        sent = (vendors.anthropic if model == "anthropic" else vendors.bedrock).last()["body"]
        thought = sent["messages"][1]["content"][0]
        assert thought.get("signature") or thought["reasoningContent"]["reasoningText"]["signature"]
