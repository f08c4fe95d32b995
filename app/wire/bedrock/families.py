"""What a model of Bedrock can be told, by its id: the service is one, its models are of a dozen makers.

An id is `anthropic.claude-sonnet-4-5-20250929-v1:0`, the same after a region (`us.`, `global.`), or an ARN that ends
with one of them. An application inference profile or a provisioned model says nothing of what is behind it; such a
model is told only what every model understands.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

Structured = Literal["native", "forced_tool", "json_mode", "prompt"]
Thinks = Literal["budget", "adaptive", "nova", "word"]
"""How a model is told to think: in tokens, by its own measure with an effort, Nova's words, or one word."""

_MAKERS = (
    "anthropic",
    "amazon",
    "meta",
    "mistral",
    "cohere",
    "ai21",
    "deepseek",
    "openai",
    "moonshotai",
    "moonshot",
    "qwen",
    "minimax",
    "nvidia",
    "google",
    "zai",
    "writer",
    "stability",
)
_ID = re.compile(rf"(?:^|\.)({'|'.join(_MAKERS)})\.(.+)$")
_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")

_NATIVE_MISTRAL = ("mistral-large-3", "ministral", "magistral", "voxtral")
_NATIVE_MAKERS = frozenset({"openai", "moonshotai", "moonshot", "qwen", "minimax", "nvidia", "zai"})
_NEWEST = (99, 0)


class Model(Struct, frozen=True, kw_only=True):
    maker: str
    """`anthropic`; empty where the id does not say it."""
    name: str
    """What follows the maker: `nova-lite-v1:0`."""
    claude: tuple[int, int] | None = None
    """Claude's generation; one without a number counts as the newest."""

    @property
    def is_nova(self) -> bool:
        return self.maker == "amazon" and self.name.startswith("nova")

    @property
    def thinks(self) -> Thinks | None:
        """https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html for Claude,
        https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html for Nova. The first Nova refuses
        the field, so it is for the second alone.
        """
        if self.claude is not None:
            return None if self.claude < (3, 7) else "budget" if self.claude < (4, 6) else "adaptive"
        if self.is_nova:
            return "nova" if self.name.startswith("nova-2") else None
        return "word" if self.maker in ("openai", "moonshotai", "moonshot") else None

    @property
    def takes_sampling(self) -> bool:
        """Claude since Opus 4.7 refuses temperature, top_p and top_k.

        https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7
        """
        return self.claude is None or self.claude < (4, 7)

    @property
    def takes_both_samplings(self) -> bool:
        """Whether temperature and top_p may stand together, which Claude refuses since 4.1."""
        return self.claude is None or self.claude < (4, 1)

    @property
    def cache_points(self) -> frozenset[str]:
        """Where cache points may stand: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html"""
        if self.claude is not None:
            return frozenset({"tools", "system", "messages"})
        return frozenset({"system", "messages"}) if self.is_nova else frozenset()

    @property
    def takes_hour_cache(self) -> bool:
        return self.claude is not None and self.claude >= (4, 5)

    @property
    def tool_choices(self) -> frozenset[str]:
        """Of `any` and `tool`; the others choose by themselves.

        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html
        """
        if self.claude is not None or self.is_nova:
            return frozenset({"any", "tool"})
        return frozenset({"any"}) if self.maker in ("mistral", *_NATIVE_MAKERS) else frozenset()

    @property
    def structured(self) -> Structured:
        """https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html lists who does it natively."""
        if self.claude is not None:
            # Before Claude 3 there are no tools.
            return "native" if self.claude >= (4, 5) else "forced_tool" if self.claude >= (3, 0) else "prompt"
        if self.maker in _NATIVE_MAKERS:
            return "native"
        if self.maker == "deepseek":
            return "prompt" if self.name.startswith("r1") else "native"
        if self.maker == "google":
            return "prompt" if "gemma-3-4b" in self.name else "native"
        if self.maker == "mistral":
            return "native" if self.name.startswith(_NATIVE_MISTRAL) else "forced_tool"
        return "forced_tool" if self.is_nova else "prompt"


@lru_cache(maxsize=1024)
def model_of(model_id: str) -> Model:
    found = _ID.search(model_id.rpartition("/")[2])
    if found is None:
        return Model(maker="", name=model_id)
    maker, name = found[1], found[2]
    return Model(maker=maker, name=name, claude=_generation(name) if maker == "anthropic" else None)


def structured(model_id: str) -> Structured:
    """How a model's answer is made to follow a schema."""
    return model_of(model_id).structured


def _generation(name: str) -> tuple[int, int]:
    if name.startswith(("claude-instant", "claude-v")):
        return (2, 0)
    found = _CLAUDE.match(name)
    return _NEWEST if found is None else (int(found[1]), int(found[2] or 0))
