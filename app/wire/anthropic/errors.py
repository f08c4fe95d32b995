"""Errors as Anthropic's clients expect them, in an answer and inside a stream.

https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.base.errors import AppError

_encode = msgspec.json.Encoder().encode

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(error: AppError, call_id: str | None) -> bytes:
    """`{"type": "error", "error": {"type", "message", …}, "request_id"}`.

    Beside the two fields of the format, the inner object says what the hub says everywhere: code, field, whose turn.
    """
    status = error.http_status
    told: dict[str, Any] = {
        "type": _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error"),
        "message": error.sentence if call_id is None or status < 500 else f"{error.sentence} (call {call_id})",
        "param": error.param,
        "code": error.code,
        "owner": error.owner,
    }
    return _encode({"type": "error", "error": told, "request_id": call_id})


def error_event(error: AppError, call_id: str | None) -> bytes:
    """The same as the last event of a stream that broke. Anthropic's clients raise on it."""
    return b"event: error\ndata: " + error_body(error, call_id) + b"\n\n"
