"""Anthropic's format on both sides: values and bytes stay as they are.

One thing must not go to Anthropic: thoughts of other vendors' models, which the hub has given out marked as theirs
(`neutral.opaque_text`). No signature of them would be accepted, so they stay behind.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

from app.wire import neutral
from app.wire.anthropic import bounds, tap
from app.wire.anthropic.tap import StreamTap
from app.wire.anthropic.thoughts import HOME
from app.wire.endpoint import Endpoint
from app.wire.request import Deviation, Outgoing, Request, raw_of, write_document

read_facts = tap.read_answer
characters_of = tap.characters_of
most_output = bounds.most_output

_MARK = b'"hub1.'


def write(
    request: Request,
    endpoint: Endpoint,
    upstream_model: str,
    deviations: tuple[Deviation, ...],
    most_output: int | None = None,
) -> Outgoing:
    """The same request under the provider's own name of the model, with the client's version and beta headers."""
    document = dict(request.document or {})
    document["model"] = raw_of(upstream_model)
    messages = document.get("messages")
    if messages is not None and _MARK in bytes(messages):
        document["messages"] = _without_foreign_thoughts(messages)
    if most_output is not None and endpoint.name == "messages":
        bounds.lower(document, most_output)
    return Outgoing("application/json", write_document(document, deviations), headers=request.headers)


def follow(request: Request, endpoint: Endpoint) -> StreamTap:
    return StreamTap(request.model)


def _without_foreign_thoughts(messages: Raw) -> Raw:
    decoded: Any = msgspec.json.decode(messages)
    kept: list[Any] = []
    for message in cast(list[Any], decoded):
        content: Any = cast(dict[str, Any], message).get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            kept.append(message)
            continue
        blocks = [block for block in cast(list[Any], content) if not _is_foreign(block)]
        # A turn of nothing but thoughts leaves nothing to be said.
        if blocks or not content:
            kept.append({**cast(dict[str, Any], message), "content": blocks})
    return raw_of(kept)


def _is_foreign(block: Any) -> bool:
    entry = cast(dict[str, Any], block) if isinstance(block, dict) else {}
    mark: Any = {"thinking": entry.get("signature"), "redacted_thinking": entry.get("data")}.get(str(entry.get("type")))
    return isinstance(mark, str) and neutral.opaque_from(mark, HOME).origin != HOME
