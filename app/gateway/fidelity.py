"""What a provider could not be told as it was asked, for the caller's header and for the record."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.wire.notes import Note

_MAX_HEADER = 1000


def header(notes: Sequence[Note]) -> bytes:
    """`dropped=("top_k" "seed"), emulated=("response_format")`: a dictionary of RFC 9651."""
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault(note.what, []).append(_quoted(note.path))
    members: list[str] = []
    left = _MAX_HEADER
    for what, paths in sorted(kinds.items()):
        shown: list[str] = []
        for path in paths:
            left -= len(path) + 1
            if left < 0:
                shown.append('"..."')
                break
            shown.append(path)
        members.append(f"{what}=({' '.join(shown)})")
    return ", ".join(members).encode()


def record(notes: Sequence[Note]) -> str | None:
    """As JSON for the call's row; None where all was told as it was asked."""
    return msgspec.json.encode(notes).decode() if notes else None


def from_record(text: str | None) -> tuple[Note, ...]:
    """The notes of a call's row."""
    return msgspec.json.decode(text, type=tuple[Note, ...]) if text else ()


def _quoted(path: str) -> str:
    text = "".join(c if " " <= c <= "~" else "?" for c in path[:200])
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
