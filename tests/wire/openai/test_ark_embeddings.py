"""Ark's vectors of texts, pictures and videos: what is sent, what an answer says, and what cannot be asked."""

from __future__ import annotations

import json
import struct
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.adapters.providers.registry import KINDS
from app.base.errors import BadRequest
from app.base.usage import NotAPartition, Usage
from app.gateway.formats import FORMATS, upstream_endpoint
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.bedrock import embed as bedrock
from app.wire.endpoint import Endpoint
from app.wire.faces import OrderUpstream
from app.wire.gemini import embeddings as gemini
from app.wire.neutral import File, Image, Source, Text
from app.wire.notes import Notes
from app.wire.openai import ark_embeddings as ark
from app.wire.openai import body, embeddings
from app.wire.openai.endpoints import ENDPOINTS
from app.wire.openai.usage import unmapped_keys
from app.wire.orders import EmbeddingOrder, Embeddings
from app.wire.request import Incoming
from tests.emulators import ark as emulated
from tests.wire.openai.chats import CHAT, REPLY, target

MODEL = "doubao-embedding-vision-250615"
DOUBAO = KINDS["doubao"]
EMBEDDINGS: Endpoint = next(endpoint for endpoint in ENDPOINTS if endpoint.name == "embeddings")
TRANSCRIPT = Path(__file__).resolve().parents[2] / "transcripts" / "doubao" / "embeddings_multimodal.json"
PICTURE, VIDEO = "https://example.com/a.png", "https://example.com/a.mp4"
ASKED: list[dict[str, Any]] = [
    {"type": "text", "text": "a red fox"},
    {"type": "image_url", "image_url": {"url": PICTURE}},
    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}},
    {"type": "video_url", "video_url": {"url": VIDEO}},
    {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
]


def _read(**fields: Any) -> EmbeddingOrder:
    content = json.dumps({"model": "house/model", **fields}).encode()
    incoming = Incoming(path=EMBEDDINGS.path, headers={b"content-type": b"application/json"}, body=content)
    return embeddings.read_order(body.read(EMBEDDINGS, incoming))


def _sent(order: EmbeddingOrder, notes: Notes | None = None) -> dict[str, Any]:
    """What Ark is sent, after the emulator has taken it."""
    to = target("doubao", model=MODEL)
    sent = msgspec.json.decode(ark.write_order(order, to, notes or Notes()).content)
    answer = json.dumps(emulated.multimodal(sent, 1)).encode()
    assert len(ark.read_result(answer, to).vectors) == 1
    return sent


@pytest.mark.parametrize(
    ("endpoint", "model", "name"),
    [
        (EMBEDDINGS, MODEL, "ark.embed"),
        (EMBEDDINGS, "doubao-embedding-vision", "ark.embed"),
        (EMBEDDINGS, "skylark-embedding-vision-251215", "ark.embed"),
        (EMBEDDINGS, "doubao-embedding-large-text-240915", "embeddings"),
        (EMBEDDINGS, "ep-20240604000000-abcde", "embeddings"),
        (CHAT, MODEL, "chat.completions"),
    ],
)
def test_a_model_is_called_where_its_provider_serves_it(endpoint: Endpoint, model: str, name: str) -> None:
    assert upstream_endpoint(DOUBAO, endpoint, model) == name


def test_another_provider_s_model_of_that_name_stays_where_it_was() -> None:
    assert upstream_endpoint(KINDS["custom"], EMBEDDINGS, MODEL) == "embeddings"


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.served_at], ids=lambda kind: kind.name)
def test_where_a_model_is_served_apart_there_is_a_path_and_a_face(kind: Any) -> None:
    for name in kind.served_at.values():
        assert name in kind.paths
        assert FORMATS[name].is_answered


def test_one_text_is_one_part() -> None:
    sent = _sent(_read(input="a red fox", dimensions=1024, encoding_format="base64"))

    assert sent == {
        "model": MODEL,
        "input": [{"type": "text", "text": "a red fox"}],
        "encoding_format": "float",
        "dimensions": 1024,
    }


def test_several_texts_are_refused_and_not_called_one_by_one_in_secret() -> None:
    with pytest.raises(BadRequest, match="one text per call") as caught:
        ark.write_order(_read(input=["one", "two"]), target("doubao", model=MODEL), Notes())
    assert caught.value.param == "input"


def test_parts_arrive_as_the_client_wrote_them() -> None:
    order = _read(input=ASKED)

    assert order.texts == ()
    assert order.parts[:2] == (
        Text(text="a red fox", at="input[0]"),
        Image(source=Source(url=PICTURE), at="input[1]"),
    )
    assert order.parts[3] == File(source=Source(url=VIDEO, media_type="video/mp4"), at="input[3]")
    assert _sent(order)["input"] == ASKED


