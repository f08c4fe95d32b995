"""Where a provider's requests differ from OpenAI's, one named function each, only what its documentation says.

A function changes the top level of a request in place; the values are the client's own bytes. Fields that nobody
mentions go through as they came, and nothing that a client asked for is dropped here: a provider that cannot do it says
so with an error that names the field.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

from app.wire.request import Document, raw_of


def max_tokens_by_its_old_name(document: Document) -> None:
    """`max_completion_tokens` → `max_tokens`, where a provider knows the old name only.

    https://api-docs.deepseek.com/api/create-chat-completion lists `max_tokens` alone, so under the new name the limit
    would be lost. A client that sends both means the new one.
    """
    if (limit := document.pop("max_completion_tokens", None)) is not None:
        document["max_tokens"] = limit


def thinking_off_by_its_switch(document: Document) -> None:
    """`reasoning_effort: none` → `thinking: {type: disabled}`, where the effort knows no word for nothing.

    A client that sets the switch itself is left alone. https://api-docs.deepseek.com/guides/thinking_mode and, for Ark,
    https://www.volcengine.com/docs/82379/1494384
    """
    if bytes(document.get("reasoning_effort", Raw())) == b'"none"':
        del document["reasoning_effort"]
        document.setdefault("thinking", Raw(b'{"type":"disabled"}'))


def thoughts_beside_tool_calls(document: Document) -> None:
    """Gives an assistant's tool calls the field of their thoughts, empty, where a client has dropped it.

    DeepSeek refuses a history without it while it thinks, which it does unless told otherwise; where it does not, the
    field is ignored. https://api-docs.deepseek.com/guides/thinking_mode#tool-calls
    """
    messages = document.get("messages")
    if messages is None or b'"tool_calls"' not in bytes(messages):
        return
    try:
        decoded: Any = msgspec.json.decode(messages)
    except (msgspec.DecodeError, RecursionError):
        return
    is_changed = False
    for entry in cast(list[Any], decoded) if isinstance(decoded, list) else ():
        message = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
        if message.get("tool_calls") and message.get("reasoning_content") is None:
            message["reasoning_content"] = ""
            is_changed = True
    if is_changed:
        document["messages"] = raw_of(decoded)
