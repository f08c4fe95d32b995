"""What the price of an order depends on, read from what the client sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.aigne.endpoints import ENDPOINTS as AIGNE
from app.wire.endpoint import Endpoint
from app.wire.gemini.endpoints import ENDPOINTS as GEMINI
from app.wire.openai.endpoints import ENDPOINTS as OPENAI
from app.wire.order_facts import OrderFacts, order_facts
from app.wire.request import Part, Request, raw_of

NAMED: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in (*OPENAI, *AIGNE, *GEMINI)}


def asked(**fields: Any) -> Request:
    document = {name: raw_of(value) for name, value in fields.items()}
    return Request(model="m", is_streamed=False, wants_usage=False, size=0, document=document)


def form(**texts: str) -> Request:
    parts = [Part(name, b"", False, text.encode()) for name, text in texts.items()]
    parts.append(Part("image", b"", True, b"\x89PNG"))
    return Request(model="m", is_streamed=False, wants_usage=False, size=0, parts=tuple(parts))


@pytest.mark.parametrize(
    ("name", "request_", "facts"),
    [
        ("images.generations", asked(prompt="p"), OrderFacts()),
        (
            "images.generations",
            asked(n=3, size="1024X1536", quality="HIGH"),
            OrderFacts(pieces=3, size="1024x1536", quality="high"),
        ),
        ("images.generations", asked(n=None, size="auto", quality="auto"), OrderFacts()),
        ("images.generations", asked(n="many", size={"w": 1}, quality=7), OrderFacts()),
        ("images.generations", asked(n=10**9), OrderFacts(pieces=100)),
        ("images.generations", asked(resolution="2K"), OrderFacts(size="2k")),
        (
            "images.edits",
            form(n="2", size="1024x1024", quality="low"),
            OrderFacts(pieces=2, size="1024x1024", quality="low"),
        ),
        ("videos", asked(seconds="8", size="1280x720"), OrderFacts(seconds=8, size="720p")),
        ("videos", asked(seconds=4, size="1792x1024"), OrderFacts(seconds=4, size="1792x1024")),
        ("videos", form(seconds="12", size="720x1280"), OrderFacts(seconds=12, size="720p")),
        ("videos", asked(resolution="4K"), OrderFacts(size="4k")),
        ("videos", asked(seconds=0), OrderFacts()),
        (
            "aigne.image",
            asked(input={"prompt": "p", "n": 2, "modelOptions": {"imageSize": "1K", "quality": "hd"}}),
            OrderFacts(pieces=2, size="1k", quality="hd"),
        ),
        ("aigne.image", asked(prompt="p", n=2, size="512x512"), OrderFacts(pieces=2, size="512x512")),
        (
            "aigne.video",
            asked(input={"prompt": "p", "model_options": {"duration_seconds": 6}, "size": "1080p"}),
            OrderFacts(seconds=6, size="1080p"),
        ),
        (
            "generate_content",
            asked(generationConfig={"candidateCount": 2, "imageConfig": {"imageSize": "4K"}}),
            OrderFacts(pieces=2, size="4k"),
        ),
        ("chat.completions", asked(n=3), OrderFacts(pieces=3)),
        ("embeddings", asked(input="a", n=3), OrderFacts()),
    ],
)
def test_an_order_says_how_many_how_large_how_good_and_how_long(
    name: str, request_: Request, facts: OrderFacts
) -> None:
    assert order_facts(request_, NAMED[name]) == facts


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
_fields = st.sampled_from(
    ("n", "size", "quality", "seconds", "input", "modelOptions", "generationConfig", "resolution")
)


@given(st.sampled_from(sorted(NAMED)), st.dictionaries(_fields, _json))
def test_no_order_is_too_odd_to_be_read(name: str, fields: dict[str, Any]) -> None:
    facts = order_facts(asked(**fields), NAMED[name])

    assert 1 <= facts.pieces <= 100
    assert facts.seconds is None or 1 <= facts.seconds <= 3600
    for word in (facts.size, facts.quality):
        assert word is None or (word == word.lower() and 0 < len(word) <= 40)
