"""A guess at tokens: more for more of everything, and of the right size."""

from __future__ import annotations

import pytest
from hypothesis import given
from msgspec import Raw
from msgspec.structs import replace

from app.wire.neutral import (
    Audio,
    Conversation,
    File,
    Image,
    Message,
    OutputFormat,
    Part,
    Source,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from app.wire.token_estimate import estimate
from tests.wire.strategies import conversations


def _said(*parts: Part) -> Conversation:
    return Conversation(messages=(Message(role="user", parts=parts),))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 100, 900, 1300),
        ("快速的棕色狐狸跳过懒狗。" * 100, 600, 1300),
        ("", 1, 5),
    ],
)
def test_text_comes_to_about_what_tokenizers_make_of_it(text: str, least: int, most: int) -> None:
    assert least <= estimate(_said(Text(text=text))) <= most


@given(conversations())
def test_nothing_makes_it_less(said: Conversation) -> None:
    before = estimate(said)
    more = (
        Text(text="word"),
        Image(source=Source(url="https://example.com/a.png")),
        Audio(source=Source(data="A" * 4000, media_type="audio/wav")),
        File(source=Source(url="https://example.com/a.pdf")),
        ToolCall(id="a", name="f", arguments=Raw(b'{"a":1}')),
        ToolResult(call_id="a", parts=(Text(text="ok"),)),
    )
    for part in more:
        assert estimate(replace(said, messages=(*said.messages, Message(role="user", parts=(part,))))) > before
    assert estimate(replace(said, tools=(*said.tools, ToolSpec(name="another")))) > before
    schema = OutputFormat(mode="json_schema", schema=Raw(b'{"type":"object","properties":{"b":{"type":"string"}}}'))
    assert estimate(replace(said, output=schema)) >= estimate(replace(said, output=None))
    assert before >= 1
