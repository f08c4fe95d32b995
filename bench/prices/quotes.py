"""What a public table says, in the hub's words: quotes in exact dollars, by provider kind, model, meter and condition.

Floats never touch them: tables are read with their numbers as decimals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.base.usage import PER_MILLION_METERS

Condition = tuple[tuple[str, str | int], ...]
"""Its items in the order of their names; `()` always holds."""
Key = tuple[str, Condition]
"""Meter and condition."""
Lines = dict[Key, Decimal]
"""Dollars per 1,000,000 units, or per single unit of the meters that are quoted so."""

MILLION = 1_000_000


@dataclass
class Sheet:
    """What one table says of one model."""

    lines: Lines = field(default_factory=dict)
    later: dict[date, Lines] = field(default_factory=dict)
    """From a day in the future on."""
    url: str | None = None


@dataclass
class Table:
    name: str
    version: str
    url: str
    sheets: dict[tuple[str, str], Sheet] = field(default_factory=dict)
    """By provider kind and the model's name there."""
    license: str = "MIT"

    def find(self, kind: str, model: str) -> Sheet | None:
        return self.sheets.get((kind, model))


def condition(**items: str | int) -> Condition:
    """`from_` and `until` because one of them is a word of Python's."""
    return tuple(sorted((name.rstrip("_"), value) for name, value in items.items()))


def per_unit(meter: str) -> int:
    """For how many units the meter is quoted."""
    return MILLION if meter in PER_MILLION_METERS else 1


def read_json(path: Path) -> Any:
    """Numbers as decimals: `0.1` is a tenth."""
    return json.loads(path.read_text(), parse_float=Decimal)


def dollars(value: Any) -> Decimal | None:
    """A price, or None where there is none that can be."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        amount = Decimal(value)
    except ArithmeticError:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def without_unknowns(model: str, lines: Mapping[Key, Decimal]) -> Lines:
    """Without zeros, which in most tables stand for both "free" and "nobody knows".

    OpenRouter says it in the name of a model when it is free.
    """
    if model.endswith(":free"):
        return dict(lines)
    return {key: amount for key, amount in lines.items() if amount}


def tiers_of(lines: Iterable[Key]) -> frozenset[int]:
    """The numbers of input tokens from which on something costs otherwise."""
    return frozenset(value for _, held in lines for name, value in held if name == "input_over" and type(value) is int)


def has_windows(lines: Iterable[Key]) -> bool:
    return any(name == "from" for _, held in lines for name, _ in held)
