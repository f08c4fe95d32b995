"""What OpenAI-compatible providers are sent for a conversation of any other format."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec import Raw

from app.base.errors import BadRequest
from app.wire.neutral import (
    Audio,
    CacheMark,
    Conversation,
    File,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    ReasoningWish,
    Refusal,
    Sampling,
    Source,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolSpec,
)
from app.wire.notes import Notes
from tests.wire.openai.chats import noted, target, write

PICTURE = Image(source=Source(data="aGk=", media_type="image/png"), at="p")


def said(*messages: Message, **more: Any) -> Conversation:
    return Conversation(messages=messages or (user(Text(text="hello")),), **more)


def user(*parts: Part) -> Message:
    return Message(role="user", parts=parts, at="m")


def assistant(*parts: Part) -> Message:
    return Message(role="assistant", parts=parts, at="m")


def test_a_call_and_its_result_keep_one_id_however_strange_it_was() -> None:
    strange = "toolu/01:" + "x" * 60
    sent = write(
        said(
            user(Text(text="look")),
            assistant(ToolCall(id=strange, name="look", arguments=Raw(b'{"a":1}'))),
            user(ToolResult(call_id=strange, parts=(Text(text="blue"),))),
        )
    )

    call, result = sent["messages"][1]["tool_calls"][0], sent["messages"][2]
    assert call["id"] == result["tool_call_id"]
    assert len(call["id"]) <= 40
    assert call["function"] == {"name": "look", "arguments": '{"a":1}'}


def test_results_stand_right_behind_the_calls_and_their_pictures_behind_all_of_them() -> None:
    notes = Notes()
    sent = write(
        said(
            user(
                ToolResult(call_id="a", parts=(Text(text="one"), PICTURE), at="r0"),
                ToolResult(call_id="b", parts=(Text(text="two"),), is_error=True, at="r1"),
                Text(text="and now?"),
            )
        ),
        notes=notes,
    )

    assert [message["role"] for message in sent["messages"]] == ["tool", "tool", "user"]
    assert [message["content"] for message in sent["messages"][:2]] == ["one", "Error:\ntwo"]
    assert [part["type"] for part in sent["messages"][2]["content"]] == ["image_url", "text"]
    assert noted(notes) == [("emulated", "r0"), ("emulated", "r1.is_error")]


def test_the_limit_always_arrives() -> None:
    assert write(said(sampling=Sampling(max_tokens=9)))["max_completion_tokens"] == 9


def test_a_stream_asks_for_its_usage() -> None:
    sent = write(said(), target(is_streamed=True))

    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
    assert "stream" not in write(said())


@pytest.mark.parametrize(
    ("wish", "efforts", "sent", "notes"),
    [
        (ReasoningWish(effort="high"), None, "high", []),
        (ReasoningWish(effort="xhigh"), ("low", "medium", "high"), "high", [("emulated", "reasoning")]),
        (ReasoningWish(effort="none"), ("low", "high"), "low", [("emulated", "reasoning")]),
        (ReasoningWish(effort="minimal"), ("none", "low"), "low", [("emulated", "reasoning")]),
        (ReasoningWish(budget_tokens=4000), None, "low", [("emulated", "reasoning")]),
        (ReasoningWish(effort="high"), (), None, [("dropped", "reasoning")]),
        (ReasoningWish(effort="none"), (), None, []),
    ],
)
def test_a_wish_to_think_becomes_a_word_that_the_model_knows(
    wish: ReasoningWish, efforts: tuple[str, ...] | None, sent: str | None, notes: list[tuple[str, str]]
) -> None:
    gathered = Notes()
    document = write(said(reasoning=wish), target(efforts=efforts), gathered)

    assert (document.get("reasoning_effort"), noted(gathered)) == (sent, notes)


def test_what_the_format_cannot_say_is_noted() -> None:
    notes = Notes()
    sent = write(
        said(
            sampling=Sampling(top_k=5, n=3, logprobs=2),
            service_tier="standard_only",
            tool_choice=ToolChoice(mode="required"),
            places={"top_k": "generationConfig.topK"},
        ),
        notes=notes,
    )

    assert sorted(noted(notes)) == [
        ("dropped", "generationConfig.topK"),
        ("dropped", "logprobs"),
        ("dropped", "n"),
        ("dropped", "service_tier"),
        ("dropped", "tool_choice"),
    ]
    assert not {"top_k", "n", "logprobs", "service_tier", "tool_choice"} & sent.keys()


def test_cache_marks_arrive_at_openrouter_and_are_noted_elsewhere() -> None:
    conversation = said(
        user(Text(text="a", cache=CacheMark("1h"), at="messages[0].content[0]")),
        tools=(ToolSpec(name="look", cache=CacheMark(), at="tools[0]"),),
    )
    there, elsewhere = Notes(), Notes()
    kept = write(conversation, target("openrouter"), there)
    lost = write(conversation, target("openai"), elsewhere)

    assert kept["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert kept["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in str(lost)
    assert noted(there) == []
    assert sorted(noted(elsewhere)) == [
        ("dropped", "messages[0].content[0].cache_control"),
        ("dropped", "tools[0].cache_control"),
    ]


def test_thoughts_go_back_under_the_providers_own_name() -> None:
    history = said(user(Text(text="a")), assistant(Reasoning(text="hm", at="t"), Text(text="b")))
    notes = Notes()

    assert (
        write(history, target("deepseek", reasoning_field="reasoning_content"))["messages"][1]["reasoning_content"]
        == "hm"
    )
    assert write(history, target("ollama", reasoning_field="reasoning"))["messages"][1]["reasoning"] == "hm"
    assert write(history, target(), notes)["messages"][1].keys() == {"role", "content"}
    assert noted(notes) == [("dropped", "t")]


def test_calls_that_another_provider_made_get_the_empty_thought_that_deepseek_insists_on() -> None:
    history = said(
        user(Text(text="a")),
        assistant(ToolCall(id="1", name="look")),
        user(ToolResult(call_id="1", parts=(Text(text="blue"),))),
    )

    sent = write(history, target("deepseek", reasoning_field="reasoning_content"))
    assert sent["messages"][1]["reasoning_content"] == ""
    assert "reasoning" not in write(history, target("ollama", reasoning_field="reasoning"))["messages"][1]


def test_openrouter_gets_its_own_details_and_nobody_elses() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "x", "index": 0}]
    own = Reasoning(text="hm", opaque=Opaque("openrouter", json.dumps(details)))
    to = target("openrouter", reasoning_field="reasoning")

    assert write(said(assistant(own)), to)["messages"][0]["reasoning_details"] == details
    foreign = Reasoning(text="hm", opaque=Opaque("anthropic", "sig"))
    assert write(said(assistant(foreign)), to)["messages"][0]["reasoning"] == "hm"
    spoilt = Reasoning(text="hm", opaque=Opaque("openrouter", "[{"))
    assert write(said(assistant(spoilt)), to)["messages"][0]["reasoning"] == "hm"


def test_a_refusal_is_a_field_at_openai_and_what_was_said_elsewhere() -> None:
    history = said(assistant(Refusal(text="no")))

    assert write(history)["messages"][0] == {"role": "assistant", "content": None, "refusal": "no"}
    assert write(history, target("ollama"))["messages"][0] == {"role": "assistant", "content": "no"}


def test_files_and_sounds_are_written_as_the_format_has_them() -> None:
    notes = Notes()
    parts = (
        Audio(source=Source(data="aGk=", media_type="audio/mpeg")),
        File(source=Source(data="aGk=", media_type="application/pdf"), name="a.pdf"),
        File(source=Source(url="https://example.com/a.mp4", media_type="video/mp4")),
        File(
            source=Source(data=base64.b64encode("Grüße".encode()).decode(), media_type="text/plain"),
            name="a.txt",
            at="f",
        ),
    )
    sound, document, film, text = write(said(user(*parts)), notes=notes)["messages"][0]["content"]

    assert sound == {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}
    assert document["file"] == {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}
    assert film == {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}
    assert text == {"type": "text", "text": "a.txt:\nGrüße"}
    assert noted(notes) == [("emulated", "f")]


@pytest.mark.parametrize(
    "part",
    [
        Audio(source=Source(data="aGk=", media_type="audio/flac"), at="there"),
        Image(source=Source(file_id="file-1"), at="there"),
        File(source=Source(data="%%%", media_type="text/plain"), at="there"),
    ],
)
def test_what_cannot_be_expressed_names_its_place(part: Part) -> None:
    with pytest.raises(BadRequest) as caught:
        write(said(user(part)))

    assert caught.value.param == "there"


def test_json_mode_brings_the_word_that_it_needs() -> None:
    notes = Notes()
    asked = write(said(output=OutputFormat(mode="json"), places={"output": "format"}), notes=notes)
    told = write(said(user(Text(text="as JSON please")), output=OutputFormat(mode="json")))

    assert asked["response_format"] == {"type": "json_object"}
    assert "JSON" in asked["messages"][0]["content"]
    assert noted(notes) == [("emulated", "format")]
    assert len(told["messages"]) == 1


def test_a_schemas_name_is_made_legal() -> None:
    output = OutputFormat(mode="json_schema", name="My answer!", schema=Raw(b'{"type":"object"}'))

    assert write(said(output=output))["response_format"]["json_schema"]["name"] == "My_answer_"


def test_a_signature_goes_back_to_the_kind_that_made_it_alone() -> None:
    call = ToolCall(id="1", name="look", opaque=Opaque("custom", "sig"))

    there = write(said(assistant(call)), target("custom"))["messages"][0]["tool_calls"][0]
    assert there["extra_content"] == {"google": {"thought_signature": "sig"}}
    assert "extra_content" not in write(said(assistant(call)))["messages"][0]["tool_calls"][0]
