"""Messages, upstream face: parts of a conversation as Anthropic's content blocks.

https://platform.claude.com/docs/en/build-with-claude/vision, …/pdf-support, …/prompt-caching
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from app.base.errors import BadRequest
from app.wire import neutral
from app.wire.faces import Target
from app.wire.neutral import Audio, CacheMark, File, Image, Part, Reasoning, Refusal, Source, Text, ToolCall, ToolResult
from app.wire.notes import Notes

Block = dict[str, Any]

_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_SPELLINGS = {"image/jpg": "image/jpeg"}
_TEXTS = ("text/", "application/json", "application/xml", "application/x-yaml", "application/yaml")


class Parts:
    """Writes parts for one target, and notes what it cannot be told."""

    def __init__(self, target: Target, notes: Notes) -> None:
        self._target = target
        self._notes = notes

    def system(self, texts: tuple[Text, ...]) -> str | list[Block] | None:
        kept = [text for text in texts if text.text.strip()]
        if not kept:
            return None
        if len(kept) == 1 and kept[0].cache is None:
            return kept[0].text
        return [self.text(text) for text in kept]

    def user(self, part: Part) -> Block | None:
        """One part of a user's turn; None where nothing is left of it.

        Raises:
            BadRequest: Anthropic has nothing like it.
        """
        match part:
            case Text() | Refusal():
                return self.text(part) if part.text.strip() else None
            case ToolResult():
                return self._result(part)
            case Image() | Audio() | File():
                return self._media(part)
            case _:
                self._notes.dropped(part.at, "not something that a user says")
                return None

    def assistant(self, part: Part) -> Block | None:
        """One part of an assistant's turn; None where nothing is left of it."""
        match part:
            case Text() | Refusal():
                return self.text(part) if part.text.strip() else None
            case ToolCall():
                id_ = neutral.legal_id(part.id)
                return marked({"type": "tool_use", "id": id_, "name": part.name, "input": part.arguments}, part.cache)
            case Reasoning():
                return self._thought(part)
            case _:
                self._notes.dropped(part.at, "a picture or file in the assistant's own turn")
                return None

    def text(self, part: Text | Refusal) -> Block:
        return marked({"type": "text", "text": part.text}, part.cache if isinstance(part, Text) else None)

    def _thought(self, part: Reasoning) -> Block | None:
        opaque = part.opaque
        if opaque is None or opaque.origin != self._target.origin or not opaque.value:
            self._notes.dropped(part.at, "thoughts are taken back by the vendor whose they are, with its signature")
            return None
        if part.is_redacted:
            return {"type": "redacted_thinking", "data": opaque.value}
        return {"type": "thinking", "thinking": part.text, "signature": opaque.value}

    def _result(self, result: ToolResult) -> Block:
        entry: Block = {"type": "tool_result", "tool_use_id": neutral.legal_id(result.call_id)}
        parts = [part for part in result.parts if not isinstance(part, Text) or part.text.strip()]
        if len(parts) == 1 and isinstance(parts[0], Text) and parts[0].cache is None:
            entry["content"] = parts[0].text
        elif parts:
            entry["content"] = [self.text(part) if isinstance(part, Text) else self._media(part) for part in parts]
        if result.is_error:
            entry["is_error"] = True
        return marked(entry, result.cache)

    def _media(self, part: Image | Audio | File) -> Block:
        if isinstance(part, Audio):
            raise BadRequest(f"Claude does not take sound (at {part.at}).", param=part.at)
        if part.source.file_id is not None:
            raise BadRequest(f"The file at {part.at} is kept at another provider; send its content.", param=part.at)
        if part.source.url is not None and not part.source.url.lower().startswith("https://"):
            raise BadRequest(f"The URL at {part.at} must begin with https://.", param=part.at)
        if isinstance(part, Image):
            return marked({"type": "image", "source": _picture(part.source, part.at)}, part.cache)
        entry: Block = {"type": "document", "source": _document(part.source, part.at)}
        if part.name:
            entry["title"] = part.name
        return marked(entry, part.cache)


def marked(entry: Block, mark: CacheMark | None) -> Block:
    if mark is not None:
        entry["cache_control"] = cache_control(mark)
    return entry


def cache_control(mark: CacheMark) -> dict[str, str]:
    """Five minutes are the default, and are not said."""
    return {"type": "ephemeral", **({"ttl": "1h"} if mark.ttl == "1h" else {})}


def _picture(source: Source, at: str) -> Block:
    if source.url is not None:
        return {"type": "url", "url": source.url}
    media_type = _SPELLINGS.get(source.media_type or "", source.media_type or "")
    if media_type not in _PICTURES:
        raise BadRequest(f"Claude takes JPEG, PNG, GIF and WebP, not {media_type[:60]} (at {at}).", param=at)
    return {"type": "base64", "media_type": media_type, "data": source.data or ""}


def _document(source: Source, at: str) -> Block:
    media_type = (source.media_type or "application/pdf").partition(";")[0].strip().lower()
    if source.url is not None:
        if media_type.startswith(("video/", "audio/", "image/")):
            raise BadRequest(f"Claude takes PDF and text, not {media_type[:60]} (at {at}).", param=at)
        return {"type": "url", "url": source.url}
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": source.data or ""}
    if media_type.startswith(_TEXTS):
        try:
            text = base64.b64decode(source.data or "").decode()
        except (binascii.Error, ValueError):
            raise BadRequest(f"The document at {at} is not text in UTF-8.", param=at) from None
        return {"type": "text", "media_type": "text/plain", "data": text}
    raise BadRequest(f"Claude takes PDF and text, not {media_type[:60]} (at {at}).", param=at)
