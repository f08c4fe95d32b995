"""How long OpenAI's completions may get: `max_completion_tokens`, or `max_tokens` by its old name, for each of `n`."""

from __future__ import annotations

from typing import Any, cast

from app.wire import bounds
from app.wire.endpoint import Endpoint
from app.wire.request import Document, Request, raw_of

_NEW, _OLD = "max_completion_tokens", "max_tokens"
_DEFAULTS = {"chat.completions": _NEW, "completions": _OLD}
_LEAST_BUDGET = 1_024
_BUDGETS = (("thinking", "budget_tokens"), ("reasoning", "max_tokens"))
"""Where servers of this format take a number of tokens to think."""


def most_output(request: Request) -> int | None:
    """Tokens of all choices together, as the caller bounds them; None where it does not."""
    document = request.document
    if document is None:
        return None
    most = bounds.whole(document.get(bounds.first(document, (_NEW, _OLD)) or _OLD))
    return None if most is None else most * _choices(document)


def lower(document: Document, endpoint: Endpoint, most: int) -> None:
    """In place: all choices together get at most `most` tokens, and at least one each."""
    default = _DEFAULTS.get(endpoint.name)
    if default is None:
        return
    bound = bounds.lower(document, (_NEW, _OLD), default, max(1, most // _choices(document)))
    for name, budget in _BUDGETS:
        _lower_budget(document, name, budget, bound)


def _lower_budget(document: Document, name: str, budget: str, bound: int) -> None:
    """It has to be less than the whole; one that would be too small is not asked for."""
    thought = bounds.inside(document, name)
    asked = bounds.whole(thought.get(budget))
    if asked is None or asked < bound:
        return
    if bound > _LEAST_BUDGET:
        thought[budget] = raw_of(max(_LEAST_BUDGET, bound * 3 // 4))
    else:
        del thought[budget]
    document[name] = raw_of(thought)


def _choices(document: Document) -> int:
    """How many answers are generated. Plain completions make them for each prompt, and `best_of` before they choose."""
    count = max(1, bounds.whole(document.get("n")) or 1, bounds.whole(document.get("best_of")) or 1)
    prompts: Any = bounds.value_of(document.get("prompt"))
    if isinstance(prompts, list):
        count *= max(1, sum(isinstance(one, str | list) for one in cast(list[Any], prompts)))
    return count
