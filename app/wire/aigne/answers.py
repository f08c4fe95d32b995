"""What AIGNE's answers have in common: names of models, usage, reasons to stop."""

from __future__ import annotations

from typing import Any

from app.base.usage import Usage
from app.wire.neutral import Reasoning, Refusal, Text
from app.wire.neutral_answer import Answer

_PREFIX = "aignehub/"

BETWEEN_THOUGHTS = "\n\n"
"""Stretches of thinking have no borders in this format."""


def model_names(model: str) -> dict[str, Any]:
    """`model` is the bare name, `modelWithProvider` the one that can be called."""
    whole = model.removeprefix(_PREFIX)
    return {"model": whole.partition("/")[2] or whole, "modelWithProvider": whole}


def usage_entry(usage: Usage, call_id: str) -> dict[str, Any]:
    """`inputTokens` holds no cached ones, so that the counts add up; clients insist on numbers."""
    counted: dict[str, Any] = {
        "inputTokens": usage.input + usage.audio_in,
        "outputTokens": usage.output + usage.audio_out,
        "cacheReadInputTokens": usage.cache_read,
        "cacheCreationInputTokens": usage.cache_write_5m + usage.cache_write_1h,
        "modelCallId": call_id,
    }
    return counted


def text_of(answer: Answer) -> str:
    """Text and refusals: there is no other place for the latter."""
    return "".join(part.text for part in answer.parts if isinstance(part, Text | Refusal))


def thoughts_of(answer: Answer) -> str:
    return BETWEEN_THOUGHTS.join(part.text for part in answer.parts if isinstance(part, Reasoning) and part.text)
