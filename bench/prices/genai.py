"""genai-prices: checked by hand, with history. Its data is Python source, which is read here and never run."""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.prices.quotes import Condition, Key, Lines, Sheet, Table, condition

NAME = "genai-prices"
URL = "https://github.com/pydantic/genai-prices"

_KINDS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "aws": "bedrock",
    "google": "google",
    "deepseek": "deepseek",
    "openrouter": "openrouter",
    "x-ai": "xai",
}

_Convert = Callable[[Decimal], Decimal]


def _same(amount: Decimal) -> Decimal:
    return amount


def _per_thousand(amount: Decimal) -> Decimal:
    return amount / 1000


def _per_hour(amount: Decimal) -> Decimal:
    return amount / 3600


_METERS: Mapping[str, tuple[str, _Convert]] = {
    "input_mtok": ("input", _same),
    "output_mtok": ("output", _same),
    "cache_read_mtok": ("cache_read", _same),
    "cache_write_mtok": ("cache_write_5m", _same),
    "cache_write_5m_mtok": ("cache_write_5m", _same),
    "cache_write_1h_mtok": ("cache_write_1h", _same),
    "input_audio_mtok": ("audio_in", _same),
    "output_audio_mtok": ("audio_out", _same),
    "input_mchars": ("characters", _same),
    "web_searches_kcount": ("web_searches", _per_thousand),
    "requests_kcount": ("requests", _per_thousand),
    "audio_hours": ("seconds", _per_hour),
    "input_audio_hours": ("seconds", _per_hour),
    # Pictures that go in and out are counted with the other tokens; the dearer of the two must do for both.
    "input_image_mtok": ("input", _same),
    "output_image_mtok": ("output", _same),
    "cache_image_read_mtok": ("cache_read", _same),
}
_TIERS = {
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("processing", "batch"): "batch",
}


@dataclass
class GenaiTable(Table):
    matchers: dict[str, list[tuple[Mapping[str, Any], str]]] = field(default_factory=dict)
    """Kind → rules and the model that they lead to, in the order in which they are tried."""

    def find(self, kind: str, model: str) -> Sheet | None:
        """As the table's own rules find it. Rules that take every name with a certain text in it are for Amazon's names
        alone, and for those that begin with it: elsewhere they would give a new model the price of an old one, and one
        region that of another."""
        if (kind, model) in self.sheets:
            return self.sheets[kind, model]
        for rule, found in self.matchers.get(kind, ()):
            if _leads(rule, model.lower(), is_wide=kind == "bedrock"):
                return self.sheets[kind, found]
        return None


def read(path: Path, day: date) -> GenaiTable:
    """The wheel as it is published, at the prices of `day`."""
    with zipfile.ZipFile(path) as wheel:
        source = wheel.read("genai_prices/data.py").decode()
    version = re.search(r"genai_prices-([0-9][^-]*)-", path.name)
    return of_source(source, version[1] if version else "unknown", day)


def of_source(source: str, version: str, day: date) -> GenaiTable:
    table = GenaiTable(name=NAME, version=version, url=URL)
    for provider in _providers(source):
        kind = _KINDS.get(provider["id"])
        if kind is None:
            continue
        pages = provider.get("pricing_urls") or [None]
        for model in provider["models"]:
            table.sheets[kind, model["id"]] = _sheet(model, pages[0], day)
            table.matchers.setdefault(kind, []).append((model["match"], model["id"]))
            for name in _equals(model["match"]):
                table.sheets.setdefault((kind, name), table.sheets[kind, model["id"]])
    for kind, name in [*table.sheets]:
        # Stand-ins of the table's own, which no provider knows.
        if name.startswith("regional.") or name.endswith(("-", ".")):
            del table.sheets[kind, name]
            for n, (rule, found) in enumerate(table.matchers[kind]):
                if found == name:
                    table.matchers[kind][n] = (rule, next(iter(_equals(rule)), ""))
    for kind, rules in table.matchers.items():
        table.matchers[kind] = [(rule, found) for rule, found in rules if (kind, found) in table.sheets]
    return table


