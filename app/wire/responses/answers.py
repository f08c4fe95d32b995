"""What providers with the Responses API answer, whole and as a stream, in neutral words."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from app.wire import neutral, tiers
from app.wire.answers import MAX_MEDIA_EVENT_BYTES, BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.neutral import Finish, Image, Opaque, Part, Reasoning, Refusal, Source, Text, ToolCall
from app.wire.neutral_answer import (
    Answer,
    Event,
    Finished,
    Produced,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from app.wire.responses import tools
from app.wire.responses.events import BEFORE, LAST, NOT_JSON, NULL, Whole, decode_whole, error_of
from app.wire.sse import SseReader


class _Said(Struct):
    """A part of a message, a summary or a thought."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None


class _Item(Struct):
    type: str | None = None
    content: list[_Said] | None = None
    summary: list[_Said] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    result: str | None = None
    output_format: str | None = None


class _StreamEvent(Struct, gc=False):
    type: str | None = None
    output_index: int = 0
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: Raw = NULL
    response: Raw = NULL


_decode_item = msgspec.json.Decoder(_Item).decode
_decode_event = msgspec.json.Decoder(_StreamEvent).decode

_REASONS: dict[str, Finish] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "stop_sequence": "stop_sequence",
}


def read_answer(content: bytes, target: Target) -> Answer:
    """
    Raises:
        BrokenStream, ErrorInside
    """
    try:
        whole = decode_whole(content)
        if whole.failure is not None:
            raise ErrorInside(whole.failure)
        if whole.output is None:
            raise BrokenStream("an answer without output")
        items = [_decode_item(raw) for raw in whole.output]
    except NOT_JSON as failure:
        raise BrokenStream(f"an answer that is no response ({failure})") from None
    parts = [part for n, item in enumerate(items) for part in _parts(item, n, target)]
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    return Answer(
        parts=tuple(parts),
        finish=_finish(whole, has_calls=has_calls),
        upstream_id=whole.id,
        usage=whole.report,
        service_tier=tiers.tier_of(whole.service_tier),
    )


def stream_reader(target: Target) -> StreamReader:
    return StreamReader(target)


def _parts(item: _Item, n: int, target: Target) -> list[Part]:
    match item.type:
        case "message":
            said = item.content or ()
            return [Refusal(text=one.refusal) if one.refusal is not None else Text(text=one.text or "") for one in said]
        case "reasoning":
            return [Reasoning(text=_thought(item), opaque=_opaque(item, target))]
        case "function_call" | "custom_tool_call":
            return [ToolCall(id=_call_id(item, n, target), name=_name(item), arguments=_arguments(item))]
        case "image_generation_call" if item.result:
            return [_picture(item)]
        case _:
            # What a tool of the provider's own did; its outcome is in what the model says.
            return []


def _finish(whole: Whole, *, has_calls: bool) -> Finish:
    if whole.status == "incomplete":
        reason = whole.incomplete_details.reason if whole.incomplete_details is not None else None
        return _REASONS.get(reason or "", "stop")
    return "tool_calls" if has_calls else "stop"


def _thought(item: _Item) -> str:
    summary = "\n\n".join(one.text or "" for one in item.summary or ())
    return summary or "\n\n".join(one.text or "" for one in item.content or ())


def _opaque(item: _Item, target: Target) -> Opaque | None:
    return Opaque(target.origin, item.encrypted_content) if item.encrypted_content else None


def _name(item: _Item) -> str:
    return tools.flat_name(item.namespace, item.name or "")


def _call_id(item: _Item, n: int, target: Target) -> str:
    return item.call_id or f"call_{target.call_id}_{n}"


def _arguments(item: _Item) -> Raw:
    return (
        tools.as_arguments(item.input or "") if item.input is not None else neutral.arguments_of(item.arguments or "")
    )


def _picture(item: _Item) -> Image:
    return Image(source=Source(data=item.result, media_type=f"image/{item.output_format or 'png'}"))


