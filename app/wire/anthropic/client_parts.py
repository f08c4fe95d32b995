"""Messages, client face: the blocks of a message.

https://platform.claude.com/docs/en/api/messages/create (ContentBlockParam)
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, cast

from msgspec import Raw

from app.base.errors import BadRequest
from app.wire.anthropic.thoughts import opaque_of
from app.wire.fields import Fields, missing, unknown_type, wrong_type
from app.wire.neutral import CacheMark, File, Image, Part, Reasoning, Source, Text, ToolCall, ToolResult
from app.wire.request import raw_of

Emulated = list[tuple[str, str]]

_SERVERS_OWN = (
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "tool_reference",
    "compaction",
    "fallback",
    "browser_state",
)
"""Blocks of tools that Anthropic runs itself, and of its own bookkeeping: they mean nothing to another provider."""
_INNER_TYPES = ("text", "image", "document", "search_result")
_TYPES = (*_INNER_TYPES, "thinking", "redacted_thinking", "tool_use", "tool_result")
_DOCUMENT_SOURCES = ("base64", "text", "url", "file", "content")
_IMAGE_SOURCES = ("base64", "url", "file")


class Blocks:
    """Reads the blocks of one request."""

    def __init__(self, emulated: Emulated) -> None:
        self._emulated = emulated

    def content_of(self, message: Fields) -> tuple[Part, ...]:
        """A message's `content`: a string or blocks.

        Raises:
            BadRequest
        """
        return self._content(message, self._block, is_needed=True)

    def texts_of(self, owner: Fields, name: str = "content") -> tuple[Text, ...]:
        """Where text alone may stand: the system prompt.

        Raises:
            BadRequest
        """
        given = owner.any(name)
        at = owner.path(name)
        if given is None:
            return ()
        if isinstance(given, str):
            return (Text(text=given, at=at),) if given else ()
        if not isinstance(given, list):
            raise BadRequest(f"The field {at} must be a string or an array.", param=at)
        texts: list[Text] = []
        for n, entry in enumerate(cast(list[Any], given)):
            block = Fields.of(entry, f"{at}[{n}]", owner.unread)
            type_ = block.text("type")
            if type_ != "text":
                raise unknown_type(block.path("type"), type_, ("text",))
            texts.append(_text(block))
            block.done()
        return tuple(texts)

    def _content(
        self, owner: Fields, read: Callable[[Fields, str | None], tuple[Part, ...]], *, is_needed: bool
    ) -> tuple[Part, ...]:
        content, at = owner.any("content"), owner.path("content")
        if content is None:
            if is_needed:
                raise missing(at)
            return ()
        if isinstance(content, str):
            return (Text(text=content, at=at),) if content else ()
        if not isinstance(content, list):
            raise BadRequest(f"The field {at} must be a string or an array.", param=at)
        parts: list[Part] = []
        for n, entry in enumerate(cast(list[Any], content)):
            block = Fields.of(entry, f"{at}[{n}]", owner.unread)
            type_ = block.text("type")
            if type_ in _SERVERS_OWN:
                owner.unread.append(block.at)
                continue
            parts += read(block, type_)
            block.done()
        return tuple(parts)

    def _block(self, block: Fields, type_: str | None) -> tuple[Part, ...]:
        match type_:
            case "thinking":
                text = block.text("thinking") or ""
                return (Reasoning(text=text, opaque=opaque_of(block.text("signature") or ""), at=block.at),)
            case "redacted_thinking":
                opaque = opaque_of(block.needed_text("data"))
                return (Reasoning(opaque=opaque, is_redacted=True, at=block.at),)
            case "tool_use":
                # Who called it, and a lasting name of its set, are for Anthropic's own tools.
                block.drop("caller", "toolset_name")
                id_, name = block.needed_text("id"), block.needed_text("name")
                return (ToolCall(id=id_, name=name, arguments=_input(block), cache=cache_of(block), at=block.at),)
            case "tool_result":
                return (self._result(block),)
            case _:
                return self._inner(block, type_, _TYPES)

    def _result(self, block: Fields) -> ToolResult:
        block.drop("toolset_name")
        call_id = block.needed_text("tool_use_id")
        is_error, cache = block.flag("is_error") or False, cache_of(block)
        parts = self._content(block, lambda inner, type_: self._inner(inner, type_, _INNER_TYPES), is_needed=False)
        return ToolResult(call_id=call_id, parts=cast(Any, parts), is_error=is_error, cache=cache, at=block.at)

    def _inner(self, block: Fields, type_: str | None, known: tuple[str, ...]) -> tuple[Part, ...]:
        match type_:
            case "text":
                return (_text(block),)
            case "image":
                source = _source(block, _IMAGE_SOURCES)
                return (Image(source=_image_source(source), cache=cache_of(block), at=block.at),)
            case "document":
                return self._document(block)
            case "search_result":
                return (self._found(block),)
            case _:
                raise unknown_type(block.path("type"), type_, known)

    def _document(self, block: Fields) -> tuple[Part, ...]:
        source, cache, name = _source(block, _DOCUMENT_SOURCES), cache_of(block), block.text("title")
        made: list[Part] = []
        if (context := block.text("context")) is not None:
            self._emulated.append((block.path("context"), "stands as text before the document"))
            made.append(Text(text=context, at=block.at))
        match source.text("type"):
            case "base64":
                media_type = source.text("media_type") or "application/pdf"
                inner = Source(data=source.needed_text("data"), media_type=media_type)
            case "text":
                media_type = source.text("media_type") or "text/plain"
                inner = Source(data=_base64(source.needed_text("data")), media_type=media_type)
            case "url":
                inner = Source(url=_address(source), media_type="application/pdf")
            case "file":
                inner = Source(file_id=source.needed_text("file_id"))
            case _:
                return (*made, *self._content_document(block, source, name, cache))
        source.done()
        return (*made, File(source=inner, name=name, cache=cache, at=block.at))

    def _content_document(
        self, block: Fields, source: Fields, name: str | None, cache: CacheMark | None
    ) -> tuple[Part, ...]:
        """A document made of blocks: its texts as one, its pictures after it."""
        parts = self._content(source, lambda inner, type_: self._inner(inner, type_, ("text", "image")), is_needed=True)
        source.done()
        text = "\n".join(part.text for part in parts if isinstance(part, Text))
        whole = Source(data=_base64(text), media_type="text/plain")
        pictures = [part for part in parts if isinstance(part, Image)]
        return (File(source=whole, name=name, cache=cache, at=block.at), *pictures)

    def _found(self, block: Fields) -> Text:
        """What a search of the client's own gave: no other vendor has a block for it."""
        title, source = block.needed_text("title"), block.needed_text("source")
        cache = cache_of(block)
        texts = self.texts_of(block)
        self._emulated.append((block.at, "a search result stands as text"))
        told = "\n".join((title, source, *(text.text for text in texts)))
        return Text(text=told, cache=cache, at=block.at)