def test_what_ark_has_no_word_for_is_noted() -> None:
    notes = Notes()
    order = _read(
        input=[{"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}}],
        user="ada",
        input_type="search_query",
    )
    _sent(order, notes)

    assert order.unread == ("input[0].image_url.detail",)
    assert [(note.path, note.what) for note in notes.all] == [("input_type", "dropped"), ("user", "dropped")]


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([{"type": "sound"}], "input[0].type"),
        ([{"text": "x"}], "input[0].type"),
        ([{"type": "text"}], "input[0].text"),
        ([{"type": "text", "text": "x"}, "y"], "input[1]"),
        (["y", {"type": "text", "text": "x"}], "input[1]"),
        ([{"type": "image_url"}], "input[0].image_url"),
        ([{"type": "image_url", "image_url": PICTURE}], "input[0].image_url"),
        ([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}], "input[0].image_url.url"),
        ([{"type": "video_url", "video_url": {"url": "bare"}}], "input[0].video_url.url"),
    ],
)
def test_a_part_that_cannot_be_read_is_refused_by_its_place(given: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        _read(input=given)
    assert caught.value.param == param


def test_a_file_that_is_no_video_is_refused() -> None:
    part = File(source=Source(data="JVBERi0=", media_type="application/pdf"), at="input[0]")
    with pytest.raises(BadRequest) as caught:
        ark.write_order(EmbeddingOrder(parts=(part,)), target("doubao", model=MODEL), Notes())
    assert caught.value.param == "input[0]"


@pytest.mark.parametrize(
    ("upstream", "model"),
    [
        (embeddings, "text-embedding-3-small"),
        (gemini, "gemini-embedding-001"),
        (bedrock, "amazon.titan-embed-text-v2:0"),
        (bedrock, "cohere.embed-english-v3"),
    ],
)
def test_who_takes_texts_alone_refuses_parts(upstream: OrderUpstream, model: str) -> None:
    with pytest.raises(BadRequest, match="no parts") as caught:
        upstream.write_order(_read(input=ASKED), target(model=model), Notes())
    assert caught.value.param == "input"


def test_the_answer_is_a_list_of_one_as_numbers_or_packed() -> None:
    result = ark.read_result(TRANSCRIPT.read_bytes(), target("doubao", model=MODEL))
    vector = (-0.123046875, -0.35546875, -0.318359375, -0.255859375)
    assert isinstance(result, Embeddings)
    assert result.vectors == (vector,)
    assert result.upstream_id == "021743575029461acbe49a31755bec77b2f09448eb15fa9a88e47"

    plain = json.loads(embeddings.write_result(result, _read(input=ASKED), REPLY, Usage(input=13987)))
    packed = json.loads(
        embeddings.write_result(result, _read(input="x", encoding_format="base64"), REPLY, Usage(input=13987))
    )

    assert plain["data"] == [{"object": "embedding", "index": 0, "embedding": list(vector)}]
    assert plain["usage"] == {"prompt_tokens": 13987, "total_tokens": 13987}
    assert struct.unpack("<4f", b64decode(packed["data"][0]["embedding"])) == vector


@pytest.mark.parametrize("content", [b"", b"{}", b'{"data":{}}', b'{"data":{"embedding":[]}}', b'{"data":[]}', b"\xff"])
def test_an_answer_without_a_vector_is_broken(content: bytes) -> None:
    with pytest.raises(BrokenStream):
        ark.read_result(content, target("doubao", model=MODEL))


def test_an_error_in_place_of_an_answer_is_one() -> None:
    with pytest.raises(ErrorInside):
        ark.read_result(b'{"error":{"code":"ServerOverloaded"}}', target("doubao", model=MODEL))


def test_pictures_and_texts_are_input_and_every_number_is_known() -> None:
    report = msgspec.json.decode(TRANSCRIPT.read_bytes(), type=dict[str, msgspec.Raw])["usage"]

    assert ark.read_usage(report, DOUBAO.usage, "ark.embed") == Usage(input=13987)
    assert unmapped_keys(report) == []


@pytest.mark.parametrize(
    "report",
    [
        {"prompt_tokens": 10, "total_tokens": 10, "prompt_tokens_details": {"image_tokens": 9, "text_tokens": 2}},
        {"prompt_tokens": 10, "total_tokens": 10, "prompt_tokens_details": {"image_tokens": -1, "text_tokens": 2}},
        {"prompt_tokens": 10, "total_tokens": 10, "prompt_tokens_details": {"image_tokens": "9"}},
        {"prompt_tokens": 10, "total_tokens": 11},
        {"total_tokens": 10},
    ],
)
def test_a_report_that_cannot_be_true_is_refused(report: Any) -> None:
    with pytest.raises(NotAPartition):
        ark.read_usage(json.dumps(report).encode(), DOUBAO.usage, "ark.embed")
