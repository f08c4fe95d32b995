"""The items of a request's `input`, as messages. What an assistant did in one go is one message.

https://developers.openai.com/api/reference/resources/responses/methods/create (input)
"""

from __future__ import annotations

from typing import Any, cast

from msgspec.structs import replace

from app.base.errors import BadRequest
from app.wire import neutral
from app.wire.fields import Fields, missing, unknown_type, wrong_type
from app.wire.neutral import (
    Audio,
    CacheMark,
    File,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from app.wire.responses import tools

HOME = "openai"
REDACTED = "redacted."
"""Before an opaque value that is all there is of a thought: the item has no field that says so."""

_ROLES = ("system", "developer", "user", "assistant")
_PART_TYPES = ("input_text", "output_text", "refusal", "input_image", "input_file", "input_audio")
_HOSTED = frozenset(
    {
        "file_search_call",
        "web_search_call",
        "computer_call",
        "computer_call_output",
        "tool_search_call",
        "tool_search_output",
        "additional_tools",
        "configuration_update",
        "compaction",
        "compaction_trigger",
        "image_generation_call",
        "code_interpreter_call",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "program",
        "program_output",
    }
)
"""Traces of OpenAI's own tools, which nobody else can read."""
_TYPES = (
    *("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"),
    *("reasoning", "item_reference", *sorted(_HOSTED)),
)


def read(entries: list[Any], recalled: int, fields: Fields) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """The system texts at the beginning, and the messages. The first `recalled` items are of earlier turns.

    Raises:
        BadRequest: an item is of no known type, or lacks a field.
    """
    reader = _Reader()
    for n, entry in enumerate(entries):
        if isinstance(entry, str):
            at = "input" if len(entries) == recalled + 1 else f"input[{n - recalled}]"
            reader.say("user", (Text(text=entry, at=at),), at)
            continue
        at = f"previous_response_id[{n}]" if n < recalled else f"input[{n - recalled}]"
        reader.item(Fields.of(entry, at, fields.unread))
    return tuple(reader.system), tuple(reader.messages)


class _Reader:
    def __init__(self) -> None:
        self.system: list[Text] = []
        self.messages: list[Message] = []

    def item(self, item: Fields) -> None:
        type_ = item.text("type")
        if type_ in _HOSTED:
            item.unread.append(item.at)
            return
        item.drop("id", "status", "phase", "caller", "async")
        match type_:
            case "message" | None if item.has("role") or type_ == "message":
                self._message(item)
            case "function_call" | "custom_tool_call":
                self.say("assistant", (_call(item, is_custom=type_ == "custom_tool_call"),), item.at)
            case "function_call_output" | "custom_tool_call_output":
                self._result(item)
            case "reasoning":
                self._thought(item)
            case "item_reference":
                raise BadRequest(
                    f"The item at {item.at} is not stored here; send the item itself.",
                    param=item.at,
                    code="item_not_found",
                )
            case _:
                raise unknown_type(item.path("type"), type_, _TYPES)
        item.done()

    def say(self, role: neutral.Role, parts: tuple[Part, ...], at: str) -> None:
        last = self.messages[-1] if self.messages else None
        if role == "assistant" and last is not None and last.role == "assistant":
            self.messages[-1] = replace(last, parts=(*last.parts, *parts))
        else:
            self.messages.append(Message(role=role, parts=parts, at=at))

    def _message(self, item: Fields) -> None:
        role = item.word("role", _ROLES)
        if role is None:
            raise missing(item.path("role"))
        parts = _parts(item, "content")
        if role in ("user", "assistant"):
            self.say(cast(Any, role), parts, item.at)
            return
        texts = tuple(part for part in parts if isinstance(part, Text))
        if self.messages:
            self.say("system", texts, item.at)
        else:
            self.system += texts

    def _result(self, item: Fields) -> None:
        result = ToolResult(
            call_id=item.needed_text("call_id"),
            parts=cast(tuple[Text | Image | Audio | File, ...], _parts(item, "output")),
            at=item.at,
        )
        item.drop("name", "namespace")
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "user" and all(isinstance(part, ToolResult) for part in last.parts):
            self.messages[-1] = replace(last, parts=(*last.parts, result))
        else:
            self.messages.append(Message(role="user", parts=(result,), at=item.at))

    def _thought(self, item: Fields) -> None:
        summary = [one.text("text") or "" for one in item.objects("summary")]
        content = [one.text("text") or "" for one in item.objects("content")]
        sealed = item.text("encrypted_content")
        opaque, is_redacted = opaque_of(sealed) if sealed else (None, False)
        text = "\n\n".join(summary) or "\n\n".join(content)
        if text or opaque is not None:
            thought = Reasoning(text=text, opaque=opaque, is_redacted=is_redacted, at=item.at)
            self.say("assistant", (thought,), item.at)


def opaque_of(sealed: str) -> tuple[Opaque, bool]:
    """An item's `encrypted_content`, and whether it is all there is of the thought."""
    opaque = neutral.opaque_from(sealed, HOME)
    if opaque.value.startswith(REDACTED):
        return Opaque(opaque.origin, opaque.value.removeprefix(REDACTED)), True
    return opaque, False


def _call(item: Fields, *, is_custom: bool) -> ToolCall:
    name = tools.flat_name(item.text("namespace"), item.needed_text("name"))
    if is_custom:
        arguments = tools.as_arguments(item.text("input") or "")
    else:
        arguments = neutral.arguments_of(item.text("arguments") or "")
    extra = item.object("extra_content")
    google = extra.object("google") if extra is not None else None
    signature = google.text("thought_signature") if google is not None else None
    return ToolCall(
        id=item.needed_text("call_id"),
        name=name,
        arguments=arguments,
        # As in chat completions, where Google itself puts it: https://ai.google.dev/gemini-api/docs/thought-signatures
        opaque=neutral.opaque_from(signature, "google") if signature else None,
        at=item.at,
    )


def _parts(item: Fields, name: str) -> tuple[Part, ...]:
    value, at = item.any(name), item.path(name)
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(text=value, at=at),) if value else ()
    if not isinstance(value, list):
        raise wrong_type(at, list)
    parts: list[Part] = []
    for n, entry in enumerate(cast(list[Any], value)):
        part = Fields.of(entry, f"{at}[{n}]", item.unread)
        parts.append(_part(part))
        part.done()
    return tuple(parts)


