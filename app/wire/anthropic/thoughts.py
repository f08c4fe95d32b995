"""How thoughts of any vendor travel through a client that speaks Anthropic's format."""

from __future__ import annotations

from app.wire import neutral
from app.wire.neutral import Opaque

HOME = "anthropic"
"""Whose signatures stand unmarked in this format."""
_NOBODYS = Opaque("", "")


def signature_of(opaque: Opaque | None) -> str:
    """The value of a `signature` or of redacted `data`. A thought that nobody signed is marked too: Anthropic would
    refuse it, so it must be known when it comes back."""
    return neutral.opaque_text(opaque or _NOBODYS, HOME)


def opaque_of(signature: str) -> Opaque | None:
    """What a client gives back."""
    if not signature:
        return None
    opaque = neutral.opaque_from(signature, HOME)
    return None if opaque == _NOBODYS else opaque