class StreamReader:
    """Reads deltas where they come, and the finished item where they did not."""

    def __init__(self, target: Target) -> None:
        self.upstream_id: str | None = None
        self.usage: Raw | None = None
        self.service_tier: str | None = None
        self.error: Raw | None = None
        self.has_begun = False
        self.is_complete = False
        self._target = target
        # The last event repeats all that was said.
        self._sse = SseReader(MAX_MEDIA_EVENT_BYTES)
        self._calls: dict[int, int] = {}
        """The provider's number of an item → ours of the call."""
        self._heard: set[int] = set()
        """Items of which deltas came."""
        self._parts_of_thought = 0

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        for sent in self._sse.feed(chunk):
            self._read(sent.data, events)
        return events

    def finish(self) -> list[Event]:
        events: list[Event] = []
        for sent in self._sse.finish():
            self._read(sent.data, events)
        return events

    def _read(self, data: bytes, events: list[Event]) -> None:
        # `error` says little; `response.failed`, right after it, says why.
        is_over = self.is_complete or (self.error is not None and b"response.failed" not in data)
        if is_over or not data or data == b"[DONE]":
            return
        try:
            event = _decode_event(data)
            self._one(event, data, events)
        except NOT_JSON as failure:
            raise BrokenStream(f"an event that is none of the Responses API ({failure})") from None

    def _one(self, event: _StreamEvent, data: bytes, events: list[Event]) -> None:
        index, delta = event.output_index, event.delta or ""
        if event.type is not None and event.type not in BEFORE and event.type not in LAST and event.type != "error":
            self.has_begun = True
        match event.type:
            case "response.output_text.delta":
                self._heard.add(index)
                events.append(TextDelta(delta))
            case "response.refusal.delta":
                self._heard.add(index)
                events.append(RefusalDelta(delta))
            case "response.reasoning_summary_part.added":
                if self._parts_of_thought:
                    events.append(ReasoningDelta("\n\n"))
                self._parts_of_thought += 1
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._heard.add(index)
                events.append(ReasoningDelta(delta))
            case "response.function_call_arguments.delta":
                if index in self._calls:
                    self._heard.add(index)
                    events.append(ToolCallDelta(self._calls[index], delta))
            case "response.output_item.added" if bytes(event.item) != b"null":
                self._begin(_decode_item(event.item), index, events)
            case "response.output_item.done" if bytes(event.item) != b"null":
                self._end(_decode_item(event.item), index, events)
            case "error":
                self.error = error_of(data)
            case _:
                self._lifecycle(event, data, events)

    def _lifecycle(self, event: _StreamEvent, data: bytes, events: list[Event]) -> None:
        if event.type is None and b'"error"' in data:
            self.error = error_of(data)
        if event.type not in BEFORE and event.type not in LAST:
            return
        whole = decode_whole(event.response)
        self.upstream_id = self.upstream_id or whole.id
        if event.type in BEFORE:
            return
        self.usage = whole.report
        self.service_tier = tiers.tier_of(whole.service_tier)
        if event.type == "response.failed":
            self.error = whole.failure or Raw(b'{"message":"The response failed."}')
            return
        self.has_begun = self.is_complete = True
        events.append(Finished(_finish(whole, has_calls=bool(self._calls))))

    def _begin(self, item: _Item, index: int, events: list[Event]) -> None:
        if item.type in ("function_call", "custom_tool_call") and index not in self._calls:
            self._calls[index] = len(self._calls)
            events.append(ToolCallStart(self._calls[index], _call_id(item, index, self._target), _name(item)))

    def _end(self, item: _Item, index: int, events: list[Event]) -> None:
        was_heard = index in self._heard
        match item.type:
            case "message" if not was_heard:
                for one in item.content or ():
                    events.append(RefusalDelta(one.refusal) if one.refusal is not None else TextDelta(one.text or ""))
            case "reasoning":
                self._parts_of_thought = 0
                if not was_heard and (text := _thought(item)):
                    events.append(ReasoningDelta(text))
                events.append(ReasoningEnd(_opaque(item, self._target)))
            case "function_call" | "custom_tool_call":
                self._begin(item, index, events)
                if not was_heard:
                    text = bytes(_arguments(item)).decode() if item.input is not None else item.arguments or ""
                    events.append(ToolCallDelta(self._calls[index], text))
            case "image_generation_call" if item.result:
                events.append(Produced(_picture(item)))
            case _:
                pass


def whole_of(content: bytes) -> dict[str, Any]:
    """A response as it is stored and given out again; empty where it is none."""
    try:
        value: Any = msgspec.json.decode(content)
    except NOT_JSON:
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
