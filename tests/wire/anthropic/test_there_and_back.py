"""Any neutral conversation survives this format there and back, and any events give a stream that Anthropic's own
library takes."""

from __future__ import annotations

import json
from typing import Any

from anthropic._models import construct_type_unchecked
from anthropic._types import not_given
from anthropic.lib.streaming._messages import accumulate_event, build_events
from anthropic.types import Message as TheirMessage
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.base.usage import Usage
from app.wire.anthropic import client, upstream
from app.wire.anthropic.argument_text import ArgumentText
from app.wire.neutral import Audio, Conversation, Image, Message, Opaque, Reasoning, Refusal, Text, ToolCall, ToolResult
from app.wire.neutral_answer import Answer, Event, Finished, ToolCallDelta, ToolCallStart
from app.wire.translation import Gathered
from tests.emulators.anthropic import checks
from tests.emulators.anthropic.models import MODELS
from tests.wire.anthropic.messages import REPLY, read, request_of, target, write
from tests.wire.strategies import answers, arguments, conversations, events, facts, good_events, split, words

MODELS_TO_TRY = st.sampled_from(sorted(MODELS))


def _without_sound(said: Conversation) -> Conversation:
    """Claude takes none; how closely a picture is looked at cannot be said."""
    messages = [
        replace(
            message,
            parts=tuple(
                replace(part, detail=None) if isinstance(part, Image) else part
                for part in message.parts
                if not isinstance(part, Audio)
            ),
        )
        for message in said.messages
    ]
    return replace(said, messages=tuple(message for message in messages if message.parts))


def _is_speaking(said: Conversation) -> bool:
    """Whether no text is blank, which Anthropic refuses."""
    texts = [*said.system]
    for message in said.messages:
        for part in message.parts:
            inner = part.parts if isinstance(part, ToolResult) else (part,)
            texts += [one for one in inner if isinstance(one, Text)]
    return all(text.text.strip() for text in texts)


@given(conversations().map(_without_sound), MODELS_TO_TRY)
def test_any_conversation_is_accepted_by_every_model(said: Conversation, model: str) -> None:
    if not MODELS[model].has_schemas:
        # A tool that has to be called stands for the schema before it comes here.
        said = replace(said, output=None)
    most = MODELS[model].most_tokens
    if (said.sampling.max_tokens or 0) > most:
        # The caller's own limit is the caller's own mistake.
        said = replace(said, sampling=replace(said.sampling, max_tokens=most))
    body = write(said, model)
    checks.message(body, MODELS[model], "", "2023-06-01")


@given(conversations().map(_without_sound).filter(_is_speaking))
def test_any_conversation_survives(said: Conversation) -> None:
    said = replace(said, messages=(Message(role="user", parts=(Text(text="first"),)), *said.messages))
    body = write(said)
    again = client.read_conversation(request_of({**body, "model": "m"}))

    assert _in_turn(facts(again)) == _in_turn(facts(said))
    assert [(tool.name, tool.description) for tool in again.tools] == [
        (tool.name, tool.description) for tool in said.tools
    ]
    assert (again.tool_choice, again.user) == (
        said.tool_choice or (again.tool_choice if said.has_parallel_tools is False else None),
        said.user,
    )
    assert again.sampling.max_tokens == (said.sampling.max_tokens or 32_000)
    assert again.sampling.stop == tuple(stop for stop in said.sampling.stop if stop.strip())
    assert (again.output is None) == (said.output is None)
    assert again.unread == ()


def _in_turn(seen: list[Any]) -> list[Any]:
    return [fact for fact in seen if fact != ("system", "")]


@given(answers)
def test_any_answer_survives(answer: Answer) -> None:
    written = client.write_answer(answer, REPLY, Usage(input=3, output=4))
    again = upstream.read_answer(written, target())

    TheirMessage.model_validate_json(written)
    said = [_plain(part) for part in answer.parts]
    assert [_plain(part) for part in again.parts] == said
    refused = any(isinstance(part, Refusal) for part in answer.parts) and answer.finish == "stop"
    has_calls = any(isinstance(part, ToolCall) for part in answer.parts)
    expected = "content_filter" if refused else answer.finish
    assert again.finish == ("tool_calls" if has_calls and expected == "stop" else expected)


def _plain(part: object) -> object:
    match part:
        case Reasoning():
            return ("thought", part.text)
        case Refusal() | Text():
            return ("text", part.text)
        case ToolCall():
            return ("call", part.name, json.loads(bytes(part.arguments)))
        case _:
            return part


