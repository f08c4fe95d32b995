"""blocklet/model-pricing-data, `data/pricing.json`: what the providers' price pages say, scraped daily."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.prices.quotes import MILLION, Condition, Lines, Sheet, Table, condition, dollars, read_json, without_unknowns

NAME = "model-pricing-data"
URL = "https://github.com/blocklet/model-pricing-data"

_KINDS = ("openai", "anthropic", "google", "xai", "deepseek", "openrouter")
_METERS = {"inputCostPerToken": "input", "outputCostPerToken": "output", "cachedInputCostPerToken": "cache_read"}
_CACHES = {
    "read": "cache_read",
    "write": "cache_write_5m",
    "write-5min": "cache_write_5m",
    "write-1h": "cache_write_1h",
}
_PIECES = (
    ("costPerImage", "images", 1),
    ("costPerSecond", "seconds", 1),
    ("costPerMinute", "seconds", 60),
    ("costPerMillionChars", "characters", 1),
)
_THRESHOLD = re.compile(r">\s*(\d+)\s*([KkMm])")


def read(path: Path) -> Table:
    return of_document(read_json(path))


def of_document(document: Mapping[str, Any]) -> Table:
    made = str(document.get("_meta", {}).get("generatedAt", ""))[:10]
    table = Table(name=NAME, version=made or "unknown", url=URL)
    for kind in _KINDS:
        for model, facts in document["providers"].get(kind, {}).items():
            lines = without_unknowns(model, _lines(facts))
            # After `::` stands what else the name is used for, such as fine-tuning.
            if lines and "::" not in model:
                page = facts.get("sourceUrl")
                table.sheets[kind, model] = Sheet(lines, url=page if isinstance(page, str) else None)
    return table


def _lines(facts: Mapping[str, Any]) -> Lines:
    lines: Lines = {}
    _take(lines, facts, ())
    _take(lines, facts.get("batchPricing") or {}, condition(service_tier="batch"))
    for tier in facts.get("contextTiers") or ():
        # Prices "up to" a length are the model's own.
        if found := _THRESHOLD.match(str(tier.get("threshold"))):
            tokens = int(found[1]) * (1_000_000 if found[2] in "Mm" else 1000)
            _take(lines, tier, condition(input_over=tokens))
    for piece, meter, units in _PIECES:
        amount = dollars(facts.get(piece))
        if amount is not None:
            lines[meter, ()] = amount / units
    for one in facts.get("imageVariants") or ():
        if amount := dollars(one.get("costPerImage")):
            lines["images", condition(size=one["size"], quality=one["quality"])] = amount
    for one in facts.get("videoVariants") or ():
        if amount := dollars(one.get("costPerSecond")):
            lines["seconds", condition(size=one["resolution"])] = amount
    return lines


def _take(lines: Lines, facts: Mapping[str, Any], held: Condition) -> None:
    for name, meter in _METERS.items():
        amount = dollars(facts.get(name))
        if amount is not None:
            lines[meter, held] = amount * MILLION
    for name, meter in _CACHES.items():
        amount = dollars((facts.get("caching") or {}).get(name))
        if amount is not None:
            lines[meter, held] = amount * MILLION
