"""Where a provider's requests differ from OpenAI's: changed by name, and nothing else touched."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from app.adapters.providers import deviations
from app.adapters.providers.registry import KINDS
from app.wire.request import Deviation

CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def changed(deviate: Deviation, document: dict[str, Any]) -> dict[str, Any]:
    raw = msgspec.json.decode(json.dumps(document).encode(), type=dict[str, Raw])
    deviate(raw)
    return json.loads(msgspec.json.encode(raw))


@pytest.mark.parametrize("kind", ["deepseek", "doubao"])
def test_thinking_is_switched_off_where_the_effort_has_no_word_for_it(kind: str) -> None:
    off = deviations.thinking_off_by_its_switch

    assert changed(off, {"reasoning_effort": "none"}) == {"thinking": {"type": "disabled"}}
    assert changed(off, {"reasoning_effort": "high"}) == {"reasoning_effort": "high"}
    assert changed(off, {"reasoning_effort": "none", "thinking": {"type": "auto"}}) == {"thinking": {"type": "auto"}}
    assert off in KINDS[kind].deviations["chat.completions"]


def test_calls_whose_thoughts_a_client_dropped_are_taken_by_deepseek() -> None:
    history = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm"},
        {"role": "assistant", "content": "four"},
    ]
    made = changed(deviations.thoughts_beside_tool_calls, {"messages": history})["messages"]

    assert [message.get("reasoning_content") for message in made] == [None, "", "hm", None]
    assert deviations.thoughts_beside_tool_calls in KINDS["deepseek"].deviations["chat.completions"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"messages": []},
        {"messages": 'no list of "tool_calls"'},
        {"messages": [5, {"role": "assistant", "content": 'about "tool_calls"'}]},
    ],
)
def test_what_has_no_calls_stays_as_it_came(document: dict[str, Any]) -> None:
    assert changed(deviations.thoughts_beside_tool_calls, document) == document


def test_the_limit_has_one_name_at_ollama_too() -> None:
    assert deviations.max_tokens_by_its_old_name in KINDS["ollama"].deviations["chat.completions"]
