"""What the record needs to know of an answer, whatever its format."""

from __future__ import annotations

from msgspec import Raw, Struct

MAX_EVENT_BYTES = 1024 * 1024
"""Longer events are refused, except where pictures or sound travel in them."""
MAX_MEDIA_EVENT_BYTES = 32 * 1024 * 1024


class BrokenStream(Exception):
    """The provider's answer cannot be followed further; the text is for the record."""


class ErrorInside(Exception):
    """An answer with a good status that holds an error. `report` is the error's JSON value."""

    def __init__(self, report: Raw) -> None:
        super().__init__("an error inside a good answer")
        self.report = report


class AnswerFacts(Struct, frozen=True, kw_only=True):
    """What the record needs of an answer that came in one piece."""

    upstream_id: str | None = None
    finish_reason: str | None = None
    usage: Raw | None = None
    error: Raw | None = None
    """Some providers answer 200 with an error inside."""
    items: int = 0
    """Pictures or vectors in the answer."""
    seconds: float | None = None
    """Duration of transcribed sound, where it is said outside of the usage."""
    is_json: bool = True
    service_tier: str | None = None
    """As the provider says it served the call (`tiers.USUAL` and others); None where it says nothing."""
