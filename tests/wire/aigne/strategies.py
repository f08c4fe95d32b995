"""Streams that no provider would send, and all that one could."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import Raw

from app.wire.neutral import File, Image, Opaque, Source, ToolCall
from app.wire.neutral_answer import (
    Event,
    Finished,
    Produced,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)
_sources = st.sampled_from(
    [
        Source(data="aGVsbG8=", media_type="image/png"),
        Source(url="https://example.com/a.png"),
        Source(file_id="file-1"),
    ]
)
_opaques = st.none() | st.builds(Opaque, st.sampled_from(["google", "anthropic"]), st.text("abc=", max_size=8))
_finishes = st.sampled_from(["stop", "stop_sequence", "length", "tool_calls", "content_filter", "pause", "error"])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(TextDelta, texts),
    st.builds(ReasoningDelta, texts),
    st.builds(ReasoningEnd, _opaques),
    st.builds(ToolCallStart, st.integers(0, 3), st.text("abc_1", min_size=1), st.text("xyz", min_size=1), _opaques),
    st.builds(ToolCallDelta, st.integers(0, 3), st.sampled_from(['{"a":', "1}", '\n{"b": "\\n"}', "", "not json"])),
    st.builds(RefusalDelta, texts),
    st.builds(Produced, st.builds(Image, source=_sources) | st.builds(File, source=_sources, name=st.none() | texts)),
    st.builds(Finished, _finishes),
)
streams = st.lists(st.lists(events, max_size=4), max_size=8)


def call(name: str, arguments: bytes, opaque: Opaque | None = None) -> ToolCall:
    return ToolCall(id="call_1", name=name, arguments=Raw(arguments), opaque=opaque)
