"""What Bedrock answers: whole and in streams, cut anywhere, broken anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.answers import BrokenStream
from app.wire.bedrock import converse
from app.wire.neutral import Image, Opaque, Reasoning, Source, Text, ToolCall
from app.wire.neutral_answer import (
    Answer,
    Event,
    Finished,
    Produced,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    events_of,
)
from tests.emulators.bedrock import answers, frames, shapes
from tests.wire.bedrock.conversing import target
from tests.wire.strategies import split

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts" / "bedrock"

_BODIES: dict[str, Any] = {
    "text": {"messages": [{"role": "user", "content": [{"text": "count to 5"}]}]},
    "thought": {
        "messages": [{"role": "user", "content": [{"text": "hello"}]}],
        "additionalModelRequestFields": {"thinking": {"type": "adaptive"}},
    },
    "hidden thought": {
        "messages": [{"role": "user", "content": [{"text": "secretly"}]}],
        "additionalModelRequestFields": {"thinking": {"type": "adaptive"}},
    },
    "calls": {
        "messages": [{"role": "user", "content": [{"text": "call weather and time"}]}],
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {"a": {}}}}}}
                for name in ("weather", "time")
            ]
        },
    },
    "stop": {
        "messages": [{"role": "user", "content": [{"text": "count to 5"}]}],
        "inferenceConfig": {"stopSequences": [" 4"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    },
    "limit": {"messages": [{"role": "user", "content": [{"text": "count to 5"}]}], "inferenceConfig": {"maxTokens": 2}},
}


def _both(body: Any) -> tuple[bytes, bytes]:
    """The same answer whole and as a stream."""
    said = answers.say(body)
    report = answers.usage(body, said)
    return json.dumps(answers.whole(body, said, report)).encode(), b"".join(answers.stream(body, said, report))


def _read(stream: bytes, cuts: list[int] | None = None) -> tuple[converse.StreamReader, list[Event]]:
    reader = converse.stream_reader(target(is_streamed=True))
    events = [event for piece in split(stream, cuts or []) for event in reader.feed(piece)]
    return reader, events + reader.finish()


def _joined(events: list[Event]) -> list[Event]:
    """Neighbouring deltas as one."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        match event, last:
            case (TextDelta(), TextDelta()):
                joined[-1] = TextDelta(last.text + event.text)
            case (ReasoningDelta(), ReasoningDelta()):
                joined[-1] = ReasoningDelta(last.text + event.text)
            case (ToolCallDelta(), ToolCallDelta()) if last.index == event.index:
                joined[-1] = ToolCallDelta(event.index, last.text + event.text)
            case _:
                joined.append(event)
    return joined


@given(st.sampled_from(sorted(_BODIES)), st.lists(st.integers(0, 1 << 20), max_size=30))
def test_a_stream_says_what_the_whole_answer_says_however_it_is_cut(name: str, cuts: list[int]) -> None:
    whole, stream = _both(_BODIES[name])
    answer = converse.read_answer(whole, target())
    reader, events = _read(stream, cuts)
    assert _joined(events) == events_of(answer)
    assert reader.is_complete
    assert reader.has_begun
    assert reader.error is None
    assert msgspec.json.decode(reader.usage or b"") == msgspec.json.decode(answer.usage or b"")


def test_thoughts_come_with_their_signatures() -> None:
    whole, _ = _both(_BODIES["thought"])
    first = converse.read_answer(whole, target()).parts[0]
    assert isinstance(first, Reasoning)
    assert first.text == "The user asks politely."
    assert first.opaque == Opaque("bedrock", answers.signature_of(first.text))


def test_a_hidden_thought_comes_as_bytes_alone() -> None:
    _, stream = _both(_BODIES["hidden thought"])
    _, events = _read(stream)
    assert isinstance(events[0], ReasoningEnd)
    assert events[0].is_redacted
    assert events[0].opaque is not None


def test_hidden_bytes_in_pieces_are_joined_as_bytes() -> None:
    pieces = [{"reasoningContent": {"redactedContent": piece}} for piece in ("YQ==", "Yg==")]
    stream = b"".join(
        frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": piece}) for piece in pieces
    ) + frames.event("contentBlockStop", {"contentBlockIndex": 0})
    assert _read(stream)[1] == [ReasoningEnd(Opaque("bedrock", "YWI="), is_redacted=True)]


def test_the_stop_sequence_that_was_met_is_told() -> None:
    whole, stream = _both(_BODIES["stop"])
    assert converse.read_answer(whole, target()).stop_sequence == " 4"
    assert _read(stream)[1][-1] == Finished("stop_sequence", " 4")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("malformed_model_output", "error"),
        ("malformed_tool_use", "error"),
        ("something_new", "stop"),
    ],
)
def test_every_reason_to_stop_has_a_word_of_ours(reason: str, finish: str) -> None:
    message = {"role": "assistant", "content": [{"text": "hi"}]}
    whole = json.dumps({"output": {"message": message}, "stopReason": reason}).encode()
    assert converse.read_answer(whole, target()).finish == finish
    assert _read(frames.event("messageStop", {"stopReason": reason}))[1] == [Finished(finish)]  # type: ignore[arg-type]


