"""Embeddings: as numbers, as base64 (what the SDK asks for by itself), shortened, of many texts."""

from __future__ import annotations

import base64
import math
import struct

import openai
import pytest

from tests.conformance.doors import Door


def test_the_sdks_own_base64_gives_the_same_numbers_as_floats(door: Door, client: openai.OpenAI) -> None:
    model = door.model("text-embedding-3-small")
    asked = [client.embeddings.create(model=model, input="a red fox")]
    assert door.sent()["body"]["encoding_format"] == "base64"
    asked.append(client.embeddings.create(model=model, input="a red fox", encoding_format="float"))
    assert door.sent()["body"]["encoding_format"] == "float"

    vectors = [answer.data[0].embedding for answer in asked]
    assert len(vectors[0]) == 1536
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-7)
    assert math.isclose(sum(x * x for x in vectors[0]), 1, rel_tol=1e-3)
    door.expect_record(endpoint="embeddings", status="succeeded", input=3, output=0, usage_source="provider")


def test_base64_passes_as_it_is(door: Door) -> None:
    body = {"model": door.model("text-embedding-3-small"), "input": "x", "encoding_format": "base64", "dimensions": 4}
    with door.raw() as raw:
        answer = raw.post("/embeddings", json=body).json()

    packed = answer["data"][0]["embedding"]
    assert isinstance(packed, str)
    assert len(struct.unpack("<4f", base64.b64decode(packed))) == 4


def test_many_texts_keep_their_order_and_dimensions(door: Door, client: openai.OpenAI) -> None:
    texts = ["one", "two words", "three words here"]
    answer = client.embeddings.create(model=door.model("text-embedding-3-small"), input=texts, dimensions=64)

    assert [row.index for row in answer.data] == [0, 1, 2]
    assert {len(row.embedding) for row in answer.data} == {64}
    assert len({tuple(row.embedding) for row in answer.data}) == 3
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (6, 6)
    assert door.sent()["body"]["dimensions"] == 64


def test_tokens_instead_of_text_are_passed_on(door: Door, client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=door.model("text-embedding-3-small"), input=[[1, 2, 3], [4, 5]])

    assert len(answer.data) == 2
    assert answer.usage.prompt_tokens == 5
    assert door.sent()["body"]["input"] == [[1, 2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("ollama", "nomic-embed-text:latest"),
        ("openrouter", "openai/text-embedding-3-small"),
        ("doubao", "doubao-embedding-large"),
    ],
)
def test_embeddings_of_other_providers(door: Door, kind: str, model: str) -> None:
    with door.client(kind) as client:
        answer = client.embeddings.create(model=door.model(model, kind), input="a b c", encoding_format="float")

    assert answer.usage.prompt_tokens == 3
    assert door.sent(kind)["path"] == door.upstream.base_url(kind).removeprefix(door.upstream.root) + "/embeddings"
    door.expect_record(provider=kind, input=3)


def test_an_empty_input_is_refused_by_name(door: Door, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=door.model("text-embedding-3-small"), input="")

    assert caught.value.param == "input"
