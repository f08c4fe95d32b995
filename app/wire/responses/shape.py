"""The shape of a `response` object: what it repeats of its request, its items and its usage.

https://developers.openai.com/api/reference/resources/responses/methods/create (returns)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from msgspec import Raw

from app.base.usage import Usage
from app.wire import neutral
from app.wire.neutral import Image, Opaque
from app.wire.neutral_answer import Reply
from app.wire.responses.items import HOME, REDACTED
from app.wire.responses.tools import Called, free_text

_REPEATED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What is said again, and the value where the request has none."""


def head(reply: Reply) -> dict[str, Any]:
    """All of a response but its end: `status`, `output`, `usage` and their like."""
    asked = reply.asked
    shown: dict[str, Any] = {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": reply.created,
        "background": False,
        "model": reply.model,
    }
    for name, default in _REPEATED.items():
        value = asked.get(name)
        shown[name] = default if value is None or bytes(value) == b"null" else value
    shown["text"] = {"format": {"type": "text"}, "verbosity": "medium", **_fields(asked.get("text"))}
    return shown


def usage_entry(usage: Usage) -> dict[str, Any]:
    """A partition as OpenAI writes it: the input count contains what was read from and written to a cache."""
    given, made = usage.input_total, usage.output + usage.audio_out
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": given + made,
    }


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def message(id_: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {"id": id_, "type": "message", "status": status, "role": "assistant", "content": content}


def reasoning(id_: str, texts: list[str], opaque: Opaque | None, *, is_redacted: bool) -> dict[str, Any]:
    """The thought that others give in full stands as its summary, which is what clients show.

    `encrypted_content` is always there if there is any, as OpenAI does it too:
    https://developers.openai.com/api/docs/guides/reasoning
    """
    item: dict[str, Any] = {"id": id_, "type": "reasoning", "summary": [summary_part(text) for text in texts]}
    if opaque is not None:
        value = f"{REDACTED}{opaque.value}" if is_redacted else opaque.value
        item["encrypted_content"] = neutral.opaque_text(Opaque(opaque.origin, value), HOME)
    return item


def summary_part(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


def tool_call(
    id_: str, call_id: str, called: Called, arguments: str, opaque: Opaque | None, status: str
) -> dict[str, Any]:
    item: dict[str, Any] = {"id": id_, "type": "function_call", "status": status, "call_id": call_id}
    item["name"] = called.name
    if called.is_custom:
        item["type"] = "custom_tool_call"
        item["input"] = free_text(arguments) if arguments else ""
    else:
        item["arguments"] = arguments
    if called.namespace is not None:
        item["namespace"] = called.namespace
    if opaque is not None:
        item["extra_content"] = {"google": {"thought_signature": neutral.opaque_text(opaque, "google")}}
    return item


def picture(id_: str, image: Image) -> dict[str, Any]:
    """A picture whose bytes are here, as if OpenAI's own tool had made it."""
    return {"id": id_, "type": "image_generation_call", "status": "completed", "result": image.source.data}


def _fields(text: Raw | None) -> dict[str, Any]:
    if text is None:
        return {}
    value: Any = msgspec.json.decode(text)
    held = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    return {name: inner for name, inner in held.items() if inner is not None}
