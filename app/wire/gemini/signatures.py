"""Thought signatures: bytes in base64. What another vendor has signed goes through the same field, marked.

Google's libraries decode the field and write it again in the other alphabet of base64, so a mark has to be inside.
"""

from __future__ import annotations

import base64
import binascii

from app.wire.neutral import Opaque

HOME = "google"
"""The kind of provider whose signatures stand here as they are."""
FOREIGN = "skip_thought_signature_validator"
"""In place of a signature for what another model has called: https://ai.google.dev/gemini-api/docs/thought-signatures"""

UNSIGNED = "aHViMS4u"
"""`hub1..`: on calls that no vendor has signed. It says that Google did not make them, should they come to it."""

_MARK = b"hub1."
_REDACTED = b"hub1r."


def read(text: str) -> tuple[Opaque | None, bool]:
    """The opaque value that a client gives back, and whether it stood for text that was hidden."""
    value = _decoded(text)
    if value is None:
        return Opaque(HOME, text), False
    for mark, is_redacted in ((_MARK, False), (_REDACTED, True)):
        if value.startswith(mark):
            origin, _, inner = value.removeprefix(mark).decode("utf-8", "replace").partition(".")
            # What was hidden and had no value is nothing that anybody could be given back.
            return (Opaque(origin, inner) if origin else None), is_redacted
    return Opaque(HOME, text), False


def is_foreign(text: str) -> bool:
    """Whether a value is one that the hub has marked."""
    value = _decoded(text)
    return value is not None and value.startswith((_MARK, _REDACTED))


def written(opaque: Opaque | None, *, is_redacted: bool = False) -> str | None:
    """The value of the field; None: no field."""
    if opaque is None:
        return None
    if opaque.origin == HOME and not is_redacted and _decoded(opaque.value) is not None:
        return opaque.value
    mark = _REDACTED if is_redacted else _MARK
    return base64.b64encode(mark + f"{opaque.origin}.{opaque.value}".encode()).decode()


def _decoded(text: str) -> bytes | None:
    """The bytes of either alphabet of base64; None where it is none."""
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
