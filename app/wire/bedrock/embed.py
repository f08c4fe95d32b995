"""Vectors of Bedrock's models, upstream face: each maker's own document through InvokeModel.

Cohere takes many texts in a request, Titan one:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from app.base.errors import BadRequest
from app.wire.answers import BrokenStream
from app.wire.bedrock.families import Model, model_of
from app.wire.faces import Target
from app.wire.notes import Notes
from app.wire.orders import EmbeddingOrder, Embeddings, Order
from app.wire.request import Outgoing, raw_of, write_document

_HEADERS = {"Accept": "application/json"}
_MOST_TEXTS = 96
_PURPOSES = {
    "search_document": "search_document",
    "search_query": "search_query",
    "classification": "classification",
    "clustering": "clustering",
    # Gemini's words: https://ai.google.dev/gemini-api/docs/embeddings#task-types
    "RETRIEVAL_DOCUMENT": "search_document",
    "RETRIEVAL_QUERY": "search_query",
    "QUESTION_ANSWERING": "search_query",
    "FACT_VERIFICATION": "search_query",
    "CODE_RETRIEVAL_QUERY": "search_query",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "SEMANTIC_SIMILARITY": "clustering",
}


def write_order(order: Order, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: more texts than the model takes, parts, or a model whose document the hub does not know.
    """
    assert isinstance(order, EmbeddingOrder)
    model = model_of(target.model)
    if model.maker == "cohere":
        fields = _cohere(order, model, notes)
    elif model.maker == "amazon" and model.name.startswith("titan-embed"):
        fields = _titan(order, model, notes)
    else:
        raise BadRequest(f"The hub does not know how {target.model} is asked for vectors.", param="model")
    if order.user is not None:
        notes.dropped("user", "there is no field for it")
    document = {name: raw_of(value) for name, value in fields.items()}
    return Outgoing("application/json", write_document(document, target.deviations), headers=_HEADERS)


def _cohere(order: EmbeddingOrder, model: Model, notes: Notes) -> dict[str, Any]:
    texts = order.texts_alone()
    if len(texts) > _MOST_TEXTS:
        raise BadRequest(f"This model takes at most {_MOST_TEXTS} texts in one request.", param="input")
    purpose = _PURPOSES.get(order.purpose or "")
    if purpose is None:
        purpose = "search_document"
        notes.defaulted("input_type", "Cohere wants to know what vectors are for: search_document")
    fields: dict[str, Any] = {"texts": texts, "input_type": purpose, "embedding_types": ["float"]}
    if order.dimensions is not None and model.name.startswith("embed-v4"):
        fields["output_dimension"] = order.dimensions
    elif order.dimensions is not None:
        notes.dropped("dimensions", "this model has one size of vectors")
    return fields


def _titan(order: EmbeddingOrder, model: Model, notes: Notes) -> dict[str, Any]:
    texts = order.texts_alone()
    if len(texts) != 1:
        raise BadRequest(
            f"This model takes one text in a request, and there are {len(texts)}. Send them one by one.",
            param="input",
        )
    fields: dict[str, Any] = {"inputText": texts[0]}
    if order.dimensions is not None and model.name.startswith("titan-embed-text-v2"):
        fields["dimensions"] = order.dimensions
    elif order.dimensions is not None and model.name.startswith("titan-embed-image"):
        fields["embeddingConfig"] = {"outputEmbeddingLength": order.dimensions}
    elif order.dimensions is not None:
        notes.dropped("dimensions", "this model has one size of vectors")
    if order.purpose is not None:
        notes.dropped("input_type", "Titan's vectors are for everything")
    return fields


class _ByType(Struct):
    floats: list[tuple[float, ...]] | None = field(default=None, name="float")


class _Answer(Struct, rename="camel"):
    embedding: tuple[float, ...] | None = None
    """Titan's."""
    input_text_token_count: int | None = None
    embeddings: _ByType | list[tuple[float, ...]] | None = None
    """Cohere's: by type as they are asked for; a bare list from models that know one type."""
    id: str | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def read_result(content: bytes, target: Target) -> Embeddings:
    """Cohere's answers say nothing of tokens: `usage` is None.

    Raises:
        BrokenStream: not as documented.
    """
    try:
        found = _decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer without vectors ({failure})") from None
    vectors = found.embeddings.floats if isinstance(found.embeddings, _ByType) else found.embeddings
    if found.embedding is not None:
        vectors = [found.embedding]
    if not vectors:
        raise BrokenStream("an answer without vectors")
    count = found.input_text_token_count
    usage = None if count is None else Raw(msgspec.json.encode({"inputTextTokenCount": count}))
    return Embeddings(vectors=tuple(vectors), usage=usage, upstream_id=found.id)
