"""Any neutral conversation survives this format there and back, and any events give a stream that Google's own library
takes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from google import genai
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.base.usage import Usage
from app.wire.gemini import chat_client, chat_upstream
from app.wire.neutral import Conversation, Opaque, Reasoning, Refusal, Sampling, Text, ToolCall
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
from app.wire.notes import Notes
from app.wire.translation import Gathered
from tests.emulators.gemini import checks
from tests.wire.gemini.conversations import REPLY, noted, read, target, write
from tests.wire.strategies import answers, conversations, events, facts, good_events, split

OLD = "gemini-3-flash-preview"
"""Takes all that can be said: levels of thinking, sampling, functions and JSON together."""


def _plainly(said: Conversation) -> list[Any]:
    """As `facts`; a picture by URL gets a type on its way."""
    return json.loads(json.dumps(facts(said)).replace(_TYPED, _UNTYPED))


_TYPED = '"https://example.com/cat.png", null, "image/png"'
_UNTYPED = '"https://example.com/cat.png", null, null'


def _wordless(said: Conversation) -> Conversation:
    """Without what is told under another name or not at all."""
    return replace(said, user=None, has_parallel_tools=None, reasoning=None)


@given(conversations())
def test_any_conversation_survives(said: Conversation) -> None:
    again = read(write(said, OLD))

    assert _plainly(again) == _plainly(said)
    assert [tool.name for tool in again.tools] == [tool.name for tool in said.tools]
    assert [msgspec.json.decode(tool.parameters) for tool in again.tools] == [
        msgspec.json.decode(tool.parameters) for tool in said.tools
    ]
    assert again.sampling == said.sampling
    assert (again.output is None) == (said.output is None)
    assert (again.reasoning.effort if again.reasoning else None) == (said.reasoning.effort if said.reasoning else None)
    assert again.unread == ()


@given(conversations(), st.sampled_from(("gemini-3.8-flash", OLD, "gemini-3.1-pro-preview", "gemini-2.5-pro")))
def test_gemini_takes_whatever_is_written(said: Conversation, model: str) -> None:
    # Stop sequences beyond five are for Gemini itself to refuse.
    checks.generate(write(said, model), model)


@given(conversations())
def test_nothing_is_lost_without_a_word(said: Conversation) -> None:
    notes = Notes()
    write(said, "gemini-3.8-flash", notes)

    lost = {path for what, path in noted(notes) if what == "dropped"}
    sampling = said.sampling
    assert {"temperature", "top_p"} & lost == {
        name for name in ("temperature", "top_p") if getattr(sampling, name) is not None
    }
    assert ("user" in lost) == (said.user is not None)
    assert ("has_parallel_tools" in lost) == (said.has_parallel_tools is False and bool(said.tools))
    assert not any(what == "dropped" for what, _ in noted(_notes_of(_wordless(replace(said, sampling=Sampling())))))


def _notes_of(said: Conversation) -> Notes:
    notes = Notes()
    write(said, "gemini-3.8-flash", notes)
    return notes


@given(answers)
def test_any_answer_survives(answer: Answer) -> None:
    written = chat_client.write_answer(answer, REPLY, Usage(input=3, output=4))
    again = chat_upstream.read_answer(written, target())

    types.GenerateContentResponse.model_validate_json(written)
    assert [_as_said(part) for part in again.parts] == [_as_said(part) for part in answer.parts]
    has_calls = any(isinstance(part, ToolCall) for part in answer.parts)
    assert again.finish == ("tool_calls" if has_calls and answer.finish == "stop" else answer.finish)


def _as_said(part: object) -> object:
    """Refusals are text here; a call's arguments are compared as what they mean."""
    match part:
        case Refusal() | Text():
            return ("text", part.text)
        case Reasoning():
            return ("thought", part.text)
        case ToolCall():
            return ("call", part.id, part.name, msgspec.json.decode(part.arguments))
        case _:
            return part


class _Transport(httpx.BaseTransport):
    """Answers with the bytes that a test has put here, in its pieces."""

    pieces: list[bytes]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Pieces(self.pieces))


