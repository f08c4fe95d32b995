"""What a call consumed: a partition, each unit counted once.

Providers disagree on what their counts include (OpenAI's prompt tokens contain the cached ones, Anthropic's do not), so
every adapter says so and hands over disjoint meters. A report that is negative, absurd or does not add up is refused
as a whole (`NotAPartition`): a guess marked as a guess is better than a wrong number that looks exact.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

UsageSource = Literal["provider", "counted", "reported_cost", "estimated", "recovered", "hold", "none"]
"""Who counted: the provider's report; the hub, exactly (characters, pictures, requests); the provider, in money alone;
an estimate from what was relayed, by the call itself or from its last checkpoint after its process died; the forecast
of its hold; or nothing was consumed."""

MAX_UNITS = 1_000_000_000
"""More than this in one call is a fault of the report, not a call."""
MAX_TOKENS_IN = 20_000_000
MAX_TOKENS_OUT = 4_000_000
"""Likewise of tokens: twice what the model with the longest memory takes, and far more than any writes or draws at
once. A report beyond that would empty an account in one call."""


class NotAPartition(ValueError):
    """The provider's report contradicts itself; the caller falls back to an estimate."""


class Usage(Struct, frozen=True, kw_only=True):
    """Counts of one call. All are zero or more; `reasoning` is a part of `output` and is never added to it."""

    input: int = 0
    """Prompt tokens that were neither read from nor written to a cache, and are not audio."""
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    """Completion tokens, reasoning included, audio not."""
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    images: int = 0
    seconds: int = 0
    """Of sound or video, begun seconds counted whole."""
    characters: int = 0
    requests: int = 0
    web_searches: int = 0

    def checked(self) -> Usage:
        """This usage, if it can be true.

        Raises:
            NotAPartition: a count is not an integer between 0 and `MAX_UNITS`, or reasoning exceeds the output.
        """
        for meter, count in asdict(self).items():
            if type(count) is not int or not 0 <= count <= MAX_UNITS:
                raise NotAPartition(f"{meter} = {count!r}")
        if self.reasoning > self.output:
            raise NotAPartition(f"reasoning {self.reasoning} exceeds output {self.output}")
        return self

    def believed(self) -> Usage:
        """This usage, if a model can have had so many tokens.

        Raises:
            NotAPartition: more than any takes or gives.
        """
        if self.input_total > MAX_TOKENS_IN or self.output + self.audio_out > MAX_TOKENS_OUT:
            raise NotAPartition(f"{self.input_total} tokens in, {self.output + self.audio_out} out")
        return self

    @property
    def input_total(self) -> int:
        """Everything that went in, in tokens, cached or not."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.audio_in


class OutputUncounted(NotAPartition):
    """The report counts what went in, and not (yet) what came out, as that of a stream which broke off."""

    def __init__(self, known: Usage) -> None:
        super().__init__("no output count")
        self.known = known
        """All but the output."""


METERS: tuple[str, ...] = Usage.__struct_fields__

PER_MILLION_METERS = frozenset(
    {
        "input",
        "cache_read",
        "cache_write_5m",
        "cache_write_1h",
        "output",
        "audio_in",
        "audio_out",
        "characters",
    }
)
"""Meters whose rates are quoted per 1,000,000 units; `images`, `seconds`, `requests` are quoted each."""

PER_UNIT_METERS = frozenset({"images", "seconds", "requests", "web_searches"})


def meters(usage: Usage) -> dict[str, Any]:
    """The counts by name, for a row or a log line."""
    return asdict(usage)