def _accumulated(stream: bytes) -> Any:
    """What Anthropic's library makes of a stream; each event must be one that it knows, in the order of blocks."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    open_: int | None = None
    blocks = 0
    for block in stream.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        fields = json.loads(data.removeprefix("data: "))
        assert name == f"event: {fields['type']}"
        match fields["type"]:
            case "content_block_start":
                assert (open_, fields["index"]) == (None, blocks)
                open_, blocks = blocks, blocks + 1
            case "content_block_delta":
                assert fields["index"] == open_
            case "content_block_stop":
                assert fields["index"] == open_
                open_ = None
            case "message_delta":
                assert open_ is None
            case _:
                pass
        if fields["type"] == "ping":
            continue
        event = construct_type_unchecked(type_=RawMessageStreamEvent, value=fields)
        snapshot = accumulate_event(
            event=event,
            current_snapshot=snapshot,
            json_bufs=buffers,
            output_format=not_given,
        )
        build_events(event=event, message_snapshot=snapshot)
    return snapshot


@given(st.lists(events, max_size=25))
def test_any_events_give_a_stream_that_anthropics_library_takes(sequence: list[Event]) -> None:
    writer = client.stream_writer(REPLY)
    stream = writer.begin() + writer.write(sequence) + writer.beat() + writer.end(Usage(input=1, output=2))

    final = _accumulated(stream)

    TheirMessage.model_validate(final.to_dict())
    assert final.usage.output_tokens == 2
    assert final.stop_reason is not None


@given(good_events(), st.randoms())
def test_calls_arrive_whole_however_their_pieces_are_mixed(sequence: list[Event], random: Any) -> None:
    gathered = Gathered()
    for event in sequence:
        gathered.add(event)
    calls = [event for event in sequence if isinstance(event, ToolCallStart | ToolCallDelta)]
    order = [event for event in calls if isinstance(event, ToolCallStart)]
    rest = [event for event in calls if isinstance(event, ToolCallDelta)]
    mixed = sorted(rest, key=lambda event: random.random() if len(order) > 1 else 0)
    by_call: dict[int, list[ToolCallDelta]] = {}
    for event in rest:
        by_call.setdefault(event.index, []).append(event)
    # Each call's own pieces stay in their order.
    mixed = [by_call[event.index].pop(0) for event in mixed]
    others = [event for event in sequence if event not in calls]

    writer = client.stream_writer(REPLY)
    said: list[Event] = [*others[:-1], *order, *mixed, others[-1]]
    final = _accumulated(writer.begin() + writer.write(said) + writer.end(None))

    uses = [(block.name, block.input) for block in final.content if block.type == "tool_use"]
    wanted = [part for part in gathered.parts() if isinstance(part, ToolCall)]
    assert uses == [(part.name, json.loads(bytes(part.arguments))) for part in wanted]


@given(good_events(), st.lists(st.integers(0, 3000), max_size=8))
def test_a_stream_survives_being_written_and_read_in_any_pieces(sequence: list[Event], cuts: list[int]) -> None:
    writer = client.stream_writer(REPLY)
    stream = writer.begin() + writer.write(sequence) + writer.end(Usage(input=1, output=2))
    reader = upstream.stream_reader(target())
    first, last = Gathered(), Gathered()
    seen: list[Event] = []
    for event in sequence:
        first.add(event)
    for piece in split(stream, cuts):
        seen += reader.feed(piece)
    seen += reader.finish()
    for event in seen:
        last.add(event)

    assert (last.text, reader.is_complete) == (first.text, True)
    assert [_plain(part) for part in last.parts()] == [_plain(part) for part in first.parts()]
    assert isinstance(seen[-1], Finished)


junk = st.one_of(
    words,
    st.text(alphabet='{}[]",:\\u0dDc8 tfn12-.e', max_size=12),
    arguments.map(lambda raw: bytes(raw).decode()),
    arguments.map(lambda raw: json.dumps(json.loads(bytes(raw)))),
)


@given(st.lists(junk, max_size=4), st.integers(0, 40), st.integers(1, 7))
def test_arguments_that_are_no_json_become_an_object(texts: list[str], length: int, step: int) -> None:
    whole = "".join(texts)
    text = whole[:length] if length < 40 else whole
    followed = ArgumentText()
    out = "".join(followed.feed(text[at : at + step]) for at in range(0, len(text), step))
    out += followed.rest()

    made = json.loads(out) if out else {}
    assert isinstance(made, dict)
    try:
        given_: Any = json.loads(text)
    except ValueError:
        return
    if isinstance(given_, dict) and "\\ud" not in text.lower():
        assert made == given_


def test_signatures_of_every_origin_come_back_as_they_were() -> None:
    for opaque in ("anthropic", "google"):
        thought = Reasoning(text="hm", opaque=Opaque(opaque, "sig"))
        written = json.loads(client.write_answer(Answer(parts=(thought,), finish="stop"), REPLY, None))
        again = read([{"role": "user", "content": "x"}, {"role": "assistant", "content": written["content"]}])
        part = again.messages[1].parts[0]
        assert isinstance(part, Reasoning)
        assert part.opaque == Opaque(opaque, "sig")
