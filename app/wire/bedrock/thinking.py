"""How a model of Bedrock is told to think: fields of its own, by family, in `additionalModelRequestFields`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from app.wire.bedrock.families import Model
from app.wire.neutral import Conversation, Part, Reasoning, ReasoningWish, ToolCall
from app.wire.notes import Notes

_LEAST_BUDGET = 1024
"""https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html"""
_ALWAYS_THINKS_SINCE = (5, 0)
_WORDS = {
    "none": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


class Thinking(Struct, frozen=True, kw_only=True):
    fields: dict[str, Any] = {}
    is_on: bool = False
    forbids_sampling: bool = False
    """Nova at its highest effort takes no temperature and no top_p."""


_NOT = Thinking()


def wished(said: Conversation, model: Model, origin: str, notes: Notes) -> Thinking:
    """What the caller wishes, as far as this model can do it here; the rest is noted."""
    wish = said.reasoning
    if wish is None:
        return _NOT
    at = said.at("reasoning")
    if model.thinks is None:
        if not wish.is_off:
            notes.dropped(at, "the hub knows no way to make this model think")
        return _NOT
    if model.thinks == "nova":
        return _nova(said, wish, at, notes)
    if model.thinks == "word":
        return Thinking(fields={"reasoning_effort": _word(wish, at, notes, has_off=False)}, is_on=True)
    if wish.is_off and (model.claude or (0, 0)) < _ALWAYS_THINKS_SINCE:
        return _NOT
    if said.tools and said.tool_choice is not None and said.tool_choice.mode in ("required", "tool"):
        if not wish.is_off:
            notes.dropped(at, "Claude cannot think while it is made to call a tool")
        return _NOT
    if model.thinks == "adaptive":
        return _adaptive(wish, model, at, notes)
    return _budget(said, wish, at, origin, notes)


def _budget(said: Conversation, wish: ReasoningWish, at: str, origin: str, notes: Notes) -> Thinking:
    most = said.sampling.max_tokens
    if most is not None and most <= _LEAST_BUDGET:
        notes.dropped(at, f"Claude thinks in {_LEAST_BUDGET} tokens at least, and the answer may have {most} in all")
        return _NOT
    if _has_unsigned_loop(said, origin):
        notes.dropped(at, "the thoughts before the last tool calls are not in the conversation")
        return _NOT
    budget = max(_LEAST_BUDGET, wish.budget(None if most is None else most - 1))
    if budget != wish.budget_tokens:
        notes.emulated(at, f"a budget of {budget} tokens")
    return Thinking(fields={"thinking": {"type": "enabled", "budget_tokens": budget}}, is_on=True)


def _adaptive(wish: ReasoningWish, model: Model, at: str, notes: Notes) -> Thinking:
    word = wish.word()
    is_new = model.claude is not None and model.claude >= (4, 7)
    effort = word if word in ("low", "medium", "high", "max") or (word == "xhigh" and is_new) else _WORDS[word]
    if wish.budget_tokens is not None or effort != wish.effort:
        notes.emulated(at, f"the effort {effort}")
    thinking: dict[str, Any] = {"type": "adaptive"}
    if is_new and wish.is_shown is not None:
        # Since Opus 4.7 thoughts are left out unless asked for.
        thinking["display"] = "summarized" if wish.is_shown else "omitted"
    return Thinking(fields={"thinking": thinking, "output_config": {"effort": effort}}, is_on=True)


def _nova(said: Conversation, wish: ReasoningWish, at: str, notes: Notes) -> Thinking:
    """https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html"""
    if wish.is_off:
        return _NOT
    effort = _word(wish, at, notes, has_off=True)
    if effort == "high" and said.sampling.max_tokens is not None:
        # Nova takes no limit there, and the caller's limit always arrives.
        notes.emulated(at, "the effort medium, because Nova takes no max_tokens with high")
        effort = "medium"
    fields = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
    return Thinking(fields=fields, is_on=True, forbids_sampling=effort == "high")


def _word(wish: ReasoningWish, at: str, notes: Notes, *, has_off: bool) -> str:
    effort = _WORDS[wish.word()]
    if effort != wish.effort or (wish.is_off and not has_off):
        notes.emulated(at, f"the effort {effort}")
    return effort


def _has_unsigned_loop(said: Conversation, origin: str) -> bool:
    """Whether the turn that goes on holds calls and does not begin with a thought that Claude would recognise.

    With a budget it insists on that: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html
    """
    turn: list[Part] = []
    for message in reversed(said.messages):
        if message.role == "assistant":
            turn = [*message.parts, *turn]
        elif turn:
            break
    return any(isinstance(part, ToolCall) for part in turn) and not _is_signed(turn[0], origin)


def _is_signed(part: Part, origin: str) -> bool:
    return isinstance(part, Reasoning) and part.opaque is not None and part.opaque.origin == origin
