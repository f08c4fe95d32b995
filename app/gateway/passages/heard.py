"""Answers that went by as they came, read once they are complete: for providers that refuse a tool loop whose thoughts
their client has dropped.

The client waits for none of it: a stream's bytes are held, within a bound, and read when the last of them has gone out.
"""

from __future__ import annotations

from msgspec import Raw

from app.base.usage import Usage
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import ConversationUpstream, Tap, Target
from app.wire.neutral import Part
from app.wire.translation import MAX_GATHERED, Gathered

_CALLS = b'"tool_calls"'


class Listening:
    """A tap, and what it was fed."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._heard = bytearray()

    @property
    def upstream_id(self) -> str | None:
        return self._tap.upstream_id

    @property
    def usage(self) -> Raw | None:
        return self._tap.usage

    @property
    def error(self) -> Raw | None:
        return self._tap.error

    @property
    def finish_reason(self) -> str | None:
        return self._tap.finish_reason

    @property
    def has_begun(self) -> bool:
        return self._tap.has_begun

    @property
    def is_complete(self) -> bool:
        return self._tap.is_complete

    @property
    def is_done(self) -> bool:
        return self._tap.is_done

    @property
    def characters(self) -> int:
        return self._tap.characters

    @property
    def service_tier(self) -> str | None:
        return self._tap.service_tier

    @property
    def tail(self) -> bytes:
        return self._tap.tail

    def feed(self, chunk: bytes) -> bytes:
        # Each token comes in an event of its own, many times its size.
        if len(self._heard) <= 16 * MAX_GATHERED:
            self._heard += chunk
        return self._tap.feed(chunk)

    def finish(self) -> bytes:
        return self._tap.finish()

    def cut(self, usage: Usage | None) -> bytes:
        return self._tap.cut(usage)

    def parts(self, upstream: ConversationUpstream, target: Target) -> tuple[Part, ...]:
        """Thoughts and tool calls; empty where there are no calls, or too much was said."""
        if _CALLS not in self._heard or len(self._heard) > 16 * MAX_GATHERED:
            return ()
        reader, gathered = upstream.stream_reader(target), Gathered()
        try:
            events = [*reader.feed(bytes(self._heard)), *reader.finish()]
        except BrokenStream:
            return ()
        for event in events:
            gathered.add(event)
        return gathered.parts()


def parts_of(content: bytes, upstream: ConversationUpstream, target: Target) -> tuple[Part, ...]:
    """The same of an answer that came in one piece."""
    if _CALLS not in content:
        return ()
    try:
        return upstream.read_answer(content, target).parts
    except (BrokenStream, ErrorInside):
        return ()
