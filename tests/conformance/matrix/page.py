"""`docs/compatibility.md`, as the run of the matrix found it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.conformance.matrix.features import FEATURES
from tests.conformance.matrix.running import DRIVERS, PROVIDERS, TITLES, Cell, Key

PATH = Path(__file__).resolve().parents[3] / "docs" / "compatibility.md"

_HEAD = """\
# Compatibility

Made by `python -m tests.conformance.matrix` from a run of the clients' own libraries (AIGNE: its recorded bodies)
through the hub against strict emulators of the providers; a test fails when this page and the run differ.

- **full**: the client is served as if the provider spoke its format.
- **emulated**: it works, and part of the request goes another way; which part, and what could not be passed on, is told
  in the header `x-hub-fidelity` and listed below the table by number.
- **no**: the provider cannot do it; the caller gets an error that says so.

Each cell holds for answers in one piece and for streams.
"""


def written(cells: Mapping[Key, Cell]) -> str:
    parts = [_HEAD]
    for format_ in DRIVERS:
        parts.append(_table(format_, cells))
    return "\n".join(parts)


def _table(format_: str, cells: Mapping[Key, Cell]) -> str:
    footnotes: dict[str, int] = {}
    kinds = [provider.kind for provider in PROVIDERS]
    rows = [
        f"| | {' | '.join(provider.title for provider in PROVIDERS)} |",
        f"|---|{'---|' * len(kinds)}",
    ]
    for feature, (title, _) in FEATURES.items():
        shown = [_shown(cells[format_, kind, feature], footnotes) for kind in kinds]
        rows.append(f"| {title} | {' | '.join(shown)} |")
    notes = [f"{number}. {text}" for text, number in footnotes.items()]
    return "\n".join([f"## {TITLES[format_]}", "", *rows, *(["", *notes] if notes else []), ""])


def _shown(cell: Cell, footnotes: dict[str, int]) -> str:
    if cell.level == "failed":
        return "**FAILED**"
    numbers = sorted({footnotes.setdefault(_plain(note), len(footnotes) + 1) for note in cell.notes})
    return cell.level + (f" ({', '.join(map(str, numbers))})" if numbers else "")


_MEMBER = re.compile(r"(\w+)=\(([^)]*)\)")
_PATH = re.compile(r'"([^"]*)"')


def _plain(note: str) -> str:
    """A header as a sentence: `dropped=("a" "b")` → dropped: `a`, `b`."""
    told = [
        f"{what}: " + ", ".join(f"`{path}`" for path in _PATH.findall(paths)) for what, paths in _MEMBER.findall(note)
    ]
    return "; ".join(told) or note
