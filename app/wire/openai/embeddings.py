"""Vectors, both faces of `/v1/embeddings`.

https://developers.openai.com/api/reference/resources/embeddings
"""

from __future__ import annotations

import base64
import struct
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from app.base.errors import BadRequest
from app.base.usage import Usage
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.fields import Fields, missing, unknown_type
from app.wire.neutral import File, Image, Source, Text
from app.wire.neutral_answer import Reply
from app.wire.notes import Notes
from app.wire.openai.chat_client_parts import source_of
from app.wire.orders import EmbeddingOrder, Embeddings, Order, Result
from app.wire.request import Outgoing, Request, fields_of, raw_of, write_document

_encode = msgspec.json.Encoder().encode
_NULL = Raw(b"null")
_PART_TYPES = ("text", "image_url", "video_url")


# --- what callers say and expect


def read_order(request: Request) -> EmbeddingOrder:
    """
    Raises:
        BadRequest: `param` names the field; token numbers mean something to one model alone and are refused.
    """
    fields = fields_of(request)
    texts, parts = _input(fields)
    format_ = fields.word("encoding_format", ("float", "base64"))
    order = EmbeddingOrder(
        texts=texts,
        parts=parts,
        dimensions=fields.whole("dimensions", least=1),
        purpose=fields.text("input_type"),
        is_base64=format_ == "base64",
        user=fields.text("user"),
    )
    fields.drop("model")
    fields.done()
    return replace(order, unread=tuple(fields.unread))


def _input(fields: Fields) -> tuple[tuple[str, ...], tuple[Text | Image | File, ...]]:
    """Texts, or the parts of one thing: OpenAI's own of messages, as Ark and others take them."""
    given = fields.any("input")
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not given:
        raise BadRequest("The field input must be a string or an array of strings.", param="input")
    given = cast(list[Any], given)
    if isinstance(given[0], dict):
        return (), tuple(_part(Fields.of(one, f"input[{n}]", fields.unread)) for n, one in enumerate(given))
    for n, text in enumerate(given):
        path = f"input[{n}]"
        if isinstance(text, int | list):
            raise BadRequest(f"The field {path} is a token; this model's provider takes texts only.", param=path)
        if not isinstance(text, str) or not text:
            raise BadRequest(f"The field {path} must be a string that is not empty.", param=path)
    return tuple(cast(list[str], given)), ()


def _part(part: Fields) -> Text | Image | File:
    type_ = part.text("type")
    found: Text | Image | File
    match type_:
        case "text":
            found = Text(text=part.needed_text("text"), at=part.at)
        case "image_url":
            found = Image(source=_source(part, type_), at=part.at)
        case "video_url":
            source = _source(part, type_)
            found = File(source=replace(source, media_type=source.media_type or "video/mp4"), at=part.at)
        case _:
            raise unknown_type(part.path("type"), type_, _PART_TYPES)
    part.done()
    return found


def _source(part: Fields, name: str) -> Source:
    place = part.object(name)
    if place is None:
        raise missing(part.path(name))
    source = source_of(place.needed_text("url"), place.path("url"))
    place.done()
    return source


def write_result(result: Result, order: Order, reply: Reply, usage: Usage | None) -> bytes:
    """A list of `embedding` objects."""
    assert isinstance(result, Embeddings) and isinstance(order, EmbeddingOrder)
    rows = [
        {"object": "embedding", "index": n, "embedding": _packed(values) if order.is_base64 else values}
        for n, values in enumerate(result.vectors)
    ]
    answer: dict[str, Any] = {"object": "list", "data": rows, "model": reply.model}
    if usage is not None:
        answer["usage"] = {"prompt_tokens": usage.input_total, "total_tokens": usage.input_total}
    return _encode(answer)


def _packed(values: tuple[float, ...]) -> str:
    """Little-endian float32, one after the other."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


# --- what a provider is sent and answers


class _Row(Struct):
    embedding: tuple[float, ...] | str = ()
    index: int = 0


class _Answer(Struct):
    data: list[_Row] | None = None
    usage: Raw = _NULL
    error: Raw = _NULL


def write_order(order: Order, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: parts in place of texts.
    """
    assert isinstance(order, EmbeddingOrder), "an order for vectors goes to where vectors are made"
    if order.purpose is not None:
        notes.dropped("taskType", "OpenAI's format has no word for what vectors are for")
    fields: dict[str, Any] = {
        "model": target.model,
        "input": list(order.texts_alone()),
        "encoding_format": "float",
        "dimensions": order.dimensions,
        "user": order.user,
    }
    document = {name: raw_of(value) for name, value in fields.items() if value is not None}
    return Outgoing("application/json", write_document(document, target.deviations))


def read_result(content: bytes, target: Target) -> Embeddings:
    """
    Raises:
        BrokenStream, ErrorInside
    """
    try:
        answer = msgspec.json.decode(content, type=_Answer)
        rows = sorted(answer.data or (), key=lambda row: row.index)
        vectors = tuple(_unpacked(row.embedding) for row in rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, struct.error) as failure:
        raise BrokenStream(f"an answer without embeddings ({failure})") from None
    if bytes(answer.error) != b"null" and not vectors:
        raise ErrorInside(answer.error.copy())
    if not vectors:
        raise BrokenStream("an answer without embeddings")
    return Embeddings(vectors=vectors, usage=answer.usage.copy() if bytes(answer.usage) != b"null" else None)


def _unpacked(embedding: tuple[float, ...] | str) -> tuple[float, ...]:
    """Some servers answer base64, asked or not."""
    if not isinstance(embedding, str):
        return embedding
    packed = base64.b64decode(embedding, validate=True)
    return struct.unpack(f"<{len(packed) // 4}f", packed)
