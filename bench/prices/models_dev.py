"""models.dev's table, `api.json`: the one that knows Poe."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.prices.quotes import Condition, Lines, Sheet, Table, condition, dollars, read_json, without_unknowns

NAME = "models.dev"
URL = "https://github.com/anomalyco/models.dev"

_KINDS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "amazon-bedrock": "bedrock",
    "google": "google",
    "deepseek": "deepseek",
    "openrouter": "openrouter",
    "xai": "xai",
    "volcengine": "doubao",
    "poe": "poe",
}
_METERS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write_5m",
    "input_audio": "audio_in",
    "output_audio": "audio_out",
}


def read(path: Path, version: str) -> Table:
    """`version`: the day of the file, which does not say it."""
    return of_providers(read_json(path), version)


def of_providers(providers: Mapping[str, Mapping[str, Any]], version: str) -> Table:
    table = Table(name=NAME, version=version, url=URL)
    for name, kind in _KINDS.items():
        for model, facts in providers.get(name, {}).get("models", {}).items():
            cost = facts.get("cost") or {}
            lines: Lines = {}
            _take(lines, cost, ())
            for tier in cost.get("tiers") or ():
                if tier["tier"]["type"] == "context":
                    _take(lines, tier, condition(input_over=int(tier["tier"]["size"])))
            if not cost.get("tiers") and cost.get("context_over_200k"):
                _take(lines, cost["context_over_200k"], condition(input_over=200_000))
            lines = without_unknowns(model, lines)
            if lines:
                # Poe's own names have no company in front, and their case does not matter.
                called = model.rpartition("/")[2].lower() if kind == "poe" else model
                table.sheets[kind, called] = Sheet(lines)
    return table


def _take(lines: Lines, cost: Mapping[str, Any], held: Condition) -> None:
    for name, meter in _METERS.items():
        amount = dollars(cost.get(name))
        if amount is not None:
            lines[meter, held] = max(lines.get((meter, held), Decimal(0)), amount)
