"""Chat completions, client face: what callers of `/v1/chat/completions` say.

https://developers.openai.com/api/reference/resources/chat/subresources/completions/methods/create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from msgspec.structs import replace

from app.base.errors import BadRequest
from app.wire import neutral
from app.wire.fields import Fields, missing, unknown_type, wrong_type
from app.wire.neutral import (
    Conversation,
    Message,
    OutputFormat,
    Part,
    ReasoningWish,
    Refusal,
    Sampling,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolSpec,
)
from app.wire.openai.chat_client_parts import cache_of, content_of, thoughts_of
from app.wire.request import Request, fields_of, raw_of

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")

_PLACES: tuple[tuple[str, str], ...] = (
    # Of two spellings of one setting the later one counts, here and where they are read.
    ("max_tokens", "max_tokens"),
    ("max_tokens", "max_completion_tokens"),
    *((name, name) for name in ("temperature", "top_p", "top_k", "stop", "seed", "presence_penalty")),
    *((name, name) for name in ("frequency_penalty", "n", "logprobs", "logit_bias", "service_tier")),
    *((name, name) for name in ("verbosity", "modalities", "user")),
    ("tool_choice", "function_call"),
    ("tool_choice", "tool_choice"),
    ("has_parallel_tools", "parallel_tool_calls"),
    ("output", "response_format"),
    ("reasoning", "thinking"),
    ("reasoning", "reasoning"),
    ("reasoning", "reasoning_effort"),
    ("user", "safety_identifier"),
)


def read_conversation(request: Request) -> Conversation:
    """
    Raises:
        BadRequest: a field is missing or of the wrong type; `param` is its path.
    """
    fields = fields_of(request)
    places = {ours: theirs for ours, theirs in _PLACES if fields.has(theirs)}
    system, messages = _messages(fields)
    tools, choice = _choose(_tools(fields), fields)
    conversation = Conversation(
        system=system,
        messages=messages,
        tools=tools,
        tool_choice=choice,
        has_parallel_tools=fields.flag("parallel_tool_calls"),
        sampling=_sampling(fields),
        output=_output(fields),
        reasoning=_reasoning(fields),
        user=fields.text("safety_identifier") or fields.text("user"),
        service_tier=fields.text("service_tier"),
        verbosity=fields.text("verbosity"),
        modalities=fields.texts("modalities"),
        places=places,
    )
    # What it does is known elsewhere: the model and the stream are the call's own.
    fields.drop("model", "stream", "stream_options", "user")
    conversation.extras = fields.rest()
    # For OpenAI's own storage, without a meaning for others.
    fields.drop("store", "metadata", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options")
    fields.done()
    conversation.unread = tuple(fields.unread)
    return conversation


def _messages(fields: Fields) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    system: list[Text] = []
    messages: list[Message] = []
    if not fields.has("messages"):
        raise missing("messages")
    for message in fields.objects("messages"):
        role = message.word("role", _ROLES)
        if role is None:
            raise missing(message.path("role"))
        if role in ("system", "developer"):
            texts = _texts(message)
            if messages:
                messages.append(Message(role="system", parts=texts, name=message.text("name"), at=message.at))
            else:
                system += texts
        elif role in ("tool", "function"):
            _add_result(messages, message)
        elif role == "user":
            parts = content_of(message)
            messages.append(Message(role="user", parts=parts, name=message.text("name"), at=message.at))
        else:
            messages.append(Message(role="assistant", parts=_said(message), name=message.text("name"), at=message.at))
        message.done()
    return tuple(system), tuple(messages)


def _texts(message: Fields) -> tuple[Text, ...]:
    texts: list[Text] = []
    for part in content_of(message):
        if not isinstance(part, Text):
            raise BadRequest(f"The part at {part.at} cannot stand in a system message.", param=part.at)
        texts.append(part)
    return tuple(texts)


def _add_result(messages: list[Message], message: Fields) -> None:
    """Results of one turn stand in messages of their own here; in the neutral form they are one user message."""
    name, call_id = message.text("name"), message.text("tool_call_id")
    if call_id is None:
        # The older `function` messages know their call by its name alone.
        call_id = name if name is not None else message.needed_text("tool_call_id")
    cache = cache_of(message)
    parts = content_of(message)
    for part in parts:
        if isinstance(part, Refusal):
            raise BadRequest(f"The part at {part.at} cannot stand in a tool's message.", param=part.at)
    result = ToolResult(call_id=call_id, parts=cast(Any, parts), name=name, cache=cache, at=message.at)
    last = messages[-1] if messages else None
    if last is not None and last.role == "user" and all(isinstance(part, ToolResult) for part in last.parts):
        messages[-1] = replace(last, parts=(*last.parts, result))
    else:
        messages.append(Message(role="user", parts=(result,), at=message.at))


def _said(message: Fields) -> tuple[Part, ...]:
    """An assistant's turn: thoughts, then text, then tool calls."""
    parts: list[Part] = [*thoughts_of(message), *content_of(message)]
    refusal = message.text("refusal")
    if refusal:
        parts.append(Refusal(text=refusal, at=message.path("refusal")))
    for call in message.objects("tool_calls"):
        parts.append(_call(call))
    old = message.object("function_call")
    if old is not None:
        name = old.needed_text("name")
        parts.append(ToolCall(id=name, name=name, arguments=_arguments(old), at=old.at))
        old.done()
    # What was searched and found is known to the one who answered; pictures are shown by their own part.
    message.drop("annotations")
    return tuple(parts)


