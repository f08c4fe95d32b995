"""What Gemini's clients send and expect beside any conversation: how a request is read, errors, lists of models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from app.base.errors import AppError, BadRequest
from app.wire.endpoint import Endpoint
from app.wire.gemini import names
from app.wire.gemini.endpoints import STREAM_ACTION
from app.wire.request import Incoming, Request, check_required, checked_name, read_document

_encode = msgspec.json.Encoder().encode

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""https://ai.google.dev/gemini-api/docs/troubleshooting and https://google.aip.dev/193"""
_TYPE = "type.googleapis.com/google.rpc."

_METHODS = {
    "chat": ("generateContent", "streamGenerateContent", "countTokens"),
    "image": ("generateContent", "streamGenerateContent"),
    "speech": ("generateContent", "streamGenerateContent"),
    "embedding": ("embedContent", "batchEmbedContents"),
}


def read(endpoint: Endpoint, incoming: Incoming) -> Request:
    """The request of `incoming`. Its model and action stood in the path.

    Raises:
        MediaTypeRefused: the content type is not JSON.
        BadRequest: no body, not a JSON object, a field missing or of the wrong type; `param` names it.
    """
    document = read_document(incoming)
    model = checked_name(names.public(incoming.variables.get("model", "")))
    check_required(endpoint, document)
    return Request(
        model=model,
        is_streamed=incoming.variables.get("action") == STREAM_ACTION,
        # Every chunk of its streams reports usage, asked or not.
        wants_usage=True,
        size=len(incoming.body),
        document=document,
    )


def error_body(error: AppError, call_id: str | None) -> bytes:
    """`{"error": {"code", "message", "status", "details"}}`; whose turn it is and the call's id are in the details."""
    return _encode({"error": _fields(error, call_id)})


def error_event(error: AppError, call_id: str | None) -> bytes:
    """The same as the last event of a stream that broke. Google's libraries raise on it."""
    return b"data: " + error_body(error, call_id) + b"\n\n"


def model_entry(name: str, *, type_: str, owned_by: str) -> dict[str, Any]:
    """One model of a list: https://ai.google.dev/api/models#Model"""
    return {
        "name": names.resource(name),
        "version": "1",
        "displayName": name,
        "description": f"{name}, served by {owned_by}.",
        "supportedGenerationMethods": list(_METHODS.get(type_, ())),
    }


def model_list(entries: Iterable[dict[str, Any]]) -> bytes:
    return _encode({"models": list(entries)})


def model_object(entry: dict[str, Any]) -> bytes:
    return _encode(entry)


def token_count(total: int) -> bytes:
    """What `countTokens` answers."""
    return _encode({"totalTokens": total})


def counted(request: Request) -> Request:
    """The request whose tokens `countTokens` is asked to count: it stands in the body whole, or by its contents alone.

    Raises:
        BadRequest: neither is there, or both are.
    """
    document = request.document or {}
    inner = document.get("generateContentRequest") or document.get("generate_content_request")
    if inner is None or bytes(inner) == b"null":
        if "contents" not in document:
            raise BadRequest("The field contents is missing.", param="contents")
        return request
    if "contents" in document:
        raise BadRequest("Send contents or generateContentRequest, not both.", param="contents")
    try:
        whole = msgspec.json.decode(inner, type=dict[str, Raw])
    except msgspec.DecodeError:
        raise BadRequest(
            "The field generateContentRequest must be an object.", param="generateContentRequest"
        ) from None
    whole.pop("model", None)
    return Request(model=request.model, is_streamed=False, wants_usage=False, size=request.size, document=whole)


def _fields(error: AppError, call_id: str | None) -> dict[str, Any]:
    status = error.http_status
    metadata = {"owner": error.owner, "code": error.code}
    if call_id is not None:
        metadata["callId"] = call_id
    details: list[dict[str, Any]] = [
        {"@type": f"{_TYPE}ErrorInfo", "reason": error.code.upper(), "domain": "hub", "metadata": metadata}
    ]
    if error.param is not None:
        violation = {"field": error.param, "description": error.sentence}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if error.retry_after_seconds is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{error.retry_after_seconds}s"})
    named = call_id is not None and status >= 500
    return {
        "code": status,
        "message": f"{error.sentence} (call {call_id})" if named else error.sentence,
        "status": _STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"),
        "details": details,
    }
