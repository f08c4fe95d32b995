"""Messages, upstream face: what Anthropic answers, in one piece or streamed.

https://platform.claude.com/docs/en/build-with-claude/streaming
https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from app.wire import neutral, tiers
from app.wire.answers import MAX_MEDIA_EVENT_BYTES, BrokenStream, ErrorInside
from app.wire.anthropic import usage as usage_report
from app.wire.faces import Target
from app.wire.neutral import Finish, Opaque, Part, Reasoning, Refusal, Text, ToolCall
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
from app.wire.sse import SseReader

_FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "content_filter",
    "compaction": "pause",
}
_NULL = b"null"
_NOT_AS_DOCUMENTED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _StopDetails(Struct, gc=False):
    explanation: str | None = None


class _Block(Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = Raw(_NULL)


class _Message(Struct):
    type: str | None = None
    id: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: _StopDetails | None = None
    usage: Raw = Raw(_NULL)
    error: Raw = Raw(_NULL)


class _Delta(Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: _StopDetails | None = None


class _Event(Struct):
    type: str | None = None
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: Raw = Raw(_NULL)
    error: Raw = Raw(_NULL)


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def read_answer(content: bytes, target: Target) -> Answer:
    """
    Raises:
        BrokenStream: not as documented.
        ErrorInside: an error in place of an answer.
    """
    try:
        message = _decode_message(content)
    except _NOT_AS_DOCUMENTED as failure:
        raise BrokenStream(f"an answer that is no message ({failure})") from None
    if (error := _present(message.error)) is not None:
        raise ErrorInside(error)
    if message.content is None:
        raise BrokenStream("an answer without content")
    parts = [part for n, block in enumerate(message.content) if (part := _part(n, block, target)) is not None]
    if (told := _refusal(message.stop_reason, message.stop_details)) is not None:
        parts.append(Refusal(text=told))
    return Answer(
        parts=tuple(parts),
        finish=_finish(message.stop_reason, has_calls=any(isinstance(part, ToolCall) for part in parts)),
        upstream_id=message.id,
        stop_sequence=message.stop_sequence,
        usage=_present(message.usage),
        service_tier=tiers.tier_in_report(_present(message.usage)),
    )


def _part(n: int, block: _Block, target: Target) -> Part | None:
    """None for what Anthropic's own tools did: other formats have no place for it, its result is in the text."""
    match block.type:
        case "text":
            return Text(text=block.text) if block.text else None
        case "thinking":
            return Reasoning(text=block.thinking or "", opaque=_opaque(block.signature, target))
        case "redacted_thinking":
            return Reasoning(opaque=_opaque(block.data, target), is_redacted=True)
        case "tool_use":
            id_ = block.id or _id(target, n)
            return ToolCall(id=id_, name=block.name or "", arguments=neutral.arguments_of(_input(block)))
        case _:
            return None


def _input(block: _Block) -> str:
    raw = bytes(block.input)
    return "" if raw == _NULL else raw.decode("utf-8", "replace")


def _opaque(value: str | None, target: Target) -> Opaque | None:
    return Opaque(target.origin, value) if value else None


def _id(target: Target, n: int) -> str:
    return f"toolu_{target.call_id}_{n}"


def _finish(reason: str | None, *, has_calls: bool) -> Finish:
    finish = _FINISHES.get(reason or "end_turn", "stop")
    return "tool_calls" if finish == "stop" and has_calls else finish


def _refusal(reason: str | None, details: _StopDetails | None) -> str | None:
    return details.explanation if reason == "refusal" and details is not None and details.explanation else None


def _present(raw: Raw) -> Raw | None:
    """A copy: the rest of the answer need not be kept for it."""
    return None if bytes(raw) == _NULL else raw.copy()


class _Open:
    """A block that streams in."""

    __slots__ = ("call", "signature", "type")

    def __init__(self, type_: str, call: int | None = None) -> None:
        self.type = type_
        self.call = call
        """The number of a tool call."""
        self.signature = ""