def _part(part: Fields) -> Part:
    type_, cache = part.text("type"), _cache(part)
    match type_:
        case "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text":
            part.drop("annotations", "logprobs")
            return Text(text=part.needed_text("text"), cache=cache, at=part.at)
        case "refusal":
            return Refusal(text=part.needed_text("refusal"), at=part.at)
        case "input_image":
            detail, file_id, url = part.text("detail"), part.text("file_id"), part.text("image_url")
            detail = None if detail == "auto" else detail
            if url is None and file_id is None:
                raise missing(part.path("image_url"))
            source = Source(file_id=file_id) if url is None else _source(url, part.at)
            return Image(source=source, detail=detail, cache=cache, at=part.at)
        case "input_file":
            return _file(part, cache)
        case "input_audio":
            sound = part.object("input_audio")
            if sound is None:
                raise missing(part.path("input_audio"))
            format_ = sound.text("format") or "wav"
            media_type = "audio/mpeg" if format_ == "mp3" else f"audio/{format_}"
            return Audio(source=Source(data=sound.needed_text("data"), media_type=media_type), at=part.at)
        case _:
            raise unknown_type(part.path("type"), type_, _PART_TYPES)


def _file(part: Fields, cache: CacheMark | None) -> File:
    name, data = part.text("filename"), part.text("file_data")
    url, file_id = part.text("file_url"), part.text("file_id")
    part.drop("detail")
    if data is not None:
        source = _source(data, part.at, "application/pdf")
    elif url is not None:
        source = _source(url, part.at)
    elif file_id is not None:
        source = Source(file_id=file_id)
    else:
        raise missing(part.path("file_data"))
    return File(source=source, name=name, cache=cache, at=part.at)


def _source(url: str, at: str, media_type: str | None = None) -> Source:
    """A `data:` URL, an address, or bare base64 where `media_type` says what it would be."""
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        if not comma or not head.endswith(";base64"):
            raise BadRequest(f"The data: URL at {at} must be base64.", param=at)
        return Source(data=data, media_type=head.removesuffix(";base64").partition(";")[0] or media_type or "image/png")
    if url.startswith(("https://", "http://")):
        return Source(url=url, media_type=media_type)
    if media_type is not None:
        return Source(data=url, media_type=media_type)
    raise BadRequest(f"The URL at {at} must begin with https://, http:// or data:.", param=at)


def _cache(part: Fields) -> CacheMark | None:
    """OpenAI's own mark; it keeps 30 minutes or 12 hours, others 5 minutes or one hour."""
    mark = part.object("prompt_cache_breakpoint")
    if mark is None:
        return None
    mark.drop("mode")
    ttl = mark.text("ttl")
    mark.done()
    return CacheMark("1h" if ttl == "12h" else "5m")
