"""A stream that the hub ends because the credits ran out.

Whatever was said before, the vendor's own library reads it as an answer that grew too long.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, Struct

from app.base.usage import Usage
from app.gateway.passages.heard import Listening
from app.wire.aigne import chat_client as aigne_chat
from app.wire.aigne import completions_client as aigne_completions
from app.wire.aigne.client import CHUNKS, FRAMES, JSON_VALUE
from app.wire.anthropic import client as anthropic_client
from app.wire.anthropic import passing as anthropic_passing
from app.wire.anthropic.endpoints import MESSAGES
from app.wire.endpoint import Endpoint
from app.wire.faces import ConversationClient, Passing, Tap
from app.wire.gemini import chat_client as gemini_client
from app.wire.gemini import passing as gemini_passing
from app.wire.gemini.endpoints import GENERATE_CONTENT
from app.wire.neutral_answer import Event, Reply, TextDelta
from app.wire.openai import chat_client, chat_upstream, passing
from app.wire.openai.endpoints import ENDPOINTS
from app.wire.request import Request
from app.wire.responses import client as responses_client
from app.wire.responses import passing as responses_passing
from app.wire.responses.endpoints import RESPONSES
from app.wire.structured import Unfencing
from app.wire.translation import Translation
from tests.wire import sdks
from tests.wire.openai.chats import CHAT, DONE, chunk, target
from tests.wire.strategies import good_events, split

TRANSCRIPTS = Path(__file__).resolve().parents[1] / "transcripts"
REPLY = Reply(id="0" * 32, model="house/model", created=1_795_000_000, wants_usage=True)
USAGE = Usage(input=11, output=7, requests=1)
REQUEST = Request(model="house/model", is_streamed=True, wants_usage=True, size=0, document={})
NAMED = {endpoint.name: endpoint for endpoint in ENDPOINTS}

Told = tuple[str, str | None, int | None]
"""All text, the word for its end, and the tokens that came out."""


class Spoken(Struct, frozen=True):
    passing: Passing
    endpoint: Endpoint
    client: ConversationClient
    read: Callable[[bytes], Told]
    word: str
    recorded: tuple[str, ...]

    def tap(self) -> Tap:
        return self.passing.follow(REQUEST, self.endpoint)


def _chat(stream: bytes) -> Told:
    chunks = sdks.chat(stream)
    assert len({one.id for one in chunks}) == 1 and len({one.created for one in chunks}) == 1
    text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    finish = [one.choices[0].finish_reason for one in chunks if one.choices and one.choices[0].finish_reason]
    assert len(finish) == 1 and stream.endswith(DONE)
    counted = [one.usage for one in chunks if one.usage is not None]
    return text, finish[0], counted[-1].completion_tokens if counted else None


def _message(stream: bytes) -> Told:
    message = sdks.messages(stream)
    text = "".join(block.text for block in message.content if block.type == "text")
    return text, message.stop_reason, message.usage.output_tokens


def _gemini(stream: bytes) -> Told:
    answers = sdks.gemini(stream)
    assert sdks.gemini_array(*[piece + b"\n\n" for piece in stream.split(b"\n\n")]) == [
        one.model_copy(update={"sdk_http_response": None}) for one in answers
    ]
    parts = [part for one in answers for part in one.candidates[0].content.parts]
    text = "".join(part.text for part in parts if part.text and not part.thought)
    usage = answers[-1].usage_metadata
    made = None if usage is None else (usage.candidates_token_count or 0)
    return text, answers[-1].candidates[0].finish_reason.name, made


def _response(stream: bytes) -> Told:
    events = sdks.responses(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    opened = [event.output_index for event in events if event.type == "response.output_item.added"]
    closed = [event.output_index for event in events if event.type == "response.output_item.done"]
    assert sorted(opened) == sorted(closed)
    parts = [event.type for event in events if "_part." in event.type]
    assert sum(one.endswith("added") for one in parts) == sum(one.endswith("done") for one in parts)
    last = events[-1].response
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [item.id for item in last.output] == [item.id for item in sorted(done, key=lambda one: _place(events, one))]
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert last.output_text == said
    word = last.incomplete_details.reason if last.incomplete_details else last.status
    return said, word, last.usage.output_tokens if last.usage else None


def _place(events: list[Any], item: Any) -> int:
    added = (event for event in events if event.type == "response.output_item.added" and event.item.id == item.id)
    return next(added).output_index


FORMATS = {
    "chat.completions": Spoken(
        passing,
        CHAT,
        chat_client,
        _chat,
        "length",
        ("openai/chat_stream.sse", "deepseek/chat_stream.sse", "openrouter/chat_stream.sse"),
    ),
    "messages": Spoken(
        anthropic_passing,
        MESSAGES,
        anthropic_client,
        _message,
        "max_tokens",
        ("anthropic/stream.sse", "anthropic/stream_older.sse"),
    ),
    "generate_content": Spoken(
        gemini_passing, GENERATE_CONTENT, gemini_client, _gemini, "MAX_TOKENS", ("google/stream.sse",)
    ),
    "responses": Spoken(
        responses_passing, RESPONSES, responses_client, _response, "max_output_tokens", ("openai/response_stream.sse",)
    ),
}
RECORDED = [(name, path) for name, spoken in FORMATS.items() for path in spoken.recorded]
ALL = pytest.mark.parametrize("name", FORMATS)


@pytest.mark.parametrize("usage", [USAGE, None])
@pytest.mark.parametrize(("name", "path"), RECORDED)
def test_a_recorded_stream_can_be_cut_after_any_event(name: str, path: str, usage: Usage | None) -> None:
    spoken, recorded = FORMATS[name], (TRANSCRIPTS / path).read_bytes()
    events = [one + b"\n\n" for one in recorded.strip().split(b"\n\n")]
    whole = spoken.read(recorded)[0]

    for count in range(len(events) + 1):
        tap = spoken.tap()
        given = b"".join(tap.feed(event) for event in events[:count])
        was_complete, own_word = tap.is_complete, tap.finish_reason
        last = tap.cut(usage)

        text, word, made = spoken.read(given + last)
        assert whole.startswith(text)
        assert word == tap.finish_reason == (own_word if was_complete else spoken.word)
        if not was_complete and usage is not None:
            assert made == usage.output
        _nothing_follows(tap, events)


@ALL
@settings(max_examples=10, deadline=None)
@given(events=good_events(), at=st.integers(0, 10_000), cuts=st.lists(st.integers(0, 10_000), max_size=5))
def test_any_stream_can_be_cut_in_the_middle_of_anything(
    name: str, events: list[Event], at: int, cuts: list[int]
) -> None:
    spoken = FORMATS[name]
    writer = spoken.client.stream_writer(REPLY)
    whole = writer.begin() + b"".join(writer.write([event]) for event in events) + writer.end(USAGE)
    stream = whole[: at % (len(whole) + 1)]
    tap = spoken.tap()

    given = b"".join(tap.feed(piece) for piece in split(stream, cuts))
    own_word = tap.finish_reason if tap.is_complete else None
    text, word, _ = spoken.read(given + tap.cut(USAGE))

    assert "".join(event.text for event in events if isinstance(event, TextDelta)).startswith(text)
    assert word == (own_word or spoken.word)
    _nothing_follows(tap, [whole])


@ALL
def test_a_stream_that_has_not_begun_is_an_empty_answer(name: str) -> None:
    spoken = FORMATS[name]

    assert spoken.read(spoken.tap().cut(USAGE)) == ("", spoken.word, 7)


@ALL
@settings(max_examples=10, deadline=None)
@given(words=st.lists(st.text(max_size=8), max_size=6), has_begun=st.booleans())
def test_a_translated_stream_can_be_cut_after_any_event(name: str, words: list[str], has_begun: bool) -> None:
    spoken = FORMATS[name]
    tap = _translated(spoken.client, REPLY)

    given = tap.feed(chunk({"role": "assistant", "content": ""})) if has_begun else b""
    given += b"".join(tap.feed(chunk({"content": word})) for word in words)

    assert spoken.read(given + tap.cut(USAGE)) == ("".join(words), spoken.word, 7)
    assert tap.finish_reason == "length"
    _nothing_follows(tap, [chunk({"content": "more"}), DONE])


@ALL
def test_a_translated_stream_is_cut_in_the_middle_of_a_call(name: str) -> None:
    spoken = FORMATS[name]
    tap = _translated(spoken.client, REPLY)
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": [1,'}}

    given = tap.feed(chunk({"reasoning": "hm"})) + tap.feed(chunk({"tool_calls": [call]}))

    assert spoken.read(given + tap.cut(None))[1] == spoken.word


@pytest.mark.parametrize("form", ["", JSON_VALUE])
def test_aignes_chat_is_told_that_it_was_cut(form: str) -> None:
    tap = _translated(aigne_chat, Reply(**{**_fields(REPLY), "form": form}))
    given = tap.feed(chunk({"content": "half"}))

    frames = [json.loads(one[6:]) for one in (given + tap.cut(USAGE)).strip().split(b"\n\n") if one[:5] == b"data:"]

    assert "".join(frame["delta"].get("text", {}).get("text", "") for frame in frames) == "half"
    assert frames[-1]["delta"]["json"]["finishReason"] == "length"
    assert frames[-1]["delta"]["json"]["usage"]["outputTokens"] == 7


@pytest.mark.parametrize("form", [FRAMES, CHUNKS])
def test_aignes_completions_end_as_they_always_do(form: str) -> None:
    tap = _translated(aigne_completions, Reply(**{**_fields(REPLY), "form": form}))

    said = tap.feed(chunk({"content": "half"})) + tap.cut(USAGE)

    if form == CHUNKS:
        assert _chat(said) == ("half", "length", 7)
    else:
        frames = [json.loads(one[6:]) for one in said.strip().split(b"\n\n")]
        assert frames[0]["delta"]["content"] == "half"
        assert frames[-1]["usage"]["completionTokens"] == 7


def test_what_stands_between_gives_up_what_it_held() -> None:
    reader = chat_upstream.stream_reader(target("ollama", is_streamed=True))
    tap = Translation(reader, chat_client.stream_writer(REPLY), lambda _: USAGE, Unfencing())
    given = tap.feed(chunk({"content": "``"}))

    assert _chat(given + tap.cut(USAGE))[0] == "``"


@pytest.mark.parametrize("wants_usage", [True, False])
def test_usage_is_told_to_who_asked_for_it(wants_usage: bool) -> None:
    asked = Request(model="m", is_streamed=True, wants_usage=wants_usage, size=0)
    tap = passing.follow(asked, CHAT)

    _, _, made = _chat(tap.feed(chunk({"content": "a"}, created=5, model="m")) + tap.cut(USAGE))

    assert made == (7 if wants_usage else None)


def test_each_open_choice_is_ended_and_no_other() -> None:
    tap = passing.follow(REQUEST, CHAT)
    for index in (0, 1, 2):
        tap.feed(_choice(index, "a", None))
    tap.feed(_choice(1, "", "stop"))

    chunks = [json.loads(one[6:]) for one in tap.cut(None).split(b"\n\n") if one.startswith(b"data: {")]

    ended = [(choice["index"], choice["finish_reason"]) for one in chunks for choice in one["choices"]]
    assert ended == [(0, "length"), (2, "length")]
    assert tap.finish_reason == "length"


def test_each_open_candidate_is_ended_and_no_other() -> None:
    tap = gemini_passing.follow(REQUEST, GENERATE_CONTENT)
    first = [{"index": n, "content": {"parts": [{"text": "a"}], "role": "model"}} for n in (0, 1)]
    tap.feed(b"data: " + json.dumps({"candidates": first, "responseId": "r"}).encode() + b"\n\n")
    tap.feed(b"data: " + json.dumps({"candidates": [{**first[0], "finishReason": "STOP"}]}).encode() + b"\n\n")

    answers = sdks.gemini(tap.cut(None))

    ended = [(one.index, one.finish_reason.name) for answer in answers for one in answer.candidates]
    assert ended == [(0, "STOP"), (1, "MAX_TOKENS")]
    assert {answer.response_id for answer in answers} == {None, "r"}


def test_plain_completions_are_cut_in_their_own_words() -> None:
    tap = passing.follow(REQUEST, NAMED["completions"])
    head = {"id": "cmpl-1", "object": "text_completion", "created": 5, "model": "m"}
    choice = {"index": 0, "text": "a", "logprobs": None, "finish_reason": None}
    given = tap.feed(b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n")

    read = sdks.completions(given + tap.cut(USAGE))

    assert [choice.finish_reason for one in read for choice in one.choices] == [None, "length"]
    assert {(one.id, one.object, one.created, one.model) for one in read} == {("cmpl-1", "text_completion", 5, "m")}
    assert read[-1].usage is not None and read[-1].usage.completion_tokens == 7


def test_a_stream_of_pictures_has_no_word_for_it_and_just_ends() -> None:
    tap = passing.follow(REQUEST, NAMED["images.generations"])
    partial = {"type": "image_generation.partial_image", "b64_json": "aGk=", "partial_image_index": 0}
    given = tap.feed(b"data: " + json.dumps(partial).encode() + b"\n\n")

    assert tap.cut(USAGE) == b"" and tap.is_complete and tap.finish_reason is None
    assert [event.type for event in sdks.events(given)] == ["image_generation.partial_image"]


def test_a_cut_response_is_kept_with_all_that_was_said() -> None:
    recorded = (TRANSCRIPTS / "openai" / "response_stream.sse").read_bytes()
    tap = responses_passing.follow(REQUEST, RESPONSES)
    tap.feed(recorded[: recorded.index(b"event: response.output_text.done")])

    tap.cut(USAGE)

    kept = json.loads(tap.response)
    assert kept["status"] == "incomplete" and kept["incomplete_details"] == {"reason": "max_output_tokens"}
    assert kept["output"][0]["status"] == "incomplete"
    assert kept["output"][0]["content"][0]["text"] == "Hi there! How can I help you today?"


def test_who_listens_hears_the_cut_as_well() -> None:
    tap = Listening(passing.follow(REQUEST, CHAT))

    assert _chat(tap.feed(chunk({"content": "a"}, created=5)) + tap.cut(USAGE)) == ("a", "length", 7)
    assert tap.tail == b"" and tap.is_complete and tap.service_tier is None


def _translated(client: ConversationClient, reply: Reply) -> Translation:
    reader = chat_upstream.stream_reader(target("ollama", is_streamed=True))
    return Translation(reader, client.stream_writer(reply), _no_usage)


def _no_usage(report: Raw | None) -> Usage | None:
    return None


def _nothing_follows(tap: Tap, events: list[bytes]) -> None:
    assert tap.is_complete and tap.tail == b""
    assert (tap.cut(USAGE), [tap.feed(event) for event in events], tap.finish()) == (b"", [b""] * len(events), b"")
    assert tap.tail == b""


def _choice(index: int, text: str, finish: str | None) -> bytes:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "created": 5, "choices": [choice]}).encode() + b"\n\n"


def _fields(reply: Reply) -> dict[str, Any]:
    return {name: getattr(reply, name) for name in reply.__struct_fields__}


def _told(number: int, type_: str, **fields: Any) -> bytes:
    payload = {"type": type_, "sequence_number": number, **fields}
    return b"event: " + type_.encode() + b"\ndata: " + json.dumps(payload).encode() + b"\n\n"


def _beginning() -> bytes:
    whole = {"id": "resp_1", "object": "response", "created_at": 5, "model": "m", "status": "in_progress", "output": []}
    return _told(0, "response.created", response=whole)


def test_items_that_are_open_side_by_side_are_each_closed_with_what_they_said() -> None:
    tap = responses_passing.follow(REQUEST, RESPONSES)
    given, number = tap.feed(_beginning()), 1
    kinds = (("function_call", "arguments"), ("custom_tool_call", "input"), ("function_call", "arguments"))
    for index, (kind, field) in enumerate(kinds):
        item = {
            "id": f"i{index}",
            "type": kind,
            "call_id": f"c{index}",
            "name": "f",
            field: "",
            "status": "in_progress",
        }
        given += tap.feed(_told(number, "response.output_item.added", output_index=index, item=item))
        number += 1
    for piece in ("a", "b"):
        for index, (kind, _) in enumerate(kinds):
            event = "response.function_call_arguments" if kind == "function_call" else "response.custom_tool_call_input"
            delta = {"item_id": f"i{index}", "output_index": index, "delta": f"{piece}{index}"}
            given += tap.feed(_told(number, f"{event}.delta", **delta))
            number += 1
    done = {
        "id": "i1",
        "type": "custom_tool_call",
        "call_id": "c1",
        "name": "f",
        "input": "a1b1",
        "status": "completed",
    }
    given += tap.feed(_told(number, "response.output_item.done", output_index=1, item=done))

    events = sdks.responses(given + tap.cut(USAGE))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    said = [
        (item.id, item.status, getattr(item, "arguments", None) or item.input) for item in events[-1].response.output
    ]
    assert said == [("i0", "incomplete", "a0b0"), ("i1", "completed", "a1b1"), ("i2", "incomplete", "a2b2")]
    ended = [event.arguments for event in events if event.type == "response.function_call_arguments.done"]
    assert ended == ["a0b0", "a2b2"]


def test_a_thought_and_a_search_that_are_open_are_closed() -> None:
    tap = responses_passing.follow(REQUEST, RESPONSES)
    thought = {"id": "rs_1", "type": "reasoning", "summary": []}
    place = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    search = {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "in_progress",
        "action": {"type": "search", "query": "q"},
    }
    given = b"".join(
        tap.feed(event)
        for event in (
            _beginning(),
            _told(1, "response.output_item.added", output_index=0, item=thought),
            _told(2, "response.reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""}),
            _told(3, "response.reasoning_summary_text.delta", **place, delta="hm"),
            _told(4, "response.reasoning_summary_text.done", **place, text="hm"),
            _told(5, "response.output_item.added", output_index=1, item=search),
            _told(6, "response.web_search_call.searching", item_id="ws_1", output_index=1),
        )
    )

    events = sdks.responses(given + tap.cut(None))

    assert [event.type for event in events[7:]] == [
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    kept = json.loads(tap.response)
    assert kept["output"][0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert kept["output"][1] == {**search, "status": "failed"}
    assert kept["usage"] is None
