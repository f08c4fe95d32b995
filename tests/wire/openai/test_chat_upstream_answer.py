"""What OpenAI-compatible servers answer, with the ways in which they differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.wire.answers import BrokenStream, ErrorInside
from app.wire.neutral import Image, Opaque, Reasoning, Refusal, Text, ToolCall
from app.wire.neutral_answer import (
    Answer,
    Finished,
    Produced,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from app.wire.openai import chat_upstream
from tests.wire.openai.chats import DONE, chunk, streamed, target

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts"


def whole(message: dict[str, Any], finish: str | None = "stop", origin: str = "openai", **more: Any) -> Answer:
    body = {"id": "chatcmpl-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}
    return chat_upstream.read_answer(json.dumps(body).encode(), target(origin))


def call(name: str | None = "look", arguments: Any = "", id_: str | None = "call_1", index: int | None = 0) -> Any:
    function = {"name": name, "arguments": arguments}
    return {key: value for key, value in (("index", index), ("id", id_), ("function", function)) if value is not None}


def test_an_answer_in_one_piece_is_read() -> None:
    answer = whole({"content": "four", "reasoning_content": "two"}, usage={"total_tokens": 3}, origin="deepseek")

    assert answer.parts == (Reasoning(text="two"), Text(text="four"))
    assert (answer.finish, answer.upstream_id) == ("stop", "chatcmpl-1")
    assert json.loads(bytes(answer.usage or b"")) == {"total_tokens": 3}


@pytest.mark.parametrize("kind", ["deepseek", "doubao", "ollama", "openai", "poe", "xai"])
def test_recorded_answers_are_read(kind: str) -> None:
    recorded = sorted((TRANSCRIPTS / kind).glob("chat*.json"))
    assert recorded
    for path in recorded:
        content = path.read_bytes()
        document = json.loads(content)
        if "choices" not in document:
            # Kept for its usage alone.
            continue
        answer = chat_upstream.read_answer(content, target(kind))

        message = document["choices"][0]["message"]
        assert "".join(part.text for part in answer.parts if isinstance(part, Text)) == (message.get("content") or "")
        assert answer.usage is not None


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.glob("*/chat_stream.sse")), ids=lambda path: path.parent.name)
def test_recorded_streams_are_read_whatever_the_pieces(path: Path) -> None:
    content = path.read_bytes()
    origin = path.parent.name
    at_once = streamed(content, to=target(origin, is_streamed=True))
    by_bytes = streamed(*[content[at : at + 1] for at in range(len(content))], to=target(origin, is_streamed=True))

    assert at_once == by_bytes
    assert isinstance(at_once[-1], Finished)
    assert any(isinstance(event, TextDelta | ToolCallStart) for event in at_once)


def test_arguments_that_are_an_object_become_their_json() -> None:
    answer = whole({"content": "", "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": {"a": 1}}}]})
    events = streamed(chunk({"tool_calls": [call(arguments={"a": 1})]}), chunk({}, "tool_calls"), DONE)

    assert isinstance(answer.parts[0], ToolCall)
    assert json.loads(bytes(answer.parts[0].arguments)) == {"a": 1}
    assert ToolCallDelta(0, '{"a":1}') in events


def test_parallel_calls_stream_side_by_side() -> None:
    events = streamed(
        chunk({"tool_calls": [call("one", id_="a", index=0)]}),
        chunk({"tool_calls": [call("two", id_="b", index=1)]}),
        chunk({"tool_calls": [call(None, '{"x":', None, 0), call(None, '{"y":', None, 1)]}),
        chunk({"tool_calls": [call(None, "1}", None, 0)]}),
        chunk({"tool_calls": [call(None, "2}", None, 1)]}),
        chunk({}, "tool_calls"),
        DONE,
    )

    assert events == [
        ToolCallStart(0, "a", "one"),
        ToolCallStart(1, "b", "two"),
        ToolCallDelta(0, '{"x":'),
        ToolCallDelta(1, '{"y":'),
        ToolCallDelta(0, "1}"),
        ToolCallDelta(1, "2}"),
        Finished("tool_calls"),
    ]


@pytest.mark.parametrize("index", [0, None])
def test_servers_that_number_every_call_alike_are_understood_by_ids(index: int | None) -> None:
    events = streamed(
        chunk({"tool_calls": [call("one", "{}", "a", index)]}),
        chunk({"tool_calls": [call("two", "{}", "b", index)]}),
        chunk({}, "stop"),
        DONE,
    )

    assert [event for event in events if isinstance(event, ToolCallStart)] == [
        ToolCallStart(0, "a", "one"),
        ToolCallStart(1, "b", "two"),
    ]
    assert events[-1] == Finished("tool_calls")


def test_whole_calls_without_numbers_in_one_event_are_several() -> None:
    calls = [call("one", "{}", "a", None), call("two", "{}", "b", None)]
    events = streamed(chunk({"tool_calls": calls}), chunk({}, "tool_calls"), DONE)

    assert [event.name for event in events if isinstance(event, ToolCallStart)] == ["one", "two"]


@pytest.mark.parametrize(("id_", "name"), [("call_1", "look"), ("", ""), (None, None)])
def test_a_call_goes_on_whatever_is_repeated_beside_its_arguments(id_: str | None, name: str | None) -> None:
    events = streamed(
        chunk({"tool_calls": [call("look", "{", "call_1")]}),
        chunk({"tool_calls": [call(name, "}", id_)]}),
        chunk({}, "tool_calls"),
        DONE,
    )

    assert events[:3] == [ToolCallStart(0, "call_1", "look"), ToolCallDelta(0, "{"), ToolCallDelta(0, "}")]


def test_a_call_begins_when_its_name_is_known_and_gets_an_id_where_it_has_none() -> None:
    events = streamed(
        chunk({"tool_calls": [call(None, '{"a"', None)]}),
        chunk({"tool_calls": [call("look", ":1}", None)]}),
        chunk({}, "tool_calls"),
        DONE,
    )

    assert events[:3] == [
        ToolCallStart(0, "call_" + "c" * 32 + "_0", "look"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"),
    ]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_stream_under_both_names_and_end_before_the_words(field: str) -> None:
    events = streamed(chunk({field: "two "}), chunk({field: "and"}), chunk({"content": "4"}), chunk({}, "stop"), DONE)

    assert events == [
        ReasoningDelta("two "),
        ReasoningDelta("and"),
        ReasoningEnd(None),
        TextDelta("4"),
        Finished("stop"),
    ]


def test_details_are_joined_and_kept_for_their_maker() -> None:
    to = target("openrouter", is_streamed=True)
    first = {"type": "reasoning.text", "text": "two ", "index": 0, "format": "x"}
    second = {"type": "reasoning.text", "text": "and", "index": 0}
    last = {"type": "reasoning.text", "signature": "sig", "index": 0}
    events = streamed(
        chunk({"reasoning": "two ", "reasoning_details": [first]}),
        chunk({"reasoning": "and", "reasoning_details": [second]}),
        chunk({"reasoning_details": [last]}),
        chunk({"content": "4"}),
        chunk({}, "stop"),
        DONE,
        to=to,
    )

    end = next(event for event in events if isinstance(event, ReasoningEnd))
    assert end.opaque is not None
    assert end.opaque.origin == "openrouter"
    assert json.loads(end.opaque.value) == [
        {"type": "reasoning.text", "text": "two and", "index": 0, "format": "x", "signature": "sig"}
    ]


def test_thoughts_that_stand_in_details_alone_are_read() -> None:
    detail = {"type": "reasoning.summary", "summary": "two", "index": 0, "format": "x"}
    answer = whole({"content": "4", "reasoning_details": [detail]}, origin="openrouter")

    thought = answer.parts[0]
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.opaque) == ("two", Opaque("openrouter", json.dumps([detail], separators=(",", ":"))))


def test_usage_comes_with_the_finish_or_after_it_or_beside_an_empty_choice() -> None:
    for last in (
        [chunk({}, "stop", usage={"total_tokens": 9})],
        [chunk({}, "stop"), b'data: {"choices":[],"usage":{"total_tokens":9}}\n\n'],
        [chunk({}, "stop"), chunk({"role": "assistant", "content": ""}, None, usage={"total_tokens": 9})],
        [chunk({}, "stop", usage=None), chunk({}, usage={"total_tokens": 1}), chunk({}, usage={"total_tokens": 9})],
    ):
        reader = chat_upstream.stream_reader(target(is_streamed=True))
        events = [event for piece in (chunk({"content": "a"}), *last, DONE) for event in reader.feed(piece)]

        assert events == [TextDelta("a"), Finished("stop")]
        assert json.loads(bytes(reader.usage or b"{}")) == {"total_tokens": 9}
        assert reader.is_complete


def test_an_error_inside_a_stream_ends_it() -> None:
    reader = chat_upstream.stream_reader(target(is_streamed=True))
    reader.feed(chunk({"content": "a"}))
    events = reader.feed(b'data: {"error":{"message":"overloaded","code":503}}\n\n' + chunk({"content": "b"}))

    assert (events, reader.finish()) == ([], [])
    assert json.loads(bytes(reader.error or b"")) == {"message": "overloaded", "code": 503}
    assert not reader.is_complete


def test_an_error_in_place_of_an_answer_is_raised() -> None:
    with pytest.raises(ErrorInside) as caught:
        chat_upstream.read_answer(b'{"error":{"code":502}}', target())

    assert json.loads(bytes(caught.value.report)) == {"code": 502}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b'{"choices":[]}', b'{"choices":"none"}', b"\xff"])
def test_what_is_no_answer_breaks_off(content: bytes) -> None:
    with pytest.raises(BrokenStream):
        chat_upstream.read_answer(content, target())


@pytest.mark.parametrize("data", [b"{not json", b"null", b"[1,", b'"text"', b'{"choices":"none"}', b"\xff\xfe"])
def test_what_is_no_event_breaks_off(data: bytes) -> None:
    with pytest.raises(BrokenStream):
        streamed(b"data: " + data + b"\n\n")


def test_a_stream_that_stops_without_saying_so_is_not_complete() -> None:
    reader = chat_upstream.stream_reader(target(is_streamed=True))
    reader.feed(chunk({"content": "a"}))

    assert (reader.finish(), reader.is_complete) == ([], False)


def test_done_alone_is_an_end() -> None:
    assert streamed(chunk({"content": "a"}), DONE) == [TextDelta("a"), Finished("stop")]


def test_refusals_and_pictures_are_read() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    answer = whole({"content": None, "refusal": "no", "images": [picture]})
    events = streamed(chunk({"refusal": "no"}), chunk({"images": [picture]}), chunk({}, "stop"), DONE)

    assert isinstance(answer.parts[0], Refusal)
    assert isinstance(answer.parts[1], Image)
    assert events[0] == RefusalDelta("no")
    assert isinstance(events[1], Produced)


def test_only_the_first_choice_is_read() -> None:
    other = b'data: {"choices":[{"index":1,"delta":{"content":"other"}}]}\n\n'

    assert streamed(chunk({"content": "a"}), other, chunk({}, "stop"), DONE) == [TextDelta("a"), Finished("stop")]


def test_content_in_parts_is_joined() -> None:
    answer = whole({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})

    assert answer.parts == (Text(text="ab"),)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("insufficient_system_resource", "error"),
        ("x", "stop"),
    ],
)
def test_finish_reasons_are_told_apart(reason: str, finish: str) -> None:
    assert whole({"content": "a"}, reason).finish == finish
    assert streamed(chunk({"content": "a"}), chunk({}, reason), DONE)[-1] == Finished(finish)  # type: ignore[arg-type]
