"""generateContent, client face: what callers say. Field names are taken in both spellings and told in camelCase.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from app.base.errors import BadRequest
from app.wire.fields import Fields, missing
from app.wire.gemini import names, schemas
from app.wire.gemini.part_reader import PartReader
from app.wire.neutral import (
    Conversation,
    Effort,
    Message,
    OutputFormat,
    Part,
    ReasoningWish,
    Sampling,
    Text,
    ToolChoice,
    ToolResult,
    ToolSpec,
)
from app.wire.request import Request

_ROLES = ("user", "model", "function")
_EFFORTS: dict[str, Effort] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}
_MODES = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
_CONFIG = "generationConfig"
_PLACES = (
    ("max_tokens", "maxOutputTokens"),
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("stop", "stopSequences"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("n", "candidateCount"),
    ("logprobs", "responseLogprobs"),
    ("modalities", "responseModalities"),
    ("reasoning", "thinkingConfig"),
    ("output", "responseMimeType"),
    ("output", "responseSchema"),
    ("output", "responseJsonSchema"),
)


def read_conversation(request: Request) -> Conversation:
    """
    Raises:
        BadRequest: a field is missing or of the wrong type; `param` is its path.
    """
    fields = _fields_of(request)
    config = fields.object(_CONFIG)
    places = {"messages": "contents", "tool_choice": "toolConfig.functionCallingConfig"}
    if config is not None:
        places |= {ours: config.path(theirs) for ours, theirs in _PLACES if config.has(theirs)}
    tools = _tools(fields)
    choice, tools, emulated = _tool_choice(fields, tools)
    said = Conversation(
        system=_system(fields),
        messages=_messages(fields),
        tools=tools,
        tool_choice=choice,
        sampling=_sampling(config) if config is not None else Sampling(),
        output=_output(config) if config is not None else None,
        reasoning=_reasoning(config) if config is not None else None,
        modalities=_modalities(config) if config is not None else (),
        service_tier=_service_tier(fields),
        places={**places, "service_tier": "serviceTier"},
        emulated=emulated,
    )
    # The model is the call's own; labels and `store` are for Google's own bookkeeping.
    fields.drop("model", "labels", "store")
    if config is not None:
        config.done()
    fields.done()
    said.unread = tuple(fields.unread)
    return said


def _fields_of(request: Request) -> Fields:
    values = {name: msgspec.json.decode(raw) for name, raw in (request.document or {}).items()}
    return Fields(cast(dict[str, Any], names.in_camel_case(values)))


def _system(fields: Fields) -> tuple[Text, ...]:
    value = fields.any("systemInstruction")
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(text=value, at="systemInstruction"),) if value else ()
    content = Fields.of(value, "systemInstruction", fields.unread)
    content.drop("role")
    parts = PartReader().parts(content)
    content.done()
    return tuple(part for part in parts if isinstance(part, Text))


def _messages(fields: Fields) -> tuple[Message, ...]:
    if not fields.has("contents"):
        raise missing("contents")
    reader = PartReader()
    messages: list[Message] = []
    for content in fields.objects("contents"):
        role = content.word("role", _ROLES) or "user"
        last = messages[-1] if messages else None
        goes_on = role == "model" and last is not None and last.role == "assistant"
        if role == "model" and not goes_on:
            reader.turn()
        parts: list[Part] = list(reader.parts(content))
        content.done()
        if last is not None and goes_on:
            # What was streamed to it Google's library gives back as one content for each piece.
            messages[-1] = replace(last, parts=(*last.parts, *parts))
            continue
        if role == "model":
            messages.append(Message(role="assistant", parts=tuple(parts), at=content.at))
            continue
        # Results come first in the neutral form, whatever stands between them.
        parts.sort(key=lambda part: not isinstance(part, ToolResult))
        messages.append(Message(role="user", parts=tuple(parts), at=content.at))
    return tuple(messages)


def _tools(fields: Fields) -> tuple[ToolSpec, ...]:
    tools: list[ToolSpec] = []
    for tool in fields.objects("tools"):
        for function in tool.objects("functionDeclarations"):
            tools.append(_tool(function))
        # What is left is a tool of Google's own (googleSearch, codeExecution): no other provider has it.
        tool.done()
    return tuple(tools)


def _tool(function: Fields) -> ToolSpec:
    name, description = function.needed_text("name"), function.text("description")
    schema, own = function.any("parametersJsonSchema"), function.any("parameters")
    # They describe what the function gives; nobody is bound by them.
    function.drop("response", "responseJsonSchema")
    function.done()
    if schema is None and own is not None:
        schema = schemas.to_json_schema(own)
    if not isinstance(schema, dict):
        return ToolSpec(name=name, description=description, at=function.at)
    parameters = Raw(msgspec.json.encode(cast(dict[str, Any], schema)))
    return ToolSpec(name=name, description=description, parameters=parameters, at=function.at)


def _tool_choice(
    fields: Fields, tools: tuple[ToolSpec, ...]
) -> tuple[ToolChoice | None, tuple[ToolSpec, ...], tuple[tuple[str, str], ...]]:
    """The choice, the tools that may be called, and what is done in another way."""
    config = fields.object("toolConfig")
    calling = config.object("functionCallingConfig") if config is not None else None
    if config is None or calling is None:
        if config is not None:
            config.done()
        return None, tools, ()
    mode = calling.word("mode", _MODES) or "AUTO"
    allowed = calling.texts("allowedFunctionNames")
    calling.done()
    config.done()
    if mode == "NONE":
        return ToolChoice(mode="none"), tools, ()
    if mode != "ANY":
        return ToolChoice(mode="auto"), tools, ()
    if not allowed:
        return ToolChoice(mode="required"), tools, ()
    if len(allowed) == 1:
        return ToolChoice(mode="tool", name=allowed[0]), tools, ()
    path = calling.path("allowedFunctionNames")
    offered = tuple(tool for tool in tools if tool.name in allowed)
    if len(offered) == len(tools):
        return ToolChoice(mode="required"), tools, ()
    return ToolChoice(mode="required"), offered, ((path, "the other functions are not offered"),)


def _sampling(config: Fields) -> Sampling:
    has_logprobs, logprobs = config.flag("responseLogprobs"), config.whole("logprobs")
    return Sampling(
        max_tokens=config.whole("maxOutputTokens", least=1),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.whole("topK"),
        stop=config.texts("stopSequences"),
        seed=config.whole("seed"),
        presence_penalty=config.number("presencePenalty"),
        frequency_penalty=config.number("frequencyPenalty"),
        n=config.whole("candidateCount", least=1),
        logprobs=(logprobs or 0) if has_logprobs else None,
    )


def _output(config: Fields) -> OutputFormat | None:
    media = config.text("responseMimeType")
    schema, own = config.any("responseJsonSchema"), config.any("responseSchema")
    if schema is None and own is not None:
        schema = schemas.to_json_schema(own)
    if media not in (None, "application/json", "text/plain"):
        # `text/x.enum` is an answer of one bare word, which no other provider knows.
        config.unread.append(config.path("responseMimeType"))
        return None
    if schema is not None:
        if not isinstance(schema, dict):
            path = config.path("responseJsonSchema")
            raise BadRequest(f"The field {path} must be an object.", param=path)
        named: Any = cast(dict[str, Any], schema).get("title")
        return OutputFormat(
            mode="json_schema",
            name=named if isinstance(named, str) and _is_name(named) else "answer",
            schema=Raw(msgspec.json.encode(cast(dict[str, Any], schema))),
        )
    return OutputFormat(mode="json") if media == "application/json" else None


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 64 and text.isascii() and text.replace("_", "").replace("-", "").isalnum()


def _reasoning(config: Fields) -> ReasoningWish | None:
    """A level, or a budget in tokens: 0 is none, -1 leaves it to the model."""
    thinking = config.object("thinkingConfig")
    if thinking is None:
        return None
    is_shown, budget = thinking.flag("includeThoughts"), thinking.whole("thinkingBudget", least=-1)
    level = thinking.text("thinkingLevel")
    effort = None
    if level is not None and level.upper() != "THINKING_LEVEL_UNSPECIFIED":
        effort = _EFFORTS.get(level.upper())
        if effort is None:
            path = thinking.path("thinkingLevel")
            raise BadRequest(f"The field {path} must be one of: {', '.join(_EFFORTS)}.", param=path)
    thinking.done()
    if budget == 0:
        return ReasoningWish(effort="none", is_shown=is_shown)
    if budget == -1:
        budget = None
    return ReasoningWish(effort=effort, budget_tokens=budget, is_shown=is_shown)


def _modalities(config: Fields) -> tuple[str, ...]:
    return tuple(word.lower() for word in config.texts("responseModalities") if word != "MODALITY_UNSPECIFIED")


_TIERS = {"flex": "flex", "priority": "priority", "standard": "default"}


def _service_tier(fields: Fields) -> str | None:
    tier = fields.text("serviceTier")
    return None if tier is None else _TIERS.get(tier.lower().removeprefix("service_tier_"))
