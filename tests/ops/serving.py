"""`hub serve` in a process of its own, as an operator starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def serving(environ: dict[str, str], output: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """The server on a free port, and the lines that it printed until it was ready."""
    with output.open("wb") as printed, output.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.ops.cli", "serve", "--port", "0"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environ},
            stdout=printed,
            stderr=log,
        )
    try:
        ends_at = time.monotonic() + 30
        while "hub.ready" not in (said := output.with_suffix(".log").read_text()):
            assert time.monotonic() < ends_at and process.poll() is None, said
            time.sleep(0.05)
        yield process, output.read_text().splitlines()
    finally:
        process.terminate()
        process.wait(timeout=30)
