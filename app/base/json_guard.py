"""Bounds on JSON that strangers send, checked before anything decodes it."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from app.base.errors import BadRequest

MAX_DEPTH = 64
MAX_CONTAINERS = 200_000
"""Objects and arrays in one document. A long conversation has some thousands."""

_DECODED_BYTES = 4 * 1024 * 1024
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def check_shape(body: bytes) -> None:
    """Refuse documents that are nested too deeply or consist of too many containers.

    Raises:
        BadRequest: too deep, or too many.
    """
    containers = body.count(b"{") + body.count(b"[")
    if containers <= MAX_DEPTH:
        return
    if b"\\" in body and len(body) <= _DECODED_BYTES:
        depth = _depth_of_value(body)
    else:
        depth = _depth_of_brackets(_brackets(body))
    if depth > MAX_DEPTH:
        raise BadRequest(f"The JSON body is nested more than {MAX_DEPTH} levels deep.")


def _depth_of_value(body: bytes) -> int:
    """By decoding: the cheapest way through text full of escapes, and small enough to be no bomb."""
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        return MAX_DEPTH + 1
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0  # whoever decodes it says what is wrong
    depth = 0
    level = _containers([value])
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [inner for container in level for inner in _containers(container)]
    return depth


def _containers(container: Any) -> list[Any]:
    """The objects and arrays directly in this one."""
    values = cast(dict[Any, Any], container).values() if isinstance(container, dict) else cast(list[Any], container)
    return [value for value in values if isinstance(value, dict | list)]


def _depth_of_brackets(brackets: bytes) -> int:
    """
    Raises:
        BadRequest: there are too many.
    """
    if len(brackets) > 2 * MAX_CONTAINERS:
        raise BadRequest(f"The JSON body has more than {MAX_CONTAINERS} objects and arrays.")
    depth = deepest = 0
    for bracket in brackets:
        if bracket in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _brackets(body: bytes) -> bytes:
    """The brackets outside of strings, by a few passes in C.

    Without its escapes, every second piece between quotes is a string. What is no JSON may be cut wrongly here; the
    decoder refuses it.
    """
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(body.split(b'"')[::2]).translate(None, _ALL_BUT_BRACKETS)
