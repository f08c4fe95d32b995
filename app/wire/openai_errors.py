"""Errors as OpenAI's clients expect them, whichever of its formats they speak."""

from __future__ import annotations

from typing import Any

import msgspec

from app.base.errors import AppError

_encode = msgspec.json.Encoder().encode

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
    return _encode({"error": error_fields(error, call_id)})


def error_fields(error: AppError, call_id: str | None) -> dict[str, Any]:
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
