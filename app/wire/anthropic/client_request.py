"""Messages, client face: what callers of `/v1/messages` say.

https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

from typing import Any, cast

from msgspec import Raw

from app.wire.anthropic.client_parts import Blocks, Emulated, cache_of
from app.wire.fields import Fields, missing, wrong_type
from app.wire.neutral import Conversation, Message, OutputFormat, ReasoningWish, Sampling, Text, ToolChoice, ToolSpec
from app.wire.request import Request, fields_of, raw_of

_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_THINKING = ("enabled", "adaptive", "disabled", "between_tools")
_CHOICES = {"auto": "auto", "any": "required", "tool": "tool", "none": "none"}

_PLACES = (
    *((name, name) for name in ("max_tokens", "temperature", "top_p", "top_k", "service_tier", "tool_choice")),
    ("stop", "stop_sequences"),
    ("cache_all", "cache_control"),
    ("reasoning", "thinking"),
    ("user", "metadata"),
    ("output", "output_format"),
)


def read_conversation(request: Request) -> Conversation:
    """
    Raises:
        BadRequest: a field is missing or of the wrong type; `param` is its path.
    """
    fields = fields_of(request)
    places = {ours: theirs for ours, theirs in _PLACES if fields.has(theirs)}
    emulated: Emulated = []
    blocks = Blocks(emulated)
    max_tokens = fields.whole("max_tokens", least=1)
    if max_tokens is None:
        raise missing("max_tokens")
    system = blocks.texts_of(fields, "system")
    messages = _messages(fields, blocks)
    choice, has_parallel = _choice(fields)
    effort, output = _output_config(fields, places)
    conversation = Conversation(
        system=system,
        messages=messages,
        tools=_tools(fields),
        tool_choice=choice,
        has_parallel_tools=has_parallel,
        sampling=Sampling(
            max_tokens=max_tokens,
            temperature=fields.number("temperature"),
            top_p=fields.number("top_p"),
            top_k=fields.whole("top_k"),
            stop=fields.texts("stop_sequences"),
        ),
        output=output,
        reasoning=_reasoning(fields, effort, places),
        user=_user(fields),
        service_tier=_tier(fields),
        cache_all=cache_of(fields),
        places=places,
    )
    # The model and the stream are the call's own.
    fields.drop("model", "stream")
    conversation.extras = fields.rest()
    fields.done()
    conversation.unread = tuple(fields.unread)
    conversation.emulated = tuple(emulated)
    return conversation


def _messages(fields: Fields, blocks: Blocks) -> tuple[Message, ...]:
    messages: list[Message] = []
    if not fields.has("messages"):
        raise missing("messages")
    for message in fields.objects("messages"):
        role = message.word("role", ("user", "assistant", "system"))
        if role is None:
            raise missing(message.path("role"))
        if role == "system":
            texts: tuple[Text, ...] = blocks.texts_of(message)
            messages.append(Message(role="system", parts=texts, at=message.at))
        else:
            messages.append(Message(role=cast(Any, role), parts=blocks.content_of(message), at=message.at))
        message.done()
    return tuple(messages)


def _tools(fields: Fields) -> tuple[ToolSpec, ...]:
    tools: list[ToolSpec] = []
    for tool in fields.objects("tools"):
        type_ = tool.text("type")
        if type_ not in (None, "custom"):
            # A tool that Anthropic runs or has trained: no other provider has it.
            fields.unread.append(tool.at)
            continue
        schema = _schema(tool, "input_schema")
        if schema is None:
            raise missing(tool.path("input_schema"))
        # How its arguments are cut into pieces matters to nobody else.
        tool.drop("eager_input_streaming")
        tools.append(
            ToolSpec(
                name=tool.needed_text("name"),
                description=tool.text("description"),
                parameters=schema,
                strict=tool.flag("strict"),
                cache=cache_of(tool),
                at=tool.at,
            )
        )
        tool.done()
    return tuple(tools)


def _schema(fields: Fields, name: str) -> Raw | None:
    schema = fields.any(name)
    if schema is None:
        return None
    if not isinstance(schema, dict):
        raise wrong_type(fields.path(name), dict)
    return raw_of(cast(dict[str, Any], schema))


def _choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    choice = fields.object("tool_choice")
    if choice is None:
        return None, None
    type_ = choice.word("type", _CHOICES)
    if type_ is None:
        raise missing(choice.path("type"))
    name = choice.needed_text("name") if type_ == "tool" else None
    is_single = choice.flag("disable_parallel_tool_use")
    choice.done()
    return ToolChoice(mode=cast(Any, _CHOICES[type_]), name=name), None if is_single is None else not is_single


def _output_config(fields: Fields, places: dict[str, str]) -> tuple[str | None, OutputFormat | None]:
    """The effort, and the schema of the answer under its present name or the one of its beta."""
    config = fields.object("output_config")
    effort: str | None = None
    output: OutputFormat | None = None
    if config is not None:
        effort = config.word("effort", _EFFORTS)
        if config.has("format"):
            places["output"] = config.path("format")
            output = _format(config, "format")
        config.done()
        if effort is not None:
            places.setdefault("reasoning", config.path("effort"))
    old = _format(fields, "output_format")
    return effort, output or old


def _format(fields: Fields, name: str) -> OutputFormat | None:
    format_ = fields.object(name)
    if format_ is None:
        return None
    if format_.word("type", ("json_schema",)) is None:
        raise missing(format_.path("type"))
    schema = _schema(format_, "schema")
    if schema is None:
        raise missing(format_.path("schema"))
    format_.done()
    return OutputFormat(mode="json_schema", schema=schema)


def _reasoning(fields: Fields, effort: str | None, places: dict[str, str]) -> ReasoningWish | None:
    thinking = fields.object("thinking")
    if thinking is None:
        return None if effort is None else ReasoningWish(effort=cast(Any, effort))
    type_ = thinking.word("type", _THINKING)
    if type_ is None:
        raise missing(thinking.path("type"))
    budget = thinking.whole("budget_tokens", least=1024)
    display = thinking.word("display", ("summarized", "omitted"))
    thinking.done()
    if type_ in ("disabled", "between_tools"):
        return ReasoningWish(effort="none")
    if type_ == "enabled" and budget is None:
        raise missing(thinking.path("budget_tokens"))
    if effort is not None:
        places["reasoning"] = "output_config.effort"
    return ReasoningWish(
        effort=cast(Any, effort),
        budget_tokens=budget if type_ == "enabled" else None,
        is_shown=None if display is None else display == "summarized",
    )


def _user(fields: Fields) -> str | None:
    metadata = fields.object("metadata")
    if metadata is None:
        return None
    user = metadata.text("user_id")
    metadata.done()
    return user


def _tier(fields: Fields) -> str | None:
    """`standard_only` is what others call their default."""
    tier = fields.word("service_tier", ("auto", "standard_only"))
    return "default" if tier == "standard_only" else tier
