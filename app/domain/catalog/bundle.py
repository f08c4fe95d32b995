"""Price bundles: what providers charge, per model and meter, as one dated file.

One is shipped with the hub, made by `python -m bench.prices` from public tables; an admin may bring a newer one.
Nothing is charged by a bundle: its rows become rate lines when an admin applies them (`bundle_changes.py`).

    {"format": 1, "version": "2026-11-20",
     "sources": [{"name": "…", "version": "…", "license": "MIT", "url": "…"}],
     "rows": [{"kind": "openai", "model": "gpt-5", "meter": "input", "per_units": 1000000, "cost_nano": 1250000000,
               "condition": {"service_tier": "flex"}, "source": "…"}]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from app.base.errors import BadValue
from app.base.money import MAX_NANO
from app.domain.catalog import conditions, rates
from app.domain.catalog.bundle_names import names

FORMAT = 1
MAX_BYTES = 16 * 1024 * 1024

_SHIPPED = Path(__file__).resolve().parent / "price_bundle" / "prices.json"
_VERSION = re.compile(r"(\d{4}-\d{2}-\d{2})(\.\d{1,4})?")

_Text = Annotated[str, Meta(min_length=1, max_length=200)]
_Amount = Annotated[int, Meta(ge=0, le=MAX_NANO)]


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where rows come from."""

    name: _Text
    version: _Text
    license: _Text
    url: _Text


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one meter of one model costs."""

    kind: _Text
    """Of provider: a row of `adapters/providers/registry.py`."""
    model: _Text
    """Its name at the provider; `*` is every model that has no rows of its own."""
    meter: _Text
    per_units: int
    cost_nano: _Amount
    """nano-USD per `per_units`."""
    condition: dict[str, Any] = {}
    """As `conditions.py` reads it. Cache lifetimes are no conditions but meters of their own."""
    source: _Text
    review_cost_nano: _Amount | None = None
    """The higher cost, where two sources differ by more than 1 %."""
    source_url: str | None = None
    """Where to look."""
    valid_from: date | None = None
    """Begins on that day (UTC): a change that the provider has announced."""

    @property
    def key(self) -> tuple[str, str]:
        """Meter and condition: two rows of a model with the same key replace each other."""
        return self.meter, conditions.read(self.condition).key


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    version: str
    sources: list[Source]
    rows: list[Raw]


class Bundle(Struct, frozen=True, dict=True):
    version: str
    """The day it was made, `2026-11-20`."""
    sources: tuple[Source, ...]
    rows: tuple[Row, ...]

    @property
    def rate_source(self) -> str:
        """What rate lines that come from this bundle say of themselves."""
        return f"{RATE_SOURCE}{self.version}"

    def match(self, kind: str, upstream_model: str) -> Sequence[Row]:
        """The rows of a deployment: of its own name, else of the closest name that means the same model."""
        return next(
            (found for name in names(kind, upstream_model) if (found := self._by_model.get((kind, name)))),
            (),
        )

    @cached_property
    def _by_model(self) -> Mapping[tuple[str, str], list[Row]]:
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            found.setdefault((row.kind, row.model), []).append(row)
        return found


RATE_SOURCE = "prices "
"""Begins the source of every rate line that came from a bundle."""


def shipped() -> Bundle:
    """The bundle of this version of the hub."""
    return parse(_SHIPPED.read_bytes())


def parse(raw: bytes) -> Bundle:
    """A bundle from its file.

    Raises:
        BadValue: it is none, or a row cannot be; the sentence names the row.
    """
    if len(raw) > MAX_BYTES:
        raise BadValue(f"A price bundle has at most {MAX_BYTES} bytes.")
    try:
        document = msgspec.json.decode(raw, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise BadValue(f"This is no price bundle: {problem}.") from None
    if document.format != FORMAT:
        raise BadValue(f"This hub reads price bundles of format {FORMAT}; this one has format {document.format}.")
    if not _is_version(document.version):
        raise BadValue(f'The version of a price bundle is a day such as 2026-11-20, not "{document.version}".')
    known = {source.name for source in document.sources}
    decoder = msgspec.json.Decoder(Row)
    rows: list[Row] = []
    seen: set[object] = set()
    for n, text in enumerate(document.rows, start=1):
        try:
            row = decoder.decode(text)
            _check(row, known)
        except (msgspec.MsgspecError, BadValue) as problem:
            raise BadValue(f"Row {n}{_name_of(text)} of the price bundle: {problem}") from None
        identity = (row.kind, row.model, *row.key, row.valid_from)
        if identity in seen:
            raise BadValue(f"Row {n}{_name_of(text)} of the price bundle: there is a row for the same already.")
        seen.add(identity)
        rows.append(row)
    return Bundle(document.version, tuple(document.sources), tuple(rows))


def _is_version(text: str) -> bool:
    """A day, and where there are more bundles of it, a number."""
    found = _VERSION.fullmatch(text)
    try:
        return found is not None and bool(date.fromisoformat(found[1]))
    except ValueError:
        return False


def _check(row: Row, known_sources: set[str]) -> None:
    units = rates.per_units(row.meter)
    if row.per_units != units:
        raise BadValue(f"per_units of {row.meter} is {units}, not {row.per_units}.")
    if row.source not in known_sources:
        raise BadValue(f'"{row.source}" is not among the sources.')
    if row.review_cost_nano is not None and row.review_cost_nano < row.cost_nano:
        raise BadValue("review_cost_nano is the higher of two costs.")
    conditions.read(row.condition)


def _name_of(text: Raw) -> str:
    """` (openai gpt-5)` where the row says so much."""
    try:
        row = msgspec.json.decode(text)
        return f" ({row['kind']} {row['model']})"
    except (msgspec.MsgspecError, KeyError, TypeError):
        return ""