def cache_of(fields: Fields, name: str = "cache_control") -> CacheMark | None:
    """
    Raises:
        BadRequest: a kind of mark or a lifetime that does not exist.
    """
    mark = fields.object(name)
    if mark is None:
        return None
    if mark.word("type", ("ephemeral",)) is None:
        raise missing(mark.path("type"))
    ttl = mark.word("ttl", ("5m", "1h"))
    mark.done()
    return CacheMark("1h" if ttl == "1h" else "5m")


def _text(block: Fields) -> Text:
    # What was cited is known to the one who answered.
    block.drop("citations")
    return Text(text=block.needed_text("text"), cache=cache_of(block), at=block.at)


def _input(block: Fields) -> Raw:
    given = block.any("input")
    if given is None:
        raise missing(block.path("input"))
    if not isinstance(given, dict):
        raise wrong_type(block.path("input"), dict)
    return raw_of(cast(dict[str, Any], given))


def _source(block: Fields, types: tuple[str, ...]) -> Fields:
    """The source, its type known to be one of `types`; it is still in there."""
    given = block.any("source")
    if given is None:
        raise missing(block.path("source"))
    at = block.path("source")
    source = Fields.of(given, at, block.unread)
    type_: Any = cast(dict[str, Any], given).get("type")
    if type_ not in types:
        raise unknown_type(f"{at}.type", type_ if isinstance(type_, str) else None, types)
    return source


def _image_source(source: Fields) -> Source:
    match source.text("type"):
        case "base64":
            made = Source(data=source.needed_text("data"), media_type=source.needed_text("media_type"))
        case "url":
            made = Source(url=_address(source))
        case _:
            made = Source(file_id=source.needed_text("file_id"))
    source.done()
    return made


def _address(source: Fields) -> str:
    url = source.needed_text("url")
    if not url[:8].lower().startswith(("https://", "http://")):
        raise BadRequest(f"The URL at {source.path('url')} must begin with https://.", param=source.path("url"))
    return url


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