def _call(call: Fields) -> ToolCall:
    type_ = call.text("type") or "function"
    if type_ != "function":
        raise unknown_type(call.path("type"), type_, ("function",))
    function = call.object("function")
    if function is None:
        raise missing(call.path("function"))
    call.drop("index")
    id_ = call.needed_text("id")
    made = ToolCall(
        id=id_,
        name=function.needed_text("name"),
        arguments=_arguments(function),
        opaque=_signature(call),
        cache=cache_of(call),
        at=call.at,
    )
    function.done()
    call.done()
    return made


def _arguments(function: Fields) -> Any:
    """JSON as a string, as documented; clients of Ollama's own API give the object itself."""
    given = function.any("arguments")
    if given is None or isinstance(given, str):
        return neutral.arguments_of(given or "")
    if isinstance(given, dict):
        return raw_of(cast(dict[str, Any], given))
    raise wrong_type(function.path("arguments"), str)


def _signature(call: Fields) -> neutral.Opaque | None:
    """https://ai.google.dev/gemini-api/docs/thought-signatures: where OpenAI's format carries them."""
    extra = call.object("extra_content")
    if extra is None:
        return None
    google = extra.object("google")
    extra.done()
    if google is None:
        return None
    signature = google.text("thought_signature")
    google.done()
    return neutral.opaque_from(signature, "google") if signature else None


def _tools(fields: Fields) -> tuple[ToolSpec, ...]:
    tools: list[ToolSpec] = []
    for tool in fields.objects("tools"):
        type_ = tool.text("type") or "function"
        if type_ != "function":
            # A tool of the provider's own (web_search, custom): no other provider has it.
            fields.unread.append(tool.at)
            continue
        function = tool.object("function")
        if function is None:
            raise missing(tool.path("function"))
        tools.append(replace(_tool(function), cache=cache_of(tool)))
        tool.done()
    tools += [_tool(function) for function in fields.objects("functions")]
    return tuple(tools)


def _tool(function: Fields) -> ToolSpec:
    spec = ToolSpec(
        name=function.needed_text("name"),
        description=function.text("description"),
        strict=function.flag("strict"),
        at=function.at,
    )
    parameters = _schema(function, "parameters")
    function.done()
    return spec if parameters is None else replace(spec, parameters=parameters)


def _schema(fields: Fields, name: str) -> Any:
    """A JSON schema, passed on unread."""
    schema = fields.any(name)
    if schema is None:
        return None
    if not isinstance(schema, dict):
        raise wrong_type(fields.path(name), dict)
    return raw_of(cast(dict[str, Any], schema))


