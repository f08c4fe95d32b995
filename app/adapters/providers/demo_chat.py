"""What the built-in demo model says: a function of the request alone.

The answer names itself as the demo and repeats the last user message in short; a tool is called where tools are given
and the last message is not a tool's result; a wanted JSON schema is filled with example values.

Tokens, so that usage can be foretold: of a prompt, each begun four characters of the messages' text and of the tools'
JSON; of an answer, each streamed piece (a word with the space before it, at most 20 characters).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, cast

import msgspec
from msgspec import Struct

from app.adapters.providers.demo_values import example

Object = dict[str, Any]
MOST_CHOICES = 16
_SHORT = 160
_PIECE = re.compile(r"\s*\S{1,20}")


class Bad(Exception):
    """The request is wrong; `param` names the field."""

    def __init__(self, sentence: str, param: str | None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.param = param


class Choice(Struct):
    pieces: list[str] = []
    tool: str | None = None
    call_id: str = ""
    """With a tool, `pieces` are its arguments."""
    finish_reason: str = "stop"

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def choices(request: Object) -> list[Choice]:
    """The answers to a chat request.

    Raises:
        Bad: no messages, or a field of the wrong type.
    """
    return [_choice(request, messages_of(request), index) for index in range(count_of(request, "n", 1, MOST_CHOICES))]


def completion_choices(request: Object) -> list[Choice]:
    """The answers to a legacy completion, a set for each prompt. Raises as `choices` does."""
    prompt: Any = request.get("prompt")
    listed = cast(list[Any], prompt) if isinstance(prompt, list) else []
    prompts: list[Any] = listed[:MOST_CHOICES] if listed and isinstance(listed[0], str) else [prompt]
    made: list[Choice] = []
    for one in prompts:
        text = one if isinstance(one, str) else "some tokens"
        if not isinstance(one, str | list):
            raise Bad("prompt must be a text or a list.", "prompt")
        echo = text if request.get("echo") is True else ""
        for index in range(count_of(request, "n", 1, MOST_CHOICES)):
            made.append(_limited(Choice(pieces=_pieces(echo + _speech(text, index))), request))
    return made


def prompt_tokens(request: Object) -> int:
    characters = sum(len(_said(message)) for message in messages_of(request)) if "messages" in request else 0
    prompt: Any = request.get("prompt")
    if isinstance(prompt, str):
        characters += len(prompt)
    elif isinstance(prompt, list):
        characters += sum(len(one) if isinstance(one, str) else 4 for one in cast(list[Any], prompt))
    if request.get("tools"):
        characters += len(msgspec.json.encode(request["tools"]))
    return -(-characters // 4)


def messages_of(request: Object) -> list[Object]:
    messages: Any = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Bad("messages must be a list with at least one message.", "messages")
    for at, message in enumerate(cast(list[Any], messages)):
        if not isinstance(message, dict) or not isinstance(cast(Object, message).get("role"), str):
            raise Bad("A message is an object with a role.", f"messages[{at}]")
    return cast(list[Object], messages)


def count_of(request: Object, name: str, default: int, most: int) -> int:
    value = request.get(name)
    if value is None:
        return default
    if type(value) is not int or not 1 <= value <= most:
        raise Bad(f"{name} must be a whole number from 1 to {most}.", name)
    return value


def _choice(request: Object, messages: list[Object], index: int) -> Choice:
    tool = _called_tool(request, messages)
    if tool is not None:
        function = cast(Object, tool["function"])
        arguments = msgspec.json.encode(example(function.get("parameters"))).decode()
        name = str(function.get("name"))
        call_id = "call_" + hashlib.sha256(f"{index}:{name}:{len(messages)}".encode()).hexdigest()[:24]
        return Choice(_pieces(arguments), tool=name, call_id=call_id, finish_reason="tool_calls")
    return _limited(Choice(_pieces(_answer(request, messages, index))), request)


def _called_tool(request: Object, messages: list[Object]) -> Object | None:
    tools: Any = request.get("tools")
    wanted: Any = request.get("tool_choice")
    if not isinstance(tools, list) or wanted == "none" or messages[-1]["role"] == "tool":
        return None
    offered = [cast(Object, tool) for tool in cast(list[Any], tools) if isinstance(tool, dict)]
    offered = [tool for tool in offered if isinstance(tool.get("function"), dict)]
    if isinstance(wanted, dict):
        named: Any = cast(Object, wanted).get("function")
        name = cast(Object, named).get("name") if isinstance(named, dict) else None
        for tool in offered:
            if tool["function"].get("name") == name:
                return tool
        raise Bad("tool_choice names a tool that is not in tools.", "tool_choice")
    return offered[0] if offered else None


def _answer(request: Object, messages: list[Object], index: int) -> str:
    wanted: Any = request.get("response_format")
    kind = cast(Object, wanted).get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        named: Any = cast(Object, wanted).get("json_schema")
        if not isinstance(named, dict):
            raise Bad("response_format of type json_schema needs json_schema.", "response_format.json_schema")
        return msgspec.json.encode(example(cast(Object, named).get("schema"))).decode()
    if kind == "json_object":
        return msgspec.json.encode({"model": "demo", "you_said": _short(_last_said(messages, "user"))}).decode()
    if messages[-1]["role"] == "tool":
        return f"This is the built-in demo model. The tool answered: {_short(_last_said(messages, 'tool'))}"
    return _speech(_last_said(messages, "user"), index)


def _speech(said: str, index: int) -> str:
    end = "" if index == 0 else f" (answer {index + 1})"
    return (
        f"This is the built-in demo model of this hub, no provider was asked. You said: “{_short(said)}”. "
        f"Add a provider to get real answers.{end}"
    )


def _last_said(messages: list[Object], role: str) -> str:
    return next((_said(message) for message in reversed(messages) if message["role"] == role), "")


def _said(message: Object) -> str:
    content: Any = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [cast(Object, part) for part in cast(list[Any], content) if isinstance(part, dict)]
    return " ".join(str(part["text"]) if "text" in part else f"[{part.get('type', 'part')}]" for part in parts)


def _short(text: str) -> str:
    # Cut before the spaces are put in order, so that a text of megabytes costs nothing.
    text = " ".join(text[: 4 * _SHORT].split())
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def _pieces(text: str) -> list[str]:
    return _PIECE.findall(text)


def _limited(choice: Choice, request: Object) -> Choice:
    """Ends the answer where a stop text stands or the limit of tokens is reached."""
    stops: Any = request.get("stop")
    for stop in cast(list[Any], stops)[:4] if isinstance(stops, list) else [stops]:
        if isinstance(stop, str) and stop and stop in choice.text:
            choice.pieces = _pieces(choice.text[: choice.text.index(stop)])
    for name in ("max_completion_tokens", "max_tokens"):
        if request.get(name) is not None:
            most = count_of(request, name, 0, 1_000_000_000)
            if len(choice.pieces) > most:
                choice.pieces = choice.pieces[:most]
                choice.finish_reason = "length"
            break
    return choice
