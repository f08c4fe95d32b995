"""What stands in a message's content, and tool calls, as AIGNE writes them.

Files are `{"type": "file", "data"}` (base64), `{"type": "url", "url"}` or, between programs on one machine,
`{"type": "local", "path"}`: a path means nothing here and is refused. Pictures in OpenAI's shape are read as well.
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec
from msgspec import Raw

from app.base.errors import BadRequest
from app.wire import neutral
from app.wire.aigne.spelling import spelt
from app.wire.fields import Fields, missing, unknown_type, wrong_type
from app.wire.neutral import Audio, CacheMark, File, Image, Opaque, Part, Source, Text, ToolCall

HOME = "google"
"""Whose signatures stand in a tool call's `metadata.thoughtSignature`: the framework's Gemini model put them there."""

_PART_TYPES = ("text", "url", "file", "image", "image_url")
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,", re.IGNORECASE)
_BY_ENDING = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
}
_BY_BEGINNING = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("JVBERi0", "application/pdf"),
    ("SUQz", "audio/mpeg"),
)
"""First characters of files in base64."""


def content(message: Fields, cache: CacheMark | None = None) -> tuple[Part, ...]:
    """The parts of `content`, a string or an array; `cache` is the message's own mark and goes to the last of them.

    Raises:
        BadRequest: `param` is the path.
    """
    value, at = message.any("content"), message.path("content")
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(text=value, cache=cache, at=at),) if value else ()
    if not isinstance(value, list):
        raise BadRequest(f"The field {at} must be a string or an array.", param=at)
    parts: list[Part] = []
    for n, entry in enumerate(cast(list[Any], value)):
        if isinstance(entry, str):
            parts.append(Text(text=entry, at=f"{at}[{n}]"))
            continue
        part = Fields.of(entry, f"{at}[{n}]", message.unread)
        parts.append(_part(part))
        part.done()
    if cache is not None and parts:
        parts[-1] = msgspec.structs.replace(parts[-1], cache=cache)
    return tuple(parts)


def cache_of(fields: Fields) -> CacheMark | None:
    """`cacheControl: {"type": "ephemeral", "ttl"?: "5m" | "1h"}`."""
    mark = fields.object(spelt(fields, "cacheControl"))
    if mark is None:
        return None
    ttl = mark.text("ttl")
    mark.drop("type")
    mark.done()
    return CacheMark("1h" if ttl == "1h" else "5m")


def tool_call(call: Fields) -> ToolCall:
    """Arguments are an object in chats and text in completions; either is read in both."""
    type_ = call.text("type") or "function"
    if type_ != "function":
        raise unknown_type(call.path("type"), type_, ("function",))
    function = call.object("function")
    if function is None:
        raise missing(call.path("function"))
    metadata = call.object("metadata")
    signature = metadata.text(spelt(metadata, "thoughtSignature")) if metadata is not None else None
    if metadata is not None:
        metadata.done()
    call.drop("index")
    made = ToolCall(
        id=call.needed_text("id"),
        name=function.needed_text("name"),
        arguments=_arguments(function.any("arguments"), function.path("arguments")),
        opaque=neutral.opaque_from(signature, HOME) if signature else None,
        cache=cache_of(call),
        at=call.at,
    )
    function.done()
    call.done()
    return made


def call_entry(call: ToolCall, *, is_text: bool) -> dict[str, Any]:
    """A tool call for a client, its arguments as text or as an object."""
    arguments = bytes(call.arguments).decode() if is_text else one_line(call.arguments)
    entry: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }
    if call.opaque is not None:
        entry["metadata"] = {"thoughtSignature": _signature(call.opaque)}
    return entry


def one_line(json: bytes | Raw) -> Raw:
    """The same JSON without white space between its tokens: a line break would end the line of an event."""
    return Raw(msgspec.json.format(bytes(json), indent=-1))


def file_entry(part: Image | Audio | File) -> dict[str, Any] | None:
    """A file for a client; None for one that is only known by an id at its provider."""
    source = part.source
    named = {"filename": part.name} if isinstance(part, File) and part.name else {}
    if source.data is not None:
        return {"type": "file", "data": source.data, "mimeType": source.media_type, **named}
    if source.url is None:
        return None
    typed = {} if source.media_type is None else {"mimeType": source.media_type}
    return {"type": "url", "url": source.url, **typed, **named}


def source_of(part: Fields, type_: str | None) -> tuple[Source, str | None]:
    """Where the bytes of a file are, and its name. Consumes what it reads of `part`.

    Raises:
        BadRequest: it is a path, or neither data nor an address that can be fetched.
    """
    if type_ == "local":
        raise BadRequest(
            f"The file at {part.at} is a path on the caller's machine; send its content as "
            '{"type": "file", "data": …} or an address as {"type": "url", "url": …}.',
            param=part.at,
        )
    name = part.text(spelt(part, "filename"))
    media_type = part.text(spelt(part, "mimeType"))
    data = part.text("data") if type_ != "url" else None
    url = part.text("url") if data is None else None
    if data is not None:
        return from_text(data, part.path("data"), media_type, name), name
    if url is None:
        raise missing(part.path("data" if type_ == "file" else "url"))
    return from_text(url, part.path("url"), media_type, name, is_address=True), name


def from_text(
    text: str, at: str, media_type: str | None = None, name: str | None = None, *, is_address: bool = False
) -> Source:
    """A source from base64, a data URL or, if it `is_address`, an http(s) URL; its type guessed if nobody says it."""
    found = _DATA_URL.match(text)
    if found is not None:
        data = text[found.end() :]
        return Source(data=data, media_type=media_type or found[1] or _guessed(name, data))
    if not is_address:
        return Source(data=text, media_type=media_type or _guessed(name, text))
    if not text.startswith(("https://", "http://")):
        raise BadRequest(f"The field {at} must begin with https://, http:// or data:.", param=at)
    path = text.partition("?")[0].partition("#")[0]
    return Source(url=text, media_type=media_type or _by_ending(name) or _by_ending(path))


def _part(part: Fields) -> Part:
    type_ = part.text("type")
    cache = cache_of(part)
    if type_ == "text":
        return Text(text=part.needed_text("text"), cache=cache, at=part.at)
    if type_ == "image_url":
        return _picture(part, cache)
    if type_ not in ("url", "file", "local", "image"):
        raise unknown_type(part.path("type"), type_, _PART_TYPES)
    source, name = source_of(part, type_)
    sort = (source.media_type or "").partition("/")[0]
    # An address that tells nothing of what is behind it is most often a picture's.
    if sort == "image" or (not sort and type_ != "file"):
        return Image(source=source, cache=cache, at=part.at)
    if sort == "audio":
        return Audio(source=source, cache=cache, at=part.at)
    return File(source=source, name=name, cache=cache, at=part.at)


def _picture(part: Fields, cache: CacheMark | None) -> Image:
    """`imageUrl: {url}` as the SDK for Blocklets writes it, `image_url` as OpenAI does."""
    name = spelt(part, "imageUrl")
    value: Any = part.any(name)
    detail: str | None = None
    at = part.path(name)
    if isinstance(value, dict):
        inner = Fields.of(value, at, part.unread)
        value, detail, at = inner.needed_text("url"), inner.text("detail"), inner.path("url")
        inner.done()
    if value is None:
        raise missing(at)
    if not isinstance(value, str):
        raise wrong_type(at, str)
    return Image(source=from_text(value, at, is_address=True), detail=detail, cache=cache, at=part.at)


def _arguments(value: Any, at: str) -> Raw:
    if value is None:
        return neutral.NO_ARGUMENTS
    if isinstance(value, dict):
        return Raw(msgspec.json.encode(value))
    if isinstance(value, str):
        return neutral.arguments_of(value)
    raise wrong_type(at, dict)


def _signature(opaque: Opaque) -> str:
    return neutral.opaque_text(opaque, HOME)


def _guessed(name: str | None, data: str) -> str:
    by_beginning = next((type_ for start, type_ in _BY_BEGINNING if data.startswith(start)), None)
    return _by_ending(name) or by_beginning or "application/octet-stream"


def _by_ending(name: str | None) -> str | None:
    return None if name is None else _BY_ENDING.get(name.rpartition(".")[2].lower())
