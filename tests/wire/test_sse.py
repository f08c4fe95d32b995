"""Server-sent events are cut right whatever the pieces, the line ends and the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.answers import BrokenStream
from app.wire.sse import SseEvent, SseReader
from tests.wire.strategies import split

lines = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=30)
cuts = st.lists(st.integers(0, 10_000), max_size=20)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[SseEvent], bytes]:
    """Events, and the same as text, with comments and other fields strewn in."""
    end = draw(st.sampled_from(("\n", "\r\n", "\r")))
    events: list[SseEvent] = []
    text = ""
    for _ in range(draw(st.integers(0, 5))):
        name = draw(st.sampled_from(("message", "delta", "done")))
        data = draw(st.lists(lines, min_size=1, max_size=3))
        text += draw(st.sampled_from(("", f": hello{end}", f": hello{end}{end}", f"id: 7{end}", f"retry: 1{end}{end}")))
        text += f"event: {name}{end}" if name != "message" else ""
        space = draw(st.sampled_from(("", " ")))
        # A space after the colon belongs to nobody, so data that begins with one needs it.
        text += "".join(f"data:{space or (' ' if line.startswith(' ') else '')}{line}{end}" for line in data) + end
        events.append(SseEvent(name, "\n".join(data).encode()))
    return events, text.encode()


@given(streams(), cuts)
def test_events_are_the_same_whatever_the_pieces(stream: tuple[list[SseEvent], bytes], places: list[int]) -> None:
    events, content = stream
    reader = SseReader()

    got = [event for piece in split(content, places) for event in reader.feed(piece)]

    assert [*got, *reader.finish()] == events


@given(st.binary(max_size=300) | st.text("data: \r\n:event", max_size=300).map(str.encode), cuts)
def test_any_bytes_in_any_pieces_give_what_they_give_at_once(content: bytes, places: list[int]) -> None:
    at_once, by_piece = SseReader(), SseReader()
    whole = [*at_once.feed(content), *at_once.finish()]
    pieces = [event for piece in split(content, places) for event in by_piece.feed(piece)]

    assert [*pieces, *by_piece.finish()] == whole


def test_an_unfinished_last_event_counts() -> None:
    reader = SseReader()

    assert reader.feed(b"data: one\n\ndata: two") == [SseEvent("message", b"one")]
    assert reader.finish() == [SseEvent("message", b"two")]
    assert reader.finish() == []


def test_a_line_end_cut_in_two_is_one() -> None:
    reader = SseReader()

    got = [event for piece in (b"data: a\r", b"\n\r", b"\ndata: b\r", b"\n\r\n") for event in reader.feed(piece)]
    assert got == [SseEvent("message", b"a"), SseEvent("message", b"b")]


def test_comments_are_no_events() -> None:
    reader = SseReader()

    assert reader.feed(b": waiting\n\n" * 1000) == []
    assert reader.finish() == []


def test_an_event_beyond_all_bounds_breaks_off() -> None:
    reader = SseReader(max_event=100)

    with pytest.raises(BrokenStream, match="100 bytes"):
        for _ in range(20):
            reader.feed(b"data: 0123456789")
