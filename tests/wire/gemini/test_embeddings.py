"""Vectors between Gemini's format and OpenAI's."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.base.errors import BadRequest
from app.base.usage import Usage
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.gemini import embeddings as gemini
from app.wire.notes import Notes
from app.wire.openai import embeddings as openai
from app.wire.orders import EmbeddingOrder, Embeddings
from app.wire.request import Request
from tests.wire.gemini.conversations import REPLY, noted, target


def request(document: Any) -> Request:
    raw = {name: Raw(msgspec.json.encode(value)) for name, value in document.items()}
    return Request(model="m", is_streamed=False, wants_usage=False, size=1, document=raw)


def _content(text: str) -> dict[str, Any]:
    return {"parts": [{"text": text}]}


def test_one_content_is_one_text() -> None:
    document = {
        "model": "models/m",
        "content": {"parts": [{"text": "a"}, {"text": "b"}], "role": "user"},
        "taskType": "CLUSTERING",
        "output_dimensionality": 8,
        "title": "t",
    }

    order = gemini.one.read_order(request(document))

    expected = EmbeddingOrder(texts=("a\nb",), dimensions=8, purpose="CLUSTERING", unread=("title",))
    assert order == expected


def test_a_batch_is_many_texts_of_one_size() -> None:
    requests = [{"model": "models/m", "content": _content(text), "outputDimensionality": 4} for text in "abc"]

    order = gemini.batch.read_order(request({"requests": requests}))

    assert order == EmbeddingOrder(texts=("a", "b", "c"), dimensions=4)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"requests": []}, "requests"),
        ({"requests": [{}]}, "requests[0].content"),
        ({"requests": [{"content": {"parts": [{"inlineData": {}}]}}]}, "requests[0].content.parts[0]"),
        (
            {"requests": [{"content": _content("a")}, {"content": _content("b"), "outputDimensionality": 3}]},
            "requests[1].outputDimensionality",
        ),
    ],
)
def test_what_a_batch_cannot_say_elsewhere_is_named(document: Any, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        gemini.batch.read_order(request(document))

    assert caught.value.param == path


def test_a_batch_is_written_for_gemini() -> None:
    notes = Notes()
    order = EmbeddingOrder(texts=("a", "b"), dimensions=8, purpose="search_query", user="ada")

    outgoing = gemini.write_order(order, target("gemini-embedding-001"), notes)

    common = {"model": "models/gemini-embedding-001", "outputDimensionality": 8, "taskType": "RETRIEVAL_QUERY"}
    assert json.loads(outgoing.content) == {"requests": [{**common, "content": _content(text)} for text in "ab"]}
    assert noted(notes) == [("dropped", "user")]


def test_more_texts_than_a_batch_takes_are_refused() -> None:
    with pytest.raises(BadRequest):
        gemini.write_order(EmbeddingOrder(texts=("a",) * 101), target(), Notes())


@given(st.lists(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=4))
def test_numbers_arrive_as_they_were(vectors: list[list[float]]) -> None:
    answer = msgspec.json.encode({"embeddings": [{"values": vector} for vector in vectors]})

    result = gemini.read_result(answer, target())

    order = EmbeddingOrder(texts=("x",) * len(vectors), is_base64=True)
    packed = json.loads(openai.write_result(result, order, REPLY, Usage(input=3)))
    unpacked = [list(struct.unpack("<3f", base64.b64decode(row["embedding"]))) for row in packed["data"]]
    assert unpacked == vectors
    assert (packed["usage"]["prompt_tokens"], packed["model"], packed["object"]) == (3, "hub/model", "list")
    # And what OpenAI's servers answer is read again, in the order of its indexes.
    rows = list(reversed(packed["data"]))
    again = openai.read_result(msgspec.json.encode({"data": rows, "usage": {"prompt_tokens": 3}}), target())
    assert [list(vector) for vector in again.vectors] == vectors


@pytest.mark.parametrize("face", [gemini, openai])
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"data":[{"embedding":"%%%"}]}', b'{"embeddings":[1]}'])
def test_an_answer_without_vectors_is_a_broken_one(face: Any, content: bytes) -> None:
    with pytest.raises(BrokenStream):
        face.read_result(content, target())


@pytest.mark.parametrize("face", [gemini, openai])
def test_an_error_in_place_of_vectors_is_one(face: Any) -> None:
    with pytest.raises(ErrorInside):
        face.read_result(b'{"error":{"message":"no"}}', target())


@pytest.mark.parametrize(("given_", "texts"), [("a", ("a",)), (["a"], ("a",)), (["a", "b"], ("a", "b"))])
def test_openais_inputs(given_: Any, texts: tuple[str, ...]) -> None:
    document = {"model": "m", "input": given_, "encoding_format": "base64", "dimensions": 3, "user": "ada"}

    order = openai.read_order(request(document))

    assert order == EmbeddingOrder(texts=texts, dimensions=3, is_base64=True, user="ada")


@pytest.mark.parametrize(
    ("given_", "path"),
    [
        ([1, 2], "input[0]"),
        ([[1], [2]], "input[0]"),
        (["a", 1], "input[1]"),
        ([], "input"),
        (5, "input"),
        ([""], "input[0]"),
    ],
)
def test_tokens_and_the_like_are_refused_by_their_place(given_: Any, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        openai.read_order(request({"input": given_}))

    assert caught.value.param == path


def test_an_order_is_written_for_openai() -> None:
    notes = Notes()
    order = EmbeddingOrder(texts=("a", "b"), dimensions=8, purpose="CLUSTERING")

    document = json.loads(openai.write_order(order, target("text-embedding-3-small"), notes).content)

    assert document == {
        "model": "text-embedding-3-small",
        "input": ["a", "b"],
        "encoding_format": "float",
        "dimensions": 8,
    }
    assert noted(notes) == [("dropped", "taskType")]


def test_vectors_are_given_out_in_geminis_shape() -> None:
    result, order = Embeddings(vectors=((0.5, 1.0),)), EmbeddingOrder(texts=("a",))
    counted = {"promptTokenCount": 2, "totalTokenCount": 2}

    one = json.loads(gemini.one.write_result(result, order, REPLY, Usage(input=2)))
    many = json.loads(gemini.batch.write_result(result, order, REPLY, None))

    assert one == {"embedding": {"values": [0.5, 1.0]}, "usageMetadata": counted}
    assert many == {"embeddings": [{"values": [0.5, 1.0]}]}
