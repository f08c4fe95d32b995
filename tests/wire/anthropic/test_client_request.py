"""What callers of `/v1/messages` say, read into the neutral conversation."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.base.errors import BadRequest
from app.wire.anthropic import client
from app.wire.anthropic.endpoints import COUNT_TOKENS
from app.wire.neutral import (
    CacheMark,
    File,
    Image,
    Opaque,
    Reasoning,
    ReasoningWish,
    Source,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.wire.anthropic.messages import HELLO, read, request_of

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def _blocks(*blocks: dict[str, Any], role: str = "user") -> Any:
    return read([{"role": role, "content": list(blocks)}]).messages[0].parts


def test_the_system_prompt_keeps_its_blocks_and_marks() -> None:
    said = read(
        system=[
            {"type": "text", "text": "one"},
            {"type": "text", "text": "two", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        cache_control={"type": "ephemeral"},
    )
    assert [(text.text, text.cache) for text in said.system] == [("one", None), ("two", CacheMark("1h"))]
    assert said.cache_all == CacheMark("5m")
    assert said.at("cache_all") == "cache_control"


def test_an_instruction_in_the_middle_is_one() -> None:
    said = read([*HELLO, {"role": "system", "content": "Speak German."}])
    assert [message.role for message in said.messages] == ["user", "system"]


def test_a_tool_loop_is_read_with_its_thoughts() -> None:
    said = read(
        [
            *HELLO,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
                    {"type": "redacted_thinking", "data": "EmwK"},
                    {"type": "thinking", "thinking": "foreign", "signature": "hub1.google.abc"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "no"},
                            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
                        ],
                    }
                ],
            },
        ]
    )
    thought, hidden, foreign, call = said.messages[1].parts
    assert thought == Reasoning(text="hm", opaque=Opaque("anthropic", "EqQB"), at="messages[1].content[0]")
    assert hidden == Reasoning(opaque=Opaque("anthropic", "EmwK"), is_redacted=True, at="messages[1].content[1]")
    assert isinstance(foreign, Reasoning)
    assert foreign.opaque == Opaque("google", "abc")
    assert isinstance(call, ToolCall)
    assert bytes(call.arguments) == b'{"a":1}'
    (result,) = said.messages[2].parts
    assert isinstance(result, ToolResult)
    assert (result.call_id, result.is_error, len(result.parts)) == ("t1", True, 2)
    assert said.unread == ()


def test_documents_are_read_in_every_form() -> None:
    pdf, plain, linked, kept, made = _blocks(
        {
            "type": "document",
            "title": "a",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}},
        {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
    )
    assert pdf == File(source=Source(data="JVBE", media_type="application/pdf"), name="a", at="messages[0].content[0]")
    assert base64.b64decode(plain.source.data) == "é".encode()
    assert linked.source == Source(url="https://a.example/b.pdf", media_type="application/pdf")
    assert kept.source == Source(file_id="file_1")
    assert base64.b64decode(made.source.data) == b"x"


def test_a_search_result_becomes_text_and_is_told_to_be() -> None:
    block = {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "found"}]}
    said = read([{"role": "user", "content": [block]}])
    assert said.messages[0].parts == (Text(text="T\nS\nfound", at="messages[0].content[0]"),)
    assert [path for path, _ in said.emulated] == ["messages[0].content[0]"]


def test_a_picture_is_read() -> None:
    (image,) = _blocks(
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
            "cache_control": {"type": "ephemeral"},
        }
    )
    assert image == Image(
        source=Source(data="AAAA", media_type="image/png"), cache=CacheMark("5m"), at="messages[0].content[0]"
    )


@pytest.mark.parametrize(
    ("fields", "wish", "at"),
    [
        ({}, None, "reasoning"),
        ({"thinking": {"type": "disabled"}}, ReasoningWish(effort="none"), "thinking"),
        ({"thinking": {"type": "between_tools"}}, ReasoningWish(effort="none"), "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, ReasoningWish(budget_tokens=2048), "thinking"),
        ({"thinking": {"type": "adaptive"}}, ReasoningWish(), "thinking"),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "xhigh"}},
            ReasoningWish(effort="xhigh", is_shown=False),
            "output_config.effort",
        ),
        ({"output_config": {"effort": "low"}}, ReasoningWish(effort="low"), "output_config.effort"),
    ],
)
def test_thinking_is_read_in_every_form(fields: Any, wish: Any, at: str) -> None:
    said = read(**fields)
    assert said.reasoning == wish
    assert said.at("reasoning") == at


@pytest.mark.parametrize(
    ("choice", "expected", "has_parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(mode="required"), False),
        ({"type": "tool", "name": "f"}, ToolChoice(mode="tool", name="f"), None),
        ({"type": "none"}, ToolChoice(mode="none"), None),
    ],
)
def test_a_tool_choice_is_read(choice: Any, expected: ToolChoice, has_parallel: bool | None) -> None:
    said = read(tools=[{"name": "f", "input_schema": SCHEMA, "strict": True}], tool_choice=choice)
    assert (said.tool_choice, said.has_parallel_tools) == (expected, has_parallel)
    assert (said.tools[0].name, said.tools[0].strict) == ("f", True)


@pytest.mark.parametrize("where", ["output_config", "output_format"])
def test_a_schema_is_read_under_its_present_and_its_former_name(where: str) -> None:
    format_ = {"type": "json_schema", "schema": SCHEMA}
    said = read(**({"output_config": {"format": format_}} if where == "output_config" else {"output_format": format_}))
    assert said.output is not None
    assert said.output.mode == "json_schema"
    assert said.at("output") == ("output_config.format" if where == "output_config" else "output_format")


def test_what_the_hub_has_no_word_for_is_listed() -> None:
    said = read(
        [{"role": "user", "content": [{"type": "text", "text": "x", "citations": []}], "mood": 5}],
        context_management={"edits": []},
        speed="fast",
        tools=[{"type": "web_search_20260318", "name": "web_search"}, {"name": "f", "input_schema": SCHEMA}],
        metadata={"user_id": "u", "other": 1},
    )
    assert set(said.unread) == {"messages[0].mood", "context_management", "speed", "tools[0]", "metadata.other"}
    assert set(said.extras) == {"context_management", "speed"}
    assert said.user == "u"


def test_what_anthropics_own_tools_did_is_listed() -> None:
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    said = read([*HELLO, {"role": "assistant", "content": [block, {"type": "text", "text": "found"}]}])
    assert said.unread == ("messages[1].content[0]",)
    assert len(said.messages[1].parts) == 1


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "x"}]}]}, "messages[0].content[0].type"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"cache_control": {"type": "forever"}}, "cache_control.type"),
        ({"cache_control": {"type": "ephemeral", "ttl": "2h"}}, "cache_control.ttl"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"service_tier": "gold"}, "service_tier"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(document: Any, param: str) -> None:
    whole = {"model": "m", "max_tokens": 9, "messages": HELLO} | document
    with pytest.raises(BadRequest) as caught:
        client.read_conversation(request_of(whole))
    assert caught.value.param == param


def test_a_request_that_asks_for_its_size_needs_no_limit() -> None:
    request = request_of({"model": "m", "messages": HELLO, "system": "x"}, COUNT_TOKENS)
    said = client.read_conversation(client.counted(request))
    assert said.system[0].text == "x"


def test_version_and_betas_are_passed_on_and_nothing_else_of_the_headers() -> None:
    request = request_of(
        {"model": "m", "max_tokens": 9, "messages": HELLO},
        anthropic_version="2026-10-21",
        anthropic_beta="caf\u00e9",
        authorization="Bearer hk-1",
    )
    assert request.headers == {"anthropic-version": "2026-10-21"}


def test_pages_of_models_follow_each_other() -> None:
    entries = [client.model_entry(f"m{n}", created=1_770_163_200) for n in range(5)]
    assert entries[0]["created_at"] == "2026-02-04T00:00:00Z"
    first = json.loads(client.model_page(entries, {"limit": "2"}))
    assert ([row["id"] for row in first["data"]], first["has_more"], first["last_id"]) == (["m0", "m1"], True, "m1")
    last = json.loads(client.model_page(entries, {"limit": "3", "after_id": "m1"}))
    assert ([row["id"] for row in last["data"]], last["has_more"]) == (["m2", "m3", "m4"], False)
    before = json.loads(client.model_page(entries, {"limit": "2", "before_id": "m3"}))
    assert ([row["id"] for row in before["data"]], before["has_more"]) == (["m1", "m2"], True)
    assert json.loads(client.model_page([], {}))["data"] == []
    for query in ({"limit": "0"}, {"limit": "1001"}, {"limit": "-1"}, {"after_id": "none"}):
        with pytest.raises(BadRequest):
            client.model_page(entries, query)
