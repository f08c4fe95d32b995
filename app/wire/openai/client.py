"""What OpenAI's clients expect to get from us: errors, in an answer and inside a stream, and lists of models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from app.base.errors import AppError
from app.wire import openai_errors
from app.wire.openai import body

_encode = msgspec.json.Encoder().encode

read = body.read

error_body = openai_errors.error_body


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
