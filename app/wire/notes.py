"""Notes on fidelity: which fields of a request a provider could not be told as they were asked."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

What = Literal["emulated", "defaulted", "dropped"]
"""Done in another way; filled in because the provider insists on it; not passed on."""

MOST_NOTES = 50


class Note(Struct, frozen=True):
    path: str
    """In the client's document."""
    what: What
    why: str
    """A few words for a person."""


class Notes:
    """Gathered while a request is written for a provider."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, What], Note] = {}

    def emulated(self, path: str, why: str) -> None:
        self._add(path, "emulated", why)

    def defaulted(self, path: str, why: str) -> None:
        self._add(path, "defaulted", why)

    def dropped(self, path: str, why: str) -> None:
        self._add(path, "dropped", why)

    def _add(self, path: str, what: What, why: str) -> None:
        if len(self._notes) < MOST_NOTES:
            self._notes.setdefault((path, what), Note(path, what, why))

    @property
    def all(self) -> tuple[Note, ...]:
        return tuple(self._notes.values())
