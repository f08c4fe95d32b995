"""One price from several tables: the first table that knows it says it, and where another says otherwise by more than
1 %, the highest stands beside it for review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import ROUND_CEILING, Decimal

from app.base.money import NANO
from app.base.usage import PER_MILLION_METERS, PER_UNIT_METERS
from app.domain.catalog.bundle import Row
from app.domain.catalog.bundle_names import EVERY_MODEL, names
from bench.prices.quotes import Key, Lines, Table, has_windows, per_unit, tiers_of

TOLERANCE = Decimal("0.01")

OWN = "hub"
"""The source of what is free, and so in no table."""
_FREE: Sequence[tuple[str, str, Iterable[str], str]] = (
    # On one's own machine.
    ("ollama", EVERY_MODEL, sorted(PER_MILLION_METERS | PER_UNIT_METERS), "https://docs.ollama.com"),
    ("openai", "omni-moderation-latest", ("input", "requests"), "https://developers.openai.com/api/docs/pricing"),
)
"""Kind, model, meters, and who says so."""

_TOKENS = frozenset({"input", "output", "cache_read", "audio_in", "audio_out"})
_PIECES = frozenset({"images", "seconds", "characters"})

_Quotes = Sequence[tuple[str, Decimal]]
"""Who says it, and what."""


def merge(tables: Sequence[Table]) -> list[Row]:
    """The rows of a bundle, sorted. `tables` in the order of trust."""
    rows: list[Row] = []
    for kind in sorted({kind for table in tables for kind, _ in table.sheets}):
        models = {model for table in tables for held, model in table.sheets if held == kind}
        by_model = {model: _rows(kind, model, tables) for model in sorted(models)}
        for model in _needed(kind, by_model):
            rows += by_model[model]
    return sorted([*rows, *_free()], key=_order)


def _rows(kind: str, model: str, tables: Sequence[Table]) -> list[Row]:
    found = [(table.name, sheet) for table in tables if (sheet := table.find(kind, model)) is not None]
    page = next((sheet.url for _, sheet in found if sheet.url), None)
    rows = [
        _row(kind, model, key, quotes, page)
        for key, quotes in _by_key([(name, sheet.lines) for name, sheet in found]).items()
    ]
    for start in sorted({start for _, sheet in found for start in sheet.later}):
        quotes = _by_key([(name, sheet.later.get(start, {})) for name, sheet in found])
        later = [_row(kind, model, key, said, page, start) for key, said in quotes.items()]
        rows += [row for row in later if not _is_said(row, rows)]
    return _of_one_measure(rows)


def _by_key(sheets: Sequence[tuple[str, Lines]]) -> dict[Key, _Quotes]:
    """The quotes of each line. Length tiers and hours are taken from the first table that has any: those of two tables
    would not fit into each other."""
    tiered = next((tiers_of(lines) for _, lines in sheets if tiers_of(lines)), frozenset[int]())
    windowed = next((set(lines) for _, lines in sheets if has_windows(lines)), set[Key]())
    found: dict[Key, list[tuple[str, Decimal]]] = {}
    for name, lines in sheets:
        for key, amount in lines.items():
            if not tiers_of([key]) <= tiered or (has_windows([key]) and key not in windowed):
                continue
            found.setdefault(key, []).append((name, amount))
    return found


def _row(kind: str, model: str, key: Key, quotes: _Quotes, page: str | None, start: date | None = None) -> Row:
    meter, condition = key
    source, amount = quotes[0]
    highest = max(said for _, said in quotes)
    lowest = min(said for _, said in quotes)
    is_disputed = highest - lowest > lowest * TOLERANCE
    return Row(
        kind=kind,
        model=model,
        meter=meter,
        per_units=per_unit(meter),
        cost_nano=_nano(amount),
        condition=dict(condition),
        source=source,
        review_cost_nano=_nano(highest) if is_disputed else None,
        source_url=page if is_disputed else None,
        valid_from=start,
    )


def _is_said(row: Row, before: Iterable[Row]) -> bool:
    """Whether nothing changes: the last row of the same line, which they are in the order of, says the same."""
    last = None
    for one in before:
        if one.key == row.key:
            last = one
    return last is not None and (last.cost_nano, last.review_cost_nano) == (row.cost_nano, row.review_cost_nano)


def _nano(amount: Decimal) -> int:
    """Up: a cost that is too low by a rounding would be sold below cost."""
    return int((amount * NANO).to_integral_value(ROUND_CEILING))


def _of_one_measure(rows: list[Row]) -> list[Row]:
    """A model is charged by tokens or by the piece. The hub counts both where it can, so both would be charged twice.

    Seconds go before tokens where both are what comes out: films are told in seconds.
    """
    meters = {row.meter for row in rows}
    if "seconds" in meters and not meters & {"input", "audio_in"}:
        return [row for row in rows if row.meter not in _TOKENS]
    if meters & _TOKENS:
        return [row for row in rows if row.meter not in _PIECES]
    return rows


def _needed(kind: str, by_model: Mapping[str, list[Row]]) -> Iterable[str]:
    """Without the names that lead to the same rows under a shorter name, as versions with their date mostly do."""
    said = {model: _said(rows) for model, rows in by_model.items() if rows}
    kept = {
        model
        for model, wanted in said.items()
        if next((said[name] for name in names(kind, model)[1:] if name in said and name != model), None) != wanted
    }
    # A name may have led through one that was left out itself.
    for model, wanted in said.items():
        if next((said[name] for name in names(kind, model) if name in kept), None) != wanted:
            kept.add(model)
    return sorted(kept)


def _said(rows: Iterable[Row]) -> frozenset[object]:
    return frozenset((*row.key, row.cost_nano, row.review_cost_nano, row.valid_from) for row in rows)


def _free() -> list[Row]:
    return [
        Row(
            kind=kind,
            model=model,
            meter=meter,
            per_units=per_unit(meter),
            cost_nano=0,
            source=OWN,
            source_url=url,
        )
        for kind, model, meters, url in _FREE
        for meter in meters
    ]


def _order(row: Row) -> tuple[object, ...]:
    return row.kind, row.model, row.meter, len(row.condition), row.key[1], row.valid_from or date.min


def counts(rows: Iterable[Row]) -> Mapping[str, tuple[int, int, int]]:
    """Kind → models, rows, rows for review."""
    found: dict[str, tuple[set[str], int, int]] = {}
    for row in rows:
        models, total, disputed = found.get(row.kind, (set[str](), 0, 0))
        found[row.kind] = {*models, row.model}, total + 1, disputed + (row.review_cost_nano is not None)
    return {kind: (len(models), total, disputed) for kind, (models, total, disputed) in sorted(found.items())}
