"""The bound that a caller sets to an answer's length, in its own document: read, and lowered to what can be paid for.

Where a document holds no whole number, nothing is known of the bound; where it is lowered, ours takes that value's
place: what one provider refuses is without end at another (`-1`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec
from msgspec import Raw

from app.wire.request import Document, raw_of

_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder().decode


def value_of(raw: Raw | None) -> Any:
    """None for what is absent or no JSON."""
    if raw is None:
        return None
    try:
        return _decode(raw)
    except _NOT_JSON:
        return None


def whole(raw: Raw | None) -> int | None:
    """A whole number of zero or more, written as such or as `5.0`."""
    value = value_of(raw)
    if value.__class__ is float and value.is_integer():
        value = int(value)
    return cast(int, value) if value.__class__ is int and value >= 0 else None


def first(document: Document, names: Iterable[str]) -> str | None:
    """The first of the names that stands there and is not null."""
    for name in names:
        raw = document.get(name)
        if raw is not None and bytes(memoryview(raw)[:5]) != b"null":
            return name
    return None


def lower(document: Document, names: Iterable[str], default: str, most: int) -> int:
    """Every bound that stands there becomes at most `most`, in place; without any, `default` does. Gives the least."""
    there = [name for name in names if first(document, (name,))] or [default]
    for name in there:
        asked = whole(document.get(name))
        if asked is None or asked > most:
            document[name] = raw_of(most)
    return min(whole(document[name]) or 0 for name in there)


def inside(document: Document, name: str | None) -> Document:
    """An object of the document, taken apart; empty where there is none."""
    raw = document.get(name) if name is not None else None
    if raw is None or bytes(memoryview(raw)[:1]) != b"{":
        return {}
    try:
        return msgspec.json.decode(raw, type=dict[str, Raw])
    except _NOT_JSON:
        return {}