def test_all_documented_reasons_are_known() -> None:
    from app.wire.bedrock import converse_answer

    documented = shapes.oracle.service("bedrock-runtime").shape_for("StopReason").enum
    assert set(converse_answer._FINISHES) == set(documented)


@pytest.mark.parametrize("name", ["throttlingException", "modelStreamErrorException", "validationException"])
def test_an_exception_within_a_stream_is_its_error_and_ends_it(name: str) -> None:
    events = [frames.event("messageStart", {"role": "assistant"}), frames.exception(name, "Broken.")]
    after = frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "late"}})
    reader, found = _read(b"".join([*events, after]))
    assert found == []
    assert msgspec.json.decode(reader.error or b"") == {"type": name[0].upper() + name[1:], "message": "Broken."}
    assert not reader.is_complete
    assert not reader.has_begun


def test_an_error_message_of_the_protocol_is_an_error_too() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "Sorry."}
    reader, _ = _read(frames.message(headers, b""))
    assert msgspec.json.decode(reader.error or b"") == {"type": "InternalError", "message": "Sorry."}


def test_a_stream_that_ends_in_the_middle_is_not_complete() -> None:
    _, stream = _both(_BODIES["text"])
    reader, events = _read(stream[: len(stream) // 2])
    assert events
    assert not reader.is_complete


def test_events_that_nobody_knows_yet_are_passed_over() -> None:
    assert _read(frames.event("somethingNew", {"x": 1}))[1] == []


@pytest.mark.parametrize(
    "stream",
    [
        frames.message({":message-type": "letter"}, b"{}"),
        frames.message({":message-type": "event", ":event-type": "contentBlockDelta"}, b"{not json"),
        frames.message({":message-type": "event", ":event-type": "contentBlockDelta"}, b'{"delta":{"text":5}}'),
        frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{"}}}),
        frames.event(
            "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": "!"}}}
        ),
        b"data: {}\n\ndata: {}\n\n",
    ],
)
def test_a_stream_that_is_not_as_documented_is_told_as_broken(stream: bytes) -> None:
    with pytest.raises(BrokenStream):
        _read(stream)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"output":{}}', b'{"output":{"message":5}}', b"\xff"])
def test_an_answer_that_is_not_as_documented_is_told_as_broken(content: bytes) -> None:
    with pytest.raises(BrokenStream):
        converse.read_answer(content, target())


@given(st.binary(max_size=200), st.integers(0, 1 << 20))
def test_garbage_within_a_stream_is_refused_and_never_crashes(garbage: bytes, place: int) -> None:
    _, stream = _both(_BODIES["calls"])
    at = place % len(stream)
    try:
        _read(stream[:at] + garbage + stream[at:])
    except BrokenStream:
        return


def test_a_tool_of_the_service_itself_is_not_the_clients_to_run() -> None:
    start = {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use"}}
    stream = frames.event("contentBlockStart", {"contentBlockIndex": 0, "start": start})
    stream += frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}})
    stream += frames.event("messageStop", {"stopReason": "end_turn"})
    assert _read(stream)[1] == [Finished("stop")]

    block = {"toolUse": {**start["toolUse"], "input": {}}}
    whole = {"output": {"message": {"role": "assistant", "content": [block, {"text": "hi"}]}}, "stopReason": "end_turn"}
    assert converse.read_answer(json.dumps(whole).encode(), target()).parts == (Text(text="hi"),)


def test_a_drawn_picture_comes_whole() -> None:
    stream = frames.event("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "webp"}}})
    for piece in ("YQ==", "Yg=="):
        delta = {"image": {"source": {"bytes": piece}}}
        stream += frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta})
    stream += frames.event("contentBlockStop", {"contentBlockIndex": 0})
    image = Image(source=Source(data="YWI=", media_type="image/webp"))
    assert _read(stream)[1] == [Produced(image)]


def test_text_with_citations_is_text() -> None:
    block = {"citationsContent": {"content": [{"text": "It "}, {"text": "rains."}], "citations": []}}
    whole = {"output": {"message": {"role": "assistant", "content": [block]}}, "stopReason": "end_turn"}
    assert converse.read_answer(json.dumps(whole).encode(), target()).parts == (Text(text="It rains."),)


def _transcript(name: str) -> Answer:
    return converse.read_answer((TRANSCRIPTS / name).read_bytes(), target())


def test_the_documented_answer_of_text_is_read() -> None:
    answer = _transcript("converse.json")
    assert [type(part) for part in answer.parts] == [Text]
    assert answer.finish == "stop"


def test_the_documented_answer_with_a_tool_is_read() -> None:
    answer = _transcript("converse_tool.json")
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    assert [(call.name, msgspec.json.decode(call.arguments)) for call in calls] == [("top_song", {"sign": "WZPZ"})]
    assert answer.finish == "tool_calls"


def test_the_documented_events_of_a_tool_are_read() -> None:
    """`stream_tool.json`: (event, payload) as the guide prints them."""
    sent = json.loads((TRANSCRIPTS / "stream_tool.json").read_text())
    reader, events = _read(b"".join(frames.event(name, payload) for name, payload in sent))
    assert ToolCallStart(0, "tooluse_abc", "top_song") in events
    assert _joined(events)[-2:] == [ToolCallDelta(0, '{"sign": "WZPZ"}'), Finished("tool_calls")]
    assert reader.usage is not None
