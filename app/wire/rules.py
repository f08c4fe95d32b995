"""What a provider's counts include. Nothing is assumed: each row says all of it."""

from __future__ import annotations

from msgspec import Struct


class UsageRule(Struct, frozen=True, kw_only=True):
    """The same names mean different things at different providers, so these have no defaults."""

    cache_in_input: bool
    """Whether the input count contains the cached tokens, read and written (OpenAI: yes)."""
    reasoning_in_output: bool
    """Whether the output count contains the reasoning ones (OpenAI: yes, xAI: no)."""


class ReportedCost(Struct, frozen=True):
    """Where a provider writes what it will bill, as a path below `usage`, and how many of its units are one USD."""

    path: tuple[str, ...]
    units_per_usd: int
