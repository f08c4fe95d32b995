"""How long an answer to AIGNE's clients may get: among the options of the model, or at the top of a completion."""

from __future__ import annotations

from app.wire import bounds
from app.wire.aigne.settings import PLACES
from app.wire.aigne.spelling import snake
from app.wire.request import Document, Request

_NAMES = tuple(spelling for name in PLACES["max_tokens"] for spelling in (name, snake(name)))


def most_output_of_chat(request: Request) -> int | None:
    """Tokens, as the caller bounds them; None where it does not."""
    given = bounds.inside(request.document or {}, "input")
    return _most(bounds.inside(given, bounds.first(given, ("modelOptions", "model_options"))))


def most_output_of_completions(request: Request) -> int | None:
    return _most(request.document or {})


def _most(document: Document) -> int | None:
    name = bounds.first(document, _NAMES)
    return None if name is None else bounds.whole(document[name])