class StreamReader:
    """States of an answer: between blocks, in a block (by its index), stopped."""

    def __init__(self, target: Target) -> None:
        self.upstream_id: str | None = None
        self.usage: Raw | None = None
        self.error: Raw | None = None
        self.has_begun = False
        self.is_complete = False
        self._target = target
        # What a search found comes whole inside an event.
        self._sse = SseReader(MAX_MEDIA_EVENT_BYTES)
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._is_finished = False

    @property
    def service_tier(self) -> str | None:
        return tiers.tier_in_report(self.usage)

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        for sent in self._sse.feed(chunk):
            self._read(sent.data, events)
        return events

    def finish(self) -> list[Event]:
        events: list[Event] = []
        for sent in self._sse.finish():
            self._read(sent.data, events)
        if self.error is None:
            for index in list(self._open):
                self._stop(index, events)
        return events

    def _read(self, data: bytes, events: list[Event]) -> None:
        if self.error is not None or not data:
            return
        try:
            event = _decode_event(data)
        except _NOT_AS_DOCUMENTED as failure:
            raise BrokenStream(f"an event that is not as documented ({failure})") from None
        error = _present(event.error)
        if event.type == "error" or (event.type is None and error is not None):
            self.error = error or Raw(b"{}")
            return
        if event.type != "ping":
            self.has_begun = True
        match event.type:
            case "content_block_delta":
                self._continue(event, events)
            case "content_block_start":
                self._start(event, events)
            case "content_block_stop":
                self._stop(event.index, events)
            case "message_start" if event.message is not None:
                self.upstream_id = event.message.id
                self.usage = usage_report.opening(_present(event.message.usage))
            case "message_delta":
                self.usage = usage_report.merged(self.usage, _present(event.usage))
                self._end(event.delta, events)
            case "message_stop":
                self.is_complete = True
                self._end(_Delta(stop_reason="end_turn"), events)
            case _:
                pass

    def _start(self, event: _Event, events: list[Event]) -> None:
        block = event.content_block or _Block()
        opened = _Open(block.type or "")
        self._open[event.index] = opened
        match block.type:
            case "text":
                if block.text:
                    events.append(TextDelta(block.text))
            case "thinking":
                opened.signature = block.signature or ""
                if block.thinking:
                    events.append(ReasoningDelta(block.thinking))
            case "redacted_thinking":
                events.append(ReasoningEnd(_opaque(block.data, self._target), is_redacted=True))
            case "tool_use":
                opened.call, self._calls = self._calls, self._calls + 1
                events.append(ToolCallStart(opened.call, block.id or _id(self._target, event.index), block.name or ""))
                given = _input(block)
                if given.strip() not in ("", "{}"):
                    events.append(ToolCallDelta(opened.call, given))
            case _:
                pass

    def _continue(self, event: _Event, events: list[Event]) -> None:
        delta, opened = event.delta, self._open.get(event.index)
        if delta is None:
            return
        match delta.type:
            case "text_delta":
                if delta.text:
                    events.append(TextDelta(delta.text))
            case "thinking_delta":
                if delta.thinking:
                    events.append(ReasoningDelta(delta.thinking))
            case "signature_delta":
                if opened is not None:
                    opened.signature += delta.signature or ""
            case "input_json_delta":
                if opened is not None and opened.call is not None and delta.partial_json:
                    events.append(ToolCallDelta(opened.call, delta.partial_json))
            case _:
                pass

    def _stop(self, index: int, events: list[Event]) -> None:
        opened = self._open.pop(index, None)
        if opened is not None and opened.type == "thinking":
            events.append(ReasoningEnd(_opaque(opened.signature, self._target)))

    def _end(self, delta: _Delta | None, events: list[Event]) -> None:
        if delta is None or delta.stop_reason is None or self._is_finished:
            return
        for index in list(self._open):
            self._stop(index, events)
        self._is_finished = self.is_complete = True
        if (told := _refusal(delta.stop_reason, delta.stop_details)) is not None:
            events.append(RefusalDelta(told))
        events.append(Finished(_finish(delta.stop_reason, has_calls=self._calls > 0), delta.stop_sequence))


def stream_reader(target: Target) -> StreamReader:
    return StreamReader(target)
