"""The tap: whatever way the bytes are cut, the client gets the same events and the record the same facts."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.wire.answers import MAX_EVENT_BYTES, AnswerFacts, BrokenStream
from app.wire.openai.tap import StreamTap, characters_of, read_answer


def chunk(content: str | None = None, **fields: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": fields.pop("finish", None)}
    return event({"id": "chatcmpl-1", "choices": [choice], **fields})


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
USAGE_CHUNK = event({"id": "chatcmpl-1", "choices": [], "usage": USAGE})
STREAM = [
    b": a comment\n\n",
    chunk("", usage=None),
    chunk("schön"),
    b'event: message\nid: 7\ndata: {"choices": [{"delta":\ndata: {"content": "two lines"}}]}\n\n',
    chunk(finish="stop"),
    USAGE_CHUNK,
    DONE,
]


def a_tap(*, wants_usage: bool = False, asks_usage: bool = True) -> StreamTap:
    return StreamTap(wants_usage=wants_usage, asks_usage=asks_usage)


def run(tap: StreamTap, pieces: list[bytes]) -> bytes:
    """Everything that reaches the client, the tail included."""
    return b"".join(tap.feed(piece) for piece in pieces) + tap.finish() + tap.tail


def in_pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


def facts(tap: StreamTap) -> tuple[Any, ...]:
    return tap.upstream_id, tap.finish_reason, bytes(tap.usage or b""), tap.characters, tap.is_complete, tap.is_done


def lines(stream: bytes) -> list[bytes]:
    """Without what has no meaning: how lines end and how many empty ones there are."""
    return [line for line in stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n") if line]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("wants_usage", [False, True])
@given(cuts=st.lists(st.integers(0, 2000), max_size=60))
@example(cuts=list(range(2000)))
@example(cuts=[])
def test_it_does_not_matter_where_a_stream_is_cut(line_end: bytes, wants_usage: bool, cuts: list[int]) -> None:
    stream = b"".join(STREAM).replace(b"\n", line_end)
    tap = a_tap(wants_usage=wants_usage)

    got = run(tap, in_pieces(stream, cuts))

    kept = [one for one in STREAM if wants_usage or one is not USAGE_CHUNK]
    assert lines(got) == lines(b"".join(kept))
    assert facts(tap) == ("chatcmpl-1", "stop", json.dumps(USAGE).encode(), len("schön" + "two lines"), True, True)


def test_what_is_not_held_back_passes_byte_for_byte() -> None:
    odd = b'data:{"choices":[{"delta":{"content":"a\\u0041","x":[1, 2 ]}}], "new":  {"b":1.50}}\n\n'
    tap = a_tap()

    assert tap.feed(STREAM[0]) == STREAM[0]
    assert tap.feed(odd + chunk("b")) == odd + chunk("b")


@pytest.mark.parametrize("pieces", [[USAGE_CHUNK, DONE], [USAGE_CHUNK + DONE]])
def test_the_end_waits_for_the_settlement(pieces: list[bytes]) -> None:
    tap = a_tap(wants_usage=True)

    assert b"".join(tap.feed(piece) for piece in [chunk("a"), *pieces]) == chunk("a")
    assert tap.tail == USAGE_CHUNK + DONE


def test_the_usage_chunk_is_withheld_from_a_client_that_did_not_ask() -> None:
    tap = a_tap(wants_usage=False)

    assert run(tap, STREAM) == b"".join(one for one in STREAM if one is not USAGE_CHUNK)
    assert json.loads(bytes(tap.usage or b"")) == USAGE


def test_usage_beside_a_choice_passes_and_counts() -> None:
    beside = chunk("a", usage=USAGE)
    tap = a_tap(wants_usage=False)

    assert tap.feed(beside) == beside
    assert json.loads(bytes(tap.usage or b"")) == USAGE


def test_where_usage_is_never_asked_for_its_event_passes() -> None:
    completed = event({"type": "image_generation.completed", "b64_json": "aGk=", "usage": USAGE})
    tap = a_tap(asks_usage=False)

    assert tap.feed(completed) == completed
    assert tap.is_complete and tap.usage is not None


@pytest.mark.parametrize("usage", [None, "absent"])
def test_usage_that_is_null_or_absent_is_no_report(usage: str | None) -> None:
    tap = a_tap()

    tap.feed(chunk("a", **({} if usage else {"usage": None})))

    assert tap.usage is None


def test_of_several_usage_reports_the_last_one_counts_and_is_sent_once() -> None:
    first = event({"choices": [], "usage": {**USAGE, "completion_tokens": 1}})
    tap = a_tap(wants_usage=True)

    got = run(tap, [chunk("a"), first, USAGE_CHUNK, DONE])

    assert json.loads(bytes(tap.usage or b"")) == USAGE
    assert got == chunk("a") + USAGE_CHUNK + DONE


def test_a_flood_of_usage_and_ends_is_not_gathered() -> None:
    tap = a_tap(wants_usage=True)

    for _ in range(1000):
        tap.feed(USAGE_CHUNK)
        tap.feed(DONE)

    assert tap.tail == USAGE_CHUNK + DONE


def test_an_error_in_the_middle_stops_the_stream_and_is_kept_back() -> None:
    error = {"message": "org-secret is over its limit", "type": "server_error"}
    tap = a_tap()

    got = b"".join(tap.feed(piece) for piece in [chunk("a") + event({"error": error}) + chunk("b"), chunk("c"), DONE])

    assert got == chunk("a")
    assert json.loads(bytes(tap.error or b"")) == error
    assert not tap.is_complete


@pytest.mark.parametrize("error", [{"error": "overloaded"}, {"choices": "none", "error": {"message": "x"}}])
def test_an_error_of_an_unusual_shape_is_one_too(error: Any) -> None:
    tap = a_tap()

    assert tap.feed(event(error)) == b""
    assert json.loads(bytes(tap.error or b"")) == error["error"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {not json\n\n",
        b"data: \xff\xfe\x00\n\n",
        b'data: {"choices":[{"delta":{"content":"\xf0\x9f\x98"}}]}\n\n',
        b'data: {"id":"\\ud800"}\n\n',
        b"data: null\n\n",
        b'data: {"usage":[]}\n\n',
        b'data: {"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n",
        b'data: {"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n",
    ],
)
def test_garbage_is_left_out_and_too_much_of_it_ends_the_stream(garbage: bytes) -> None:
    tap = a_tap()

    for _ in range(10):
        assert tap.feed(garbage) == b""
    assert tap.feed(chunk("a")) == chunk("a")
    with pytest.raises(BrokenStream):
        tap.feed(garbage)


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_no_bytes_bring_it_down(pieces: list[bytes]) -> None:
    tap = a_tap()
    with contextlib.suppress(BrokenStream):
        run(tap, [piece for piece in pieces if piece])


@pytest.mark.parametrize("piece", [b"x" * 60_000, b"data: x\n" * 8_000, b": wait\r\n" * 8_000, b"a\r" * 30_000])
def test_an_event_without_an_end_is_refused_before_it_fills_the_memory(piece: bytes) -> None:
    tap = a_tap()

    with pytest.raises(BrokenStream):
        for _ in range(MAX_EVENT_BYTES // len(piece) * 2 + 4):
            tap.feed(piece)


def test_lines_that_drip_in_cost_no_more_than_their_number() -> None:
    tap = a_tap()

    # Half a million looks at up to a megabyte each would take minutes; the suite's time limit would tell.
    for _ in range(MAX_EVENT_BYTES // 2):
        tap.feed(b"a\n")


def test_comments_pass_and_are_no_beginning() -> None:
    tap = a_tap()

    assert tap.feed(b": wait\n\n") == b": wait\n\n"
    # A client would try to read it as JSON; as garbage it does not count.
    for _ in range(50):
        assert tap.feed(b"data: \n\n") == b""
    assert not tap.has_begun
    tap.feed(chunk(""))
    assert tap.has_begun


def test_choices_that_are_null_are_none() -> None:
    tap = a_tap(wants_usage=True)

    assert run(tap, [event({"choices": None, "usage": USAGE}), DONE]).endswith(DONE)
    assert tap.usage is not None


def test_a_last_event_without_an_empty_line_is_an_event() -> None:
    tap = a_tap()

    assert run(tap, [chunk("a", finish="stop"), b"data: [DONE]"]) == chunk("a", finish="stop") + DONE
    assert tap.is_done


def test_a_stream_that_ends_early_is_not_complete() -> None:
    tap = a_tap()

    run(tap, [chunk("a"), chunk("b")])

    assert not tap.is_complete


def test_reasoning_and_tool_calls_are_counted_too() -> None:
    tap = a_tap()
    call = {"index": 0, "function": {"arguments": "{}"}}

    tap.feed(event({"choices": [{"delta": {"reasoning_content": "hm"}}]}))
    tap.feed(event({"choices": [{"delta": {"reasoning": "hmm"}}]}))
    tap.feed(event({"choices": [{"text": "old"}]}))
    tap.feed(event({"choices": [{"delta": {"tool_calls": [call]}}]}))

    assert tap.characters == 2 + 3 + 3 + len(json.dumps([call]))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"id":"a","choices":[{"finish_reason":"stop"}],"usage":{}}', ("a", "stop", b"{}", None, True)),
        (b'{"id":7,"choices":[{}],"usage":{"x":1}}', (None, None, b'{"x":1}', None, True)),
        (b'{"error":{"message":"no"}}', (None, None, None, b'{"message":"no"}', True)),
        (b'{"error":null,"data":[],"usage":null}', (None, None, None, None, True)),
        (b"[1]", (None, None, None, None, True)),
        (b"", (None, None, None, None, False)),
        (b"<html>", (None, None, None, None, False)),
        (b'{"id":"\xff"}', (None, None, None, None, False)),
        (b'{"\xff":1,"id":2}', (None, None, None, None, False)),
        (b'{"choices":"s","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", (None, None, None, None, False)),
    ],
)
def test_of_an_answer_in_one_piece_everything_usable_is_read(content: bytes, expected: tuple[Any, ...]) -> None:
    facts: AnswerFacts = read_answer(content)

    usage, error = (None if raw is None else bytes(raw) for raw in (facts.usage, facts.error))
    assert (facts.upstream_id, facts.finish_reason, usage, error, facts.is_json) == expected


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b'{"choices":[{"message":{"content":"abc","reasoning":"de"}},{"message":{"content":null}}]}', 5),
        (b'{"choices":[{"message":{"tool_calls":[{}]}},{"text":"abc"}]}', 7),
        (b'{"text":"heard","data":[{"b64_json":"aGk="}]}', 5),
        (b"plain text", 10),
    ],
)
def test_the_characters_of_an_answer_are_those_that_a_model_made(content: bytes, count: int) -> None:
    assert characters_of(content) == count


@given(st.binary(max_size=200))
def test_no_answer_brings_the_reading_down(content: bytes) -> None:
    read_answer(content)
