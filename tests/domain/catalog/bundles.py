"""Price bundles for tests: what is left out of a row is that of one line of a model of OpenAI's."""

from __future__ import annotations

from typing import Any

import msgspec

from app.domain.catalog import bundle
from app.domain.catalog.bundle import Bundle

SOURCES = [{"name": "table", "version": "1", "license": "MIT", "url": "https://table.example"}]
ROW = {
    "kind": "openai",
    "model": "gpt-9",
    "meter": "input",
    "per_units": 1_000_000,
    "cost_nano": 1_000_000_000,
    "source": "table",
}


def raw(*rows: dict[str, Any], version: str = "2026-11-20", **fields: Any) -> bytes:
    """The file of a bundle with these rows."""
    document = {"format": 1, "version": version, "sources": SOURCES, "rows": [{**ROW, **row} for row in rows]}
    return msgspec.json.encode(document | fields)


def bundle_of(*rows: dict[str, Any], version: str = "2026-11-20") -> Bundle:
    return bundle.parse(raw(*rows, version=version))
