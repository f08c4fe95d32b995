"""Answers as callers of `/v1/responses` expect them: one `response`, or the events of its stream.

https://developers.openai.com/api/reference/resources/responses/streaming-events
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from app.base.usage import Usage
from app.wire import neutral_answer
from app.wire.neutral import Image, Opaque
from app.wire.neutral_answer import (
    Answer,
    Event,
    Finished,
    Produced,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Reply,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from app.wire.responses import shape
from app.wire.responses.tools import Called, Names

_encode = msgspec.json.Encoder().encode

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def write_answer(answer: Answer, reply: Reply, usage: Usage | None) -> bytes:
    """One `response`: what the stream of the same answer ends with."""
    writer = StreamWriter(reply)
    writer.write(neutral_answer.events_of(answer))
    writer.end(usage)
    return writer.response


def stream_writer(reply: Reply) -> StreamWriter:
    return StreamWriter(reply)


class _Message(Struct):
    id: str
    index: int
    content: list[dict[str, Any]]
    """Of the parts that are done."""
    is_refusal: bool = False
    pieces: list[str] = []
    """Of the part that is open."""
    prefix: bytes = b""
    """How every delta of it begins."""


class _Thought(Struct):
    id: str
    index: int
    pieces: list[str]


class _Call(Struct):
    id: str
    index: int
    call_id: str
    called: Called
    opaque: Opaque | None
    pieces: list[str]


class StreamWriter:
    """Items one after the other, except for tool calls, which stay open until the end since their pieces may alternate.

    States: no item open → a message (with a part of text or of refusal) or a thought open → finished.
    """

    def __init__(self, reply: Reply) -> None:
        self.response = b""
        """The whole, once the stream has ended."""
        self._reply = reply
        self._head = shape.head(reply)
        self._names = Names(reply.asked.get("tools"))
        # The first two numbers are those of `begin`.
        self._number = 2
        self._output: list[dict[str, Any] | None] = []
        self._message: _Message | None = None
        self._thought: _Thought | None = None
        self._calls: dict[int, _Call] = {}
        self._finish: Finished | None = None

    def begin(self) -> bytes:
        # What was written already comes after it all the same.
        started = self._state("in_progress", [])
        return b"".join(
            _event({"type": type_, "sequence_number": number, "response": started})
            for number, type_ in enumerate(("response.created", "response.in_progress"))
        )

    def write(self, events: list[Event]) -> bytes:
        return b"".join([self._one(event) for event in events])

    def beat(self) -> bytes:
        return b": waiting\n\n"

    def end(self, usage: Usage | None) -> bytes:
        finish = self._finish.finish if self._finish is not None else "stop"
        closing = self._close() + self._close_calls()
        counted = None if usage is None else shape.usage_entry(usage)
        why = _INCOMPLETE.get(finish)
        if finish == "error":
            status = "failed"
            failure = {"code": "server_error", "message": "The model stopped because of an error."}
            whole = self._state(status, self._done(), error=failure, usage=counted)
        elif why is not None:
            status = "incomplete"
            whole = self._state(status, self._done(), incomplete_details={"reason": why}, usage=counted)
        else:
            status = "completed"
            whole = self._state(status, self._done(), usage=counted)
        self.response = bytes(whole)
        return closing + self._event({"type": f"response.{status}", "response": whole})

    def _one(self, event: Event) -> bytes:
        if self._finish is not None:
            return b""
        match event:
            case TextDelta():
                return self._say(event.text, is_refusal=False)
            case RefusalDelta():
                return self._say(event.text, is_refusal=True)
            case ReasoningDelta():
                return self._think(event.text)
            case ReasoningEnd():
                return self._end_thought(event.opaque, is_redacted=event.is_redacted)
            case ToolCallStart():
                return self._begin_call(event)
            case ToolCallDelta():
                return self._continue_call(event)
            case Produced():
                return self._produce(event)
            case Finished():
                self._finish = event
                return b""

    # --- messages

    def _say(self, text: str, *, is_refusal: bool) -> bytes:
        said = b""
        message = self._message
        if message is None:
            said = self._close()
            message = self._message = _Message(*self._place("msg"), [])
            item = shape.message(message.id, [], "in_progress")
            said += self._item_event("added", message.index, item) + self._begin_part(message, is_refusal)
        elif message.is_refusal != is_refusal:
            said = self._end_part(message) + self._begin_part(message, is_refusal)
        message.pieces.append(text)
        number = self._next()
        return said + message.prefix + b'%d,"delta":' % number + _encode(text) + b"}\n\n"

    def _begin_part(self, message: _Message, is_refusal: bool) -> bytes:
        message.is_refusal, message.pieces = is_refusal, []
        place = self._part_place(message)
        type_ = "response.refusal.delta" if is_refusal else "response.output_text.delta"
        start: dict[str, Any] = {"type": type_, **place}
        if not is_refusal:
            start["logprobs"] = []
        message.prefix = b"event: " + type_.encode() + b"\ndata: " + _encode(start)[:-1] + b',"sequence_number":'
        part = shape.refusal_part("") if is_refusal else shape.text_part("")
        return self._event({"type": "response.content_part.added", **place, "part": part})

    def _end_part(self, message: _Message) -> bytes:
        text, place = "".join(message.pieces), self._part_place(message)
        if message.is_refusal:
            part = shape.refusal_part(text)
            done = self._event({"type": "response.refusal.done", **place, "refusal": text})
        else:
            part = shape.text_part(text)
            done = self._event({"type": "response.output_text.done", **place, "text": text, "logprobs": []})
        done += self._event({"type": "response.content_part.done", **place, "part": part})
        message.content.append(part)
        return done

    def _part_place(self, message: _Message) -> dict[str, Any]:
        return {"item_id": message.id, "output_index": message.index, "content_index": len(message.content)}

    # --- thoughts

    def _think(self, text: str) -> bytes:
        said = b""
        thought = self._thought
        if thought is None:
            said = self._close()
            thought = self._thought = _Thought(*self._place("rs"), [])
            item = shape.reasoning(thought.id, [], None, is_redacted=False)
            said += self._item_event("added", thought.index, item)
            said += self._event(
                {
                    "type": "response.reasoning_summary_part.added",
                    **self._summary_place(thought),
                    "part": shape.summary_part(""),
                }
            )
        thought.pieces.append(text)
        type_ = "response.reasoning_summary_text.delta"
        return said + self._event({"type": type_, **self._summary_place(thought), "delta": text})

    def _end_thought(self, opaque: Opaque | None, *, is_redacted: bool) -> bytes:
        thought, self._thought = self._thought, None
        if thought is None:
            if opaque is None:
                return b""
            # Nothing but what the vendor wants back.
            said = self._close()
            id_, index = self._place("rs")
            added = shape.reasoning(id_, [], None, is_redacted=False)
            item = shape.reasoning(id_, [], opaque, is_redacted=is_redacted)
            return said + self._item_event("added", index, added) + self._item_event("done", index, item)
        text, place = "".join(thought.pieces), self._summary_place(thought)
        said = self._event({"type": "response.reasoning_summary_text.done", **place, "text": text})
        part = shape.summary_part(text)
        said += self._event({"type": "response.reasoning_summary_part.done", **place, "part": part})
        item = shape.reasoning(thought.id, [text], opaque, is_redacted=is_redacted)
        return said + self._item_event("done", thought.index, item)

    def _summary_place(self, thought: _Thought) -> dict[str, Any]:
        return {"item_id": thought.id, "output_index": thought.index, "summary_index": 0}

    # --- tool calls

    def _begin_call(self, event: ToolCallStart) -> bytes:
        if event.index in self._calls:
            return b""
        said = self._close()
        called = self._names[event.name]
        id_, index = self._place("ctc" if called.is_custom else "fc")
        call = self._calls[event.index] = _Call(id_, index, self._call_id(event), called, event.opaque, [])
        return said + self._item_event("added", index, self._call_item(call, "", "in_progress"))

    def _call_id(self, event: ToolCallStart) -> str:
        """The results are told apart by it, so there is one and it is there once."""
        given = event.id or f"call_{self._reply.id}"
        is_taken = not event.id or any(call.call_id == given for call in self._calls.values())
        return f"{given}_{event.index}" if is_taken else given

    def _continue_call(self, event: ToolCallDelta) -> bytes:
        call = self._calls.get(event.index)
        if call is None:
            return b""
        call.pieces.append(event.text)
        if call.called.is_custom:
            # Text inside a JSON string: given out whole, once it is.
            return b""
        type_ = "response.function_call_arguments.delta"
        return self._event({"type": type_, "item_id": call.id, "output_index": call.index, "delta": event.text})

    def _close_calls(self) -> bytes:
        return b"".join([self._close_call(call) for call in self._calls.values()])

    def _close_call(self, call: _Call) -> bytes:
        item = self._call_item(call, "".join(call.pieces) or "{}", "completed")
        place = {"item_id": call.id, "output_index": call.index}
        if call.called.is_custom:
            name, text = "response.custom_tool_call_input", item["input"]
            said = self._event({"type": f"{name}.delta", **place, "delta": text})
            said += self._event({"type": f"{name}.done", **place, "input": text})
        else:
            said = self._event(
                {
                    "type": "response.function_call_arguments.done",
                    **place,
                    "name": call.called.name,
                    "arguments": item["arguments"],
                }
            )
        return said + self._item_event("done", call.index, item)

    def _call_item(self, call: _Call, arguments: str, status: str) -> dict[str, Any]:
        return shape.tool_call(call.id, call.call_id, call.called, arguments, call.opaque, status)

    # --- the rest

    def _produce(self, event: Produced) -> bytes:
        part = event.part
        if not isinstance(part, Image):
            # The format has no sound and no files that a model makes.
            return b""
        if part.source.data is None:
            return self._say(part.source.url or "", is_refusal=False)
        said = self._close()
        id_, index = self._place("ig")
        item = shape.picture(id_, part)
        added = {**item, "status": "in_progress", "result": None}
        return said + self._item_event("added", index, added) + self._item_event("done", index, item)

    def _close(self) -> bytes:
        """End the message or the thought that is open."""
        message, self._message = self._message, None
        if message is None:
            return self._end_thought(None, is_redacted=False)
        said = self._end_part(message)
        was_cut = self._finish is not None and self._finish.finish in _INCOMPLETE
        item = shape.message(message.id, message.content, "incomplete" if was_cut else "completed")
        return said + self._item_event("done", message.index, item)

    def _place(self, prefix: str) -> tuple[str, int]:
        """The id and the number of a new item."""
        index = len(self._output)
        self._output.append(None)
        return f"{prefix}_{self._reply.id}_{index}", index

    def _item_event(self, what: str, index: int, item: dict[str, Any]) -> bytes:
        if what == "done":
            self._output[index] = item
        return self._event({"type": f"response.output_item.{what}", "output_index": index, "item": item})

    def _done(self) -> list[dict[str, Any]]:
        return [item for item in self._output if item is not None]

    def _state(
        self,
        status: str,
        output: list[dict[str, Any]],
        *,
        error: dict[str, Any] | None = None,
        incomplete_details: dict[str, Any] | None = None,
        usage: dict[str, Any] | None = None,
    ) -> msgspec.Raw:
        whole = {
            **self._head,
            "status": status,
            "error": error,
            "incomplete_details": incomplete_details,
            "output": output,
            "usage": usage,
        }
        return msgspec.Raw(_encode(whole))

    def _event(self, payload: dict[str, Any]) -> bytes:
        payload["sequence_number"] = self._next()
        return _event(payload)

    def _next(self) -> int:
        number = self._number
        self._number += 1
        return number


def _event(payload: dict[str, Any]) -> bytes:
    return b"event: " + payload["type"].encode() + b"\ndata: " + _encode(payload) + b"\n\n"
