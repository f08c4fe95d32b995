"""The neutral answer: whole, or as the events of a stream. What it answers is in `neutral.py`."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw, Struct

from app.base.usage import Usage
from app.wire.neutral import Audio, File, Finish, Image, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult


class Answer(Struct, frozen=True, kw_only=True):
    """An answer that came in one piece. `parts` hold Text, Reasoning, ToolCall, Refusal, Image, Audio, File."""

    parts: tuple[Part, ...]
    finish: Finish
    upstream_id: str | None = None
    stop_sequence: str | None = None
    usage: Raw | None = None
    """The provider's report, as it came."""
    service_tier: str | None = None
    """As the provider says it served the call (`tiers.USUAL` and others); None where it says nothing."""


class TextDelta(Struct, frozen=True, gc=False):
    text: str


class ReasoningDelta(Struct, frozen=True, gc=False):
    text: str


class ReasoningEnd(Struct, frozen=True, gc=False):
    """A stretch of reasoning is complete. Without deltas before it, it is hidden (`is_redacted`) or only signed."""

    opaque: Opaque | None = None
    is_redacted: bool = False


class ToolCallStart(Struct, frozen=True, gc=False):
    """Calls are numbered from 0 in the order in which they begin; several may be open at once."""

    index: int
    id: str
    name: str
    opaque: Opaque | None = None


class ToolCallDelta(Struct, frozen=True, gc=False):
    """A piece of the arguments' JSON text. A call without any has the arguments `{}`."""

    index: int
    text: str


class RefusalDelta(Struct, frozen=True, gc=False):
    text: str


class Produced(Struct, frozen=True, gc=False):
    """A picture or a sound, whole."""

    part: Image | Audio | File


class Finished(Struct, frozen=True, gc=False):
    """Why the model stopped. Usage may still come (as `StreamReader.usage`), content not."""

    finish: Finish
    stop_sequence: str | None = None


Event = TextDelta | ReasoningDelta | ReasoningEnd | ToolCallStart | ToolCallDelta | RefusalDelta | Produced | Finished


def events_of(answer: Answer) -> list[Event]:
    """An answer as the stream that it could have been, for a client that asked for one."""
    events: list[Event] = []
    calls = 0
    for part in answer.parts:
        match part:
            case Text():
                events.append(TextDelta(part.text))
            case Reasoning():
                if part.text:
                    events.append(ReasoningDelta(part.text))
                events.append(ReasoningEnd(part.opaque, part.is_redacted))
            case ToolCall():
                events.append(ToolCallStart(calls, part.id, part.name, part.opaque))
                events.append(ToolCallDelta(calls, bytes(part.arguments).decode()))
                calls += 1
            case Refusal():
                events.append(RefusalDelta(part.text))
            case Image() | Audio() | File():
                events.append(Produced(part))
            case ToolResult():
                pass
    events.append(Finished(answer.finish, answer.stop_sequence))
    return events


class Reply(Struct, frozen=True, kw_only=True):
    """What a writer must know about the call that it answers."""

    id: str
    """Ours: 32 hex digits. Each format puts its own prefix before it."""
    model: str
    """The name that the caller asked for."""
    created: int
    """Seconds since 1970."""
    wants_usage: bool
    """Chat completions report usage in a stream only when asked."""
    asked: Mapping[str, Raw] = {}
    """The fields of the request, for formats whose answers repeat them."""
    form: str = ""
    """As in `Request`."""


class Reported(Struct, frozen=True):
    """The usage that a writer puts into its format; None where the provider reported none that can be true."""

    usage: Usage | None


# --- what several formats need
