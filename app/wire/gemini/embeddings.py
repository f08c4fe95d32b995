"""Vectors: embedContent and batchEmbedContents, both faces. Upstream many texts are one request.

https://ai.google.dev/api/embeddings
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.base.usage import Usage
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.fields import Fields, missing
from app.wire.gemini import names
from app.wire.neutral_answer import Reply
from app.wire.notes import Notes
from app.wire.orders import EmbeddingOrder, Embeddings, Order, Result
from app.wire.request import Outgoing, Request, raw_of, write_document

_encode = msgspec.json.Encoder().encode
_NULL = Raw(b"null")

MOST_TEXTS = 100
"""Of one batch: "at most 100 requests can be in one batch"."""


# --- what callers say and expect


class One:
    """embedContent: one content, one vector."""

    def read_order(self, request: Request) -> EmbeddingOrder:
        """
        Raises:
            BadRequest: `param` names the field.
        """
        fields = _fields_of(request)
        order = _order([_Asked.read(fields)], fields)
        fields.done()
        return msgspec.structs.replace(order, unread=tuple(fields.unread))

    def write_result(self, result: Result, order: Order, reply: Reply, usage: Usage | None) -> bytes:
        vectors = _vectors(result)
        return _encode(_with_usage({"embedding": {"values": vectors[0] if vectors else ()}}, usage))


class Batch:
    """batchEmbedContents: many of them, in their order."""

    def read_order(self, request: Request) -> EmbeddingOrder:
        """
        Raises:
            BadRequest: `param` names the field.
        """
        fields = _fields_of(request)
        asked: list[_Asked] = []
        for one in fields.objects("requests"):
            asked.append(_Asked.read(one))
            one.done()
        if not asked:
            raise BadRequest("The field requests must not be empty.", param="requests")
        order = _order(asked, fields)
        fields.drop("model")
        fields.done()
        return msgspec.structs.replace(order, unread=tuple(fields.unread))

    def write_result(self, result: Result, order: Order, reply: Reply, usage: Usage | None) -> bytes:
        rows = [{"values": values} for values in _vectors(result)]
        return _encode(_with_usage({"embeddings": rows}, usage))


one = One()
batch = Batch()


class _Asked(Struct, frozen=True):
    text: str
    dimensions: int | None
    purpose: str | None
    at: str

    @classmethod
    def read(cls, fields: Fields) -> _Asked:
        content = fields.object("content")
        if content is None:
            raise missing(fields.path("content"))
        texts: list[str] = []
        for part in content.objects("parts"):
            if not part.has("text"):
                raise BadRequest(f"The part at {part.at} must be a text.", param=part.at)
            texts.append(part.needed_text("text"))
            part.done()
        content.drop("role")
        content.done()
        fields.drop("model")
        return cls(
            text="\n".join(texts),
            dimensions=fields.whole("outputDimensionality", least=1),
            purpose=fields.text("taskType"),
            at=fields.at,
        )


def _fields_of(request: Request) -> Fields:
    values = {name: msgspec.json.decode(raw) for name, raw in (request.document or {}).items()}
    return Fields(cast(dict[str, Any], names.in_camel_case(values)))


def _order(asked: list[_Asked], fields: Fields) -> EmbeddingOrder:
    first = asked[0]
    for other in asked:
        # Elsewhere one request has one size and one purpose.
        if other.dimensions != first.dimensions:
            path = f"{other.at}.outputDimensionality"
            raise BadRequest(f"The field {path} must be the same in every request of a batch.", param=path)
        if other.purpose != first.purpose:
            fields.unread.append(f"{other.at}.taskType")
    return EmbeddingOrder(texts=tuple(one.text for one in asked), dimensions=first.dimensions, purpose=first.purpose)


def _vectors(result: Result) -> tuple[tuple[float, ...], ...]:
    assert isinstance(result, Embeddings), "an order for vectors is answered with vectors"
    return result.vectors


def _with_usage(answer: dict[str, Any], usage: Usage | None) -> dict[str, Any]:
    if usage is not None:
        answer["usageMetadata"] = {"promptTokenCount": usage.input_total, "totalTokenCount": usage.input_total}
    return answer


# --- what a provider is sent and answers


class _Vector(Struct):
    values: tuple[float, ...] = ()


class _Answer(Struct, rename="camel"):
    embeddings: list[_Vector] | None = None
    usage_metadata: Raw = _NULL
    error: Raw = _NULL


_PURPOSES = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
"""Cohere's input types: https://docs.cohere.com/reference/embed"""


def write_order(order: Order, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: more texts than one batch takes, or parts.
    """
    assert isinstance(order, EmbeddingOrder), "an order for vectors goes to where vectors are made"
    texts = order.texts_alone()
    if len(texts) > MOST_TEXTS:
        raise BadRequest(f"Send at most {MOST_TEXTS} texts at once.", param="input")
    if order.user is not None:
        notes.dropped("user", "Gemini has no word for it")
    common: dict[str, Any] = {"model": names.resource(target.model)}
    if order.dimensions is not None:
        common["outputDimensionality"] = order.dimensions
    if order.purpose is not None:
        common["taskType"] = _PURPOSES.get(order.purpose, order.purpose)
    requests = [{**common, "content": {"parts": [{"text": text}]}} for text in texts]
    content = write_document({"requests": raw_of(requests)}, target.deviations)
    return Outgoing("application/json", content, path=names.path(target.model, "batchEmbedContents"))


def read_result(content: bytes, target: Target) -> Embeddings:
    """
    Raises:
        BrokenStream, ErrorInside
    """
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer without embeddings ({failure})") from None
    if bytes(answer.error) != b"null":
        raise ErrorInside(answer.error.copy())
    if not answer.embeddings:
        raise BrokenStream("an answer without embeddings")
    usage = answer.usage_metadata.copy() if bytes(answer.usage_metadata) != b"null" else None
    return Embeddings(vectors=tuple(one.values for one in answer.embeddings), usage=usage)
