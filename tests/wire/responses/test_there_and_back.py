"""Any neutral conversation survives this format there and back, and any events give a stream that OpenAI's own library
takes."""

from __future__ import annotations

import json
from typing import Any, get_args

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

from app.base.usage import Usage
from app.wire import neutral_answer
from app.wire.neutral import Audio, Conversation, Opaque, Reasoning, ToolCall
from app.wire.neutral_answer import Answer, Event, Finished, ReasoningDelta, ReasoningEnd, TextDelta
from app.wire.notes import Notes
from app.wire.responses import client, upstream
from app.wire.translation import Gathered
from tests.wire.responses.requests import REPLY, noted, read, target, write
from tests.wire.strategies import answers, conversations, events, facts, good_events, split

EVENTS: dict[str, Any] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(ResponseStreamEvent)[0])
}
ASKED = {
    "tools": Raw(
        b'[{"type":"custom","name":"A"},{"type":"namespace","name":"n","description":"d","tools":[]},'
        b'{"type":"function","name":"B","parameters":{},"strict":false}]'
    )
}


def _silent(said: Conversation) -> Conversation:
    """Without what this format has no place for: sounds, stop sequences and seeds."""
    messages = tuple(
        replace(message, parts=tuple(part for part in message.parts if not isinstance(part, Audio)))
        for message in said.messages
    )
    kept = tuple(message for message in messages if message.parts)
    return replace(said, messages=kept, sampling=replace(said.sampling, stop=(), seed=None))


@given(conversations())
def test_any_conversation_survives(given_: Conversation) -> None:
    said, notes = _silent(given_), Notes()
    again = read(**write(said, notes, origin="xai", model="m"))

    assert facts(again) == facts(said)
    assert [replace(tool, at="") for tool in again.tools] == [
        replace(tool, strict=tool.strict or False, at="") for tool in said.tools
    ]
    assert (again.tool_choice, again.has_parallel_tools) == (said.tool_choice, said.has_parallel_tools)
    assert (again.sampling, again.output, again.user) == (said.sampling, said.output, said.user)
    assert (again.reasoning, again.unread, noted(notes)) == (said.reasoning, (), [])


@given(answers)
def test_any_answer_survives(answer: Answer) -> None:
    ids = [part.id for part in answer.parts if isinstance(part, ToolCall)]
    assume(len(ids) == len(set(ids)))
    written = client.write_answer(answer, REPLY, Usage(input=3, output=4))
    again = upstream.read_answer(written, target())

    Response.model_validate_json(written)
    has_calls = any(isinstance(part, ToolCall) for part in answer.parts)
    assert again.parts == answer.parts
    assert again.finish == ("tool_calls" if has_calls and answer.finish == "stop" else answer.finish)


@given(answers)
def test_an_answer_in_one_piece_is_what_its_stream_ends_with(answer: Answer) -> None:
    writer = client.stream_writer(REPLY)
    writer.write(neutral_answer.events_of(answer))
    last = _data(writer.end(None))[-1]

    assert last["response"] == json.loads(client.write_answer(answer, REPLY, None))


@given(st.lists(events, max_size=25), st.booleans())
def test_any_events_give_a_stream_that_openais_library_takes(sequence: list[Event], has_tools: bool) -> None:
    writer = client.stream_writer(replace(REPLY, asked=ASKED if has_tools else {}))
    written = writer.write(sequence)
    payloads = _data(writer.begin() + written + writer.beat() + writer.end(Usage(input=1, output=2)))

    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for payload in payloads:
        state.handle_event(EVENTS[payload["type"]].model_validate(payload))
    assert [payload["sequence_number"] for payload in payloads] == list(range(len(payloads)))
    assert payloads[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
    whole = Response.model_validate(payloads[-1]["response"])
    assert whole.usage is not None and whole.usage.total_tokens == 3
    until = next((n for n, event in enumerate(sequence) if isinstance(event, Finished)), len(sequence))
    said = "".join(event.text for event in sequence[:until] if isinstance(event, TextDelta))
    assert _is_within(said, whole.output_text)


def _is_within(said: str, shown: str) -> bool:
    """Whether all that was said is shown, in its order: pictures by URL stand between."""
    letters = iter(shown)
    return all(letter in letters for letter in said)


@given(good_events(), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_stream_survives_any_cutting(sequence: list[Event], cuts: list[int]) -> None:
    writer = client.stream_writer(REPLY)
    written = writer.write(sequence)
    stream = writer.begin() + written + writer.end(Usage(input=1, output=2))

    reader, gathered = upstream.stream_reader(target()), Gathered()
    seen = [event for piece in split(stream, cuts) for event in reader.feed(piece)] + reader.finish()
    expected = Gathered()
    for event in sequence:
        expected.add(event)
    for event in seen:
        gathered.add(event)

    assert reader.is_complete and reader.has_begun and reader.error is None
    assert reader.upstream_id == f"resp_{REPLY.id}"
    assert (gathered.text, gathered.parts()) == (expected.text, expected.parts())
    assert seen[-1] == sequence[-1]


@given(st.text(max_size=40), st.booleans(), st.sampled_from(["openai", "anthropic"]))
def test_a_sealed_thought_survives_with_whose_it_is(text: str, is_redacted: bool, origin: str) -> None:
    opaque = Opaque(origin, "c2lnbmF0dXJl")
    writer = client.stream_writer(REPLY)
    writer.write([*([ReasoningDelta(text)] if text else []), ReasoningEnd(opaque, is_redacted)])
    writer.end(None)
    (item,) = json.loads(writer.response)["output"]

    (message,) = read(input=[item]).messages
    (thought,) = message.parts
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.opaque, thought.is_redacted) == (text, opaque, is_redacted)


def _data(stream: bytes) -> list[dict[str, Any]]:
    blocks = [block for block in stream.decode().split("\n\n") if block and not block.startswith(":")]
    found: list[dict[str, Any]] = []
    for block in blocks:
        name, data = block.split("\n", 1)
        payload = json.loads(data.removeprefix("data: "))
        assert name == f"event: {payload['type']}"
        found.append(payload)
    return found
