"""The models that this emulator has, and what each refuses.

Sources: platform.claude.com/docs: build-with-claude/thinking, /extended-thinking, /effort, /structured-outputs,
models/opus-5-5/whats-new-opus-5-5, models/sonnet-5-5/whats-new-sonnet-5-5, about-claude/models/whats-new-claude-4-7
and -4-8 (2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    name: str
    most_tokens: int
    thinking: frozenset[str] = frozenset()
    """The types that `thinking` may have."""
    thinks_unasked: bool = False
    shows_thoughts: bool = True
    """Whether thoughts are shown without `display: summarized`."""
    efforts: tuple[str, ...] = ()
    takes_sampling: bool = True
    can_be_forced: bool = True
    has_schemas: bool = True
    can_be_prefilled: bool = False
    takes_system_later: bool = False


_ALL = ("low", "medium", "high", "xhigh", "max")
_BUDGET = frozenset({"enabled", "disabled"})

MODELS = {
    model.name: model
    for model in (
        Model("claude-3-5-haiku-20241022", 8_192, has_schemas=False, can_be_prefilled=True),
        Model("claude-haiku-4-5-20251001", 64_000, _BUDGET, can_be_prefilled=True),
        Model("claude-sonnet-4-5-20250929", 64_000, _BUDGET, can_be_prefilled=True),
        Model("claude-opus-4-6", 128_000, _BUDGET | {"adaptive"}, efforts=("low", "medium", "high", "max")),
        Model(
            "claude-opus-4-8",
            128_000,
            frozenset({"adaptive", "disabled"}),
            shows_thoughts=False,
            efforts=_ALL,
            takes_sampling=False,
            takes_system_later=True,
        ),
        Model(
            "claude-sonnet-5-5",
            128_000,
            frozenset({"adaptive", "between_tools"}),
            thinks_unasked=True,
            shows_thoughts=False,
            efforts=_ALL,
            takes_sampling=False,
            can_be_forced=False,
            takes_system_later=True,
        ),
        Model(
            "claude-opus-5-5",
            128_000,
            frozenset({"adaptive"}),
            thinks_unasked=True,
            shows_thoughts=False,
            efforts=_ALL,
            takes_sampling=False,
            can_be_forced=False,
            takes_system_later=True,
        ),
    )
}
NEWEST = MODELS["claude-opus-5-5"]
"""Whose rules hold where a model's name holds only faults."""
