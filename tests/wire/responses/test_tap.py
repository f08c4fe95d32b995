"""Following a stream of the Responses API untranslated: nothing changes but the last event's time."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.wire.answers import BrokenStream
from app.wire.responses.tap import StreamTap, characters_of, read_facts

OPENAI = Path(__file__).resolve().parents[2] / "transcripts" / "openai"
STREAM = (OPENAI / "response_stream.sse").read_bytes()
FAILED = (OPENAI / "response_failed.sse").read_bytes()
LAST_AT = STREAM.index(b"event: response.completed")


def _pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(places)]


def _run(pieces: list[bytes]) -> tuple[StreamTap, bytes]:
    tap = StreamTap()
    return tap, b"".join(tap.feed(piece) for piece in pieces) + tap.finish()


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_cutting_passes_the_same_bytes_and_holds_the_last_event_back(cuts: list[int]) -> None:
    tap, passed = _run(_pieces(STREAM, cuts))

    assert (passed, tap.tail) == (STREAM[:LAST_AT], STREAM[LAST_AT:])
    assert tap.is_complete and tap.is_done and tap.has_begun
    assert tap.finish_reason == "completed"
    assert tap.upstream_id is not None and tap.upstream_id.startswith("resp_")
    assert tap.usage is not None and json.loads(bytes(tap.usage))["output_tokens"] == 11
    assert json.loads(tap.response)["output"][0]["content"][0]["text"] == "Hi there! How can I help you today?"
    assert tap.characters == len("Hi there! How can I help you today?")


@settings(max_examples=30)
@given(st.lists(st.integers(0, len(STREAM)), max_size=40), st.sampled_from([b"\r\n", b"\r"]))
def test_other_line_ends_become_plain_ones(cuts: list[int], end: bytes) -> None:
    tap, passed = _run(_pieces(STREAM.replace(b"\n", end), cuts))

    assert passed + tap.tail == STREAM


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_no_bytes_crash_it(junk: bytes, cuts: list[int]) -> None:
    with contextlib.suppress(BrokenStream):
        _run(_pieces(junk, cuts))


def test_an_answer_has_not_begun_before_something_is_said() -> None:
    tap = StreamTap()
    first, second = STREAM.index(b"event: response.in_progress"), STREAM.index(b"event: response.output_item")

    assert tap.feed(STREAM[:first]) and not tap.has_begun
    assert tap.feed(STREAM[first:second]) and not tap.has_begun
    tap.feed(STREAM[second:LAST_AT])
    assert tap.has_begun and not tap.is_complete


def test_an_error_is_kept_back_and_its_cause_is_that_of_the_failed_response() -> None:
    tap, passed = _run([FAILED])

    assert b"failed" not in passed.lower()
    assert tap.error is not None and json.loads(bytes(tap.error))["code"] == "rate_limit_exceeded"
    assert not tap.has_begun


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (b'event: error\ndata: {"type":"error","code":"a","message":"m","param":null,"sequence_number":3}\n\n', "a"),
        (b'data: {"error":{"code":"b","message":"m"}}\n\n', "b"),
        (b'data: {"type":"response.failed","response":{"status":"failed","error":{"code":"c"}}}\n\n', "c"),
    ],
)
def test_errors_of_every_shape_stop_the_stream(event: bytes, code: str) -> None:
    tap, passed = _run([STREAM[:LAST_AT], event, STREAM[LAST_AT:]])

    assert passed == STREAM[:LAST_AT]
    assert tap.error is not None and json.loads(bytes(tap.error))["code"] == code
    assert not tap.is_complete


def test_a_cut_stream_is_not_complete() -> None:
    tap, passed = _run([STREAM[: LAST_AT - 5]])

    assert not tap.is_complete and passed


def test_a_little_garbage_is_left_out_and_much_of_it_breaks_the_stream() -> None:
    few, many = b"data: {not json\n\n" * 3, b"data: {not json\n\n" * 20

    _, passed = _run([few + STREAM])
    assert passed == STREAM[:LAST_AT]
    with pytest.raises(BrokenStream):
        _run([many])


def test_the_end_that_some_servers_add_comes_after_the_last_event() -> None:
    tap, _ = _run([STREAM + b"data: [DONE]\n\n"])

    assert tap.tail == STREAM[LAST_AT:] + b"data: [DONE]\n\n"


def test_facts_of_a_whole_answer() -> None:
    done, cut = (read_facts((OPENAI / f"response{name}.json").read_bytes()) for name in ("", "_incomplete"))

    assert (done.finish_reason, cut.finish_reason) == ("completed", "max_output_tokens")
    assert read_facts(b'{"id":"r","status":"failed","error":{"code":"server_error"}}').error is not None
    assert not read_facts(b"{").is_json
    assert characters_of((OPENAI / "response.json").read_bytes()) == len("A unicorn slept under the moon.")
