"""How long a message may get: `max_tokens`, below which the budget of thinking has to stay."""

from __future__ import annotations

from typing import Any, cast

from app.wire import bounds
from app.wire.request import Document, Request, raw_of

_MOST = "max_tokens"
_LEAST_BUDGET = 1_024
"""https://platform.claude.com/docs/en/build-with-claude/extended-thinking"""


def most_output(request: Request) -> int | None:
    """Tokens, thinking included, as the caller bounds them; None where it does not."""
    return bounds.whole((request.document or {}).get(_MOST))


def lower(document: Document, most: int) -> None:
    """In place. Thinking gets less, or is left out where the least that the API takes is too much."""
    bound = bounds.lower(document, (_MOST,), _MOST, max(1, most))
    thinking = bounds.inside(document, "thinking")
    budget = bounds.whole(thinking.get("budget_tokens"))
    if budget is None or budget < bound:
        return
    if bound > _LEAST_BUDGET:
        thinking["budget_tokens"] = raw_of(max(_LEAST_BUDGET, bound * 3 // 4))
        document["thinking"] = raw_of(thinking)
        return
    del document["thinking"]
    _keep_thoughts(document)


def _keep_thoughts(document: Document) -> None:
    """Old thoughts can be cleared by the API only while it thinks."""
    management: Any = bounds.value_of(document.get("context_management"))
    edits: Any = cast(dict[str, Any], management).get("edits") if isinstance(management, dict) else None
    if not isinstance(edits, list):
        return
    kept = [edit for edit in cast(list[Any], edits) if not _clears_thoughts(edit)]
    if kept:
        document["context_management"] = raw_of({**cast(dict[str, Any], management), "edits": kept})
    elif edits:
        del document["context_management"]


def _clears_thoughts(edit: Any) -> bool:
    return isinstance(edit, dict) and str(cast(dict[str, Any], edit).get("type")).startswith("clear_thinking")
