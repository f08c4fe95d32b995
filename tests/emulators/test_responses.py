"""The stand-in's Responses API refuses what OpenAI refuses, so that a test through the hub proves something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.emulators.handle import Upstream, running_upstream

ASK: dict[str, Any] = {"model": "o3-mini", "input": "hello"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "x"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with running_upstream() as started:
        yield started


def _ask(upstream: Upstream, kind: str = "openai", **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {upstream.key(kind)}"}
    url = upstream.base_url(kind) + "/responses"
    return httpx.post(url, json=ASK | more, headers=headers, trust_env=False, timeout=10)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"include": ["everything"]}, "include[0]"),
        ({"model": "gpt-4o-mini", "include": ["reasoning.encrypted_content"]}, "include"),
        ({"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": ""}]}]},
            "input[0].content[0].type",
        ),
        ({"input": [{"role": "user", "content": "x", "extra": 1}]}, "input[0].extra"),
        ({"input": [RESULT]}, "input"),
        ({"input": [CALL]}, "input"),
        ({"input": [{**CALL, "id": "call_1"}, RESULT]}, "input[0].id"),
        ({"input": [{"type": "item_reference", "id": "rs_1"}]}, "input"),
        ({"input": [{"type": "reasoning", "summary": []}]}, "input"),
        (
            {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "gAAAAAAAA"}]},
            "input[0].encrypted_content",
        ),
    ],
)
def test_a_wrong_request_is_refused_by_name(upstream: Upstream, change: Any, param: str) -> None:
    answer = _ask(upstream, **change)

    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["param"] == param


def test_a_seal_is_good_at_the_provider_that_made_it_alone(upstream: Upstream) -> None:
    made = _ask(upstream, include=["reasoning.encrypted_content"]).json()["output"][0]
    items = [made, {"role": "user", "content": "again"}]

    assert made["type"] == "reasoning"
    assert _ask(upstream, input=items).status_code == 200
    assert _ask(upstream, "xai", model="grok-4-reasoner", input=items).status_code == 400
