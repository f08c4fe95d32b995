"""What a proof has found out, in numbers: `make prove` prints and keeps them."""

from __future__ import annotations

import os
from pathlib import Path


def note(name: str, said: str) -> None:
    """One line for the report. Without `PROOF_FIGURES`, a file to add to, nobody wants it."""
    path = os.environ.get("PROOF_FIGURES")
    if path:
        # One write of a short line: processes that run beside each other do not mix theirs.
        with Path(path).open("a") as report:
            report.write(f"| {name} | {said} |\n")
