"""What Anthropic is sent: legal histories, and each generation's own words for thinking."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from app.base.errors import BadRequest
from app.wire.anthropic import models
from app.wire.neutral import (
    CacheMark,
    Conversation,
    File,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    ReasoningWish,
    Sampling,
    Source,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolSpec,
)
from app.wire.neutral_answer import (
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from app.wire.notes import Notes
from tests.wire.anthropic.messages import noted, streamed, transcript, write

BUDGET, BOTH, NEWEST = "claude-haiku-4-5-20251001", "claude-opus-4-6", "claude-opus-5-5"
F = ToolSpec(name="f", at="tools[0]")


def _said(*parts: Any, role: str = "user") -> Message:
    return Message(role=role, parts=parts, at="messages[0]")  # type: ignore[arg-type]


HI = _said(Text(text="hi"))


def _asked(**changes: Any) -> Conversation:
    return Conversation(**({"messages": (HI,)} | changes))


@pytest.mark.parametrize(
    ("name", "family", "version"),
    [
        ("claude-opus-4-20250514", "opus", (4, 0)),
        ("claude-opus-4-1-20250805", "opus", (4, 1)),
        ("claude-3-7-sonnet-20250219", "sonnet", (3, 7)),
        ("claude-3-haiku-20240307", "haiku", (3, 0)),
        ("claude-sonnet-5-5", "sonnet", (5, 5)),
        ("claude-fable-5", "fable", (5, 0)),
        ("a-model-of-tomorrow", "opus", (99, 0)),
    ],
)
def test_a_name_tells_the_generation(name: str, family: str, version: tuple[int, int]) -> None:
    assert models.claude(name) == models.Claude(family, version)


@pytest.mark.parametrize(
    ("model", "most"), [("claude-3-opus-20240229", 4096), ("claude-3-5-haiku-20241022", 8192), (NEWEST, 32_000)]
)
def test_a_missing_limit_is_set_and_told(model: str, most: int) -> None:
    notes = Notes()
    assert write(_asked(), model, notes)["max_tokens"] == most
    assert noted(notes) == {("defaulted", "max_tokens")}
    assert write(_asked(sampling=Sampling(max_tokens=7)), model)["max_tokens"] == 7


def test_results_of_a_turn_stand_together_and_first() -> None:
    calls = [ToolCall(id=f"call:{n}", name="f") for n in range(2)]
    body = write(
        _asked(
            messages=(
                HI,
                _said(Text(text="both"), *calls, role="assistant"),
                _said(Text(text="meanwhile")),
                _said(ToolResult(call_id="call:1", parts=(Text(text="b"),))),
                _said(ToolResult(call_id="call:0", parts=(Text(text="a"),), is_error=True), Text(text="so?")),
            ),
        )
    )
    uses = [block["id"] for block in body["messages"][1]["content"][1:]]
    results = body["messages"][2]["content"]
    assert [block["type"] for block in results] == ["tool_result", "tool_result", "text", "text"]
    assert [block["tool_use_id"] for block in results[:2]] == uses
    assert [block["content"] for block in results[:2]] == ["a", "b"]
    assert results[0]["is_error"] is True


def test_calls_without_results_and_results_without_calls_are_made_legal_and_told() -> None:
    notes = Notes()
    body = write(
        _asked(
            messages=(
                HI,
                _said(ToolCall(id="lost", name="f"), role="assistant"),
                _said(ToolResult(call_id="nobody", parts=(Text(text="unasked"),))),
            )
        ),
        notes=notes,
    )
    result, text = body["messages"][2]["content"]
    assert (result["tool_use_id"], result["is_error"]) == ("lost", True)
    assert text == {"type": "text", "text": "unasked"}
    assert ("emulated", "messages[0]") in noted(notes)


def test_pain_P58_thoughts_go_back_to_the_vendor_whose_they_are_alone() -> None:
    notes = Notes()
    thoughts = (
        Reasoning(text="mine", opaque=Opaque("anthropic", "sig"), at="a"),
        Reasoning(opaque=Opaque("anthropic", "hid"), is_redacted=True, at="b"),
        Reasoning(text="theirs", opaque=Opaque("google", "sig"), at="c"),
        Reasoning(text="nobody's", at="d"),
    )
    body = write(_asked(messages=(HI, _said(*thoughts, Text(text="x"), role="assistant"), HI)), notes=notes)
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "sig"},
        {"type": "redacted_thinking", "data": "hid"},
        {"type": "text", "text": "x"},
    ]
    assert {("dropped", "c"), ("dropped", "d")} <= noted(notes)


def test_pain_P61_cache_marks_arrive_wherever_they_stood() -> None:
    hour, short = CacheMark("1h"), CacheMark("5m")
    body = write(
        _asked(
            system=(Text(text="law", cache=hour),),
            messages=(_said(Text(text="x", cache=short), ToolResult(call_id="r", cache=short)),),
            tools=(ToolSpec(name="f", cache=hour, at="tools[0]"),),
            cache_all=short,
        )
    )
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][0]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert body["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("model", "wish", "thinking", "config"),
    [
        (BUDGET, ReasoningWish(effort="low"), {"type": "enabled", "budget_tokens": 2048}, None),
        (BUDGET, ReasoningWish(budget_tokens=9000), {"type": "enabled", "budget_tokens": 3999}, None),
        (BUDGET, ReasoningWish(effort="none"), None, None),
        (BOTH, ReasoningWish(effort="xhigh"), {"type": "adaptive"}, {"effort": "max"}),
        (BOTH, ReasoningWish(budget_tokens=2000), {"type": "adaptive"}, {"effort": "low"}),
        (NEWEST, ReasoningWish(effort="high"), {"type": "adaptive", "display": "summarized"}, {"effort": "high"}),
        (NEWEST, ReasoningWish(is_shown=False), {"type": "adaptive", "display": "omitted"}, None),
        (NEWEST, ReasoningWish(effort="none"), None, {"effort": "low"}),
        ("claude-sonnet-5-5", ReasoningWish(effort="none"), {"type": "between_tools"}, None),
        ("claude-opus-5", ReasoningWish(effort="none"), {"type": "disabled"}, None),
        ("claude-3-5-haiku-20241022", ReasoningWish(effort="high"), None, None),
    ],
)
def test_each_generation_is_told_to_think_in_its_own_words(
    model: str, wish: ReasoningWish, thinking: Any, config: Any
) -> None:
    body = write(_asked(reasoning=wish, sampling=Sampling(max_tokens=4000)), model)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == config


def test_a_forced_tool_goes_before_thinking_and_the_loss_is_told() -> None:
    notes = Notes()
    asked = _asked(tools=(F,), tool_choice=ToolChoice(mode="required"), reasoning=ReasoningWish(effort="high"))
    body = write(asked, BUDGET, notes)
    assert body["tool_choice"] == {"type": "any"}
    assert "thinking" not in body
    assert ("dropped", "reasoning") in noted(notes)
    notes = Notes()
    assert write(asked, NEWEST, notes)["tool_choice"] == {"type": "auto"}
    assert ("dropped", "tool_choice") in noted(notes)


def test_a_single_tool_at_a_time_is_asked_for() -> None:
    body = write(_asked(tools=(F,), has_parallel_tools=False))
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert body["tools"][0]["input_schema"]["type"] == "object"


def test_a_schema_is_narrowed_to_what_is_taken_and_the_rest_is_told() -> None:
    schema = {
        "type": "object",
        "properties": {"minimum": {"type": "integer", "minimum": 3}, "list": {"type": "array", "items": {"oneOf": []}}},
        "additionalProperties": {"type": "string"},
    }
    notes = Notes()
    output = OutputFormat(mode="json_schema", schema=Raw(json.dumps(schema).encode()))
    format_ = write(_asked(output=output), BOTH, notes)["output_config"]["format"]
    assert format_ == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"minimum": {"type": "integer"}, "list": {"type": "array", "items": {"anyOf": []}}},
            "additionalProperties": False,
        },
    }
    assert ("dropped", "output") in noted(notes)


@pytest.mark.parametrize(
    "part",
    [
        Image(source=Source(data="AAAA", media_type="image/tiff"), at="p"),
        Image(source=Source(url="http://a.example/b.png"), at="p"),
        Image(source=Source(file_id="file-1"), at="p"),
        File(source=Source(data="AAAA", media_type="video/mp4"), at="p"),
        File(source=Source(data="//79", media_type="text/plain"), at="p"),
    ],
)
def test_what_claude_does_not_take_is_refused_with_its_path(part: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        write(_asked(messages=(_said(part),)))
    assert caught.value.param == "p"


def test_instructions_in_the_middle_go_where_the_model_takes_them() -> None:
    messages = (HI, Message(role="system", parts=(Text(text="Be brief."),), at="messages[1]"))
    assert [one["role"] for one in write(_asked(messages=messages), NEWEST)["messages"]] == ["user", "system"]
    notes = Notes()
    (only,) = write(_asked(messages=messages), BOTH, notes)["messages"]
    assert only["content"][1]["text"] == "<system>\nBe brief.\n</system>"
    assert ("emulated", "messages[1]") in noted(notes)


def test_a_recorded_stream_is_read_as_events() -> None:
    events, reader = streamed(transcript("stream.sse"))
    assert events[0] == ReasoningDelta("The weather ")
    assert events[2] == ReasoningEnd(Opaque("anthropic", "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pki"))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Okay, let's check the weather:"
    assert ToolCallStart(0, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather") in events
    arguments = "".join(event.text for event in events if isinstance(event, ToolCallDelta))
    assert json.loads(arguments) == {"location": "San Francisco, CA", "unit": "fahrenheit"}
    assert events[-1] == Finished("tool_calls")
    assert (reader.is_complete, reader.has_begun, reader.error) == (True, True, None)


def test_an_error_in_a_stream_ends_it() -> None:
    events, reader = streamed(transcript("stream_error.sse") + transcript("stream_older.sse"))
    assert events == [TextDelta("Hello")]
    assert json.loads(bytes(reader.error))["type"] == "overloaded_error"
    assert not reader.is_complete


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("pause_turn", "pause"),
        ("refusal", "content_filter"),
        ("of tomorrow", "stop"),
    ],
)
def test_every_reason_to_stop_has_its_word(reason: str, finish: str) -> None:
    delta = {"stop_reason": reason, "stop_sequence": "X", "stop_details": {"type": "refusal", "explanation": "No."}}
    events, _ = streamed(b"data: " + json.dumps({"type": "message_delta", "delta": delta}).encode() + b"\n\n")
    assert events[-1] == Finished(finish, "X")  # type: ignore[arg-type]
    assert (RefusalDelta("No.") in events) == (reason == "refusal")
