"""How long Gemini's answers may get: `generationConfig.maxOutputTokens`, for each candidate.

Its JSON takes every name in two spellings.
"""

from __future__ import annotations

from app.wire import bounds
from app.wire.request import Document, Request, raw_of

_CONFIGS = ("generationConfig", "generation_config")
_MOST = ("maxOutputTokens", "max_output_tokens")
_COUNTS = ("candidateCount", "candidate_count")


def most_output(request: Request) -> int | None:
    """Tokens of all candidates together, thoughts included, as the caller bounds them; None where it does not."""
    document = request.document or {}
    config = bounds.inside(document, bounds.first(document, _CONFIGS))
    most = bounds.whole(config.get(bounds.first(config, _MOST) or _MOST[0]))
    return None if most is None else most * _candidates(config)


def lower(document: Document, most: int) -> None:
    """In place: all candidates together get at most `most` tokens, and at least one each."""
    name = bounds.first(document, _CONFIGS) or _CONFIGS[0]
    config = bounds.inside(document, name)
    bounds.lower(config, _MOST, _MOST[0], max(1, most // _candidates(config)))
    document[name] = raw_of(config)


def _candidates(config: Document) -> int:
    return max(1, bounds.whole(config.get(bounds.first(config, _COUNTS) or _COUNTS[0])) or 1)
