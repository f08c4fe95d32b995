"""Any neutral conversation survives this format there and back, and any events give a stream that OpenAI's own library
takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from app.base.usage import Usage
from app.wire.neutral import Conversation, Opaque, Reasoning, ToolCall
from app.wire.neutral_answer import (
    Answer,
    Event,
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from app.wire.openai import chat_client, chat_upstream
from app.wire.translation import Gathered
from tests.wire.openai.chats import REPLY, noted, read_bytes, target, write
from tests.wire.strategies import answers, conversations, events, facts, good_events, split

from app.wire.notes import Notes  # isort: skip


@given(conversations())
def test_any_conversation_survives(said: Conversation) -> None:
    notes = Notes()
    again = read_bytes(json.dumps(write(said, notes=notes)).encode())

    assert facts(again) == facts(said)
    assert (again.tools, again.tool_choice) == (
        tuple(replace(tool, at=f"tools[{n}].function") for n, tool in enumerate(said.tools)),
        said.tool_choice,
    )
    assert (again.sampling, again.output, again.reasoning, again.user, again.has_parallel_tools) == (
        said.sampling,
        said.output,
        said.reasoning,
        said.user,
        said.has_parallel_tools,
    )
    assert (again.unread, noted(notes)) == ((), [])


@given(answers)
def test_any_answer_survives(answer: Answer) -> None:
    written = chat_client.write_answer(answer, REPLY, Usage(input=3, output=4))
    again = chat_upstream.read_answer(written, target("custom"))

    # The library's own types hold it, and so does what we read ourselves.
    ChatCompletion.model_validate_json(written, strict=True)
    has_calls = any(isinstance(part, ToolCall) for part in answer.parts)
    assert [_plain(part) for part in again.parts] == [_plain(part) for part in answer.parts]
    assert again.finish == ("tool_calls" if has_calls and answer.finish == "stop" else answer.finish)


def _plain(part: object) -> object:
    return replace(part, opaque=None) if isinstance(part, Reasoning) else part


@given(st.lists(events, max_size=25), st.booleans())
def test_any_events_give_a_stream_that_openais_library_takes(sequence: list[Event], is_counted: bool) -> None:
    writer = chat_client.stream_writer(replace(REPLY, wants_usage=is_counted))
    stream = writer.begin() + writer.write(sequence) + writer.beat() + writer.end(Usage(input=1, output=2))

    state = ChatCompletionStreamState()
    for data in _data(stream):
        list(state.handle_chunk(ChatCompletionChunk.model_validate_json(data, strict=True)))
    # `get_final_completion` would refuse answers that were cut off.
    made = state.current_completion_snapshot

    said = "".join(event.text for event in _before_end(sequence) if isinstance(event, TextDelta))
    assert made.choices[0].message.content == said
    starts = {event.index: event for event in reversed(_before_end(sequence)) if isinstance(event, ToolCallStart)}
    assert {call.id for call in made.choices[0].message.tool_calls or ()} == {start.id for start in starts.values()}
    assert (made.usage is not None) == is_counted


@given(good_events(), st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from((b"\n", b"\r\n", b"\r")))
def test_our_reader_gets_out_what_our_writer_put_in(sequence: list[Event], cuts: list[int], line_end: bytes) -> None:
    writer = chat_client.stream_writer(REPLY)
    stream = writer.begin() + writer.write(sequence) + writer.end(Usage(input=1, output=2))
    reader = chat_upstream.stream_reader(target("custom", is_streamed=True))

    got = [event for piece in split(stream.replace(b"\n", line_end), cuts) for event in reader.feed(piece)]
    got += reader.finish()

    assert _gathered(got) == _gathered(sequence)
    assert reader.is_complete
    assert json.loads(bytes(reader.usage or b"{}"))["total_tokens"] == 3
    assert isinstance(got[-1], Finished)
    assert got[-1].finish == next(event.finish for event in sequence if isinstance(event, Finished))


def test_what_was_signed_comes_back_with_its_signature_from_a_stream() -> None:
    writer = chat_client.stream_writer(REPLY)
    sequence: list[Event] = [
        ReasoningDelta("because "),
        ReasoningDelta("so"),
        ReasoningEnd(Opaque("anthropic", "sig==")),
        ReasoningEnd(Opaque("anthropic", "hidden"), is_redacted=True),
        ToolCallStart(0, "call_1", "look", Opaque("google", "thought")),
        ToolCallDelta(0, "{}"),
        Finished("tool_calls"),
    ]
    stream = writer.begin() + writer.write(sequence) + writer.end(None)
    state = ChatCompletionStreamState()
    for data in _data(stream):
        list(state.handle_chunk(ChatCompletionChunk.model_validate_json(data)))
    message = state.get_final_completion().choices[0].message.model_dump(exclude_none=True)
    message.pop("parsed", None)
    for call in message["tool_calls"]:
        call["function"].pop("parsed_arguments", None)

    again = read_bytes(json.dumps({"model": "m", "messages": [message]}).encode()).messages[0].parts

    thoughts = [part for part in again if isinstance(part, Reasoning)]
    assert [(one.text, one.opaque, one.is_redacted) for one in thoughts] == [
        ("because so", Opaque("anthropic", "sig=="), False),
        ("", Opaque("anthropic", "hidden"), True),
    ]
    assert [part.opaque for part in again if isinstance(part, ToolCall)] == [Opaque("google", "thought")]


@pytest.mark.parametrize("finish", ["stop", "error", "pause"])
def test_an_end_is_said_once(finish: str) -> None:
    writer = chat_client.stream_writer(REPLY)
    stream = writer.begin() + writer.write([Finished(finish), TextDelta("late"), Finished("length")])  # type: ignore[arg-type]
    stream += writer.end(None)

    reasons = [json.loads(data)["choices"] for data in _data(stream)]
    assert [choice["finish_reason"] for choices in reasons for choice in choices if choice["finish_reason"]] == [
        {"stop": "stop", "error": "length", "pause": "stop"}[finish]
    ]
    assert b"late" not in stream


def _data(stream: bytes) -> list[bytes]:
    found = [block[6:] for block in stream.split(b"\n\n") if block.startswith(b"data: ")]
    assert found[-1] == b"[DONE]"
    return found[:-1]


def _before_end(sequence: list[Event]) -> list[Event]:
    end = next((n for n, event in enumerate(sequence) if isinstance(event, Finished)), len(sequence))
    return sequence[:end]


def _gathered(sequence: list[Event]) -> tuple[object, ...]:
    gathered = Gathered()
    for event in sequence:
        gathered.add(event)
    return (gathered.text, gathered.parts())
