"""Service tiers: what a call was asked to be served as, and what a provider says it was served as.

The usual tier has several names; here it is `USUAL` where a provider says so, and None where nobody says anything. The
difference counts: who asks for a dear tier and is served as usual pays as usual.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.wire.request import Document, Request

USUAL = "standard"

_USUAL = frozenset({"default", "on_demand", "standard", "standard_only"})
_NONE = frozenset({"auto", "unspecified"})
_WORD = re.compile(r"[a-z0-9_-]{1,40}")
_NAMES = ("service_tier", "serviceTier", "speed")
"""`speed` is Anthropic's: a faster tier by another name.

https://platform.claude.com/docs/en/build-with-claude/fast-mode
"""


class _Report(Struct, rename="camel"):
    service_tier: Any = None
    """Gemini's."""
    anthropic: Any = msgspec.field(default=None, name="service_tier")
    speed: Any = None


_decode_report = msgspec.json.Decoder(_Report).decode
_decode_document = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_value = msgspec.json.Decoder().decode
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def tier_of(word: Any) -> str | None:
    """A vendor's word in small letters; None for what says no tier."""
    if not isinstance(word, str):
        return None
    bare = word.lower().removeprefix("service_tier_")
    if bare in _USUAL:
        return USUAL
    return None if bare in _NONE or _WORD.fullmatch(bare) is None else bare


def tier_in_report(report: Raw | None) -> str | None:
    """Where the usage says it: Anthropic's (`service_tier`), Gemini's (`serviceTier`)."""
    if report is None:
        return None
    try:
        found = _decode_report(report)
    except _NOT_JSON:
        return None
    speed = tier_of(found.speed)
    if speed is not None and speed != USUAL:
        return speed
    return tier_of(found.anthropic) or tier_of(found.service_tier) or speed


def requested_tier(request: Request) -> str | None:
    """What the client asks for, at the top of its document or among AIGNE's options of the model; None for the usual
    one."""
    document = request.document or {}
    for place in (document, *_options(document)):
        for name in _NAMES:
            if (raw := place.get(name)) is not None:
                tier = _told(raw)
                if tier is not None and tier != USUAL:
                    return tier
    return None


def _told(raw: Raw) -> str | None:
    try:
        return tier_of(_decode_value(raw))
    except _NOT_JSON:
        return None


def _options(document: Document) -> list[Document]:
    """AIGNE's `input.modelOptions`; `input` is a text or a list in other formats."""
    inner = _object(document.get("input"))
    asked = _object(inner.get("modelOptions") or inner.get("model_options"))
    return [asked] if asked else []


def _object(raw: Raw | None) -> Document:
    if raw is None or bytes(memoryview(raw)[:1]) != b"{":
        return {}
    try:
        return _decode_document(raw)
    except _NOT_JSON:
        return {}
