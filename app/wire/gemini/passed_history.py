"""A history in Gemini's own format that other models have a part in, made such that Gemini takes it.

The hub hands their signatures to Gemini's clients in the field of Google's (see `signatures`), and their function calls
have none. Everything that Google has made stays as it came.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

from app.wire.gemini import signatures
from app.wire.gemini.models import traits
from app.wire.request import raw_of

Json = dict[str, Any]

_MARK = b'"aHViM'
"""How a signature that the hub has marked begins: `hub1` in base64."""
_CALLS = (b'"functionCall"', b'"function_call"')
_SIGNATURES = ("thoughtSignature", "thought_signature")


def legal(contents: Raw, model: str) -> Raw:
    """`contents` for `model`; the same bytes where nothing is to be done, which is nearly always."""
    raw = bytes(contents)
    wants_signatures = any(word in raw for word in _CALLS) and traits(model).checks_signatures
    if _MARK not in raw and not wants_signatures:
        return contents
    decoded: Any = msgspec.json.decode(raw)
    if not isinstance(decoded, list):
        return contents
    changes = _Changes()
    for content in cast(list[Any], decoded):
        if isinstance(content, dict):
            changes.content(cast(Json, content), wants_signatures=wants_signatures)
    return raw_of(decoded) if changes.count else contents


class _Changes:
    def __init__(self) -> None:
        self.count = 0
        self._has_called = False
        """Whether the model's turn that goes on has a function call before."""

    def content(self, content: Json, *, wants_signatures: bool) -> None:
        parts: Any = content.get("parts")
        if content.get("role") != "model" or not isinstance(parts, list):
            self._has_called = False
            return
        kept: list[Any] = []
        for part in cast(list[Any], parts):
            if not isinstance(part, dict) or self._stays(cast(Json, part), wants_signatures):
                kept.append(part)
        content["parts"] = kept or [{"text": ""}]

    def _stays(self, part: Json, wants_signatures: bool) -> bool:
        name = next((name for name in _SIGNATURES if name in part), None)
        signature: Any = part.get(name) if name is not None else None
        if name is not None and isinstance(signature, str) and signatures.is_foreign(signature):
            self.count += 1
            del part[name]
            if part.get("thought") or not part:
                return False
        if "functionCall" in part or "function_call" in part:
            if wants_signatures and not self._has_called and not any(part.get(one) for one in _SIGNATURES):
                self.count += 1
                part["thoughtSignature"] = signatures.FOREIGN
            self._has_called = True
        return True
