"""Converse, what we get: an answer in one piece, or a stream of events in Amazon's binary form.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from app.wire import neutral, tiers
from app.wire.answers import BrokenStream
from app.wire.bedrock.event_stream import EventStreamReader, Message
from app.wire.faces import Target
from app.wire.neutral import Finish, Image, Opaque, Part, Reasoning, Source, Text, ToolCall
from app.wire.neutral_answer import (
    Answer,
    Event,
    Finished,
    Produced,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)

_NULL = Raw(b"null")
_SERVER_TOOL = "server_tool_use"

_FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}


class _ReasoningText(Struct):
    text: str = ""
    signature: str | None = None


class _Reasoning(Struct, rename="camel"):
    """`text` and `signature` stand here in streams."""

    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None
    text: str | None = None
    signature: str | None = None


class _ToolUse(Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    type: str | None = None
    input: Raw = _NULL


class _ImageSource(Struct):
    bytes: str | None = None


class _Image(Struct):
    format: str = "png"
    source: _ImageSource | None = None


class _Cited(Struct):
    text: str = ""


class _Citations(Struct):
    content: list[_Cited] | None = None


class _Block(Struct, rename="camel"):
    """A block of an answer, the start of one, or a piece of one."""

    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    image: _Image | None = None
    citations_content: _Citations | None = None


class _Message(Struct):
    content: list[_Block] | None = None


class _Output(Struct):
    message: _Message | None = None


class _Tier(Struct):
    type: str | None = None


class _Whole(Struct, rename="camel"):
    output: _Output | None = None
    stop_reason: str | None = None
    usage: Raw = _NULL
    service_tier: _Tier | None = None
    additional_model_response_fields: Raw = _NULL


class _Event(Struct, rename="camel"):
    """All events of a stream: which fields are there depends on its type."""

    content_block_index: int = 0
    start: _Block | None = None
    delta: _Block | None = None
    stop_reason: str | None = None
    additional_model_response_fields: Raw = _NULL
    usage: Raw = _NULL
    service_tier: _Tier | None = None


_decode_whole = msgspec.json.Decoder(_Whole).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def read_answer(content: bytes, target: Target) -> Answer:
    """
    Raises:
        BrokenStream: not as documented.
    """
    try:
        whole = _decode_whole(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is none of Converse ({failure})") from None
    if whole.output is None or whole.output.message is None:
        raise BrokenStream("an answer without a message")
    parts = [part for block in whole.output.message.content or () if (part := _part(block, target)) is not None]
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    return Answer(
        parts=tuple(parts),
        finish=_finish(whole.stop_reason, has_calls=has_calls),
        stop_sequence=_stop_sequence(whole.additional_model_response_fields),
        usage=whole.usage.copy() if _is_there(whole.usage) else None,
        service_tier=tiers.tier_of(whole.service_tier.type) if whole.service_tier is not None else None,
    )


def _part(block: _Block, target: Target) -> Part | None:
    if block.text is not None:
        return Text(text=block.text)
    if (call := block.tool_use) is not None:
        if call.type == _SERVER_TOOL:
            return None
        arguments = neutral.arguments_of(bytes(call.input).decode() if _is_there(call.input) else "")
        return ToolCall(id=call.tool_use_id, name=call.name, arguments=arguments)
    if (thought := block.reasoning_content) is not None:
        if thought.redacted_content is not None:
            return Reasoning(opaque=Opaque(target.origin, thought.redacted_content), is_redacted=True)
        said = thought.reasoning_text or _ReasoningText()
        return Reasoning(text=said.text, opaque=Opaque(target.origin, said.signature) if said.signature else None)
    if block.citations_content is not None:
        return Text(text="".join(cited.text for cited in block.citations_content.content or ()))
    if block.image is not None and block.image.source is not None and block.image.source.bytes:
        return _image(block.image.format, block.image.source.bytes)
    return None


def _image(format_: str, data: str) -> Image:
    return Image(source=Source(data=data, media_type=f"image/{format_}"))


def _finish(reason: str | None, *, has_calls: bool) -> Finish:
    finish = _FINISHES.get(reason or "end_turn", "stop")
    return "tool_calls" if finish == "stop" and has_calls else finish


def _stop_sequence(fields: Raw) -> str | None:
    """What was asked for as `/stop_sequence`."""
    decoded: Any = msgspec.json.decode(fields)
    found = cast(dict[str, Any], decoded).get("stop_sequence") if isinstance(decoded, dict) else None
    return found if isinstance(found, str) else None


def _is_there(raw: Raw) -> bool:
    return bytes(raw) != b"null"


class _Thought(Struct):
    signature: str = ""
    redacted: bytearray = msgspec.field(default_factory=bytearray)


class _Drawing(Struct):
    format: str
    data: bytearray = msgspec.field(default_factory=bytearray)


class StreamReader:
    """A block of text begins with its first piece: only tools and pictures are announced."""

    def __init__(self, target: Target) -> None:
        self.upstream_id: str | None = None
        self.usage: Raw | None = None
        self.service_tier: str | None = None
        self.error: Raw | None = None
        self.has_begun = False
        self.is_complete = False
        self._target = target
        self._messages = EventStreamReader()
        self._calls: dict[int, int] = {}
        """The number of a block → ours of a tool call."""
        self._hidden: set[int] = set()
        self._thoughts: dict[int, _Thought] = {}
        self._drawings: dict[int, _Drawing] = {}

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        for message in self._messages.feed(chunk):
            if self.error is None:
                self._read(message, events)
        return events

    def finish(self) -> list[Event]:
        # What the connection's end cut off is no message; whether anything is missing says `is_complete`.
        return []

    def _read(self, message: Message, events: list[Event]) -> None:
        kind = message.text(":message-type")
        if kind == "event":
            self._event(message.text(":event-type"), message.payload, events)
        elif kind == "exception":
            self.error = _exception(message.text(":exception-type"), message.payload)
        elif kind == "error":
            self.error = _error(message.text(":error-code"), message.text(":error-message"))
        else:
            raise BrokenStream(f"a message of the type {kind[:40] or 'none'}")

    def _event(self, name: str, payload: bytes, events: list[Event]) -> None:
        try:
            event = _decode_event(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
            raise BrokenStream(f"an event that cannot be read ({failure})") from None
        # The first event only names the role, and comes before the model has said anything.
        self.has_begun = self.has_begun or name != "messageStart"
        index = event.content_block_index
        match name:
            case "contentBlockStart":
                self._start(index, event.start or _Block(), events)
            case "contentBlockDelta":
                self._delta(index, event.delta or _Block(), events)
            case "contentBlockStop":
                self._stop(index, events)
            case "messageStop":
                for open_ in sorted({*self._thoughts, *self._drawings}):
                    self._stop(open_, events)
                self.is_complete = True
                finish = _finish(event.stop_reason, has_calls=bool(self._calls))
                events.append(Finished(finish, _stop_sequence(event.additional_model_response_fields)))
            case "metadata":
                self.usage = event.usage.copy() if _is_there(event.usage) else self.usage
                self.service_tier = tiers.tier_of(event.service_tier.type) if event.service_tier is not None else None
            case _:
                pass  # New events are not errors.

    def _start(self, index: int, start: _Block, events: list[Event]) -> None:
        if (call := start.tool_use) is not None:
            if call.type == _SERVER_TOOL:
                self._hidden.add(index)
                return
            ours = len(self._calls)
            self._calls[index] = ours
            events.append(ToolCallStart(ours, call.tool_use_id, call.name))
        elif start.image is not None:
            self._drawings[index] = _Drawing(start.image.format)

    def _delta(self, index: int, delta: _Block, events: list[Event]) -> None:
        if delta.text:
            events.append(TextDelta(delta.text))
        elif delta.tool_use is not None:
            self._call_delta(index, delta.tool_use, events)
        elif (thought := delta.reasoning_content) is not None:
            held = self._thoughts.setdefault(index, _Thought())
            if thought.text:
                events.append(ReasoningDelta(thought.text))
            held.signature += thought.signature or ""
            held.redacted += _decoded(thought.redacted_content)
        elif delta.image is not None and delta.image.source is not None:
            self._drawings.setdefault(index, _Drawing("png")).data += _decoded(delta.image.source.bytes)

    def _call_delta(self, index: int, call: _ToolUse, events: list[Event]) -> None:
        if index in self._hidden:
            return
        if index not in self._calls:
            raise BrokenStream("the input of a tool that was not announced")
        text: Any = msgspec.json.decode(call.input)
        if isinstance(text, str) and text:
            events.append(ToolCallDelta(self._calls[index], text))

    def _stop(self, index: int, events: list[Event]) -> None:
        if (thought := self._thoughts.pop(index, None)) is not None:
            if thought.redacted:
                hidden = Opaque(self._target.origin, base64.b64encode(thought.redacted).decode())
                events.append(ReasoningEnd(hidden, is_redacted=True))
            else:
                opaque = Opaque(self._target.origin, thought.signature) if thought.signature else None
                events.append(ReasoningEnd(opaque))
        if (drawing := self._drawings.pop(index, None)) is not None and drawing.data:
            events.append(Produced(_image(drawing.format, base64.b64encode(drawing.data).decode())))


def stream_reader(target: Target) -> StreamReader:
    return StreamReader(target)


def _decoded(data: str | None) -> bytes:
    """Pieces of bytes are joined as bytes: each is padded by itself."""
    try:
        return base64.b64decode(data or "", validate=True)
    except (binascii.Error, ValueError):
        raise BrokenStream("bytes that are no base64") from None


def _exception(name: str, payload: bytes) -> Raw:
    """An exception in place of an event, as the error that it would be in front of a stream.

    Streams write its name with a small letter: `throttlingException`.
    """
    try:
        decoded: Any = msgspec.json.decode(payload) if payload else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        decoded = {}
    fields = cast(dict[str, Any], decoded) if isinstance(decoded, dict) else {}
    told: Any = fields.get("message", fields.get("originalMessage"))
    return _error(name[:1].upper() + name[1:], told if isinstance(told, str) else "")


def _error(code: str, message: str) -> Raw:
    return Raw(msgspec.json.encode({"type": code or "InternalServerException", "message": message}))
