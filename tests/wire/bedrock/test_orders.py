"""Vectors and pictures of Bedrock's makers: what each is sent and what it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from app.base.errors import BadRequest
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.bedrock import embed, image
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.orders import EmbeddingOrder, ImageOrder
from tests.emulators.bedrock import invoke
from tests.wire.bedrock.conversing import noted, target

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts" / "bedrock"
TITAN_1, TITAN_2 = "amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0"
COHERE_3, COHERE_4 = "cohere.embed-english-v3", "us.cohere.embed-v4:0"
CANVAS, TITAN_IMAGE = "amazon.nova-canvas-v1:0", "amazon.titan-image-generator-v2:0"
CAT = ImageOrder(prompt="a cat")


def _asked(order: EmbeddingOrder | ImageOrder, model: str, notes: Notes | None = None) -> dict[str, Any]:
    """The document, after the emulator has taken it."""
    face = embed if isinstance(order, EmbeddingOrder) else image
    body = msgspec.json.decode(face.write_order(order, target(model), notes or Notes()).content)
    answer = json.dumps(invoke.answer(model, body)).encode()
    face.read_result(answer, target(model))
    return body


@pytest.mark.parametrize(
    ("model", "order", "body", "notes"),
    [
        (TITAN_2, EmbeddingOrder(texts=("a",), dimensions=256), {"inputText": "a", "dimensions": 256}, set()),
        (TITAN_1, EmbeddingOrder(texts=("a",), dimensions=256), {"inputText": "a"}, {("dimensions", "dropped")}),
        (
            COHERE_3,
            EmbeddingOrder(texts=("a", "b")),
            {"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]},
            {("input_type", "defaulted")},
        ),
        (
            COHERE_4,
            EmbeddingOrder(texts=("a",), purpose="RETRIEVAL_QUERY", dimensions=512),
            {"texts": ["a"], "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 512},
            set(),
        ),
    ],
)
def test_each_maker_is_asked_in_its_own_words(
    model: str, order: EmbeddingOrder, body: dict[str, Any], notes: set[tuple[str, str]]
) -> None:
    seen = Notes()
    assert _asked(order, model, seen) == body
    assert noted(seen) == notes


@pytest.mark.parametrize(
    ("model", "texts", "words"),
    [
        (TITAN_2, ("a", "b"), "one text in a request, and there are 2"),
        (COHERE_3, ("a",) * 97, "at most 96"),
    ],
)
def test_more_texts_than_a_model_takes_are_refused_by_name(model: str, texts: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadRequest, match=words) as refused:
        _asked(EmbeddingOrder(texts=texts), model)
    assert refused.value.param == "input"


def test_a_model_whose_document_is_not_known_is_refused() -> None:
    for order in (EmbeddingOrder(texts=("a",)), CAT):
        with pytest.raises(BadRequest, match="does not know") as refused:
            _asked(order, "acme.something-v1")
        assert refused.value.param == "model"


def test_documented_vectors_are_read() -> None:
    titan = embed.read_result((TRANSCRIPTS / "titan_embed.json").read_bytes(), target(TITAN_2))
    assert titan.vectors == ((0.0104, -0.0211, 0.0333),)
    assert msgspec.json.decode(titan.usage or b"") == {"inputTextTokenCount": 5}
    cohere = embed.read_result((TRANSCRIPTS / "cohere_embed.json").read_bytes(), target(COHERE_3))
    assert cohere.vectors == ((0.1, 0.2), (0.3, 0.4))
    assert cohere.usage is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"embedding": "x"}', b'{"embeddings": {}}'])
def test_vectors_that_are_none_are_told_as_broken(content: bytes) -> None:
    with pytest.raises(BrokenStream):
        embed.read_result(content, target(TITAN_2))


@pytest.mark.parametrize("model", [CANVAS, TITAN_IMAGE])
def test_a_picture_is_asked_for_with_its_size_and_quality(model: str) -> None:
    order = replace(CAT, n=2, width=512, height=768, quality="hd", negative_prompt="dogs", seed=7)
    assert _asked(order, model) == {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "a cat", "negativeText": "dogs"},
        "imageGenerationConfig": {"numberOfImages": 2, "width": 512, "height": 768, "quality": "premium", "seed": 7},
    }


def test_pictures_to_start_from_are_varied() -> None:
    notes = Notes()
    body = _asked(replace(CAT, images=(Source(data="aGk=", media_type="image/png"),)), CANVAS, notes)
    assert body["imageVariationParams"] == {"text": "a cat", "images": ["aGk="]}
    assert noted(notes) == {("images", "emulated")}


def test_what_a_painter_has_no_word_for_is_noted() -> None:
    notes = Notes()
    order = replace(CAT, style="vivid", quality="auto", background="transparent", media_type="image/webp", user="u")
    _asked(order, CANVAS, notes)
    assert noted(notes) == {(name, "dropped") for name in ("style", "background", "media_type", "user")}


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"n": 6}, "n"),
        ({"mask": Source(data="aGk=")}, "mask"),
        ({"images": (Source(url="https://x.example"),)}, "images"),
    ],
)
def test_what_a_painter_cannot_do_is_refused_by_name(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        _asked(replace(CAT, **changes), CANVAS)
    assert refused.value.param == param


def test_pictures_that_were_held_back_are_an_error() -> None:
    with pytest.raises(ErrorInside) as inside:
        _asked(replace(CAT, prompt="forbidden"), CANVAS)
    assert b"content filters" in bytes(inside.value.report)
    with pytest.raises(BrokenStream):
        image.read_result(b"{}", target(CANVAS))
