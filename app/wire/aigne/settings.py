"""What a chat or completion asks for beside its messages: tools, sampling, reasoning, an output format, caching."""

from __future__ import annotations

import re
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from app.base.errors import BadRequest
from app.wire.aigne import strictness
from app.wire.aigne.parts import cache_of
from app.wire.aigne.spelling import spelt
from app.wire.fields import Fields, missing, unknown_type, wrong_type
from app.wire.neutral import CacheMark, OutputFormat, ReasoningWish, Sampling, ToolChoice, ToolSpec
from app.wire.request import raw_of

PLACES = {
    "max_tokens": ("maxTokens", "maxCompletionTokens", "maxOutputTokens"),
    "temperature": ("temperature",),
    "top_p": ("topP",),
    "top_k": ("topK",),
    "stop": ("stop", "stopSequences"),
    "seed": ("seed",),
    "presence_penalty": ("presencePenalty",),
    "frequency_penalty": ("frequencyPenalty",),
    "has_parallel_tools": ("parallelToolCalls",),
    "reasoning": ("reasoningEffort",),
    "modalities": ("modalities",),
    "user": ("user",),
    "service_tier": ("serviceTier",),
    "verbosity": ("verbosity",),
    "cache_all": ("cacheConfig",),
}
"""Our name of a setting → its names in `modelOptions`, or at the top of a completion."""

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_OUTPUTS = ("text", "json_object", "json_schema")
_CHANGED = re.compile(r"[-\s]")


def tools(fields: Fields) -> tuple[ToolSpec, ...]:
    """
    Raises:
        BadRequest: `param` is the path.
    """
    made: list[ToolSpec] = []
    for tool in fields.objects("tools"):
        type_ = tool.text("type") or "function"
        if type_ != "function":
            raise unknown_type(tool.path("type"), type_, ("function",))
        function = tool.object("function")
        if function is None:
            raise missing(tool.path("function"))
        spec = ToolSpec(
            name=function.needed_text("name"),
            description=function.text("description"),
            strict=function.flag("strict"),
            cache=cache_of(tool),
            at=function.at,
        )
        parameters = function.raw("parameters")
        function.done()
        tool.drop("extra")
        tool.done()
        made.append(spec if parameters is None else replace(spec, parameters=parameters))
    return tuple(made)


def tool_choice(fields: Fields, known: tuple[ToolSpec, ...]) -> ToolChoice | None:
    """A word, or the tool that has to be called: with its whole definition, and maybe by its original name.

    The framework's client writes `get_weather` for `get-weather` in `tools` and leaves the name here as it was.
    """
    name = spelt(fields, "toolChoice")
    choice, at = fields.any(name), fields.path(name)
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise BadRequest(f"The field {at} must be auto, none, required or a function.", param=at)
        return ToolChoice(mode=cast(Any, choice))
    if not isinstance(choice, dict):
        raise wrong_type(at, dict)
    function: Any = cast(dict[str, Any], choice).get("function")
    wanted: Any = cast(dict[str, Any], function).get("name") if isinstance(function, dict) else None
    if not isinstance(wanted, str):
        raise missing(f"{at}.function.name")
    names = {tool.name for tool in known}
    changed = _CHANGED.sub("_", wanted)
    return ToolChoice(mode="tool", name=changed if wanted not in names and changed in names else wanted)


def sampling(fields: Fields) -> Sampling:
    def whole(ours: str, least: int | None = None) -> int | None:
        return fields.whole(spelt(fields, *PLACES[ours]), least=least)

    def number(ours: str) -> float | None:
        return fields.number(spelt(fields, *PLACES[ours]))

    return Sampling(
        max_tokens=whole("max_tokens", 1),
        temperature=number("temperature"),
        top_p=number("top_p"),
        top_k=whole("top_k"),
        stop=fields.texts(spelt(fields, *PLACES["stop"])),
        seed=whole("seed"),
        presence_penalty=number("presence_penalty"),
        frequency_penalty=number("frequency_penalty"),
    )


def reasoning(fields: Fields) -> ReasoningWish | None:
    """A word, or a number of tokens."""
    name = spelt(fields, "reasoningEffort")
    value, at = fields.any(name), fields.path(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return ReasoningWish(budget_tokens=value)
    if isinstance(value, str) and value in _EFFORTS:
        return ReasoningWish(effort=cast(Any, value))
    raise BadRequest(f"The field {at} must be a number of tokens or one of: {', '.join(_EFFORTS)}.", param=at)


def output(fields: Fields, emulated: list[tuple[str, str]]) -> OutputFormat | None:
    """`emulated` gathers (path, how) of what stands in the result in another way."""
    format_ = fields.object(spelt(fields, "responseFormat"))
    if format_ is None:
        return None
    type_ = format_.word("type", _OUTPUTS)
    if type_ in (None, "text"):
        format_.done()
        return None
    if type_ == "json_object":
        format_.done()
        return OutputFormat(mode="json")
    name = spelt(format_, "jsonSchema")
    schema = format_.object(name)
    if schema is None:
        raise missing(format_.path(name))
    wanted = schema.any("schema")
    if wanted is None:
        raise missing(schema.path("schema"))
    if not isinstance(wanted, dict):
        raise wrong_type(schema.path("schema"), dict)
    strict = schema.flag("strict")
    if strict:
        closed = strictness.closed(wanted)
        if closed is None:
            strict = None
            emulated.append((schema.path("strict"), "the schema has no strict form"))
        else:
            wanted = closed
    made = OutputFormat(
        mode="json_schema",
        name=schema.text("name") or "answer",
        description=schema.text("description"),
        strict=strict,
        schema=raw_of(wanted),
    )
    schema.done()
    format_.done()
    return made


class Caching(Struct, frozen=True):
    """What `cacheConfig` asks for: everything up to the last message, or marks at the end of the tools and of what the
    system says."""

    everything: CacheMark | None = None
    tools: CacheMark | None = None
    system: CacheMark | None = None


def caching(fields: Fields) -> Caching:
    """`{enabled, ttl, strategy: auto | manual, autoBreakpoints: {tools, system, lastMessage}}`.

    Where it is there, tools and system are marked unless it says otherwise, the last message only if it says so.
    """
    config = fields.object(spelt(fields, "cacheConfig"))
    if config is None:
        return Caching()
    enabled, ttl = config.flag("enabled"), config.text("ttl")
    strategy = config.word("strategy", ("auto", "manual"))
    points = config.object(spelt(config, "autoBreakpoints"))
    config.done()
    marks = {"tools": True, "system": True, "lastMessage": False}
    if points is not None:
        for point in marks:
            said = points.flag(spelt(points, point))
            marks[point] = marks[point] if said is None else said
        points.done()
    if enabled is False or strategy == "manual":
        return Caching()
    mark = CacheMark("1h" if ttl == "1h" else "5m")
    if marks["lastMessage"]:
        # What is cached up to the last message holds the tools and the system's words.
        return Caching(everything=mark)
    return Caching(tools=mark if marks["tools"] else None, system=mark if marks["system"] else None)
