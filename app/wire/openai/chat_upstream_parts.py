"""Chat completions, upstream face: a conversation's messages as OpenAI-compatible providers take them."""

from __future__ import annotations

import base64
import binascii
from typing import Any, cast

import msgspec

from app.base.errors import BadRequest
from app.wire import neutral
from app.wire.faces import Target
from app.wire.neutral import (
    Audio,
    CacheMark,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from app.wire.notes import Notes

LONGEST_ID = 40
"""OpenAI refuses longer ids of tool calls: https://github.com/vercel/ai/issues/5171"""

_AUDIO_FORMATS = {
    **dict.fromkeys(("audio/mpeg", "audio/mp3", "audio/mpeg3"), "mp3"),
    **dict.fromkeys(("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"), "wav"),
}
_TAKES_MARKS = frozenset({"openrouter"})
"""Who takes Anthropic's cache marks inside this format: https://openrouter.ai/docs/features/prompt-caching"""
_TAKES_DETAILS = frozenset({"openrouter"})
"""Who gives and takes `reasoning_details`: https://openrouter.ai/docs/guides/best-practices/reasoning-tokens"""
_NEEDS_THOUGHTS = frozenset({"deepseek"})
"""Who refuses an assistant's tool calls without the field of its thoughts, be it empty, as it is where another provider
made the calls: https://api-docs.deepseek.com/guides/thinking_mode#tool-calls"""


class Parts:
    """Writes messages for one target, and notes what it cannot be told."""

    def __init__(self, target: Target, notes: Notes) -> None:
        self._target = target
        self._notes = notes
        self._has_marks = target.origin in _TAKES_MARKS

    def user(self, message: Message) -> list[dict[str, Any]]:
        """Results come first, each in a message of its own; then what the user says."""
        messages: list[dict[str, Any]] = []
        rest: list[Part] = []
        for part in message.parts:
            if not isinstance(part, ToolResult):
                rest.append(part)
                continue
            messages.append(self._result(part))
            others = [inner for inner in part.parts if not isinstance(inner, Text)]
            if others:
                # A tool's message holds text alone; what it made is shown by the user.
                self._notes.emulated(part.at, "pictures and files of a tool stand in a user message")
                rest += others
        if rest or not messages:
            entry: dict[str, Any] = {"role": "user", "content": self._content(rest)}
            if message.name is not None:
                entry["name"] = message.name
            messages.append(entry)
        return messages

    def assistant(self, message: Message) -> dict[str, Any]:
        texts = tuple(part for part in message.parts if isinstance(part, Text))
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        refusal = "".join(part.text for part in message.parts if isinstance(part, Refusal))
        entry: dict[str, Any] = {"role": "assistant", "content": self.texts(texts, "") if texts else None}
        if message.name is not None:
            entry["name"] = message.name
        if refusal and self._target.origin == "openai":
            entry["refusal"] = refusal
        elif refusal and not texts:
            # Others have no such field; a refusal is what was said.
            entry["content"] = refusal
        if calls:
            entry["tool_calls"] = [self._call(call) for call in calls]
            for call in calls:
                self._mark(call.cache, call.at)
        elif entry["content"] is None and not entry.get("refusal"):
            entry["content"] = ""
        thoughts = [part for part in message.parts if isinstance(part, Reasoning)]
        self._put_thoughts(entry, thoughts, has_calls=bool(calls))
        for part in message.parts:
            if isinstance(part, Image | Audio | File):
                self._notes.dropped(part.at, "a picture or file in the assistant's own turn")
        return entry

    def texts(self, texts: tuple[Text, ...], between: str = "\n\n") -> str | list[dict[str, Any]]:
        """One string, which every server understands; parts only where they carry marks that arrive."""
        if self._has_marks and any(text.cache is not None for text in texts):
            return [self._text(text) for text in texts]
        for text in texts:
            self._mark(text.cache, text.at)
        return between.join(text.text for text in texts)

    def marked(self, entry: dict[str, Any], mark: CacheMark | None, at: str) -> dict[str, Any]:
        """`entry` with its cache mark, where the provider takes it."""
        if mark is not None and self._has_marks:
            entry["cache_control"] = {"type": "ephemeral", **({"ttl": "1h"} if mark.ttl == "1h" else {})}
        else:
            self._mark(mark, at)
        return entry

    def _call(self, call: ToolCall) -> dict[str, Any]:
        function = {"name": call.name, "arguments": bytes(call.arguments).decode()}
        entry: dict[str, Any] = {"id": neutral.legal_id(call.id, LONGEST_ID), "type": "function", "function": function}
        if call.opaque is not None and call.opaque.origin == self._target.origin:
            # https://ai.google.dev/gemini-api/docs/thought-signatures: Gemini behind OpenAI's format.
            entry["extra_content"] = {"google": {"thought_signature": call.opaque.value}}
        return entry

    def _result(self, result: ToolResult) -> dict[str, Any]:
        texts = [part for part in result.parts if isinstance(part, Text)]
        if result.is_error:
            # The format has no field for it.
            self._notes.emulated(f"{result.at}.is_error", "the text says that it is an error")
            texts.insert(0, Text(text="Error:"))
        if result.cache is not None and texts and self._has_marks:
            texts[-1] = msgspec.structs.replace(texts[-1], cache=result.cache)
        else:
            self._mark(result.cache, result.at)
        id_ = neutral.legal_id(result.call_id, LONGEST_ID)
        return {"role": "tool", "tool_call_id": id_, "content": self.texts(tuple(texts), "\n")}

    def _put_thoughts(self, entry: dict[str, Any], thoughts: list[Reasoning], *, has_calls: bool) -> None:
        target = self._target
        if target.origin in _TAKES_DETAILS and (details := self._details(thoughts)):
            entry["reasoning_details"] = details
            return
        text = "".join(thought.text for thought in thoughts)
        if target.reasoning_field is not None and (text or (has_calls and target.origin in _NEEDS_THOUGHTS)):
            entry[target.reasoning_field] = text
        elif thoughts:
            self._notes.dropped(thoughts[0].at, "the provider does not take thoughts back")

    def _details(self, thoughts: list[Reasoning]) -> list[Any]:
        details: list[Any] = []
        for thought in thoughts:
            if thought.opaque is None or thought.opaque.origin != self._target.origin:
                continue
            try:
                given: Any = msgspec.json.decode(thought.opaque.value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue  # the client has changed what it was to keep
            details += cast(list[Any], given) if isinstance(given, list) else []
        return details

    def _content(self, parts: list[Part]) -> str | list[dict[str, Any]]:
        texts = tuple(part for part in parts if isinstance(part, Text))
        if len(texts) == len(parts):
            return self.texts(texts)
        return [self._part(part) for part in parts]

    def _part(self, part: Part) -> dict[str, Any]:
        match part:
            case Text():
                return self._text(part)
            case Image():
                url: dict[str, Any] = {"url": _url(part.source, part.at)}
                if part.detail is not None:
                    url["detail"] = part.detail
                return self.marked({"type": "image_url", "image_url": url}, part.cache, part.at)
            case Audio():
                sound = {"data": part.source.data, "format": _audio_format(part)}
                return self.marked({"type": "input_audio", "input_audio": sound}, part.cache, part.at)
            case File():
                return self.marked(self._file(part), part.cache, part.at)
            case _:
                raise BadRequest(f"The part at {part.at} cannot stand in a user's message.", param=part.at)

    def _file(self, part: File) -> dict[str, Any]:
        source = part.source
        media_type = source.media_type or ""
        if media_type.startswith("video/"):
            return {"type": "video_url", "video_url": {"url": _url(source, part.at)}}
        if media_type.startswith("text/") and source.data is not None:
            # Files are PDFs there: https://developers.openai.com/api/docs/guides/pdf-files
            self._notes.emulated(part.at, "a text file stands in the prompt as text")
            heading = f"{part.name}:\n" if part.name else ""
            return {"type": "text", "text": heading + _decoded(source.data, part.at)}
        file: dict[str, Any] = {"filename": part.name or "document.pdf", "file_data": _url(source, part.at)}
        return {"type": "file", "file": file}

    def _text(self, text: Text) -> dict[str, Any]:
        return self.marked({"type": "text", "text": text.text}, text.cache, text.at)

    def _mark(self, mark: CacheMark | None, at: str) -> None:
        if mark is not None:
            self._notes.dropped(f"{at}.cache_control", "the provider caches by itself")


def _url(source: Source, at: str) -> str:
    if source.url is not None:
        return source.url
    if source.data is None:
        raise BadRequest(f"The file at {at} is known to another provider only.", param=at)
    return f"data:{source.media_type};base64,{source.data}"


def _audio_format(part: Audio) -> str:
    format_ = _AUDIO_FORMATS.get(part.source.media_type or "")
    if part.source.data is None or format_ is None:
        raise BadRequest(f"The sound at {part.at} must be wav or mp3 for this provider.", param=part.at)
    return format_


def _decoded(data: str, at: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadRequest(f"The text file at {at} is not base64 of UTF-8.", param=at) from None
