"""What providers with the Responses API are sent for a conversation, and what they answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from app.base.errors import BadRequest
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.neutral import (
    Audio,
    Conversation,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    ReasoningWish,
    Sampling,
    Source,
    Text,
    ToolCall,
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
from app.wire.responses import passing, upstream
from app.wire.responses.endpoints import RESPONSES
from tests.wire.responses.requests import noted, request, target, write

OPENAI = Path(__file__).resolve().parents[2] / "transcripts" / "openai"


def _said(*parts: Part, role: Any = "user", **more: Any) -> Conversation:
    return Conversation(messages=(Message(role=role, parts=parts),), **more)


def test_nothing_is_stored_and_sealed_thoughts_are_asked_for() -> None:
    thinking, old = write(_said(Text(text="hi"))), write(_said(Text(text="hi")), model="gpt-4o-mini")

    assert thinking["store"] is False
    assert thinking["include"] == ["reasoning.encrypted_content"]
    assert "include" not in old


def test_own_thoughts_go_back_and_those_of_others_are_left_out_with_a_note() -> None:
    notes = Notes()
    own = Reasoning(text="hm", opaque=Opaque("openai", "gAAAA"), at="a")
    foreign = Reasoning(text="ha", opaque=Opaque("anthropic", "sig"), at="b")
    call = ToolCall(id="toolu:1", name="f", arguments=Raw(b"{}"))
    result = ToolResult(call_id="toolu:1", parts=(Text(text="1"), Image(source=Source(url="https://a.b/c.png"))))
    said = Conversation(
        messages=(Message(role="assistant", parts=(own, foreign, call)), Message(role="user", parts=(result,)))
    )

    thought, sent_call, sent_result = write(said, notes)["input"]

    assert thought == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "gAAAA",
    }
    assert sent_call["call_id"] == sent_result["call_id"] and ":" not in sent_call["call_id"]
    assert [part["type"] for part in sent_result["output"]] == ["input_text", "input_image"]
    assert noted(notes) == [("b", "dropped")]


def test_what_the_format_cannot_say_is_noted_with_the_clients_path() -> None:
    notes = Notes()
    sampling = Sampling(max_tokens=5, stop=("x",), seed=1, top_k=3, presence_penalty=0.1, n=2, logprobs=1)
    sent = write(_said(Text(text="hi"), sampling=sampling, places={"max_tokens": "max_completion_tokens"}), notes)

    assert sent["max_output_tokens"] == 16
    assert sorted(noted(notes)) == [
        ("logprobs", "dropped"),
        ("max_completion_tokens", "emulated"),
        ("n", "dropped"),
        ("presence_penalty", "dropped"),
        ("seed", "dropped"),
        ("stop", "dropped"),
        ("top_k", "dropped"),
    ]
    assert write(_said(Text(text="hi"), sampling=Sampling(max_tokens=5)), origin="xai")["max_output_tokens"] == 5


def test_strictness_is_always_said_since_leaving_it_out_means_yes() -> None:
    schema = Raw(b'{"type":"object"}')
    output = OutputFormat(mode="json_schema", schema=schema)
    sent = write(_said(Text(text="hi"), tools=(ToolSpec(name="f"),), output=output, verbosity="low"))

    assert sent["tools"][0]["strict"] is False
    assert sent["text"] == {
        "format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": False},
        "verbosity": "low",
    }


def test_a_wish_to_think_becomes_a_word_that_the_model_knows() -> None:
    wish, notes = ReasoningWish(budget_tokens=40_000, is_shown=True), Notes()
    sent = write(_said(Text(text="hi"), reasoning=wish), notes, efforts=("low", "high"))

    assert sent["reasoning"] == {"effort": "high", "summary": "auto"}
    assert noted(notes) == [("reasoning", "emulated")]
    assert "reasoning" not in write(_said(Text(text="hi"), reasoning=ReasoningWish(effort="low")), efforts=())


def test_a_sound_is_refused_by_its_path() -> None:
    sound = Audio(source=Source(data="aGk=", media_type="audio/wav"), at="messages[0].content[1]")

    with pytest.raises(BadRequest) as refused:
        write(_said(sound))
    assert refused.value.param == "messages[0].content[1]"


def test_a_recorded_answer_is_read() -> None:
    answer = upstream.read_answer((OPENAI / "response_reasoning_tools.json").read_bytes(), target())

    thought, call, custom = answer.parts
    assert thought == Reasoning(text="**Weather** first\n\nthen the time", opaque=Opaque("openai", "gAAAAABo"))
    assert isinstance(call, ToolCall) and (call.id, call.name) == ("call_1", "weather")
    assert isinstance(custom, ToolCall) and json.loads(bytes(custom.arguments)) == {"input": "*** Begin Patch"}
    assert (answer.finish, answer.upstream_id is not None) == ("tool_calls", True)
    cut = upstream.read_answer((OPENAI / "response_incomplete.json").read_bytes(), target())
    assert (cut.finish, cut.parts) == ("length", (Text(text="One two"),))


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"object":"chat.completion"}', b'{"output":"x"}'])
def test_what_is_no_response_is_broken(content: bytes) -> None:
    with pytest.raises(BrokenStream):
        upstream.read_answer(content, target())


def test_an_error_in_place_of_an_answer_is_one() -> None:
    with pytest.raises(ErrorInside) as inside:
        upstream.read_answer(b'{"status":"failed","error":{"code":"server_error"},"output":[]}', target())
    assert json.loads(bytes(inside.value.report))["code"] == "server_error"


def test_a_recorded_stream_is_read_and_a_failed_one_says_why() -> None:
    reader, failing = upstream.stream_reader(target()), upstream.stream_reader(target())
    events = reader.feed((OPENAI / "response_stream.sse").read_bytes())
    failing.feed((OPENAI / "response_failed.sse").read_bytes())

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == (
        "Hi there! How can I help you today?"
    )
    assert events[-1] == Finished("stop") and reader.is_complete
    assert failing.error is not None and b"rate_limit_exceeded" in bytes(failing.error)
    assert not failing.has_begun and not failing.is_complete


def test_a_server_that_sends_no_deltas_is_heard_all_the_same() -> None:
    done: list[dict[str, Any]] = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "g"},
        {"type": "message", "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    sent = [{"type": "response.output_item.done", "output_index": n, "item": item} for n, item in enumerate(done)]
    sent.append({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}})
    reader = upstream.stream_reader(target())
    events = [event for one in sent for event in reader.feed(b"data: " + json.dumps(one).encode() + b"\n\n")]

    assert events == [
        ReasoningDelta("hm"),
        ReasoningEnd(Opaque("openai", "g")),
        TextDelta("a"),
        RefusalDelta("b"),
        ToolCallStart(0, "c", "f"),
        ToolCallDelta(0, "{}"),
        Finished("tool_calls"),
    ]


# --- passing on


def test_what_passes_keeps_the_clients_bytes() -> None:
    given = request(
        input=[{"role": "user", "content": "é"}], temperature=0.1, previous_response_id="resp_1", store=True
    )
    sent = json.loads(passing.write(given, RESPONSES, "gpt-6-luna", ()).content)

    assert sent == {
        "model": "gpt-6-luna",
        "input": [{"role": "user", "content": "é"}],
        "temperature": 0.1,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_a_wish_for_sealed_thoughts_is_not_doubled() -> None:
    given = request(include=["reasoning.encrypted_content", "message.output_text.logprobs"])

    sent = json.loads(passing.write(given, RESPONSES, "gpt-6-luna", ()).content)
    assert sent["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]


def test_thoughts_that_we_marked_are_unmarked_for_their_maker_and_left_out_for_others() -> None:
    marked = {"type": "reasoning", "summary": [], "encrypted_content": "hub1.xai.abc"}
    plain = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "extra_content": {"google": {}}}
    unsealed = {"type": "reasoning", "id": f"rs_{'0' * 32}_0", "summary": []}
    given = request(recalled=1, input=[marked, plain, call, unsealed])

    def sent_to(origin: str, notes: Notes) -> Any:
        document = passing.for_provider(given, origin, notes).document
        assert document is not None
        return json.loads(bytes(document["input"]))

    bare = {name: value for name, value in call.items() if name != "extra_content"}
    to_xai, to_openai = Notes(), Notes()
    assert sent_to("xai", to_xai) == [{**marked, "encrypted_content": "abc"}, plain, bare]
    assert sent_to("openai", to_openai) == [plain, bare]
    assert noted(to_xai) == [("input[2]", "dropped")]
    assert noted(to_openai) == [("previous_response_id[0]", "dropped"), ("input[2]", "dropped")]
    untouched = request(input=[plain])
    assert passing.for_provider(untouched, "openai", Notes()) is untouched
