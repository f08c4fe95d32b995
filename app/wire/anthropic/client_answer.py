"""Messages, client face: the answers that callers expect, in one piece or streamed.

https://platform.claude.com/docs/en/build-with-claude/streaming#event-types
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.base.usage import Usage
from app.wire.anthropic import usage as usage_report
from app.wire.anthropic.argument_text import ArgumentText
from app.wire.anthropic.thoughts import signature_of
from app.wire.neutral import (
    Audio,
    File,
    Finish,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    legal_id,
)
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

_encode = msgspec.json.Encoder().encode

_STOPS: dict[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "pause": "pause_turn",
    # There is no word for it; this one says that the answer is not all there.
    "error": "max_tokens",
}


def write_answer(answer: Answer, reply: Reply, usage: Usage | None) -> bytes:
    """One `message`."""
    refused = any(isinstance(part, Refusal) for part in answer.parts)
    content = [block for part in answer.parts if (block := _block(part)) is not None]
    whole = _message(reply, content, usage)
    whole["stop_reason"] = _stop(answer.finish, refused=refused)
    whole["stop_sequence"] = answer.stop_sequence
    return _encode(whole)


def _message(reply: Reply, content: list[dict[str, Any]], usage: Usage | None) -> dict[str, Any]:
    return {
        "id": f"msg_{reply.id}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage_report.entry(usage),
    }


def _stop(finish: Finish, *, refused: bool) -> str:
    return "refusal" if refused and finish in ("stop", "content_filter") else _STOPS[finish]


def _block(part: Part) -> dict[str, Any] | None:
    match part:
        case Text() | Refusal():
            # An empty block cannot be given back.
            return {"type": "text", "text": part.text} if part.text else None
        case Reasoning():
            return _thought(part.text, part.opaque, is_redacted=part.is_redacted)
        case ToolCall():
            return {"type": "tool_use", "id": legal_id(part.id), "name": part.name, "input": part.arguments}
        case Image() | Audio() | File():
            return {"type": "text", "text": _shown(part)}
        case ToolResult():
            return None


def _thought(text: str, opaque: Opaque | None, *, is_redacted: bool) -> dict[str, Any]:
    if is_redacted:
        return {"type": "redacted_thinking", "data": signature_of(opaque)}
    return {"type": "thinking", "thinking": text, "signature": signature_of(opaque)}


def _shown(part: Image | Audio | File) -> str:
    """What a model made beside text: the format has no block for it, so it is linked as in Markdown."""
    source = part.source
    url = source.url or f"data:{source.media_type or 'application/octet-stream'};base64,{source.data or ''}"
    return f"![image]({url})" if isinstance(part, Image) else f"[file]({url})"


class StreamWriter:
    """Events. One block is open at a time: nothing → block → … → stopped.

    A tool call that begins while another one's arguments are not complete waits for them, because a block that is
    closed cannot be opened again and few clients read two at once.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._blocks = 0
        self._open: str | None = None
        """The type of the block that is open."""
        self._call: int | None = None
        """The number of the call whose block is open."""
        self._arguments = ArgumentText()
        """Of the open call."""
        self._waiting: dict[int, tuple[ToolCallStart, list[str]]] = {}
        self._begun: set[int] = set()
        """Numbers of the calls that have begun, waiting or not."""
        self._finish: Finished | None = None
        self._refused = False

    def begin(self) -> bytes:
        return _event("message_start", {"message": _message(self._reply, [], None)})

    def write(self, events: list[Event]) -> bytes:
        return b"".join([self._one(event) for event in events])

    def beat(self) -> bytes:
        return _event("ping", {})

    def end(self, usage: Usage | None) -> bytes:
        closed = self._close_all()
        finish = self._finish or Finished("stop")
        delta = {
            "stop_reason": _stop(finish.finish, refused=self._refused),
            "stop_sequence": finish.stop_sequence,
        }
        return (
            closed
            + _event("message_delta", {"delta": delta, "usage": usage_report.entry(usage)})
            + _event("message_stop", {})
        )

    def _one(self, event: Event) -> bytes:
        if self._finish is not None:
            return b""
        match event:
            case TextDelta():
                return self._say(event.text)
            case RefusalDelta():
                self._refused = True
                return self._say(event.text)
            case ReasoningDelta():
                return self._in("thinking") + self._delta({"type": "thinking_delta", "thinking": event.text})
            case ReasoningEnd():
                return self._end_thought(event)
            case ToolCallStart():
                return self._start_call(event)
            case ToolCallDelta():
                return self._continue_call(event)
            case Produced():
                return self._close_all() + self._say(_shown(event.part))
            case Finished():
                self._finish = event
                return b""

    def _say(self, text: str) -> bytes:
        if not text:
            return b""
        # Written by hand: most events of most streams are these.
        return self._in("text") + _TEXT % (self._blocks, _encode(text))

    def _in(self, type_: str) -> bytes:
        """Whatever has to happen so that a block of text or thinking is open."""
        if self._open == type_:
            return b""
        empty = {"type": type_, "text": ""} if type_ == "text" else {"type": type_, "thinking": "", "signature": ""}
        return self._close_all() + self._start(empty)

    def _end_thought(self, event: ReasoningEnd) -> bytes:
        if event.is_redacted:
            redacted = _thought("", event.opaque, is_redacted=True)
            return self._close_all() + self._start(redacted) + self._close()
        if self._open != "thinking":
            # Nothing was shown of it; its signature has to come back all the same.
            return b"" if event.opaque is None else self._in("thinking") + self._close(event.opaque)
        return self._close(event.opaque)

    def _start_call(self, event: ToolCallStart) -> bytes:
        if event.index in self._begun:
            # Twice the same number: clients would see two calls of one id.
            return b""
        self._begun.add(event.index)
        if self._open == "tool_use" and (self._waiting or not self._arguments.is_whole):
            self._waiting[event.index] = (event, [])
            return b""
        return self._close() + self._open_call(event)

    def _open_call(self, event: ToolCallStart) -> bytes:
        self._call, self._arguments = event.index, ArgumentText()
        return self._start({"type": "tool_use", "id": legal_id(event.id), "name": event.name, "input": {}})

    def _continue_call(self, event: ToolCallDelta) -> bytes:
        if event.index != self._call:
            if event.index in self._waiting:
                self._waiting[event.index][1].append(event.text)
            return b""
        said = self._argue(event.text)
        while self._waiting and self._arguments.is_whole:
            said += self._next_call()
        return said

    def _next_call(self) -> bytes:
        index = next(iter(self._waiting))
        start, texts = self._waiting.pop(index)
        return self._close() + self._open_call(start) + self._argue("".join(texts))

    def _argue(self, text: str) -> bytes:
        passed = self._arguments.feed(text)
        return self._delta({"type": "input_json_delta", "partial_json": passed}) if passed else b""

    def _close_all(self) -> bytes:
        said = b""
        while self._waiting:
            said += self._next_call()
        return said + self._close()

    def _close(self, opaque: Opaque | None = None) -> bytes:
        if self._open is None:
            return b""
        said = b""
        if self._open == "thinking":
            said = self._delta({"type": "signature_delta", "signature": signature_of(opaque)})
        elif self._open == "tool_use" and (rest := self._arguments.rest()):
            said = self._delta({"type": "input_json_delta", "partial_json": rest})
        self._open = self._call = None
        self._blocks += 1
        return said + _event("content_block_stop", {"index": self._blocks - 1})

    def _start(self, block: dict[str, Any]) -> bytes:
        self._open = str(block["type"])
        return _event("content_block_start", {"index": self._blocks, "content_block": block})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._blocks, "delta": delta})


_TEXT = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}\n\n'
)


def _event(type_: str, fields: dict[str, Any]) -> bytes:
    return b"event: " + type_.encode() + b"\ndata: " + _encode({"type": type_, **fields}) + b"\n\n"


def stream_writer(reply: Reply) -> StreamWriter:
    return StreamWriter(reply)