def _sheet(model: Mapping[str, Any], page: str | None, day: date) -> Sheet:
    """The newest price that has begun, those to come, and what holds at certain hours or for a certain service."""
    prices = model["prices"]
    sheet = Sheet(url=page)
    dated: list[tuple[date, Mapping[str, Any]]] = []
    hourly: list[tuple[Condition, Mapping[str, Any]]] = []
    for one in prices if isinstance(prices, list) else [{"prices": prices}]:
        rule = one.get("constraint")
        if rule is None:
            dated.append((date.min, one["prices"]))
        elif "start_date" in rule:
            dated.append((rule["start_date"], one["prices"]))
        else:
            hours = condition(from_=f"{rule['start_time']:%H:%M}", until=f"{rule['end_time']:%H:%M}")
            hourly.append((hours, one["prices"]))
    begun = [held for start, held in dated if start <= day]
    if begun:
        _take(sheet.lines, begun[-1], ())
    for start, held in dated:
        if start > day:
            _take(sheet.later.setdefault(start, {}), held, ())
    for hours, held in hourly:
        _take(sheet.lines, held, hours)
    for variant in model.get("price_variants") or ():
        [(name, value), *others] = variant["when"].items()
        tier = _TIERS.get((name, value))
        if tier is None or others:
            continue
        rule = variant.get("constraint") or {}
        start = rule.get("start_date", date.min)
        target = sheet.lines if start <= day else sheet.later.setdefault(start, {})
        _take(target, variant["prices"], condition(service_tier=tier))
    return sheet


def _take(lines: Lines, prices: Mapping[str, Any], held: Condition) -> None:
    found: Lines = {}
    for name, price in prices.items():
        if name not in _METERS or price is None:
            continue
        meter, convert = _METERS[name]
        steps = price if isinstance(price, list) else [(None, price)]
        for over, amount in steps:
            key: Key = meter, held if over is None else tuple(sorted((*held, ("input_over", over))))
            found[key] = max(found.get(key, Decimal(0)), convert(amount))
    # A zero is meant: the table leaves out what it does not know.
    for key, amount in found.items():
        lines.setdefault(key, amount)


def _providers(source: str) -> list[dict[str, Any]]:
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "providers":
            return _value(statement.value)
    raise ValueError("genai_prices/data.py has no providers")


def _value(node: ast.AST | None) -> Any:
    """The literals and constructors of the data file as plain values."""
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_value(item) for item in node.elts]
        case ast.Dict():
            return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True)}
        case ast.Attribute():
            return node.attr
        case ast.Call():
            return _made(ast.unparse(node.func).rpartition(".")[2], node)
    raise ValueError(f"genai_prices/data.py has something new: {ast.dump(node) if node else node}")


def _made(name: str, call: ast.Call) -> Any:
    given = [_value(item) for item in call.args]
    fields = {item.arg: _value(item.value) for item in call.keywords}
    match name:
        case "Decimal":
            return Decimal(given[0])
        case "date":
            return date(*given)
        case "time":
            return time(*given)
        case "TieredPrices":
            return [(None, fields["base"]), *((tier["start"], tier["price"]) for tier in fields["tiers"])]
    return fields


def _equals(rule: Mapping[str, Any]) -> Iterator[str]:
    """Names that a rule takes as they stand."""
    if "equals" in rule:
        yield rule["equals"]
    for part in rule.get("or_", ()):
        yield from _equals(part)


def _leads(rule: Mapping[str, Any], name: str, *, is_wide: bool) -> bool:
    if "or_" in rule:
        return any(_leads(part, name, is_wide=is_wide) for part in rule["or_"])
    if "and_" in rule:
        return all(_leads(part, name, is_wide=is_wide) for part in rule["and_"])
    if "equals" in rule:
        return name == rule["equals"].lower()
    if "regex" in rule:
        return re.search(rule["regex"], name) is not None
    text = rule.get("starts_with") or rule.get("ends_with") or rule["contains"]
    return is_wide and name.startswith(text.lower())
