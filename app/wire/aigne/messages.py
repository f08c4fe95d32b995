"""The messages of a chat or completion: roles, tool calls and their results.

AIGNE's name of the assistant is `agent`; completions call it `assistant`. Both are read in both places.
"""

from __future__ import annotations

from typing import cast

from msgspec.structs import replace

from app.base.errors import BadRequest
from app.wire.aigne import parts
from app.wire.aigne.spelling import spelt
from app.wire.fields import Fields, missing
from app.wire.neutral import Audio, CacheMark, File, Image, Message, Part, Text, ToolResult

_ROLES = ("system", "developer", "user", "agent", "assistant", "tool")


def read(fields: Fields) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """What is said first of all by the system, and the conversation.

    Raises:
        BadRequest: `param` is the path.
    """
    if not fields.has("messages"):
        raise missing(fields.path("messages"))
    system: list[Text] = []
    messages: list[Message] = []
    for message in fields.objects("messages"):
        role = message.word("role", _ROLES)
        if role is None:
            raise missing(message.path("role"))
        name, cache = message.text("name"), parts.cache_of(message)
        if role in ("system", "developer"):
            texts = _texts(message, parts.content(message, cache))
            if messages:
                messages.append(Message(role="system", parts=texts, name=name, at=message.at))
            else:
                system += texts
        elif role == "tool":
            _add_result(messages, message, name, cache)
        elif role == "user":
            messages.append(Message(role="user", parts=parts.content(message, cache), name=name, at=message.at))
        else:
            calls = tuple(parts.tool_call(call) for call in message.objects(spelt(message, "toolCalls")))
            said: tuple[Part, ...] = (*parts.content(message, cache if not calls else None), *calls)
            if cache is not None and calls:
                said = (*said[:-1], replace(calls[-1], cache=cache))
            messages.append(Message(role="assistant", parts=said, name=name, at=message.at))
        message.done()
    if not messages and not system:
        raise BadRequest(f"The field {fields.path('messages')} must not be empty.", param=fields.path("messages"))
    return tuple(system), tuple(messages)


def _texts(message: Fields, content: tuple[Part, ...]) -> tuple[Text, ...]:
    if not all(isinstance(part, Text) for part in content):
        at = message.path("content")
        raise BadRequest(f"The field {at} of a system message must be text.", param=at)
    return cast(tuple[Text, ...], content)


def _add_result(messages: list[Message], message: Fields, name: str | None, cache: CacheMark | None) -> None:
    """Each result is a message of its own here; in the neutral form those of one turn are one user message."""
    result = ToolResult(
        call_id=message.needed_text(spelt(message, "toolCallId")),
        parts=cast(tuple[Text | Image | Audio | File, ...], parts.content(message)),
        name=name,
        cache=cache,
        at=message.at,
    )
    last = messages[-1] if messages else None
    if last is not None and last.role == "user" and all(isinstance(part, ToolResult) for part in last.parts):
        messages[-1] = replace(last, parts=(*last.parts, result))
    else:
        messages.append(Message(role="user", parts=(result,), at=message.at))