class _Pieces(httpx.SyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces


@pytest.fixture(scope="module")
def library() -> Iterator[tuple[genai.Client, _Transport]]:
    logging.getLogger("google_genai").setLevel(logging.ERROR)
    transport = _Transport()
    with httpx.Client(transport=transport) as web:
        options = types.HttpOptions(base_url="http://hub.test", httpx_client=web)
        with genai.Client(api_key="k", http_options=options) as client:
            yield client, transport


def _heard(library: tuple[genai.Client, _Transport], pieces: list[bytes]) -> list[types.GenerateContentResponse]:
    client, transport = library
    transport.pieces = pieces
    return list(client.models.generate_content_stream(model="m", contents="x"))


@settings(max_examples=40)
@given(sequence=st.lists(events, max_size=25), cuts=st.lists(st.integers(0, 10_000), max_size=20))
def test_any_events_give_a_stream_that_googles_library_takes(
    library: tuple[genai.Client, _Transport], sequence: list[Event], cuts: list[int]
) -> None:
    writer = chat_client.stream_writer(REPLY)
    half = len(sequence) // 2
    stream = writer.begin() + writer.write(sequence[:half]) + writer.beat() + writer.write(sequence[half:])
    stream += writer.end(Usage(input=1, output=2))

    chunks = _heard(library, split(stream, cuts))

    last = chunks[-1]
    assert last.usage_metadata is not None and last.usage_metadata.total_token_count == 3
    assert last.candidates is not None and last.candidates[0].finish_reason is not None
    for chunk in chunks:
        # A turn with a content without parts is left out of a chat's history.
        assert chunk.candidates is not None and chunk.candidates[0].content is not None
        assert chunk.candidates[0].content.parts


@settings(max_examples=40)
@given(sequence=good_events(), cuts=st.lists(st.integers(0, 10_000), max_size=10))
def test_what_was_said_is_heard(
    library: tuple[genai.Client, _Transport], sequence: list[Event], cuts: list[int]
) -> None:
    writer = chat_client.stream_writer(REPLY)
    stream = writer.begin() + b"".join(writer.write([event]) for event in sequence) + writer.end(None)

    parts = [
        part
        for chunk in _heard(library, split(stream, cuts))
        for candidate in chunk.candidates or []
        for part in (candidate.content.parts if candidate.content else None) or []
    ]

    gathered = Gathered()
    for event in sequence:
        gathered.add(event)
    assert "".join(part.text or "" for part in parts if not part.thought) == gathered.text
    thoughts = "".join(part.text for part in gathered.parts() if isinstance(part, Reasoning))
    assert "".join(part.text or "" for part in parts if part.thought) == thoughts
    calls = [part.function_call for part in parts if part.function_call is not None]
    assert [(call.id, call.name, call.args) for call in calls] == [
        (part.id, part.name, msgspec.json.decode(part.arguments))
        for part in gathered.parts()
        if isinstance(part, ToolCall)
    ]


@given(good_events(), st.lists(st.integers(0, 10_000), max_size=30))
def test_our_reader_hears_what_our_writer_says(sequence: list[Event], cuts: list[int]) -> None:
    writer = chat_client.stream_writer(REPLY)
    stream = b"".join(writer.write([event]) for event in sequence) + writer.end(Usage(input=1, output=2))

    reader = chat_upstream.stream_reader(target(is_streamed=True))
    heard = [event for piece in split(stream, cuts) for event in reader.feed(piece)] + reader.finish()

    assert (reader.is_complete, reader.error, reader.upstream_id) == (True, None, REPLY.id)
    assert _gathered(heard) == _gathered(sequence)
    assert isinstance(heard[-1], Finished) and isinstance(sequence[-1], Finished)
    assert heard[-1].finish == sequence[-1].finish


def _gathered(sequence: list[Event]) -> Any:
    gathered = Gathered()
    for event in sequence:
        gathered.add(event)
    return gathered.text, [_as_said(part) for part in gathered.parts()]


@given(
    st.builds(
        Opaque, st.sampled_from(("anthropic", "google", "openai")), st.from_regex(r"[A-Za-z0-9+/]{8}", fullmatch=True)
    ),
    st.booleans(),
)
def test_a_signature_of_any_vendor_goes_to_the_client_and_comes_back(opaque: Opaque, is_redacted: bool) -> None:
    thought = Reasoning(text="" if is_redacted else "hm", opaque=opaque, is_redacted=is_redacted)
    call = ToolCall(id="c1", name="f", opaque=opaque)
    answer = Answer(parts=(thought, Text(text="a", opaque=opaque), call), finish="tool_calls")

    whole = json.loads(chat_client.write_answer(answer, REPLY, None))["candidates"][0]["content"]
    # Google's own library reads the field as bytes and writes them in the other alphabet.
    content = types.Content.model_validate(whole).model_dump(mode="json", exclude_none=True, by_alias=True)
    again = read({"contents": [{"role": "user", "parts": [{"text": "x"}]}, content]}).messages[1].parts

    assert [getattr(part, "is_redacted", False) for part in again] == [is_redacted, False, False]
    assert [_decoded(part.opaque) for part in again if not isinstance(part, Refusal)] == [_decoded(opaque)] * 3


def _decoded(opaque: Any) -> Any:
    assert isinstance(opaque, Opaque)
    return opaque.origin, opaque.value.replace("-", "+").replace("_", "/").rstrip("=")


def test_a_thought_and_its_signature_are_one_part_of_a_stream() -> None:
    sequence: list[Event] = [
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        ReasoningEnd(Opaque("google", "c2ln")),
        TextDelta("c"),
        ToolCallStart(0, "c1", "f", Opaque("google", "c2ln")),
        ToolCallDelta(0, '{"x":'),
        ToolCallDelta(0, "1}"),
        Finished("tool_calls"),
    ]
    writer = chat_client.stream_writer(REPLY)
    stream = b"".join(writer.write([event]) for event in sequence) + writer.end(None)

    parts = [
        part
        for line in stream.splitlines()
        if line
        for part in json.loads(line[6:])["candidates"][0]["content"]["parts"]
    ]
    assert parts == [
        {"text": "a", "thought": True},
        {"text": "b", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "c"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}, "thoughtSignature": "c2ln"},
        {"text": ""},
    ]
