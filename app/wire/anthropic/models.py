"""What a Claude model can be told, by its name. Every refusal of the API by model that the hub avoids is here.

A name that says no generation (a tuned model, another maker behind the same format) counts as the newest of Opus:
it is told only what all new ones understand.

https://platform.claude.com/docs/en/build-with-claude/thinking#configuring-thinking
https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5, …/sonnet-5-5/whats-new-sonnet-5-5
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

Off = Literal["disabled", "between_tools", "never"]
"""How thinking is switched off; `never` where it cannot be."""

_NEW = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_OLD = re.compile(r"claude-(\d)(?:[-.](\d))?(?:-(opus|sonnet|haiku))?")
_NEWEST = (99, 0)

DEFAULT_MOST = 32_000
"""Tokens of an answer whose caller set no limit: enough for long ones, and no bill without end."""


class Claude(Struct, frozen=True):
    family: str
    version: tuple[int, int]

    @property
    def most_tokens(self) -> int:
        """The greatest `max_tokens`: https://platform.claude.com/docs/en/about-claude/models/overview"""
        version = self.version
        if version < (3, 5):
            return 4_096
        if version < (3, 7):
            return 8_192
        if self.family == "opus" and (4, 0) <= version < (4, 5):
            return 32_000
        if version < (4, 6):
            return 64_000
        return 128_000

    @property
    def can_think(self) -> bool:
        return self.version >= (3, 7)

    @property
    def thinks_by_budget(self) -> bool:
        """Told in tokens; from 4.6 on the model decides by itself, and a budget is refused from 4.7 on."""
        return (3, 7) <= self.version < (4, 6)

    @property
    def thinks_unasked(self) -> bool:
        return self.version >= (5, 0)

    @property
    def off(self) -> Off:
        family, version = self.family, self.version
        if family in ("fable", "mythos") or (family == "opus" and version >= (5, 5)):
            return "never"
        return "between_tools" if family == "sonnet" and version >= (5, 5) else "disabled"

    @property
    def has_display(self) -> bool:
        """Whether thoughts are left out of the answer unless they are asked for."""
        return self.version >= (4, 7)

    @property
    def efforts(self) -> tuple[str, ...]:
        """https://platform.claude.com/docs/en/build-with-claude/effort"""
        if self.version < (4, 5) or (self.version == (4, 5) and self.family != "opus"):
            return ()
        if self.version == (4, 5):
            return ("low", "medium", "high")
        if self.version == (4, 6):
            return ("low", "medium", "high", "max")
        return ("low", "medium", "high", "xhigh", "max")

    @property
    def takes_sampling(self) -> bool:
        """temperature, top_p and top_k other than their defaults are refused from 4.7 on.

        https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7
        """
        return self.version < (4, 7)

    @property
    def takes_both_samplings(self) -> bool:
        """Whether temperature and top_p may stand together, which is refused since 4.1."""
        return self.version < (4, 1)

    @property
    def can_be_forced(self) -> bool:
        """Whether a tool can be made to be called; the newest ones answer 400."""
        since = {"opus": (5, 5), "sonnet": (5, 5), "fable": (5, 1), "mythos": (5, 1)}.get(self.family)
        return since is None or self.version < since

    @property
    def takes_system_later(self) -> bool:
        """Whether instructions may stand in the middle of a conversation.

        https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-8
        """
        return self.version >= (4, 8)

    @property
    def can_be_prefilled(self) -> bool:
        """Whether the conversation may end with the beginning of the answer.

        https://platform.claude.com/docs/en/api/errors#prefill-not-supported
        """
        return self.version < (4, 6)

    @property
    def has_native_schemas(self) -> bool:
        """https://platform.claude.com/docs/en/build-with-claude/structured-outputs"""
        return self.version >= (4, 5) or (self.family == "opus" and self.version == (4, 1))


@lru_cache(maxsize=512)
def claude(model: str) -> Claude:
    found = _NEW.search(model)
    if found is not None:
        return Claude(found[1], (int(found[2]), int(found[3] or 0)))
    old = _OLD.search(model)
    if old is not None:
        return Claude(old[3] or "", (int(old[1]), int(old[2] or 0)))
    return Claude("opus", _NEWEST)


def structured(model: str) -> Literal["native", "forced_tool"]:
    """How an answer is made to follow a schema."""
    return "native" if claude(model).has_native_schemas else "forced_tool"
