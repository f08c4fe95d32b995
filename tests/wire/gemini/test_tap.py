"""The tap: whatever way the bytes are cut, the client gets the same events and the record the same facts."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.answers import MAX_MEDIA_EVENT_BYTES, BrokenStream
from app.wire.gemini.array_stream import ArrayOfEvents
from app.wire.gemini.tap import StreamTap, characters_of, read_facts
from tests.wire.strategies import split

STREAM = (Path(__file__).resolve().parents[2] / "transcripts" / "google" / "stream.sse").read_bytes()
PLAIN = STREAM.replace(b"\r\n", b"\n")


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def said(text: str, **more: Any) -> bytes:
    finish = {"finishReason": more.pop("finish")} if "finish" in more else {}
    return event({"candidates": [{"content": {"parts": [{"text": text}]}, "index": 0, **finish}], **more})


@given(st.lists(st.integers(0, 5000), max_size=60))
def test_it_does_not_matter_where_a_stream_is_cut(cuts: list[int]) -> None:
    tap = StreamTap()

    got = b"".join(tap.feed(piece) for piece in split(STREAM, cuts)) + tap.finish()

    assert got + tap.tail == PLAIN
    assert (tap.upstream_id, tap.finish_reason, tap.is_complete) == ("V-stream", "STOP", True)
    assert json.loads(bytes(tap.usage or b""))["totalTokenCount"] == 100
    assert tap.characters == len("**Counting**\n\nOne, two, three.")


def test_the_last_event_waits_for_the_settlement() -> None:
    tap = StreamTap()

    got = tap.feed(said("a") + said("b", finish="STOP") + event({"usageMetadata": {"promptTokenCount": 1}}))

    assert got == said("a")
    assert tap.tail == said("b", finish="STOP") + event({"usageMetadata": {"promptTokenCount": 1}})


def test_a_blocked_prompt_is_an_end() -> None:
    tap = StreamTap()

    got = tap.feed(event({"promptFeedback": {"blockReason": "SAFETY"}}))

    assert (got, tap.finish_reason, tap.is_complete) == (b"", "SAFETY", True)


def test_an_error_in_the_middle_is_kept_back_and_nothing_follows_it() -> None:
    tap = StreamTap()

    got = tap.feed(said("a") + event({"error": {"code": 503, "message": "secret"}}) + said("b"))

    assert got == said("a")
    assert json.loads(bytes(tap.error or b""))["code"] == 503
    assert tap.feed(said("c")) == b""
    assert not tap.is_complete


def test_a_stream_that_ends_without_a_reason_is_not_complete() -> None:
    tap = StreamTap()
    tap.feed(said("a"))
    tap.finish()

    assert tap.has_begun and not tap.is_complete


def test_searches_stand_beside_the_usage() -> None:
    grounded = {"candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}], "modelVersion": "gemini-3.8"}
    tap = StreamTap()
    tap.feed(event(grounded) + said("x", finish="STOP", usageMetadata={"promptTokenCount": 1}))

    assert json.loads(bytes(tap.usage or b"")) == {"promptTokenCount": 1, "webSearchQueries": 2}


def test_comments_do_not_reach_the_client_whose_library_would_take_them_for_json() -> None:
    tap = StreamTap()

    assert tap.feed(b": waiting\n\n" + said("a")) == said("a")


def test_some_garbage_is_left_out_and_much_of_it_ends_the_call() -> None:
    tap = StreamTap()

    assert tap.feed(b"data: {not json\n\ndata: [1]\n\n" + said("a")) == said("a")
    with pytest.raises(BrokenStream):
        tap.feed(b"data: {\n\n" * 20)


def test_an_event_without_an_end_is_given_up() -> None:
    tap = StreamTap()
    piece = b"data: " + b"x" * (1 << 20)

    with pytest.raises(BrokenStream):
        for _ in range(MAX_MEDIA_EVENT_BYTES // len(piece) + 2):
            tap.feed(piece)


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_no_bytes_bring_it_down(pieces: list[bytes]) -> None:
    tap = StreamTap()
    with contextlib.suppress(BrokenStream):
        for piece in pieces:
            tap.feed(piece)
        tap.finish()


@given(st.binary(max_size=200))
def test_no_bytes_bring_the_reading_of_an_answer_down(content: bytes) -> None:
    read_facts(content)
    characters_of(content)


def test_of_an_answer_the_record_gets_what_is_there() -> None:
    content = (Path(__file__).resolve().parents[2] / "transcripts" / "google" / "generate_search.json").read_bytes()

    facts = read_facts(content)

    assert (facts.upstream_id, facts.finish_reason, facts.error) == ("V-emulated", "STOP", None)
    assert characters_of(content) == len("Spain won.")
    assert read_facts(b"<html>").is_json is False
    assert read_facts(b'{"error":{"code":1}}').error is not None


@given(st.lists(st.integers(0, 5000), max_size=40))
def test_an_array_holds_every_event_however_it_was_cut(cuts: list[int]) -> None:
    array = ArrayOfEvents()

    written = b"".join(array.feed(piece) for piece in split(STREAM, cuts)) + array.end(b"\n\n")

    assert json.loads(written) == [json.loads(line[6:]) for line in STREAM.split(b"\r\n\r\n") if line]


def test_an_array_of_nothing_is_an_array() -> None:
    assert json.loads(ArrayOfEvents().end()) == []
