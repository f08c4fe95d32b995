"""LiteLLM's public table: wide and fast, without history; its zeros mean both "free" and "unknown"."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.prices import hours
from bench.prices.quotes import MILLION, Condition, Lines, Sheet, Table, condition, dollars, read_json, without_unknowns

NAME = "litellm"
URL = "https://github.com/BerriAI/litellm"

_KINDS = {
    "openai": "openai",
    "text-completion-openai": "openai",
    "anthropic": "anthropic",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "gemini": "google",
    "deepseek": "deepseek",
    "xai": "xai",
    "volcengine": "doubao",
    "openrouter": "openrouter",
    "poe": "poe",
}
_MODES_LEFT_OUT = frozenset({"realtime", "guardrail", "search", "rerank"})
"""Of what the hub has no endpoint for."""

_METERS: Mapping[str, str] = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "audio_in",
    "output_cost_per_audio_token": "audio_out",
    "input_cost_per_character": "characters",
    # The dearer of text and pictures, which are one count.
    "input_cost_per_image_token": "input",
    "output_cost_per_image_token": "output",
    "cache_read_input_image_token_cost": "cache_read",
}
_PIECES: Mapping[str, Mapping[str, str]] = {
    "image_generation": {"output_cost_per_image": "images", "input_cost_per_image": "images"},
    "image_edit": {"output_cost_per_image": "images"},
    "video_generation": {"output_cost_per_video_per_second": "seconds", "output_cost_per_second": "seconds"},
    "audio_transcription": {"input_cost_per_second": "seconds", "input_cost_per_audio_per_second": "seconds"},
}
"""What is charged by the piece, by the model's task. The first that is there counts."""
_OVER = re.compile(r"_above_(\d+)k_tokens")
_TIER = re.compile(r"_(batches|flex|priority|ultrafast)$")
_FINENESS = re.compile(r"output_cost_per_second_(\d+p|4k)")
_FOLDERS = re.compile(r"((bedrock|gemini|deepseek|xai|volcengine|openrouter|poe|openai|anthropic)/)?(?P<model>.+)")
_REGIONS = re.compile(r"bedrock/([a-z]{2}(-gov)?-[a-z]+-\d|\*|invoke|claude_platform)/")


def read(path: Path) -> Table:
    """The table as JSON, or the wheel that has it inside."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            [name] = [n for n in wheel.namelist() if n.endswith("/model_prices_and_context_window_backup.json")]
            text = wheel.read(name).decode()
        version = path.name.split("-")[1]
        import json

        return of_entries(json.loads(text, parse_float=Decimal), version)
    return of_entries(read_json(path), "unknown")


def of_entries(entries: Mapping[str, Mapping[str, Any]], version: str) -> Table:
    table = Table(name=NAME, version=version, url=URL)
    for name, entry in entries.items():
        kind = _KINDS.get(str(entry.get("litellm_provider")))
        if kind is None or entry.get("mode") in _MODES_LEFT_OUT or _REGIONS.match(name):
            continue
        model, held = _name(name, kind)
        lines = without_unknowns(model, _lines(entry, held))
        if lines:
            sheet = table.sheets.setdefault((kind, model), Sheet())
            # A picture of one size in more steps: the dearest.
            for key, amount in lines.items():
                sheet.lines[key] = max(sheet.lines.get(key, Decimal(0)), amount)
            page = entry.get("source")
            sheet.url = sheet.url or (page if isinstance(page, str) and page.startswith("https://") else None)
    return table


def _name(name: str, kind: str) -> tuple[str, Condition]:
    """`high/1024-x-1024/gpt-image-1` → the model, and what holds for the entry."""
    held: dict[str, str | int] = {}
    while "/" in name:
        part, _, rest = name.partition("/")
        if size := re.fullmatch(r"(\d+)-x-(\d+)", part):
            held["size"] = f"{size[1]}x{size[2]}"
        elif part in ("low", "medium", "high", "standard", "hd"):
            held["quality"] = part
        elif part.endswith("-steps") or part == "max-x-max":
            pass
        else:
            break
        name = rest
    found = _FOLDERS.fullmatch(name)
    model = found["model"] if found and kind != "openrouter" else name.removeprefix("openrouter/")
    return model, condition(**held)


def _lines(entry: Mapping[str, Any], held: Condition) -> Lines:
    lines: Lines = {}
    _take(lines, entry, held)
    for piece, meter in _PIECES.get(str(entry.get("mode")), {}).items():
        if amount := dollars(entry.get(piece)):
            lines.setdefault((meter, held), amount)
    for name, value in entry.items():
        if (fineness := _FINENESS.fullmatch(name)) and (amount := dollars(value)):
            lines["seconds", condition(size=fineness[1])] = amount
    search = entry.get("search_context_cost_per_query")
    if isinstance(search, Mapping) and (amount := dollars(search.get("search_context_size_medium"))):
        lines["web_searches", held] = amount
    for step in entry.get("tiered_pricing") or ():
        start = int(step["range"][0])
        _take(lines, step, condition(input_over=start) if start else held)
    if isinstance(entry.get("off_peak_pricing"), Mapping):
        _take_hours(lines, entry["off_peak_pricing"])
    return lines


def _take(lines: Lines, entry: Mapping[str, Any], held: Condition) -> None:
    for name, value in entry.items():
        conditions = dict(held)
        if found := _TIER.search(name):
            conditions["service_tier"] = "batch" if found[1] == "batches" else found[1]
            name = name[: found.start()]
        if found := _OVER.search(name):
            conditions["input_over"] = int(found[1]) * 1000
            name = name[: found.start()] + name[found.end() :]
        amount = dollars(value)
        if name in _METERS and amount is not None:
            key = _METERS[name], condition(**conditions)
            lines[key] = max(lines.get(key, Decimal(0)), amount * MILLION)


def _take_hours(lines: Lines, off_peak: Mapping[str, Any]) -> None:
    """Its prices are those of the peak. The hub's lines say the others first, and the peak by its hours, as of a
    working day: at a weekend that is too much, never too little."""
    windows = off_peak["windows"][0]["hours_utc"]
    peaks = hours.between([windows] if isinstance(windows, str) else windows)
    cheap: Lines = {}
    _take(cheap, off_peak, ())
    for (meter, _), amount in cheap.items():
        dear = lines.get((meter, ()))
        if dear is None:
            continue
        lines[meter, ()] = amount
        for start, end in peaks:
            lines[meter, condition(from_=start, until=end)] = dear
