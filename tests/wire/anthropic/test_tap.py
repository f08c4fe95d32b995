"""The tap of streams that are passed on: bytes unchanged, the end held back, errors caught."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.answers import BrokenStream
from app.wire.anthropic import passing
from app.wire.anthropic.endpoints import MESSAGES
from app.wire.anthropic.tap import StreamTap
from app.wire.request import Request
from tests.wire.anthropic.messages import request_of, transcript
from tests.wire.strategies import split

STREAM = transcript("stream.sse")
END = STREAM[STREAM.index(b"event: message_delta") :]
cuts = st.lists(st.integers(0, 10_000), max_size=12)


def _event(type_: str, **fields: Any) -> bytes:
    return f"event: {type_}\ndata: {json.dumps({'type': type_, **fields})}\n\n".encode()


def _followed(*pieces: bytes) -> tuple[bytes, StreamTap]:
    tap = passing.follow(_request(), MESSAGES)
    passed = b"".join([tap.feed(piece) for piece in pieces])
    return passed + tap.finish(), tap


def _request() -> Request:
    return request_of({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]})


@given(cuts, st.sampled_from((b"\n", b"\r\n", b"\r")))
def test_any_cutting_passes_the_same_bytes_and_tells_the_same(places: list[int], line_end: bytes) -> None:
    passed, tap = _followed(*split(STREAM.replace(b"\n", line_end), places))

    assert passed + tap.tail == STREAM
    assert tap.tail == END
    assert tap.upstream_id == "msg_014p7gG3wDgGV9EUtLvnow3U"
    assert (tap.finish_reason, tap.has_begun, tap.is_complete, tap.is_done) == ("tool_use", True, True, True)
    arguments = '{"location": "San Francisco, CA", "unit": "fahrenheit"}'
    assert tap.characters == len("The weather is asked for.Okay, let's check the weather:" + arguments)


@given(cuts)
def test_an_error_in_the_middle_is_caught_and_nothing_of_it_is_passed(places: list[int]) -> None:
    stream = transcript("stream_error.sse")
    passed, tap = _followed(*split(stream + _event("content_block_stop", index=0), places))

    assert passed == stream[: stream.index(b"event: error")]
    assert tap.error is not None
    assert json.loads(bytes(tap.error)) == {"type": "overloaded_error", "message": "Overloaded"}
    assert not tap.is_complete
    assert tap.tail == b""


def test_a_proxys_error_without_a_type_is_caught_too() -> None:
    passed, tap = _followed(b'data: {"error":{"message":"upstream is gone"}}\n\n')
    assert (passed, tap.error is not None) == (b"", True)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_bytes_are_followed_or_refused(pieces: list[bytes]) -> None:
    with contextlib.suppress(BrokenStream):
        _followed(*pieces)


def test_content_after_an_early_delta_comes_in_its_order() -> None:
    early = _event("message_delta", delta={}, usage={"output_tokens": 1})
    text = _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})
    passed, tap = _followed(early, text, END)

    assert passed == early + text
    assert tap.tail == END


def test_comments_pings_and_unknown_events_pass() -> None:
    told = b": keep-alive\n\n" + _event("ping") + _event("fortune", cookie={"usage": 5})
    passed, tap = _followed(told)

    assert passed == told
    assert tap.has_begun


def test_pings_alone_are_no_beginning() -> None:
    _, tap = _followed(_event("ping"))
    assert not tap.has_begun


def test_garbage_is_left_out_until_it_is_too_much() -> None:
    garbage = [b"data: {not json\n\n", b"data: null\n\n", b'data: "x"\n\n', b"data: \xff\n\n"]
    start = STREAM.index(b"event: ping")
    passed, _ = _followed(STREAM[:start], *garbage, STREAM[start:])
    assert passed + END == STREAM
    with pytest.raises(BrokenStream):
        _followed(*garbage * 3)


def test_an_event_without_end_is_refused() -> None:
    with pytest.raises(BrokenStream):
        _followed(b"data: " + b"x" * (33 << 20))


def test_the_facts_of_whole_answers_are_read() -> None:
    facts = passing.read_facts(transcript("message_thinking_tools.json"))
    assert (facts.upstream_id, facts.finish_reason, facts.error) == ("msg_01Think", "tool_use", None)
    wrong = passing.read_facts(transcript("error.json"))
    assert wrong.error is not None
    assert passing.read_facts(b"<html>").is_json is False
    assert passing.read_facts(b"[1]") == passing.read_facts(b'{"id":5}')


def test_the_characters_of_whole_answers_are_counted() -> None:
    assert passing.characters_of(transcript("message.json")) == len("Hello!")
    assert passing.characters_of(b"not json") == 8


def test_a_request_passes_with_its_values_as_they_are() -> None:
    document = {
        "model": "house/claude",
        "max_tokens": 5,
        "temperature": 1.0,
        "messages": [{"role": "user", "content": "x"}],
        "unheard_of": {"a": [1, 2.50]},
    }
    request = request_of(document, anthropic_beta="a-2026,b-2026", anthropic_version="2026-10-21", x_api_key="hk-1")
    outgoing = passing.write(request, MESSAGES, "claude-opus-5-5", ())

    assert json.loads(outgoing.content) == {**document, "model": "claude-opus-5-5"}
    assert outgoing.headers == {"anthropic-beta": "a-2026,b-2026", "anthropic-version": "2026-10-21"}


def test_thoughts_of_other_vendors_stay_behind() -> None:
    own = {"type": "thinking", "thinking": "mine", "signature": "EqQB"}
    foreign = {"type": "thinking", "thinking": "theirs", "signature": "hub1.google.abc"}
    hidden = {"type": "redacted_thinking", "data": "hub1..x"}
    text = {"type": "text", "text": 'they said "hub1." once'}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [own, foreign, hidden, text]},
        {"role": "assistant", "content": [foreign]},
    ]
    outgoing = passing.write(request_of({"model": "m", "max_tokens": 5, "messages": messages}), MESSAGES, "c", ())

    assert json.loads(outgoing.content)["messages"] == [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [own, text]},
    ]
