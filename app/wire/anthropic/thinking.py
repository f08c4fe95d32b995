"""How much a Claude model is told to think: a budget, an effort, or nothing, as its generation understands it.

https://platform.claude.com/docs/en/build-with-claude/thinking, …/extended-thinking, …/effort
"""

from __future__ import annotations

from typing import Any

from app.wire.anthropic.models import Claude
from app.wire.neutral import Conversation
from app.wire.notes import Notes

_LEAST_BUDGET = 1_024
_ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class Thinking:
    """What stands in `thinking` and in `output_config.effort` of one request."""

    def __init__(self, said: Conversation, model: Claude, notes: Notes) -> None:
        self._wish = said.reasoning
        self._at = said.at("reasoning")
        self._model = model
        self._notes = notes
        self.effort: str | None = None
        self.is_on = False
        """Whether the model was told to think, or does so unasked."""

    def fields(self, max_tokens: int, *, is_forced: bool, is_loop: bool) -> dict[str, Any] | None:
        """The field `thinking`.

        Args:
            is_forced: A tool has to be called, which goes with no thinking that was asked for.
            is_loop: The history ends in a tool loop whose thoughts are not there.
        """
        self.is_on = self._model.thinks_unasked and not is_forced
        if self._wish is None:
            return None
        if self._wish.is_off:
            return self._off()
        if not self._model.can_think:
            self._notes.dropped(self._at, "the model cannot think")
            return None
        if self._model.thinks_by_budget:
            return self._by_budget(max_tokens, is_forced=is_forced, is_loop=is_loop)
        return self._adaptive(is_forced=is_forced)

    def _off(self) -> dict[str, Any] | None:
        if not self._model.thinks_unasked:
            return None
        if self._model.off == "never":
            self._notes.emulated(self._at, "the model always thinks: with the least effort")
            self.effort = "low"
            return None
        self.is_on = False
        if self._model.off == "between_tools":
            self._notes.emulated(self._at, "the model does not think before it answers, but between its tools")
        return {"type": self._model.off}

    def _by_budget(self, max_tokens: int, *, is_forced: bool, is_loop: bool) -> dict[str, Any] | None:
        wish = self._wish
        assert wish is not None
        if is_forced or is_loop or max_tokens <= _LEAST_BUDGET:
            why = "not with a tool that has to be called" if is_forced else "max_tokens leaves no room for it"
            self._notes.dropped(self._at, "not in the middle of another's tool calls" if is_loop else why)
            return None
        # An effort must leave room for the answer; a budget is what the caller says.
        most = max_tokens - 1 if wish.budget_tokens is not None else max(_LEAST_BUDGET, max_tokens * 3 // 4)
        budget = max(_LEAST_BUDGET, wish.budget(most))
        if wish.budget_tokens is None:
            self._notes.emulated(self._at, f"an effort became a budget of {budget} tokens")
            if self._model.efforts:
                self.effort = self._nearest(wish.word())
        elif budget != wish.budget_tokens:
            self._notes.emulated(self._at, f"the budget is {budget} tokens, within max_tokens")
        self.is_on = True
        return {"type": "enabled", "budget_tokens": budget}

    def _adaptive(self, *, is_forced: bool) -> dict[str, Any] | None:
        wish = self._wish
        assert wish is not None
        if wish.effort is not None or wish.budget_tokens is not None:
            word = wish.word()
            self.effort = self._nearest(word)
            if wish.effort is None:
                self._notes.emulated(self._at, f"a budget became the effort {self.effort}")
            elif self.effort != word:
                self._notes.emulated(self._at, f"the model knows no effort {word}: {self.effort}")
        if is_forced:
            if not self._model.thinks_unasked:
                self._notes.dropped(self._at, "not with a tool that has to be called")
            return None
        self.is_on = True
        thinking: dict[str, Any] = {"type": "adaptive"}
        if self._model.has_display:
            # Who asks for thinking in another format expects to read it.
            thinking["display"] = "omitted" if wish.is_shown is False else "summarized"
        return thinking

    def _nearest(self, word: str) -> str:
        place = _ORDER.index(word)
        # More rather than less where two are as near.
        return min(self._model.efforts, key=lambda known: (abs(_ORDER.index(known) - place), -_ORDER.index(known)))
