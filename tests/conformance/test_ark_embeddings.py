"""Vectors of texts, pictures and videos at Volcengine Ark, asked for in OpenAI's format."""

from __future__ import annotations

import base64
import struct
from typing import Any

import openai
import pytest

from tests.conformance.doors import Door
from tests.emulators.ark import TOKENS_OF_A_PICTURE

VISION, LARGE = "doubao-embedding-vision-250615", "doubao-embedding-large"
PICTURE: dict[str, Any] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
FOX = {"type": "text", "text": "a red fox"}


def test_the_sdk_gets_a_vector_of_one_text(hub_door: Door, hub_client: openai.OpenAI) -> None:
    model = hub_door.model(VISION, "doubao")
    packed = hub_client.embeddings.create(model=model, input="a red fox", dimensions=1024)
    plain = hub_client.embeddings.create(model=model, input=["a red fox"], dimensions=1024, encoding_format="float")

    assert [row.index for row in packed.data] == [0]
    assert len(packed.data[0].embedding) == 1024
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-7)
    assert (packed.usage.prompt_tokens, packed.usage.total_tokens) == (3, 3)
    sent = hub_door.sent("doubao")
    assert sent["path"].endswith("/api/v3/embeddings/multimodal")
    assert sent["body"] == {"model": VISION, "input": [FOX], "encoding_format": "float", "dimensions": 1024}
    hub_door.expect_record(
        endpoint="embeddings", provider="doubao", status="succeeded", input=3, output=0, usage_source="provider"
    )


def test_a_text_model_of_the_same_provider_stays_at_its_own_endpoint(hub_door: Door, hub_client: openai.OpenAI) -> None:
    hub_client.embeddings.create(model=hub_door.model(LARGE, "doubao"), input=["one", "two"])

    assert hub_door.sent("doubao")["path"].endswith("/api/v3/embeddings")
    assert hub_door.sent("doubao")["body"]["input"] == ["one", "two"]


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_a_picture_and_a_text_get_one_vector_together(hub_door: Door, encoding_format: str) -> None:
    parts = [FOX, PICTURE, {"type": "video_url", "video_url": {"url": "https://example.com/fox.mp4"}}]
    asked = {"model": hub_door.model(VISION, "doubao"), "input": parts, "encoding_format": encoding_format}
    with hub_door.raw() as raw:
        response = raw.post("/embeddings", json=asked)

    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["object"] == "list"
    assert [(row["object"], row["index"]) for row in answer["data"]] == [("embedding", 0)]
    vector = answer["data"][0]["embedding"]
    if encoding_format == "base64":
        vector = struct.unpack("<2048f", base64.b64decode(vector))
    assert len(vector) == 2048
    assert answer["usage"]["prompt_tokens"] > TOKENS_OF_A_PICTURE
    assert hub_door.sent("doubao")["body"]["input"] == parts


def test_the_sdk_passes_parts_on_too(hub_door: Door, hub_client: openai.OpenAI) -> None:
    parts: Any = [PICTURE]
    answer = hub_client.embeddings.create(model=hub_door.model(VISION, "doubao"), input=parts)

    assert len(answer.data[0].embedding) == 2048
    hub_door.expect_record(input=answer.usage.prompt_tokens, usage_source="provider")


def test_several_texts_for_a_model_of_one_vector_are_refused_before_any_call(
    hub_door: Door, hub_client: openai.OpenAI
) -> None:
    hub_door.upstream.clear()
    with pytest.raises(openai.BadRequestError, match="one text per call") as caught:
        hub_client.embeddings.create(model=hub_door.model(VISION, "doubao"), input=["one", "two"])

    assert caught.value.param == "input"
    assert hub_door.upstream.calls("doubao") == []


def test_what_the_provider_refuses_comes_back_as_the_caller_s_fault(hub_door: Door, hub_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        hub_client.embeddings.create(model=hub_door.model(VISION, "doubao"), input="a", dimensions=7)