def _choose(tools: tuple[ToolSpec, ...], fields: Fields) -> tuple[tuple[ToolSpec, ...], ToolChoice | None]:
    """Which tools may be called, and whether one must."""
    old, new = fields.any("function_call"), fields.any("tool_choice")
    choice, at = (new, "tool_choice") if new is not None else (old, "function_call")
    if choice is None:
        return tools, None
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise BadRequest(f"The field {at} must be auto, none, required or a function.", param=at)
        return tools, ToolChoice(mode=cast(Any, choice))
    if not isinstance(choice, dict):
        raise wrong_type(at, dict)
    entry = cast(dict[str, Any], choice)
    allowed: Any = entry.get("allowed_tools")
    if isinstance(allowed, dict):
        return _allowed(tools, Fields(dict(cast(dict[str, Any], allowed)), f"{at}.allowed_tools"))
    function: Any = entry.get("function")
    name = cast(dict[str, Any], function).get("name") if isinstance(function, dict) else entry.get("name")
    if not isinstance(name, str):
        raise missing(f"{at}.function.name")
    return tools, ToolChoice(mode="tool", name=name)


def _allowed(tools: tuple[ToolSpec, ...], allowed: Fields) -> tuple[tuple[ToolSpec, ...], ToolChoice]:
    """A choice among some of the tools: the others are not offered, which comes to the same."""
    mode = allowed.word("mode", ("auto", "required")) or "auto"
    names: set[str] = set()
    for tool in allowed.objects("tools"):
        function = tool.object("function")
        if function is not None:
            names.add(function.needed_text("name"))
    return tuple(tool for tool in tools if tool.name in names), ToolChoice(mode=cast(Any, mode))


def _sampling(fields: Fields) -> Sampling:
    old, new = fields.whole("max_tokens", least=1), fields.whole("max_completion_tokens", least=1)
    logprobs, top = fields.flag("logprobs"), fields.whole("top_logprobs")
    return Sampling(
        max_tokens=new if new is not None else old,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        stop=fields.texts("stop"),
        seed=fields.whole("seed"),
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
        n=fields.whole("n", least=1),
        logprobs=(top or 0) if logprobs else None,
        logit_bias=fields.raw("logit_bias"),
    )


def _output(fields: Fields) -> OutputFormat | None:
    format_ = fields.object("response_format")
    if format_ is None:
        return None
    type_ = format_.word("type", ("text", "json_object", "json_schema"))
    if type_ is None:
        raise missing(format_.path("type"))
    wanted = format_.object("json_schema")
    format_.done()
    if type_ == "text":
        return None
    if type_ == "json_object":
        return OutputFormat(mode="json")
    if wanted is None:
        raise missing(format_.path("json_schema"))
    schema = _schema(wanted, "schema")
    if schema is None:
        raise missing(wanted.path("schema"))
    made = OutputFormat(
        mode="json_schema",
        name=wanted.text("name") or "answer",
        description=wanted.text("description"),
        strict=wanted.flag("strict"),
        schema=schema,
    )
    wanted.done()
    return made


def _reasoning(fields: Fields) -> ReasoningWish | None:
    """`reasoning_effort`, OpenRouter's `reasoning` object, or the switch `thinking` of DeepSeek and Ark.

    https://api-docs.deepseek.com/guides/thinking_mode: what it says beside the switch is the effort.
    """
    effort = fields.word("reasoning_effort", _EFFORTS)
    inner, switch = fields.object("reasoning"), fields.object("thinking")
    wishes: dict[str, Any] = {"effort": effort}
    if inner is not None:
        wishes["effort"] = effort or inner.word("effort", _EFFORTS)
        wishes["budget_tokens"] = inner.whole("max_tokens", least=0)
        excluded, enabled = inner.flag("exclude"), inner.flag("enabled")
        if excluded is not None:
            wishes["is_shown"] = not excluded
        if enabled is False:
            wishes |= _OFF
        inner.drop("effort")
        inner.done()
    if switch is not None:
        type_ = switch.text("type")
        wishes["budget_tokens"] = switch.whole("budget_tokens", least=0) or wishes.get("budget_tokens")
        switch.done()
        if type_ == "disabled":
            wishes |= _OFF
    if inner is None and switch is None and effort is None:
        return None
    return ReasoningWish(**wishes)


_OFF: Mapping[str, Any] = {"effort": "none", "budget_tokens": None}
