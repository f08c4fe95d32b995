"""The command: files of the public tables in, the bundle out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec

from app.base import clock
from app.domain.catalog import bundle
from app.domain.catalog.bundle import Row, Source
from bench.prices import blocklet, genai, litellm, merge, models_dev
from bench.prices.quotes import Table

SHIPPED = Path(__file__).resolve().parents[2] / "app" / "domain" / "catalog" / "price_bundle" / "prices.json"


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    day = date.fromisoformat(given.date)
    tables: list[Table] = []
    if given.genai_prices:
        tables.append(genai.read(given.genai_prices, day))
    if given.litellm:
        tables.append(litellm.read(given.litellm))
    if given.models_dev:
        tables.append(models_dev.read(given.models_dev, given.models_dev_version))
    if given.blocklet:
        tables.append(blocklet.read(given.blocklet))
    if not tables:
        raise SystemExit("Give at least one table; --help lists them.")
    rows = merge.merge(tables)
    text = document(str(day), tables, rows)
    bundle.parse(text)
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_bytes(text)
    for kind, (models, total, disputed) in merge.counts(rows).items():
        print(f"{kind:<11} {models:>5} models {total:>6} rows {disputed:>5} for review")
    print(f"{len(rows)} rows, {len(text)} bytes: {given.output}")


def document(version: str, tables: Sequence[Table], rows: Sequence[Row]) -> bytes:
    """The bundle's file: a row to a line, so that two versions can be compared line by line."""
    used = {row.source for row in rows}
    sources = [Source(name=table.name, version=table.version, license=table.license, url=table.url) for table in tables]
    if merge.OWN in used:
        sources.append(Source(name=merge.OWN, version=version, license="Apache-2.0", url="https://www.aigne.io"))
    encode = msgspec.json.encode
    head = encode({"format": bundle.FORMAT, "version": version}).removesuffix(b"}")
    lines = [
        head + b',"sources":[',
        b",\n".join(encode(source) for source in sources),
        b'],"rows":[',
        b",\n".join(encode(row) for row in rows),
        b"]}\n",
    ]
    return b"\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.prices",
        description="Make the price bundle from public tables, in this order of trust. Download them first.",
    )
    parser.add_argument("--genai-prices", type=Path, metavar="WHEEL", help="the wheel of genai-prices")
    parser.add_argument("--litellm", type=Path, metavar="FILE", help="LiteLLM's wheel, or its table as JSON")
    parser.add_argument("--models-dev", type=Path, metavar="FILE", help="api.json of models.dev")
    parser.add_argument("--models-dev-version", metavar="DAY", default="unknown", help="the day of that file")
    parser.add_argument("--blocklet", type=Path, metavar="FILE", help="data/pricing.json of model-pricing-data")
    parser.add_argument(
        "--date", default=str(clock.now().date()), metavar="DAY", help="prices as of this day: 2026-11-20"
    )
    parser.add_argument("--output", type=Path, default=SHIPPED, metavar="FILE")
    return parser
