"""Answers that must follow a schema, for providers that cannot promise it, and the check that they do.

Two ways, both in one call: the model has to call a tool whose parameters are the schema, and its arguments are given
out as the answer's text; or the schema stands in the prompt (with JSON mode where there is one). Either is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from app.base.errors import AppError, BadRequest, ProviderFailed
from app.wire.neutral import Conversation, OutputFormat, Part, Text, ToolCall, ToolChoice, ToolSpec
from app.wire.neutral_answer import Answer, Event, Finished, TextDelta, ToolCallDelta, ToolCallStart

Way = Literal["native", "forced_tool", "json_mode", "prompt"]

_NO_TOOL_NAME = re.compile(r"[^A-Za-z0-9_-]")


def tool_name(output: OutputFormat) -> str:
    return _NO_TOOL_NAME.sub("_", output.name)[:64] or "answer"


def as_forced_tool(conversation: Conversation) -> Conversation:
    """The same, with the schema as a tool that has to be called. The caller's own tools stay callable beside it."""
    output = conversation.output
    assert output is not None and output.schema is not None
    name = tool_name(output)
    if any(tool.name == name for tool in conversation.tools):
        raise BadRequest(
            f"The schema and a tool are both called {name}; give the schema another name.",
            param=conversation.at("output"),
        )
    spec = ToolSpec(
        name=name,
        description=output.description or "Give your final answer by calling this tool.",
        parameters=output.schema,
    )
    mode = "required" if conversation.tools else "tool"
    choice = ToolChoice(mode=mode, name=name if mode == "tool" else None)
    return replace(conversation, tools=(*conversation.tools, spec), tool_choice=choice, output=None)


def as_prompt(conversation: Conversation, *, has_json_mode: bool) -> Conversation:
    """The same, with the schema in the system prompt."""
    output = conversation.output
    assert output is not None and output.schema is not None
    told = (
        "Answer with one JSON object that follows this JSON schema, and with nothing else: no explanation, no code "
        f"fence.\n{bytes(output.schema).decode()}"
    )
    return replace(
        conversation,
        system=(*conversation.system, Text(text=told)),
        output=OutputFormat(mode="json") if has_json_mode else None,
    )


def unfold(answer: Answer, name: str) -> Answer:
    """The forced tool's arguments as text."""
    parts: list[Part] = []
    for part in answer.parts:
        if isinstance(part, ToolCall) and part.name == name:
            parts.append(Text(text=bytes(part.arguments).decode()))
        elif not isinstance(part, Text):
            # What a model says before it calls the tool is no part of an answer that has to be JSON.
            parts.append(part)
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    finish = "stop" if answer.finish == "tool_calls" and not has_calls else answer.finish
    return replace(answer, parts=tuple(parts), finish=finish)


class Unfolding:
    """The same for a stream's events."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._index: int | None = None
        self._others = 0
        self._numbers: dict[int, int] = {}

    def __call__(self, events: list[Event]) -> list[Event]:
        return [changed for event in events if (changed := self._one(event)) is not None]

    def _one(self, event: Event) -> Event | None:
        match event:
            case TextDelta():
                return None
            case ToolCallStart():
                if event.name == self._name and self._index is None:
                    self._index = event.index
                    return None
                self._numbers[event.index] = self._others
                self._others += 1
                return replace(event, index=self._numbers[event.index])
            case ToolCallDelta():
                if event.index == self._index:
                    return TextDelta(event.text)
                return replace(event, index=self._numbers.get(event.index, event.index))
            case Finished():
                return Finished("stop") if event.finish == "tool_calls" and not self._others else event
            case _:
                return event


class Unfencing:
    """Leaves the code fence out of a stream whose text has to be JSON: its first line, and its last."""

    def __init__(self) -> None:
        self._held = ""
        self._is_fenced: bool | None = None
        """None: not enough has come to tell."""

    def __call__(self, events: list[Event]) -> list[Event]:
        return [changed for event in events for changed in self._one(event)]

    def _one(self, event: Event) -> list[Event]:
        match event:
            case TextDelta():
                text = self._pass(event.text)
                return [TextDelta(text)] if text else []
            case Finished():
                rest, self._held = self._held, ""
                rest = _LAST_FENCE.sub("", rest) if self._is_fenced else rest
                return [TextDelta(rest), event] if rest else [event]
            case _:
                return [event]

    def _pass(self, text: str) -> str:
        if self._is_fenced is False:
            return text
        self._held += text
        if self._is_fenced is None:
            begun = self._held.lstrip()
            if "```".startswith(begun[:3]) and (len(begun) < 3 or "\n" not in begun):
                return ""
            self._is_fenced = begun.startswith("```")
            self._held = begun.partition("\n")[2] if self._is_fenced else self._held
        # What could be the closing fence waits for what comes after it.
        end = _LAST_FENCE.search(self._held) if self._is_fenced else None
        cut = end.start() if end is not None else len(self._held)
        said, self._held = self._held[:cut], self._held[cut:]
        return said


def change(way: Way, forced_tool: str | None) -> Callable[[list[Event]], list[Event]] | None:
    """What has to be done to the events of a stream."""
    if forced_tool is not None:
        return Unfolding(forced_tool)
    return None if way == "native" else Unfencing()


_LAST_FENCE = re.compile(r"\s*`{0,3}\s*\Z")
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*\Z", re.S)


def without_fence(text: str) -> str:
    """A JSON answer without the code fence that models like to put around it."""
    found = _FENCE.match(text)
    return found[1] if found is not None else text


def check(schema: Raw, path: str) -> None:
    """
    Raises:
        BadRequest: the schema is none, or names another one far away; `param` is `path`.
    """
    try:
        _validator(bytes(schema))
    except BadRequest as error:
        raise BadRequest(error.sentence, param=path) from None


def problem(text: str, schema: Raw) -> AppError | None:
    """What is wrong with an answer: `schema_mismatch` with the path inside it, or a schema that is none."""
    try:
        value: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _mismatch("the answer is not JSON", "$")
    try:
        found = _first_error(value, schema)
    except BadRequest as error:
        return error
    return None if found is None else _mismatch(*found)


def _first_error(value: Any, schema: Raw) -> tuple[str, str] | None:
    for found in _validator(bytes(schema)).iter_errors(value):
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in found.instance_path)
        return found.message[:300], f"${path}"
    return None


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    # Loaded when the first answer is checked: few hubs need it, and it is large.
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(msgspec.json.decode(schema), retriever=_nothing_remote)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as failure:
        raise BadRequest(f"The schema of the answer is not valid: {str(failure).splitlines()[0]}.") from None


def _nothing_remote(uri: str) -> Any:
    raise ValueError(f"schemas at {uri} are not fetched")


def _mismatch(why: str, path: str) -> ProviderFailed:
    error = ProviderFailed(
        f"The model's answer does not follow the schema at {path}: {why}.", code="schema_mismatch", param=path
    )
    error.owner = "provider"
    return error
