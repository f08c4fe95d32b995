"""Bounds on JSON that strangers send, checked before anything decodes it."""

from __future__ import annotations

import re

from app.base.errors import BadRequest

MAX_DEPTH = 64
MAX_CONTAINERS = 200_000
"""Objects and arrays in one document. A long conversation has some thousands."""

# A string that does not end takes in all that is left: were it skipped, each of its quotes would be tried again as the
# beginning of one, and 32 MiB of them would take hours.
_NOT_BRACKETS = re.compile(rb'[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def check_shape(body: bytes) -> None:
    """Refuse documents that are nested too deeply or consist of too many containers.

    Raises:
        BadRequest: too deep, or too many.
    """
    containers = body.count(b"{") + body.count(b"[")
    if containers <= MAX_DEPTH:
        return
    brackets = _NOT_BRACKETS.sub(b"", body)
    if len(brackets) > 2 * MAX_CONTAINERS:
        raise BadRequest(f"The JSON body has more than {MAX_CONTAINERS} objects and arrays.")
    depth = 0
    for bracket in brackets:
        if bracket in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise BadRequest(f"The JSON body is nested more than {MAX_DEPTH} levels deep.")
        else:
            depth -= 1
