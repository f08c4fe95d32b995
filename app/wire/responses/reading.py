"""What callers of `/v1/responses` say, as a neutral conversation."""

from __future__ import annotations

from typing import Any, cast

from app.wire.fields import Fields, missing, wrong_type
from app.wire.neutral import Conversation, OutputFormat, ReasoningWish, Sampling, Text
from app.wire.request import Request, fields_of
from app.wire.responses import items, tools

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_LOGPROBS = "message.output_text.logprobs"
_PLACES = (
    ("max_tokens", "max_output_tokens"),
    *((name, name) for name in ("temperature", "top_p", "tool_choice", "service_tier", "reasoning")),
    ("has_parallel_tools", "parallel_tool_calls"),
    ("logprobs", "top_logprobs"),
    ("user", "user"),
    ("user", "safety_identifier"),
)


def read_conversation(request: Request) -> Conversation:
    """
    Raises:
        BadRequest: a field is missing or of the wrong type; `param` is its path.
    """
    fields = fields_of(request)
    places = {ours: theirs for ours, theirs in _PLACES if fields.has(theirs)}
    emulated: tools.Emulated = []
    offered = tools.read(fields, emulated)
    choice, offered = tools.read_choice(fields, offered, emulated)
    output, verbosity = _text(fields)
    instructions = fields.text("instructions")
    system, messages = items.read(_input(fields), request.recalled, fields)
    if instructions:
        system = (Text(text=instructions, at="instructions"), *system)
    conversation = Conversation(
        system=system,
        messages=messages,
        tools=offered,
        tool_choice=choice,
        has_parallel_tools=fields.flag("parallel_tool_calls"),
        sampling=_sampling(fields),
        output=output,
        reasoning=_reasoning(fields),
        user=_user(fields),
        service_tier=fields.text("service_tier"),
        verbosity=verbosity,
        places={**places, "output": "text.format", "verbosity": "text.verbosity"},
        emulated=tuple(emulated),
    )
    # The call's own, and what the hub itself does.
    fields.drop("model", "stream", "store", "previous_response_id", "background", "conversation", "prompt")
    conversation.extras = fields.rest()
    if fields.text("truncation") == "auto":
        fields.unread.append("truncation")
    # What only OpenAI's caches, storage and streams know.
    fields.drop("stream_options", "metadata", "client_metadata")
    fields.drop("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options")
    fields.done()
    conversation.unread = tuple(fields.unread)
    return conversation


def _input(fields: Fields) -> list[Any]:
    value = fields.any("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise wrong_type("input", list)
    return cast(list[Any], value)


def _text(fields: Fields) -> tuple[OutputFormat | None, str | None]:
    text = fields.object("text")
    if text is None:
        return None, None
    verbosity, format_ = text.text("verbosity"), text.object("format")
    text.done()
    if format_ is None:
        return None, verbosity
    type_ = format_.word("type", ("text", "json_object", "json_schema"))
    if type_ == "json_object":
        return OutputFormat(mode="json"), verbosity
    if type_ != "json_schema":
        return None, verbosity
    output = OutputFormat(
        mode="json_schema",
        name=format_.text("name") or "answer",
        description=format_.text("description"),
        strict=format_.flag("strict"),
        schema=format_.raw("schema"),
    )
    if output.schema is None:
        raise missing(format_.path("schema"))
    format_.done()
    return output, verbosity


def _sampling(fields: Fields) -> Sampling:
    included, top = fields.texts("include"), fields.whole("top_logprobs", least=0)
    return Sampling(
        max_tokens=fields.whole("max_output_tokens", least=1),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        logprobs=(top or 0) if top or _LOGPROBS in included else None,
    )


def _reasoning(fields: Fields) -> ReasoningWish | None:
    wish = fields.object("reasoning")
    if wish is None:
        return None
    effort = wish.word("effort", _EFFORTS)
    summary = wish.text("summary") or wish.text("generate_summary")
    wish.drop("generate_summary")
    wish.done()
    if effort is None:
        # A summary of thoughts, should there be any: whoever thinks unasked has them shown anyway.
        return None
    return ReasoningWish(effort=cast(Any, effort), is_shown=True if summary else None)


def _user(fields: Fields) -> str | None:
    new, old = fields.text("safety_identifier"), fields.text("user")
    return new or old
