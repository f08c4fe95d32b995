"""Vectors of texts, pictures and videos at Volcengine Ark, upstream face of `/embeddings/multimodal`.

All that a request holds becomes one vector: https://www.volcengine.com/docs/82379/1523520
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.base.usage import NotAPartition, Usage
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.neutral import File, Image, Source, Text
from app.wire.notes import Notes
from app.wire.openai import usage as openai_usage
from app.wire.orders import EmbeddingOrder, Embeddings, Order
from app.wire.request import Outgoing, raw_of, write_document
from app.wire.rules import UsageRule

_NULL = Raw(b"null")


def write_order(order: Order, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: several texts, each of which would need a call of its own, or a part that is no text, picture or
            video.
    """
    assert isinstance(order, EmbeddingOrder), "an order for vectors goes to where vectors are made"
    if len(order.texts) > 1:
        raise BadRequest(
            f"This model makes one vector per call, and input has {len(order.texts)} texts. Send one text per call.",
            param="input",
        )
    if order.purpose is not None:
        notes.dropped("input_type", "Ark has no word for what vectors are for")
    if order.user is not None:
        notes.dropped("user", "Ark has no word for it")
    parts = order.parts or tuple(Text(text=text, at="input") for text in order.texts)
    fields: dict[str, Any] = {
        "model": target.model,
        "input": [_part(part) for part in parts],
        "encoding_format": "float",
        "dimensions": order.dimensions,
    }
    document = {name: raw_of(value) for name, value in fields.items() if value is not None}
    return Outgoing("application/json", write_document(document, target.deviations))


def _part(part: Text | Image | File) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            return {"type": "image_url", "image_url": {"url": _url(part.source, part.at)}}
        case File():
            if not (part.source.media_type or "").startswith("video/"):
                raise BadRequest(f"The file at {part.at} must be a video for this model.", param=part.at)
            return {"type": "video_url", "video_url": {"url": _url(part.source, part.at)}}


def _url(source: Source, at: str) -> str:
    if source.url is not None:
        return source.url
    if source.data is None:
        raise BadRequest(f"The file at {at} is known to another provider only.", param=at)
    return f"data:{source.media_type};base64,{source.data}"


class _Vector(Struct):
    embedding: tuple[float, ...] = ()


class _Answer(Struct):
    id: str | None = None
    data: _Vector | None = None
    usage: Raw = _NULL
    error: Raw = _NULL


def read_result(content: bytes, target: Target) -> Embeddings:
    """
    Raises:
        BrokenStream, ErrorInside
    """
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer without a vector ({failure})") from None
    if bytes(answer.error) != b"null":
        raise ErrorInside(answer.error.copy())
    if answer.data is None or not answer.data.embedding:
        raise BrokenStream("an answer without a vector")
    usage = answer.usage.copy() if bytes(answer.usage) != b"null" else None
    return Embeddings(vectors=(answer.data.embedding,), usage=usage, upstream_id=answer.id)


class _Details(Struct):
    text_tokens: int | None = None
    image_tokens: int | None = None
    """Pictures, and the frames of videos."""


class _Report(Struct):
    prompt_tokens_details: _Details | None = None


def read_usage(report: bytes | Raw, rule: UsageRule, endpoint: str) -> Usage:
    """OpenAI's report with the tokens of texts and of pictures beside their sum. All of them are input here.

    Raises:
        NotAPartition: it cannot be true.
    """
    usage = openai_usage.read_usage(report, rule, endpoint)
    try:
        details = msgspec.json.decode(report, type=_Report).prompt_tokens_details
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise NotAPartition(str(problem)) from None
    if details is not None:
        texts, pictures = details.text_tokens or 0, details.image_tokens or 0
        if min(texts, pictures) < 0 or texts + pictures > usage.input_total:
            raise NotAPartition(f"{texts} of texts and {pictures} of pictures exceed the input of {usage.input_total}")
    return usage
