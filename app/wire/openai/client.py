"""What OpenAI's clients expect to get from us: errors, in an answer and inside a stream, and lists of models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from app.base.errors import AppError
from app.wire.openai import body

_encode = msgspec.json.Encoder().encode

read = body.read

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
_SERVER_ERROR = "server_error"


def error_body(error: AppError, call_id: str | None) -> bytes:
    """`{"error": {"message", "type", "param", "code", …}}`, with whose turn it is to act and the call's id."""
    return _encode({"error": _fields(error, call_id)})


def error_event(error: AppError, call_id: str | None) -> bytes:
    """The same as the last event of a stream that broke. OpenAI's clients raise on it."""
    return b"data: " + error_body(error, call_id) + b"\n\n"


def model_entry(name: str, *, created: int, owned_by: str, type_: str, is_demo: bool) -> dict[str, Any]:
    """One model of a list. `owned_by` is the provider; what OpenAI's shape has no place for is in `hub`."""
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": owned_by,
        "hub": {"type": type_, "demo": is_demo},
    }


def model_list(entries: Iterable[dict[str, Any]]) -> bytes:
    return _encode({"object": "list", "data": list(entries)})


def model_object(entry: dict[str, Any]) -> bytes:
    return _encode(entry)


def _fields(error: AppError, call_id: str | None) -> dict[str, Any]:
    return {
        "message": error.sentence
        if call_id is None or error.http_status < 500
        else f"{error.sentence} (call {call_id})",
        "type": _TYPES.get(error.http_status, _SERVER_ERROR if error.http_status >= 500 else "invalid_request_error"),
        "param": error.param,
        "code": error.code,
        "owner": error.owner,
        "call_id": call_id,
    }
