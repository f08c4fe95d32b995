"""How long a response may get: `max_output_tokens`, reasoning included."""

from __future__ import annotations

from app.wire import bounds
from app.wire.request import Document, Request

_MOST = "max_output_tokens"
_LEAST = 16
"""That OpenAI takes."""


def most_output(request: Request) -> int | None:
    """Tokens, as the caller bounds them; None where it does not."""
    return bounds.whole((request.document or {}).get(_MOST))


def lower(document: Document, most: int) -> None:
    """In place."""
    bounds.lower(document, (_MOST,), _MOST, max(_LEAST, most))
