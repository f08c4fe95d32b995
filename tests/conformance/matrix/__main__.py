"""Writes the page, and says which cells failed."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import structlog

from tests.conformance.matrix import page
from tests.conformance.matrix.running import run


def main() -> None:
    began_at = time.monotonic()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    wanted = sys.argv[1:]
    cells = asyncio.run(run(lambda key: not wanted or all(word in key for word in wanted)))
    failed = [(key, cell) for key, cell in cells.items() if cell.level == "failed"]
    for key, cell in failed:
        print("/".join(key), *cell.notes)
    print(f"{len(cells)} cells, {len(failed)} failed, {time.monotonic() - began_at:.1f} s")
    if not wanted:
        page.PATH.write_text(page.written(cells))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
