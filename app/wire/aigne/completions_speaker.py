"""The speaker of completions: as `client`, but errors inside its streams have no name, in either of the two forms."""

from __future__ import annotations

from app.base.errors import AppError
from app.wire.aigne import client

read = client.read
error_body = client.error_body


def error_event(error: AppError, call_id: str | None) -> bytes:
    """The hub's own SDK looks for `error` in each frame, and so do OpenAI's."""
    return b"data: " + error_body(error, call_id) + b"\n\n"
