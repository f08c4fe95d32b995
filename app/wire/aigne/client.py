"""What the AIGNE routes have in common: how a request is read as far as a call needs it, and how errors are said.

The client of the framework sends everything inside `input` and names the model in `input.modelOptions.model`; older
SDKs and the playground write `model` beside it. A request without a model gets the default of its task, as the
original has it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from app.base.errors import AppError, BadRequest, BudgetExceeded, OutOfCredit
from app.wire.aigne.spelling import snake
from app.wire.endpoint import Endpoint
from app.wire.request import (
    Document,
    Incoming,
    Request,
    check_required,
    checked_name,
    flag,
    options,
    read_document,
)

DEFAULT_MODELS = {"conversation": "openai/gpt-5-mini", "image": "openai/dall-e-2", "video": "openai/sora-2"}

ENVELOPE = ""
"""The framework's form: a request inside `input`, an answer with its own names."""
JSON_VALUE = "json"
"""The same, with an answer that is JSON by a schema and goes out as a value in place of text."""
FRAMES, CHUNKS, WHOLE = "frames", "chunks", "whole"
"""Of completions: the hub's own frames, OpenAI's chunks, or one object."""
PLAIN = "plain"
"""Of vectors and pictures: the fields at the top of the document and an answer in OpenAI's shape."""

_NO_CREDIT = "NOT_ENOUGH"
"""The `type` by which AIGNE's clients know that the credits are used up."""

_encode = msgspec.json.Encoder().encode


def read(endpoint: Endpoint, incoming: Incoming) -> Request:
    """
    Raises:
        MediaTypeRefused: not JSON.
        BadRequest: no body, no JSON object, no model where there is no default; `param` names the field.
    """
    document = read_document(incoming)
    check_required(endpoint, document)
    given = document.get("input")
    inner = options(document, "input") if given is not None and bytes(memoryview(given)[:1]) == b"{" else None
    request = Request(
        model=_model(endpoint, document, inner or {}),
        is_streamed=False,
        wants_usage=True,
        size=len(incoming.body),
        document=document,
    )
    match endpoint.name:
        case "aigne.chat":
            asked = options(document, "options") or {}
            request.is_streamed = flag(asked, "streaming", "options.")
            request.form = JSON_VALUE if _has_schema(inner or {}) else ENVELOPE
        case "aigne.completions":
            _read_form(request, document, incoming)
        case _:
            request.form = ENVELOPE if inner is not None else PLAIN
    return request


def _read_form(request: Request, document: Document, incoming: Incoming) -> None:
    """Who accepts events is the hub's own SDK, whatever `stream` says; who only says `stream` is an OpenAI client."""
    accepts = incoming.headers.get(b"accept", b"").lower()
    is_streamed = flag(document, "stream")
    if b"text/event-stream" in accepts:
        request.is_streamed, request.form = True, FRAMES
    elif is_streamed:
        asked = options(document, "stream_options")
        request.is_streamed, request.form = True, CHUNKS
        request.wants_usage = asked is not None and flag(asked, "include_usage", "stream_options.")
    else:
        request.form = WHOLE


def _model(endpoint: Endpoint, document: Document, inner: Document) -> str:
    settings = _inside(inner, "modelOptions", "input.")
    for fields, at in ((settings, "input.modelOptions.model"), (inner, "input.model"), (document, "model")):
        raw = fields.get("model")
        if raw is None or bytes(raw) in (b"null", b'""'):
            continue
        try:
            return checked_name(msgspec.json.decode(raw, type=str))
        except msgspec.DecodeError:
            raise BadRequest(f"The field {at} must be a string.", param=at) from None
    default = DEFAULT_MODELS.get(endpoint.task or "")
    if default is None:
        raise BadRequest("The field model is missing. GET /api/ai/models lists what there is.", param="model")
    return default


def _inside(document: Document, name: str, at: str) -> Document:
    """An object inside another, in either spelling of its name; empty where it is not there."""
    spelling = name if name in document else snake(name)
    try:
        return options(document, spelling) or {}
    except BadRequest:
        raise BadRequest(f"The field {at}{spelling} must be an object.", param=f"{at}{spelling}") from None


def _has_schema(inner: Document) -> bool:
    format_ = _inside(inner, "responseFormat", "input.")
    return bytes(format_.get("type", Raw())) == b'"json_schema"'


# --- errors


def error_fields(error: AppError, call_id: str | None) -> dict[str, Any]:
    """`message` and `type` as AIGNE's clients read them; the rest is ours, in the same words as in other formats."""
    bought = {"timestamp": error.moment, "link": error.link} if isinstance(error, OutOfCredit) else {}
    return {
        "message": error.sentence
        if call_id is None or error.http_status < 500
        else f"{error.sentence} (call {call_id})",
        **bought,
        # A budget is not mended by buying credits, to which the client would send people.
        "type": _NO_CREDIT if error.http_status == 402 and error.code != BudgetExceeded.code else error.code,
        "code": error.code,
        "param": error.param,
        "owner": error.owner,
        "call_id": call_id,
    }


def error_body(error: AppError, call_id: str | None) -> bytes:
    return _encode({"error": error_fields(error, call_id)})


def error_event(error: AppError, call_id: str | None) -> bytes:
    """Flat: the client shows an empty message where it is nested."""
    return b"event: error\ndata: " + _encode(error_fields(error, call_id)) + b"\n\n"
