"""Gemini's format on both sides: generateContent, countTokens, embedContent and batchEmbedContents.

The body stays as it came. The model stands in the path; where a body repeats it, it is written as the provider's own.
What other models have said in a history is made such that Gemini takes it.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from app.base.errors import BadRequest
from app.wire.endpoint import Endpoint
from app.wire.gemini import bounds, names, passed_history, tap
from app.wire.gemini.tap import StreamTap
from app.wire.request import Deviation, Document, Outgoing, Request, raw_of, write_document

read_facts = tap.read_facts
characters_of = tap.characters_of
most_output = bounds.most_output

_ACTIONS = {
    "generate_content": "generateContent",
    "gemini.count_tokens": "countTokens",
    "gemini.embed": "embedContent",
    "gemini.batch_embed": "batchEmbedContents",
}


def write(
    request: Request,
    endpoint: Endpoint,
    upstream_model: str,
    deviations: tuple[Deviation, ...],
    most_output: int | None = None,
) -> Outgoing:
    """
    Raises:
        BadRequest: a part of the body that repeats the model is not as documented; `param` names it.
    """
    document: Document = dict(request.document or {})
    model = raw_of(names.resource(upstream_model))
    if "model" in document:
        document["model"] = model
    if "contents" in document:
        document["contents"] = passed_history.legal(document["contents"], upstream_model)
    if "requests" in document:
        document["requests"] = raw_of(
            [_with_model(one, f"requests[{n}]", model) for n, one in enumerate(_items(document["requests"]))]
        )
    for name in ("generateContentRequest", "generate_content_request"):
        if name in document:
            document[name] = raw_of(_with_model(document[name], name, model))
    if most_output is not None and endpoint.name == "generate_content":
        bounds.lower(document, most_output)
    action = "streamGenerateContent" if request.is_streamed else _ACTIONS[endpoint.name]
    path = names.path(upstream_model, action)
    return Outgoing("application/json", write_document(document, deviations), path=path)


def follow(request: Request, endpoint: Endpoint) -> StreamTap:
    """A tap for a stream that answers `request`."""
    return StreamTap(request.model)


def _items(requests: Raw) -> list[Raw]:
    try:
        return msgspec.json.decode(requests, type=list[Raw])
    except msgspec.DecodeError:
        raise BadRequest("The field requests must be an array.", param="requests") from None


def _with_model(raw: Raw, at: str, model: Raw) -> Document:
    try:
        inner = msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.DecodeError:
        raise BadRequest(f"The field {at} must be an object.", param=at) from None
    inner["model"] = model
    return inner
