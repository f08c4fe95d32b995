"""Vectors and pictures, in the framework's form and in the plain one."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from app.base.errors import BadRequest
from app.base.usage import Usage
from app.wire.aigne import embedding_client, endpoints, image_client
from app.wire.neutral import Source
from app.wire.neutral_answer import Reply
from app.wire.orders import Embeddings, Picture, Pictures
from app.wire.request import Request
from tests.wire.aigne.frames import check_file, check_usage
from tests.wire.aigne.test_chat_client import read

Json = dict[str, Any]
USAGE = Usage(input=4, output=2)


def asked(body: Json, endpoint: Any) -> tuple[Request, Reply]:
    request = read(body, endpoint)
    return request, Reply(id="0" * 32, model=request.model, created=1, wants_usage=True, form=request.form)


def test_vectors_in_the_frameworks_form() -> None:
    body = {"input": {"input": ["a", "b"], "modelOptions": {"model": "openai/e", "dimensions": 2}}}
    request, reply = asked(body, endpoints.EMBEDDINGS)

    order = embedding_client.read_order(request)
    whole = json.loads(embedding_client.write_result(Embeddings(vectors=((1.0, 2.0), (3.0, 4.0))), order, reply, USAGE))

    assert (order.texts, order.dimensions, order.unread) == (("a", "b"), 2, ())
    assert whole["embeddings"] == [[1.0, 2.0], [3.0, 4.0]]
    assert (whole["model"], whole["modelWithProvider"]) == ("e", "openai/e")
    check_usage(whole["usage"])


def test_vectors_in_the_plain_form_may_be_packed() -> None:
    body = {"input": "a", "model": "openai/e", "encoding_format": "base64"}
    request, reply = asked(body, endpoints.EMBEDDINGS)

    order = embedding_client.read_order(request)
    whole = json.loads(embedding_client.write_result(Embeddings(vectors=((1.0, 2.0),)), order, reply, USAGE))

    assert struct.unpack("<2f", base64.b64decode(whole["data"][0]["embedding"])) == (1.0, 2.0)
    assert whole["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_vectors_have_no_default_model_and_no_tokens_for_text() -> None:
    with pytest.raises(BadRequest) as refused:
        read({"input": "a"}, endpoints.EMBEDDINGS)
    assert refused.value.param == "model"

    request, _ = asked({"input": [1, 2], "model": "openai/e"}, endpoints.EMBEDDINGS)
    with pytest.raises(BadRequest):
        embedding_client.read_order(request)


def test_pictures_in_the_frameworks_form() -> None:
    given: Json = {
        "prompt": "cat",
        "n": 2,
        "size": "1024x1536",
        "image": [{"type": "file", "data": "aGk=", "mimeType": "image/png"}],
        "outputFileType": "url",
        "modelOptions": {"model": "openai/gpt-image-1", "quality": "low", "guidanceScale": 7},
    }
    request, reply = asked({"input": given, "agent": "$CHAT_MODEL", "options": {}}, endpoints.IMAGE)

    order = image_client.read_order(request)
    pictures = Pictures(
        pictures=(
            Picture(source=Source(data="aGk=", media_type="image/png")),
            Picture(source=Source(url="https://x/a.png")),
        )
    )
    whole = json.loads(image_client.write_result(pictures, order, reply, USAGE))

    assert (order.prompt, order.n, order.width, order.height) == ("cat", 2, 1024, 1536)
    assert (order.quality, order.delivery) == ("low", "url")
    assert order.images == (Source(data="aGk=", media_type="image/png"),)
    assert order.unread == ("input.modelOptions.guidanceScale",)
    assert order.at("quality") == "input.modelOptions.quality"
    for file in whole["images"]:
        check_file(file)
    assert [file["type"] for file in whole["images"]] == ["file", "url"]
    assert (whole["model"], whole["modelWithProvider"]) == ("gpt-image-1", "openai/gpt-image-1")
    check_usage(whole["usage"])


def test_pictures_in_the_plain_form_come_inline_unless_a_url_is_asked_for() -> None:
    request, reply = asked({"prompt": "cat", "image": "data:image/png;base64,aGk="}, endpoints.IMAGE)
    order = image_client.read_order(request)
    linked = image_client.read_order(asked({"prompt": "cat", "response_format": "url"}, endpoints.IMAGE)[0])
    pictures = Pictures(pictures=(Picture(source=Source(data="aGk=", media_type="image/png")),))

    whole = json.loads(image_client.write_result(pictures, order, reply, None))

    assert (request.model, order.delivery, linked.delivery) == ("openai/dall-e-2", "inline", "url")
    assert order.images == (Source(data="aGk=", media_type="image/png"),)
    assert whole["images"] == whole["data"] == [{"base64": "aGk=", "b64_json": "aGk=", "b64Json": "aGk="}]


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "input.prompt"),
        ({"prompt": "a", "n": 99}, "input.n"),
        ({"prompt": "a", "size": "big"}, "input.size"),
        ({"prompt": "a", "image": {"type": "local", "path": "/etc/passwd"}}, "input.image"),
    ],
)
def test_a_wrong_order_is_refused_with_the_path(given: Json, param: str) -> None:
    request, _ = asked({"input": given}, endpoints.IMAGE)

    with pytest.raises(BadRequest) as refused:
        image_client.read_order(request)

    assert refused.value.param == param
