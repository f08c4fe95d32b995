"""Names of fields: AIGNE writes camelCase, and its papers show snake_case too; both are read everywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.wire.fields import Fields

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def snake(name: str) -> str:
    """`maxTokens` → `max_tokens`."""
    return _HUMP.sub(r"_\1", name).lower()


def spelt(fields: Fields, *names: str) -> str:
    """The first of the names, in either spelling, that stands there; else the first name as AIGNE writes it."""
    for name in names:
        for spelling in (name, snake(name)):
            if fields.has(spelling):
                return spelling
    return names[0]


def places_of(fields: Fields, names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Our name of a setting → the path at which it stands; only of those that are there."""
    places: dict[str, str] = {}
    for ours, theirs in names.items():
        name = spelt(fields, *theirs)
        if fields.has(name):
            places[ours] = fields.path(name)
    return places
