"""Every format that the hub speaks: one row per endpoint, with its faces.

`client` is there where callers may speak it, `upstream` where a provider may, `passing` where it can be the same on
both sides and nothing is translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from msgspec import Struct

from app.adapters.providers.kinds import Kind
from app.adapters.providers.registry import KINDS
from app.wire.endpoint import Endpoint, Task
from app.wire.faces import (
    ConversationClient,
    ConversationUpstream,
    OrderClient,
    OrderUpstream,
    Passing,
    UsageReader,
)
from app.wire.openai import chat_client, chat_upstream, passing
from app.wire.openai import usage as openai_usage


class Format(Struct, frozen=True, kw_only=True):
    task: Task | None = None
    read_usage: UsageReader
    passing: Passing | None = None
    client: ConversationClient | None = None
    upstream: ConversationUpstream | None = None
    order_client: OrderClient | None = None
    order_upstream: OrderUpstream | None = None
    stream_media: str = "text/event-stream"
    """The content type of a provider's stream."""

    @property
    def is_spoken(self) -> bool:
        """Whether callers' requests in it can be translated."""
        return self.client is not None or self.order_client is not None

    @property
    def is_answered(self) -> bool:
        """Whether requests can be translated into it."""
        return self.upstream is not None or self.order_upstream is not None


_OPENAI = Format(read_usage=openai_usage.read_usage, passing=passing)

FORMATS: Mapping[str, Format] = {
    "chat.completions": Format(
        task="conversation",
        read_usage=openai_usage.read_usage,
        passing=passing,
        client=chat_client,
        upstream=chat_upstream,
    ),
    "completions": _OPENAI,
    "embeddings": _OPENAI,
    "images.generations": _OPENAI,
    "images.edits": _OPENAI,
    "audio.speech": _OPENAI,
    "audio.transcriptions": _OPENAI,
    "audio.translations": _OPENAI,
    "moderations": _OPENAI,
}


def upstream_endpoint(kind: Kind, endpoint: Endpoint) -> str | None:
    """At which of a provider's endpoints a call is served: its own where there is one, else the first of its task."""
    return endpoint.name if endpoint.name in kind.paths else _translated_to(kind.name, endpoint.name)


@cache
def _translated_to(kind_name: str, endpoint_name: str) -> str | None:
    own = FORMATS.get(endpoint_name)
    if own is None or own.task is None or not own.is_spoken:
        return None
    for name in KINDS[kind_name].paths:
        theirs = FORMATS.get(name)
        if theirs is not None and theirs.task == own.task and theirs.is_answered:
            return name
    return None
