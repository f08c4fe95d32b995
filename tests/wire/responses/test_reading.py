"""What callers of the Responses API say, read: items become turns, and nothing is lost unsaid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.base.errors import BadRequest
from app.wire.neutral import (
    CacheMark,
    File,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Refusal,
    Sampling,
    Source,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from app.wire.request import Request
from app.wire.responses import client
from tests.wire.responses.requests import read, request

PICTURE = "data:image/png;base64,aGVsbG8="


def _user(part: Any) -> Any:
    return [{"role": "user", "content": [part]}]


def test_a_text_alone_is_a_message_and_instructions_are_the_system() -> None:
    said = read(input="hi", instructions="be brief")

    assert said.messages == (Message(role="user", parts=(Text(text="hi", at="input"),), at="input"),)
    assert said.system == (Text(text="be brief", at="instructions"),)


def test_what_the_assistant_did_in_one_go_is_one_message_and_so_are_the_results() -> None:
    said = read(
        input=[
            {"type": "message", "role": "developer", "content": "rules"},
            {"role": "user", "content": "go"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "so", "annotations": []}], "id": "msg_1"},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x":1}', "status": "completed"},
            {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "*** {"},
            {"type": "function_call_output", "call_id": "a", "output": "1"},
            {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
            {"role": "developer", "content": "new rules"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        ]
    )

    assert [text.text for text in said.system] == ["rules"]
    assert [message.role for message in said.messages] == ["user", "assistant", "user", "system", "assistant"]
    thought, text, call, custom = said.messages[1].parts
    assert isinstance(thought, Reasoning) and thought.text == "hm"
    assert isinstance(text, Text) and text.text == "so"
    assert isinstance(call, ToolCall) and (call.id, call.name, bytes(call.arguments)) == ("a", "f", b'{"x":1}')
    assert isinstance(custom, ToolCall) and json.loads(bytes(custom.arguments)) == {"input": "*** {"}
    results = said.messages[2].parts
    assert [part.call_id for part in results if isinstance(part, ToolResult)] == ["a", "b"]
    assert said.messages[4].parts == (Refusal(text="no", at="input[9].content[0]"),)
    assert said.unread == ()


def test_pictures_and_files_come_with_their_source() -> None:
    image = {"type": "input_image", "image_url": PICTURE, "detail": "low"}
    image["prompt_cache_breakpoint"] = {"mode": "explicit", "ttl": "12h"}
    data = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGVsbG8="}
    url, kept = {"type": "input_file", "file_url": "https://a.b/c.pdf"}, {"type": "input_file", "file_id": "file_1"}
    said = read(input=[{"role": "user", "content": [image, data, url, kept]}])

    parts = said.messages[0].parts
    at = "input[0].content"
    assert parts[0] == Image(
        source=Source(data="aGVsbG8=", media_type="image/png"), detail="low", cache=CacheMark("1h"), at=f"{at}[0]"
    )
    assert parts[1] == File(source=Source(data="aGVsbG8=", media_type="application/pdf"), name="a.pdf", at=f"{at}[1]")
    assert isinstance(parts[2], File) and parts[2].source == Source(url="https://a.b/c.pdf")
    assert isinstance(parts[3], File) and parts[3].source == Source(file_id="file_1")


@pytest.mark.parametrize(
    ("sealed", "opaque", "is_redacted"),
    [
        ("gAAAA", Opaque("openai", "gAAAA"), False),
        ("hub1.anthropic.c2ln", Opaque("anthropic", "c2ln"), False),
        ("hub1.anthropic.redacted.c2ln", Opaque("anthropic", "c2ln"), True),
    ],
)
def test_a_seal_says_whose_it_is(sealed: str, opaque: Opaque, is_redacted: bool) -> None:
    said = read(input=[{"type": "reasoning", "summary": [], "encrypted_content": sealed}])

    (thought,) = said.messages[0].parts
    assert isinstance(thought, Reasoning)
    assert (thought.opaque, thought.is_redacted) == (opaque, is_redacted)


def test_settings_arrive_and_know_their_place() -> None:
    said = read(
        max_output_tokens=50,
        temperature=0.5,
        top_p=1,
        top_logprobs=2,
        parallel_tool_calls=False,
        safety_identifier="u1",
        user="u0",
        service_tier="flex",
        reasoning={"effort": "high", "summary": "auto"},
        text={"verbosity": "low", "format": {"type": "json_schema", "name": "n", "strict": True, "schema": {}}},
    )

    assert said.sampling == Sampling(max_tokens=50, temperature=0.5, top_p=1, logprobs=2)
    assert (said.user, said.service_tier, said.verbosity, said.has_parallel_tools) == ("u1", "flex", "low", False)
    assert said.reasoning is not None and (said.reasoning.effort, said.reasoning.is_shown) == ("high", True)
    assert said.output is not None and said.output.schema is not None
    assert (said.output.name, said.output.strict, bytes(said.output.schema)) == ("n", True, b"{}")
    assert [said.at(name) for name in ("max_tokens", "output", "has_parallel_tools", "user")] == [
        *("max_output_tokens", "text.format", "parallel_tool_calls", "safety_identifier")
    ]
    assert said.unread == ()


def test_a_summary_alone_asks_for_no_effort() -> None:
    assert read(reasoning={"summary": "auto"}).reasoning is None
    assert read(text={"format": {"type": "json_object"}}).output == OutputFormat(mode="json")


def test_tools_that_run_at_openai_and_their_traces_are_told_as_unread() -> None:
    said = read(
        tools=[{"type": "web_search"}, {"type": "function", "name": "f"}],
        input=[{"role": "user", "content": "x"}, {"type": "web_search_call", "id": "ws_1", "status": "completed"}],
        truncation="auto",
        max_tool_calls=3,
        moderation={"model": "m"},
    )

    assert [tool.name for tool in said.tools] == ["f"]
    assert sorted(said.unread) == ["input[1]", "max_tool_calls", "moderation", "tools[0]", "truncation"]


def test_custom_tools_and_namespaces_become_functions_with_a_note() -> None:
    custom = {"type": "custom", "name": "patch", "description": "Edits.", "format": {"type": "text"}}
    space = {
        "type": "namespace",
        "name": "mcp__git__",
        "description": "d",
        "tools": [{"type": "function", "name": "log"}],
    }
    said = read(tools=[custom, space], tool_choice={"type": "custom", "name": "patch"})

    assert [tool.name for tool in said.tools] == ["patch", "mcp__git__log"]
    assert json.loads(bytes(said.tools[0].parameters))["required"] == ["input"]
    assert said.tool_choice == ToolChoice(mode="tool", name="patch")
    assert [path for path, _ in said.emulated] == ["tools[0]", "tools[1]"]


def test_only_allowed_tools_are_offered() -> None:
    tools = [{"type": "function", "name": name} for name in ("a", "b")]
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}
    said = read(tools=tools, tool_choice=choice)

    assert [tool.name for tool in said.tools] == ["b"]
    assert said.tool_choice == ToolChoice(mode="required")
    assert said.emulated[0][0] == "tool_choice"


def test_places_count_from_what_the_caller_sent() -> None:
    body = request(recalled=2, input=[*({"role": "user", "content": "old"},) * 2, {"role": "robot", "content": "x"}])

    with pytest.raises(BadRequest) as refused:
        client.read_conversation(body)
    assert refused.value.param == "input[0].role"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": [{"role": "user", "content": [{"type": "tune"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "tune"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": _user({"type": "input_image"})}, "input[0].content[0].image_url"),
        ({"input": _user({"type": "input_image", "image_url": "ftp://a"})}, "input[0].content[0]"),
        ({"input": _user({"type": "input_file"})}, "input[0].content[0].file_data"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "poem"}}}, "text.format.type"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"max_output_tokens": "5"}, "max_output_tokens"),
        ({"background": True}, "background"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"stream": "yes"}, "stream"),
        ({"input": {"a": 1}}, "input"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**body)

    assert refused.value.param == param


def test_a_request_is_read_no_further_than_needed() -> None:
    made: Request = request(stream=True, background=False, conversation=None)

    assert (made.model, made.is_streamed) == ("m", True)
    assert made.document is not None and bytes(made.document["input"]) == b'"hi"'
