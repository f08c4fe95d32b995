"""`/api/v2/embeddings`: vectors in two forms.

    {"input": {"input": text | [text, …], "modelOptions"?}, "model"?}   → {"embeddings": [[…], …], "usage", "model", …}
    {"input": text | [text, …], "model"}                                → OpenAI's list with `data[].embedding`

The first is the framework's, the second that of the SDK for Blocklets and of the playground. Text as numbers of tokens
is taken by nobody but OpenAI and refused.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec

from app.base.errors import BadRequest
from app.base.usage import Usage
from app.wire.aigne.answers import model_names
from app.wire.aigne.client import PLAIN
from app.wire.aigne.spelling import spelt
from app.wire.fields import Fields
from app.wire.neutral_answer import Reply
from app.wire.orders import EmbeddingOrder, Embeddings, Order, Result
from app.wire.request import Request, fields_of

_encode = msgspec.json.Encoder().encode


def read_order(request: Request) -> EmbeddingOrder:
    """
    Raises:
        BadRequest: `param` names the field.
    """
    fields = fields_of(request)
    given = fields if request.form == PLAIN else fields.object("input") or fields
    fields.drop("model", "agent", "options")
    asked = given.object(spelt(given, "modelOptions")) or Fields({}, given.path("modelOptions"), given.unread)
    texts = given.texts("input")
    if not texts:
        raise BadRequest(f"The field {given.path('input')} must hold text.", param=given.path("input"))
    encoding = given.word(spelt(given, "encodingFormat"), ("float", "base64"))
    dimensions = given.whole("dimensions", least=1)
    own_dimensions = asked.whole("dimensions", least=1)
    user = given.text("user")
    for one in (asked, given):
        one.drop("model")
        one.done()
    fields.done()
    return EmbeddingOrder(
        texts=texts,
        dimensions=dimensions if dimensions is not None else own_dimensions,
        is_base64=encoding == "base64",
        user=user,
        unread=tuple(fields.unread),
    )


def write_result(result: Result, order: Order, reply: Reply, usage: Usage | None) -> bytes:
    assert isinstance(result, Embeddings) and isinstance(order, EmbeddingOrder)
    vectors = [_packed(vector) if order.is_base64 else vector for vector in result.vectors]
    tokens = usage.input_total if usage is not None else None
    if reply.form == PLAIN:
        data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        plain: dict[str, Any] = {"object": "list", "data": data, "model": reply.model}
        if tokens is not None:
            plain["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _encode(plain)
    whole: dict[str, Any] = {"embeddings": vectors, **model_names(reply.model)}
    if tokens is not None:
        whole["usage"] = {"inputTokens": tokens, "outputTokens": 0, "modelCallId": reply.id}
    return _encode(whole)


def _packed(vector: tuple[float, ...]) -> str:
    """Little-endian float32, as OpenAI's clients unpack it."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
