"""The parts of contents, as callers of generateContent write them: https://ai.google.dev/api/caching#Part"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

from app.base.errors import BadRequest
from app.wire.fields import Fields, missing
from app.wire.gemini import signatures
from app.wire.neutral import (
    NO_ARGUMENTS,
    Audio,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Source,
    Text,
    ToolCall,
    ToolResult,
)

_GOOGLES_FILES = ("https://generativelanguage.googleapis.com/", "gs://", "files/")
_DETAILS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_MEDIUM": "auto"}
_PART_FIELDS = ("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode")


class PartReader:
    """Reads the parts of one conversation in their order: a response without an id belongs to the call before it."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []
        """(name, id) of the calls of the model's last turn that nothing has answered yet."""

    def turn(self) -> None:
        """The model speaks: what it called before is over."""
        self._open = []

    def parts(self, content: Fields) -> tuple[Part, ...]:
        read: list[Part] = []
        for part in content.objects("parts"):
            found = self._part(part)
            part.drop("partMetadata")
            part.done()
            read += found
        return tuple(read)

    def _part(self, part: Fields) -> list[Part]:
        signature = part.text("thoughtSignature")
        opaque, is_redacted = signatures.read(signature) if signature else (None, False)
        is_thought = part.flag("thought") is True
        if is_thought or is_redacted:
            text = part.text("text") or ""
            if not text and opaque is None:
                return []
            return [Reasoning(text=text, opaque=opaque, is_redacted=is_redacted, at=part.at)]
        if (text := part.text("text")) is not None:
            if text:
                return [Text(text=text, opaque=opaque, at=part.at)]
            return [Reasoning(opaque=opaque, at=part.at)] if opaque is not None else []
        if (call := part.object("functionCall")) is not None:
            return [self._call(call, opaque, part.at)]
        # No other part of ours has a place for a signature, so it stands by itself.
        signed: list[Part] = [Reasoning(opaque=opaque, at=part.at)] if opaque is not None else []
        if (response := part.object("functionResponse")) is not None:
            return [*signed, self._response(response)]
        if (inline := part.object("inlineData")) is not None:
            return [*signed, _inline(inline, _detail(part), part.at)]
        if (file := part.object("fileData")) is not None:
            return [*signed, _file(file, _detail(part), part.at)]
        if (code := part.object("executableCode")) is not None:
            language, source = (code.text("language") or "").lower(), code.text("code") or ""
            code.drop("id")
            return [*signed, Text(text=f"```{language}\n{source}\n```", at=part.at)]
        if (result := part.object("codeExecutionResult")) is not None:
            output = result.text("output") or ""
            result.drop("outcome", "id")
            return [*signed, Text(text=f"```\n{output}\n```", at=part.at)]
        if part.has("toolCall") or part.has("toolResponse"):
            # Of a tool that runs at Google; it stays behind as unread.
            return signed
        if signed:
            return signed
        known = ", ".join(_PART_FIELDS)
        raise BadRequest(f"The part at {part.at} holds nothing; it must have one of: {known}.", param=part.at)

    def _call(self, call: Fields, opaque: Opaque | None, at: str) -> ToolCall:
        name = call.needed_text("name")
        arguments = call.any("args")
        if arguments is not None and not isinstance(arguments, dict):
            raise BadRequest(f"The field {call.path('args')} must be an object.", param=call.path("args"))
        id_ = call.text("id") or f"call_{at.translate(_NO_BRACKETS)}"
        call.done()
        self._open.append((name, id_))
        said = NO_ARGUMENTS if arguments is None else Raw(msgspec.json.encode(cast(dict[str, Any], arguments)))
        return ToolCall(id=id_, name=name, arguments=said, opaque=opaque, at=at)

    def _response(self, response: Fields) -> ToolResult:
        name = response.needed_text("name")
        given = response.any("response")
        id_ = self._answered(name, response.text("id"))
        texts, is_error = _said(given, response)
        files: list[Text | Image | Audio | File] = list(texts)
        for inner in response.objects("parts"):
            inline, file = inner.object("inlineData"), inner.object("fileData")
            if inline is not None:
                files.append(_inline(inline, None, inner.at))
            elif file is not None:
                files.append(_file(file, None, inner.at))
            inner.done()
        response.drop("scheduling", "willContinue")
        response.done()
        return ToolResult(call_id=id_, parts=tuple(files), name=name, is_error=is_error, at=response.at)

    def _answered(self, name: str, id_: str | None) -> str:
        """The id of the call that a response answers: the one it names, else the first of its function."""
        for n, (called, known) in enumerate(self._open):
            if (id_ is not None and known == id_) or (id_ is None and called == name):
                del self._open[n]
                return known
        return id_ or f"call_{name}"


_NO_BRACKETS = str.maketrans({"[": "_", "]": None, ".": "_"})


def _said(given: Any, response: Fields) -> tuple[list[Text], bool]:
    """What a function gave. `output` and `error` are the API's own words for it; all else is an object to be read."""
    at = response.path("response")
    if given is None:
        return [], False
    if not isinstance(given, dict):
        raise BadRequest(f"The field {at} must be an object.", param=at)
    values = cast(dict[str, Any], given)
    if len(values) == 1:
        word, value = next(iter(values.items()))
        if word in ("output", "result", "error"):
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            return ([Text(text=text, at=at)] if text else []), word == "error"
    return [Text(text=msgspec.json.encode(values).decode(), at=at)], False


def _detail(part: Fields) -> str | None:
    resolution = part.object("mediaResolution")
    level = resolution.text("level") if resolution is not None else None
    if resolution is not None:
        resolution.done()
    return None if level is None else _DETAILS.get(level, "high")


def _inline(data: Fields, detail: str | None, at: str) -> Image | Audio | File:
    media, encoded, name = data.text("mimeType"), data.needed_text("data"), data.text("displayName")
    data.done()
    if media is None:
        raise missing(data.path("mimeType"))
    # Base64 for URLs, as Google's library writes it, is not understood elsewhere.
    encoded = encoded.replace("-", "+").replace("_", "/")
    return part_of(Source(data=encoded + "=" * (-len(encoded) % 4), media_type=media), detail, name, at)


def _file(data: Fields, detail: str | None, at: str) -> Image | Audio | File:
    uri, media, name = data.needed_text("fileUri"), data.text("mimeType"), data.text("displayName")
    data.done()
    if uri.startswith(_GOOGLES_FILES):
        return part_of(Source(file_id=uri, media_type=media), detail, name, at)
    if not uri.startswith(("https://", "http://")):
        path = data.path("fileUri")
        raise BadRequest(f"The URL at {path} must begin with https:// or http://.", param=path)
    return part_of(Source(url=uri, media_type=media), detail, name, at)


def part_of(source: Source, detail: str | None, name: str | None, at: str) -> Image | Audio | File:
    """By the media type; what says none is a document."""
    media = source.media_type or ""
    if media.startswith("image/"):
        return Image(source=source, detail=detail, at=at)
    if media.startswith("audio/"):
        return Audio(source=source, at=at)
    return File(source=source, name=name, at=at)
