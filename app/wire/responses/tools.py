"""Tools of the Responses API, as functions that every provider knows, and the way back.

Three things exist here alone. A *custom* tool takes text as it is, without JSON (Codex's `apply_patch`): elsewhere it
is a function with one string, `input`. A *namespace* groups functions (Codex's MCP servers): elsewhere the two names
are one. OpenAI's own tools (`web_search`, `file_search`, …) run at OpenAI; nobody else can be told of them.

https://developers.openai.com/api/docs/guides/function-calling
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from app.base.errors import BadRequest
from app.wire.fields import Fields, missing
from app.wire.neutral import ToolChoice, ToolSpec

_FREE_TEXT = Raw(
    b'{"type":"object","properties":{"input":{"type":"string","description":"The whole input, as plain text."}},'
    b'"required":["input"],"additionalProperties":false}'
)
_MAX_NAME = 64
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")

Emulated = list[tuple[str, str]]


def read(fields: Fields, emulated: Emulated) -> tuple[ToolSpec, ...]:
    """The tools that can be offered anywhere; the others are left among the unread."""
    specs: list[ToolSpec] = []
    for tool in fields.objects("tools"):
        specs += _read_one(tool, None, emulated)
    return tuple(specs)


def read_choice(
    fields: Fields, tools: tuple[ToolSpec, ...], emulated: Emulated
) -> tuple[ToolChoice | None, tuple[ToolSpec, ...]]:
    """Which tool is to be called, and the tools that are left to choose from."""
    at = fields.path("tool_choice")
    value = fields.any("tool_choice")
    if value is None:
        return None, tools
    if isinstance(value, str):
        if value not in ("auto", "none", "required"):
            raise BadRequest(f"The field {at} must be auto, none, required or an object.", param=at)
        return ToolChoice(mode=cast(Any, value)), tools
    choice = Fields.of(value, at, fields.unread)
    match choice.needed_text("type"):
        case "function" | "custom":
            name = flat_name(choice.text("namespace"), choice.needed_text("name"))
            choice.done()
            return ToolChoice(mode="tool", name=name), tools
        case "allowed_tools":
            mode = choice.word("mode", ("auto", "required")) or "auto"
            allowed = {
                flat_name(one.text("namespace"), name) for one in choice.objects("tools") if (name := one.text("name"))
            }
            emulated.append((at, "only the allowed tools are offered"))
            return ToolChoice(mode=cast(Any, mode)), tuple(spec for spec in tools if spec.name in allowed)
        case _:
            fields.unread.append(at)
            return None, tools


def flat_name(namespace: str | None, name: str) -> str:
    """One name for a function and its namespace, as other formats allow it; the same two always give the same one."""
    if not namespace:
        return name
    joined = _NO_NAME.sub("_", f"{namespace.rstrip('_')}__{name}")
    if len(joined) <= _MAX_NAME:
        return joined
    return f"{joined[:47]}_{hashlib.sha256(joined.encode()).hexdigest()[:16]}"


class Called(Struct, frozen=True):
    """A tool as its caller named it."""

    name: str
    namespace: str | None = None
    is_custom: bool = False


class Names:
    """Which tool of the request a model means by the name that it was told."""

    def __init__(self, tools: Raw | None) -> None:
        self._called: dict[str, Called] = {}
        # Most requests hold nothing but functions, whose names stay.
        if tools is not None and (b'"custom"' in bytes(tools) or b'"namespace"' in bytes(tools)):
            self._add(msgspec.json.decode(tools), None)

    def __getitem__(self, name: str) -> Called:
        return self._called.get(name) or Called(name)

    def _add(self, tools: Any, namespace: str | None) -> None:
        for entry in cast(list[Any], tools) if isinstance(tools, list) else []:
            tool = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
            name = tool.get("name")
            if not isinstance(name, str):
                continue
            if tool.get("type") == "namespace":
                self._add(tool.get("tools"), name)
            elif tool.get("type") in ("function", "custom"):
                self._called[flat_name(namespace, name)] = Called(name, namespace, tool["type"] == "custom")


def free_text(arguments: str) -> str:
    """What a model wants to hand to a custom tool, out of the function's arguments."""
    try:
        value: Any = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return arguments
    if not isinstance(value, dict):
        return arguments
    held = cast(Mapping[str, Any], value)
    given = held.get("input", held.get("_raw"))
    if given is None and len(held) == 1:
        # Models rename what they think they know: {"patch": "…"}.
        given = next(iter(held.values()))
    return given if isinstance(given, str) else arguments


def as_arguments(text: str) -> Raw:
    """The other way round."""
    return Raw(msgspec.json.encode({"input": text}))


def _read_one(tool: Fields, namespace: str | None, emulated: Emulated) -> list[ToolSpec]:
    type_ = tool.needed_text("type")
    match type_:
        case "function":
            spec = ToolSpec(
                name=flat_name(namespace, tool.needed_text("name")),
                description=tool.text("description"),
                strict=tool.flag("strict"),
                at=tool.at,
            )
            parameters = tool.raw("parameters")
            # How a program of OpenAI's own may call it, and when it is found.
            tool.drop("allowed_callers", "defer_loading", "async", "output_schema")
            tool.done()
            return [spec if parameters is None else replace(spec, parameters=parameters)]
        case "custom":
            return [_custom(tool, namespace, emulated)]
        case "namespace":
            name = tool.needed_text("name")
            if not tool.has("tools"):
                raise missing(tool.path("tools"))
            emulated.append((tool.at, "the namespace is part of its tools' names"))
            tool.drop("description")
            return [spec for inner in tool.objects("tools") for spec in _read_one(inner, name, emulated)]
        case _:
            tool.unread.append(tool.at)
            return []


def _custom(tool: Fields, namespace: str | None, emulated: Emulated) -> ToolSpec:
    emulated.append((tool.at, "a function with one string, input"))
    name, description = tool.needed_text("name"), tool.text("description") or ""
    format_ = tool.object("format")
    if format_ is not None and format_.text("type") == "grammar":
        syntax, definition = format_.text("syntax") or "", format_.text("definition") or ""
        description = f"{description}\n\nThe input must follow this {syntax} grammar:\n{definition}".strip()
    tool.drop("allowed_callers", "defer_loading", "async")
    tool.done()
    return ToolSpec(name=flat_name(namespace, name), description=description or None, parameters=_FREE_TEXT, at=tool.at)
