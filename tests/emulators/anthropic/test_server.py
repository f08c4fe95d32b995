"""The emulated Anthropic refuses what the real one refuses; else tests against it would prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.emulators.anthropic.handle import running_anthropic
from tests.emulators.anthropic.server import KEY

HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
HELLO: dict[str, Any] = {"role": "user", "content": "hello"}
BUDGET, NEWEST = "claude-haiku-4-5-20251001", "claude-opus-5-5"
TOOL: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}
USE: dict[str, Any] = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with (
        running_anthropic() as upstream,
        httpx.Client(base_url=upstream.root, headers=HEADERS, trust_env=False) as client,
    ):
        yield client


def _result(id_: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, "content": "x"}


def _user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


MARK = {"cache_control": {"type": "ephemeral"}}
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("max_tokens", {"max_tokens": None}),
    ("max_tokens", {"max_tokens": 10**6}),
    ("first message", {"messages": [USE]}),
    ("role", {"messages": [{"role": "tool", "content": "x"}]}),
    ("Extra inputs", {"seed": 5}),
    ("Extra inputs", {"messages": [{**HELLO, "name": "ada"}]}),
    ("non-empty", {"messages": [{"role": "user", "content": []}]}),
    ("non-whitespace", {"messages": [_user({"type": "text", "text": " "})]}),
    ("unexpected `tool_use_id`", {"messages": [HELLO, _user(_result("a"))]}),
    ("unexpected `tool_use_id`", {"messages": [HELLO, USE, _user(_result("a"), _result("b"))]}),
    ("without `tool_result`", {"messages": [HELLO, USE, HELLO]}),
    ("without `tool_result`", {"messages": [HELLO, USE]}),
    ("must come first", {"messages": [HELLO, USE, _user({"type": "text", "text": "x"}, _result("a"))]}),
    (
        "should match pattern",
        {"messages": [HELLO, {"role": "assistant", "content": [{**USE["content"][0], "id": "functions.f:0"}]}]},
    ),
    (
        "Invalid `signature`",
        {
            "messages": [
                HELLO,
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "y"}]},
            ]
        },
    ),
    ("ephemeral", {"system": [{"type": "text", "text": "x", "cache_control": {"type": "forever"}}]}),
    ("ttl", {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "2h"}}]}),
    ("maximum of 4", {"system": [{"type": "text", "text": "x", **MARK}] * 5}),
    (
        "base64",
        {"messages": [_user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "?"}})]},
    ),
    ("HTTPS", {"messages": [_user({"type": "image", "source": {"type": "url", "url": "http://a.example"}})]}),
    ("input_schema", {"tools": [{"name": "f", "input_schema": {}}]}),
    ("providing tools", {"tool_choice": {"type": "auto"}}),
    ("budget_tokens", {"thinking": {"type": "enabled", "budget_tokens": 5}}),
    ("greater than", {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 2000}),
    ("not supported", {"thinking": {"type": "adaptive"}}),
    (
        "forces tool use",
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": [TOOL], "tool_choice": {"type": "any"}},
    ),
    ("only be set to 1", {"thinking": {"type": "enabled", "budget_tokens": 1024}, "temperature": 0.5}),
    ("cannot both", {"temperature": 0.5, "top_p": 0.5}),
    ("range", {"temperature": 1.5}),
    ("not supported", {"model": NEWEST, "temperature": 0.5}),
    ("not supported", {"model": NEWEST, "thinking": {"type": "disabled"}}),
    ("forced tool use", {"model": NEWEST, "tools": [TOOL], "tool_choice": {"type": "any"}}),
    ("prefill", {"model": NEWEST, "messages": [HELLO, {"role": "assistant", "content": "Well"}]}),
    ("additionalProperties", {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
    ("non-whitespace", {"stop_sequences": [" "]}),
]


@pytest.mark.parametrize(("words", "fields"), REFUSED)
def test_what_anthropic_refuses_is_refused(http: httpx.Client, words: str, fields: dict[str, Any]) -> None:
    body = {"model": BUDGET, "max_tokens": 3000, "messages": [HELLO]} | fields
    answer = http.post("/v1/messages", json={name: value for name, value in body.items() if value is not None})

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert words in answer.json()["error"]["message"]


def test_the_newest_version_knows_no_sampling(http: httpx.Client) -> None:
    body = {"model": BUDGET, "max_tokens": 9, "messages": [HELLO], "temperature": 1}
    assert http.post("/v1/messages", json=body).status_code == 200
    newest = http.post("/v1/messages", json=body, headers={"anthropic-version": "2026-10-21"})
    assert newest.status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"), [({"x-api-key": "wrong"}, 401), ({"anthropic-version": "1999-01-01"}, 400)]
)
def test_key_and_version_are_checked(http: httpx.Client, headers: dict[str, str], status: int) -> None:
    body = {"model": BUDGET, "max_tokens": 9, "messages": [HELLO]}
    assert http.post("/v1/messages", json=body, headers=headers).status_code == status


def test_an_unknown_model_is_not_found(http: httpx.Client) -> None:
    answer = http.post("/v1/messages", json={"model": "claude-none", "max_tokens": 9, "messages": [HELLO]})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
