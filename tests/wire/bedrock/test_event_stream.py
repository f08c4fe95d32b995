"""Amazon's binary event stream: any split of any bytes, and botocore as the judge of what a message is."""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.answers import BrokenStream
from app.wire.bedrock.event_stream import EventStreamReader, Message
from tests.emulators.bedrock import frames, oracle

_MOMENTS = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
_VALUES = st.one_of(
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.binary(max_size=50),
    st.text(max_size=50),
    st.uuids(),
    _MOMENTS,
)
_NAMES = st.text(min_size=1, max_size=20)
_MESSAGES = st.tuples(st.dictionaries(_NAMES, _VALUES, max_size=5), st.binary(max_size=300))
_LIKE_THE_SERVICE = st.tuples(
    st.dictionaries(_NAMES, st.one_of(st.booleans(), st.text(max_size=50), st.uuids()), max_size=5),
    st.binary(max_size=300),
)


def _read_in_pieces(stream: bytes, cuts: list[int]) -> list[Message]:
    reader = EventStreamReader()
    found: list[Message] = []
    ends = sorted({cut % (len(stream) + 1) for cut in cuts})
    for start, end in zip([0, *ends], [*ends, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert not reader.is_within
    return found


@given(st.lists(_MESSAGES, max_size=5), st.lists(st.integers(0, 1 << 20), max_size=20))
def test_every_message_arrives_whole_however_the_stream_is_cut(
    sent: list[tuple[dict[str, Any], bytes]], cuts: list[int]
) -> None:
    stream = b"".join(frames.message(headers, payload) for headers, payload in sent)
    assert [(one.headers, one.payload) for one in _read_in_pieces(stream, cuts)] == sent


@given(st.lists(_LIKE_THE_SERVICE, min_size=1, max_size=3))
def test_botocore_reads_the_same_out_of_the_same_bytes(sent: list[tuple[dict[str, Any], bytes]]) -> None:
    stream = b"".join(frames.message(headers, payload) for headers, payload in sent)
    theirs = oracle.eventstream.EventStreamBuffer()
    theirs.add_data(stream)
    ours = EventStreamReader().feed(stream)
    for one, other in zip(ours, list(theirs), strict=True):
        assert one.payload == other.payload
        assert {name: getattr(value, "bytes", value) for name, value in one.headers.items()} == other.headers


@given(st.binary(max_size=400), st.integers(1, 50))
def test_garbage_is_refused_or_waited_with_and_never_crashes(garbage: bytes, size: int) -> None:
    reader = EventStreamReader()
    try:
        for at in range(0, len(garbage), size):
            assert reader.feed(garbage[at : at + size]) == []
    except BrokenStream:
        return
    assert len(garbage) < 12 or reader.is_within


@given(_MESSAGES, st.integers(0, 1 << 20), st.integers(1, 255))
def test_a_flipped_bit_anywhere_is_noticed(sent: tuple[dict[str, Any], bytes], place: int, flip: int) -> None:
    stream = bytearray(frames.message(*sent))
    stream[place % len(stream)] ^= flip
    with pytest.raises(BrokenStream, match="checksum"):
        EventStreamReader().feed(bytes(stream))


@given(st.binary(max_size=40))
def test_headers_of_any_bytes_under_a_good_checksum_do_not_crash(block: bytes) -> None:
    prelude = struct.pack("!II", 16 + len(block), len(block))
    whole = prelude + struct.pack("!I", zlib.crc32(prelude)) + block
    whole += struct.pack("!I", zlib.crc32(whole))
    try:
        assert len(EventStreamReader().feed(whole)) == 1
    except BrokenStream as broken:
        assert "header" in str(broken)


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (16, 1), (200, 190), (1 << 30, 0)])
def test_lengths_that_cannot_be_are_refused_before_anything_is_gathered(total: int, headers: int) -> None:
    prelude = struct.pack("!II", total, headers)
    with pytest.raises(BrokenStream, match=r"lengths cannot be|more than"):
        EventStreamReader().feed(prelude + struct.pack("!I", zlib.crc32(prelude)))


def test_a_message_beyond_the_bound_is_refused_by_its_length_alone() -> None:
    stream = frames.message({}, b"x" * 200)
    with pytest.raises(BrokenStream, match="more than 100 bytes"):
        EventStreamReader(max_message=100).feed(stream[:12])
