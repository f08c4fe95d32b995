"""The numbers in a provider's report of usage, by their places: tests meet a new field there before a bill does."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast


def unmapped(report: Any, known: Collection[str]) -> list[str]:
    """Dotted paths of the numbers in a decoded report that are not among `known`, sorted. Lists have no place of their
    own: what stands in them has the place of the list."""
    return sorted(set(_numbers(report, "")).difference(known))


def _numbers(value: Any, path: str) -> list[str]:
    if isinstance(value, dict):
        inner = cast(dict[str, Any], value)
        return [one for name, held in inner.items() for one in _numbers(held, f"{path}.{name}" if path else name)]
    if isinstance(value, list):
        return [one for held in cast(list[Any], value) for one in _numbers(held, path)]
    return [path] if isinstance(value, int | float) and not isinstance(value, bool) else []
