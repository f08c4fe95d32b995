"""A schema that the provider cannot promise: asked for in another way, checked, and paid for once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.emulators.handle import Upstream
from tests.hubs import described, events, running_hub, said

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WANTED = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}
ASK = [{"role": "user", "content": "who are you?"}]
BREAK = [{"role": "user", "content": "break the schema"}]


def served(upstream: Upstream, kind: str, **more: Any) -> dict[str, Any]:
    model = {"deepseek": "deepseek-reasoner", "poe": "GPT-5-mini"}[kind]
    return described(upstream, kind=kind, models={"chat": f"one/{model}"}, **more)


@pytest.mark.parametrize("kind", ["deepseek", "poe"])
async def test_an_answer_by_the_schema_costs_one_call(
    hub_environ: dict[str, str], upstream: Upstream, kind: str
) -> None:
    async with running_hub(hub_environ, served(upstream, kind)) as hub:
        whole = await hub.chat(messages=ASK, response_format=WANTED)
        streamed = await hub.stream(messages=ASK, response_format=WANTED, stream_options={"include_usage": True})
        calls = await hub.calls()

    assert (whole.status_code, streamed.status_code) == (200, 200)
    assert whole.headers["x-hub-fidelity"] == 'emulated=("response_format")'
    for text in (whole.json()["choices"][0]["message"]["content"], said(streamed.text)):
        assert set(json.loads(text)) == {"name", "age"}
    assert events(streamed.text)[-1] == "[DONE]"
    assert len(upstream.calls(kind)) == 2
    assert [(call.status, call.usage_source) for call in calls] == [("succeeded", "provider")] * 2
    sent = upstream.last(kind)["body"]
    assert sent.get("response_format") == ({"type": "json_object"} if kind == "deepseek" else None)
    assert json.dumps(SCHEMA, separators=(",", ":")) in sent["messages"][0]["content"]


@pytest.mark.parametrize("kind", ["deepseek", "poe"])
async def test_an_answer_beside_the_schema_is_an_error_with_its_place_and_is_billed_once(
    hub_environ: dict[str, str], upstream: Upstream, kind: str
) -> None:
    async with running_hub(hub_environ, served(upstream, kind)) as hub:
        whole = await hub.chat(messages=BREAK, response_format=WANTED)
        streamed = await hub.stream(messages=BREAK, response_format=WANTED)
        calls = await hub.calls()

    error = whole.json()["error"]
    assert (whole.status_code, error["code"], error["param"], error["owner"]) == (
        502,
        "schema_mismatch",
        "$",
        "provider",
    )
    last = json.loads(events(streamed.text)[-1])["error"]
    assert (last["code"], last["param"]) == ("schema_mismatch", "$")
    assert len(upstream.calls(kind)) == 2
    assert [(call.error_code, call.usage_source) for call in calls] == [("schema_mismatch", "provider")] * 2
    assert all(call.output > 0 for call in calls)


async def test_a_schema_that_is_none_costs_nothing(hub_environ: dict[str, str], upstream: Upstream) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "http://10.0.0.1/schema.json"}}}
    async with running_hub(hub_environ, served(upstream, "deepseek")) as hub:
        answer = await hub.chat(messages=ASK, response_format=schema)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format")
    assert upstream.calls("deepseek") == []


async def test_what_the_client_says_in_the_same_format_is_passed_on_beside_the_schema(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, served(upstream, "deepseek")) as hub:
        answer = await hub.chat(
            messages=ASK, response_format=WANTED, user_id="u-1", thinking={"type": "disabled"}, max_tokens=90
        )

    sent = upstream.last("deepseek")["body"]
    assert (sent["user_id"], sent["max_tokens"]) == ("u-1", 90)
    assert sent["thinking"] == {"type": "disabled"}
    assert "user_id" not in answer.headers["x-hub-fidelity"]


async def test_a_tool_loop_begun_elsewhere_goes_on_at_deepseek(hub_environ: dict[str, str], upstream: Upstream) -> None:
    call = {"id": "toolu_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "blue"},
    ]
    async with running_hub(hub_environ, served(upstream, "deepseek")) as hub:
        answer = await hub.chat(messages=history)

    assert answer.status_code == 200
    assert "blue" in answer.json()["choices"][0]["message"]["content"]
