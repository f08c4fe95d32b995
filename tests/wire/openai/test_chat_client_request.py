"""What callers of chat completions may write, and where they are told that it is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.base.errors import BadRequest
from app.wire.neutral import (
    Audio,
    CacheMark,
    File,
    Image,
    Opaque,
    OutputFormat,
    Reasoning,
    ReasoningWish,
    Refusal,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.wire.openai.chats import HELLO, read

CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
OTHER_TOOL = {"type": "function", "function": {"name": "listen"}}


def test_results_of_one_turn_are_one_message() -> None:
    second = CALL | {"id": "call_2"}
    said = read(
        [
            {"role": "user", "content": "look twice"},
            {"role": "assistant", "content": None, "tool_calls": [CALL, second]},
            {"role": "tool", "tool_call_id": "call_1", "content": "blue"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "grey"}]},
            {"role": "user", "content": "and?"},
        ]
    )

    results = said.messages[2].parts
    assert [(part.call_id, part.parts[0]) for part in results if isinstance(part, ToolResult)] == [
        ("call_1", Text(text="blue", at="messages[2].content")),
        ("call_2", Text(text="grey", at="messages[3].content[0]")),
    ]
    assert [message.role for message in said.messages] == ["user", "assistant", "user", "user"]


def test_the_older_functions_are_tools() -> None:
    said = read(
        [
            *HELLO,
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
            {"role": "function", "name": "look", "content": "blue"},
        ],
        functions=[{"name": "look", "parameters": {"type": "object"}}],
        function_call={"name": "look"},
    )

    call, result = said.messages[1].parts[0], said.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.id == result.call_id == "look"
    assert [tool.name for tool in said.tools] == ["look"]
    assert (said.tool_choice, said.unread) == (ToolChoice(mode="tool", name="look"), ())


def test_instructions_before_and_within_the_conversation_are_told_apart() -> None:
    said = read(
        [
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
            *HELLO,
            {"role": "system", "content": "now in French"},
        ]
    )

    assert [text.text for text in said.system] == ["be brief", "be kind"]
    assert [message.role for message in said.messages] == ["user", "system"]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_are_read_under_both_names(field: str) -> None:
    said = read([{"role": "assistant", "content": "four", field: "two and two"}])

    assert said.messages[0].parts[0] == Reasoning(text="two and two", at=f"messages[0].{field}")


def test_openrouters_details_are_kept_whole_for_openrouter() -> None:
    details = [
        {"type": "reasoning.text", "text": "two", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "xyz", "format": "anthropic-claude-v1", "index": 1},
    ]
    said = read([{"role": "assistant", "content": "four", "reasoning": "two", "reasoning_details": details}])

    thought = said.messages[0].parts[0]
    assert isinstance(thought, Reasoning)
    assert thought.text == "two"
    assert thought.opaque is not None
    assert (thought.opaque.origin, json.loads(thought.opaque.value)) == ("openrouter", details)


def test_details_of_ours_without_a_signature_are_plain_thoughts() -> None:
    details = [{"type": "reasoning.text", "text": "two", "signature": None, "format": None, "index": 0}]
    said = read([{"role": "assistant", "content": "four", "reasoning_content": "two", "reasoning_details": details}])

    assert said.messages[0].parts[0] == Reasoning(text="two", at="messages[0].reasoning_details")


def test_a_client_that_keeps_the_signature_and_not_the_text_gets_both_together_again() -> None:
    details = [{"type": "reasoning.text", "text": "", "signature": "hub1.anthropic.sig", "format": None, "index": 0}]
    said = read([{"role": "assistant", "content": "4", "reasoning_content": "two", "reasoning_details": details}])

    thought = said.messages[0].parts[0]
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.opaque) == ("two", Opaque("anthropic", "sig"))


def test_parts_of_all_kinds_are_read() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "see", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": "DATA:image/JPEG;base64,aGk="},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
    ]
    seen = read([{"role": "user", "content": parts}]).messages[0].parts

    text, shown, inline, sound, document, kept, film = seen
    assert isinstance(text, Text) and text.cache == CacheMark("1h")
    assert isinstance(shown, Image) and (shown.source.url, shown.detail) == ("https://example.com/a.png", "low")
    assert isinstance(inline, Image) and (inline.source.data, inline.source.media_type) == ("aGk=", "image/jpeg")
    assert isinstance(sound, Audio) and sound.source.media_type == "audio/mpeg"
    assert isinstance(document, File) and (document.name, document.source.media_type) == ("a.pdf", "application/pdf")
    assert isinstance(kept, File) and kept.source.file_id == "file-1"
    assert isinstance(film, File) and film.source.media_type == "video/mp4"


def test_arguments_may_be_the_object_itself() -> None:
    call = CALL | {"function": {"name": "look", "arguments": {"at": "sky"}}}
    said = read([*HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}])

    part = said.messages[1].parts[0]
    assert isinstance(part, ToolCall)
    assert json.loads(bytes(part.arguments)) == {"at": "sky"}


def test_a_refusal_is_read_wherever_it_stands() -> None:
    parts = [{"type": "refusal", "refusal": "no"}]
    said = read([{"role": "assistant", "content": parts}, {"role": "assistant", "content": None, "refusal": "never"}])

    assert [part.text for m in said.messages for part in m.parts if isinstance(part, Refusal)] == ["no", "never"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"reasoning_effort": "high"}, ReasoningWish(effort="high")),
        ({"reasoning": {"effort": "low", "exclude": True}}, ReasoningWish(effort="low", is_shown=False)),
        ({"reasoning": {"max_tokens": 2000}}, ReasoningWish(budget_tokens=2000)),
        ({"reasoning": {"enabled": False}}, ReasoningWish(effort="none")),
        ({"thinking": {"type": "disabled"}}, ReasoningWish(effort="none")),
        ({"thinking": {"type": "enabled"}, "reasoning_effort": "max"}, ReasoningWish(effort="max")),
        ({}, None),
    ],
)
def test_a_wish_to_think_is_read_in_each_spelling(given: dict[str, Any], wanted: ReasoningWish | None) -> None:
    said = read(**given)

    assert (said.reasoning, said.unread) == (wanted, ())


def test_of_two_limits_the_new_one_counts() -> None:
    said = read(max_tokens=5, max_completion_tokens=7)

    assert (said.sampling.max_tokens, said.at("max_tokens")) == (7, "max_completion_tokens")


def test_tools_that_are_not_allowed_are_not_offered() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "listen"}}]}
    said = read(tools=[TOOL, OTHER_TOOL], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})

    assert ([tool.name for tool in said.tools], said.tool_choice) == (["listen"], ToolChoice(mode="required"))


def test_what_has_no_place_is_remembered_with_its_path() -> None:
    said = read(
        [{"role": "user", "content": [{"type": "text", "text": "a", "color": "red"}], "mood": "sad"}],
        tools=[{"type": "web_search"}],
        web_search_options={"a": 1},
    )

    assert sorted(said.unread) == ["messages[0].content[0].color", "messages[0].mood", "tools[0]", "web_search_options"]
    assert json.loads(bytes(said.extras["web_search_options"])) == {"a": 1}


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        ([{"role": "narrator", "content": "x"}], "messages[0].role"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "hologram"}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0].image_url"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "file:///x"}]}], "messages[0].content[0]"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "system", "content": [{"type": "image_url", "image_url": "https://a"}]}], "messages[0].content[0]"),
        ([*HELLO, {"role": "assistant", "tool_calls": [{"id": "a"}]}], "messages[1].tool_calls[0].function"),
    ],
)
def test_a_message_that_is_wrong_is_named(messages: list[dict[str, Any]], path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(messages)

    assert caught.value.param == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": [1]}, "stop[0]"),
        ({"reasoning_effort": "heroic"}, "reasoning_effort"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}},
            "response_format.json_schema.schema",
        ),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function.name"),
    ],
)
def test_a_setting_that_is_wrong_is_named(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)

    assert caught.value.param == path


def test_json_modes_are_told_apart() -> None:
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True, "description": "d"}

    assert read(response_format={"type": "text"}).output is None
    assert read(response_format={"type": "json_object"}).output == OutputFormat(mode="json")
    made = read(response_format={"type": "json_schema", "json_schema": schema}).output
    assert made is not None
    assert (made.mode, made.name, made.strict, made.description) == ("json_schema", "n", True, "d")
