"""A stream from one format into another: what the provider's reader sees, the client's writer says.

It is a `Tap` like those that let bytes through, so the relay does not know the difference. What the record and the next
turn need of the answer is gathered on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from msgspec import Raw

from app.base.usage import Usage
from app.wire import neutral
from app.wire.faces import StreamReader, StreamWriter
from app.wire.neutral import Finish, Part, Reasoning, Refusal, Text, ToolCall
from app.wire.neutral_answer import (
    Answer,
    Event,
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)

_BEAT_SECONDS = 10.0
MAX_GATHERED = 512 * 1024
"""Characters of one answer that are kept for the next turn and for checking a schema; more is not kept at all."""

EventFilter = Callable[[list[Event]], list[Event]]


class Translation:
    def __init__(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        usage_of: Callable[[Raw | None], Usage | None],
        change: EventFilter | None = None,
    ) -> None:
        """`change` stands between the two, for what is emulated."""
        self._reader = reader
        self._writer = writer
        self._usage_of = usage_of
        self._change = change
        self._gathered = Gathered()
        self._said_at = monotonic()
        self._has_said = False
        self._finish: Finish | None = None
        self._is_cut = False
        self._characters = 0

    @property
    def upstream_id(self) -> str | None:
        return self._reader.upstream_id

    @property
    def usage(self) -> Raw | None:
        return self._reader.usage

    @property
    def error(self) -> Raw | None:
        return self._reader.error

    @property
    def has_begun(self) -> bool:
        return self._reader.has_begun

    @property
    def is_complete(self) -> bool:
        return self._is_cut or self._reader.is_complete

    @property
    def service_tier(self) -> str | None:
        return self._reader.service_tier

    @property
    def is_done(self) -> bool:
        # Usage may come after the last word, so the end of the connection is waited for.
        return False

    @property
    def finish_reason(self) -> str | None:
        return self._finish

    @property
    def characters(self) -> int:
        return self._characters

    @property
    def tail(self) -> bytes:
        return b"" if self._is_cut else self._writer.end(self._usage_of(self._reader.usage))

    @property
    def parts(self) -> tuple[Part, ...]:
        """What was said, as far as the next turn may need it."""
        return self._gathered.parts()

    @property
    def text(self) -> str | None:
        """All text; None when it was too much to keep."""
        return self._gathered.text

    def feed(self, chunk: bytes) -> bytes:
        """
        Raises:
            BrokenStream: the provider's stream cannot be followed further.
        """
        return b"" if self._is_cut else self._pass(self._reader.feed(chunk))

    def finish(self) -> bytes:
        return b"" if self._is_cut else self._pass(self._reader.finish())

    def cut(self, usage: Usage | None) -> bytes:
        """See `faces.Tap`."""
        if self._is_cut:
            return b""
        said = b"" if self._has_said else self._writer.begin()
        if self._finish is None:
            events: list[Event] = [Finished("length")]
            # What stands between the two may hold something back until the end.
            events = events if self._change is None else self._change(events)
            for event in events:
                self._look(event)
            said += self._writer.write(events)
        self._is_cut = self._has_said = True
        return said + self._writer.end(usage)

    def _pass(self, events: list[Event]) -> bytes:
        if self._change is not None and events:
            events = self._change(events)
        begins = not self._has_said and self._reader.has_begun
        if not events and not begins:
            return self._beat()
        for event in events:
            self._look(event)
        said = self._writer.write(events) if events else b""
        if begins:
            self._has_said = True
            said = self._writer.begin() + said
        if said:
            self._said_at = monotonic()
        return said

    def _beat(self) -> bytes:
        """The provider is alive and says nothing that the client could use."""
        now = monotonic()
        if now - self._said_at < _BEAT_SECONDS or self._reader.error is not None:
            return b""
        self._said_at = now
        return self._writer.beat()

    def _look(self, event: Event) -> None:
        match event:
            case TextDelta() | ReasoningDelta() | RefusalDelta() | ToolCallDelta():
                self._characters += len(event.text)
            case Finished():
                self._finish = event.finish
            case _:
                pass
        self._gathered.add(event)


def characters_of(answer: Answer) -> int:
    """Of text, reasoning and tool arguments in an answer that came in one piece, for an estimate of its usage."""
    count = 0
    for part in answer.parts:
        match part:
            case Text() | Reasoning() | Refusal():
                count += len(part.text)
            case ToolCall():
                count += len(bytes(part.arguments))
            case _:
                pass
    return count


class Gathered:
    """The parts of a streamed answer that are needed once it is over."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._thoughts: list[Reasoning] = []
        self._thought: list[str] = []
        self._calls: dict[int, ToolCallStart] = {}
        self._arguments: dict[int, list[str]] = {}
        self._size = 0

    @property
    def text(self) -> str | None:
        return "".join(self._texts) if self._size <= MAX_GATHERED else None

    def add(self, event: Event) -> None:
        if self._size > MAX_GATHERED:
            return
        match event:
            case TextDelta():
                self._size += len(event.text)
                self._texts.append(event.text)
            case ReasoningDelta():
                self._size += len(event.text)
                self._thought.append(event.text)
            case ReasoningEnd():
                self._size += len(event.opaque.value) if event.opaque is not None else 0
                text, self._thought = "".join(self._thought), []
                self._thoughts.append(Reasoning(text=text, opaque=event.opaque, is_redacted=event.is_redacted))
            case ToolCallStart():
                self._size += len(event.opaque.value) if event.opaque is not None else 0
                self._calls[event.index] = event
            case ToolCallDelta():
                self._size += len(event.text)
                self._arguments.setdefault(event.index, []).append(event.text)
            case _:
                pass

    def parts(self) -> tuple[Part, ...]:
        """Thoughts and tool calls; empty when there was too much."""
        if self._size > MAX_GATHERED:
            return ()
        calls = [
            ToolCall(
                id=call.id,
                name=call.name,
                arguments=neutral.arguments_of("".join(self._arguments.get(index, ()))),
                opaque=call.opaque,
            )
            for index, call in self._calls.items()
        ]
        return (*self._thoughts, *calls)
