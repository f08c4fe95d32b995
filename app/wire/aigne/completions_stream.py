"""Streams of completions in their two forms, and OpenAI's words in them."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

import msgspec

from app.base.usage import Usage
from app.wire import neutral, pictures
from app.wire.aigne import parts
from app.wire.neutral import Finish, Image, ToolCall
from app.wire.neutral_answer import (
    Event,
    Finished,
    Produced,
    ReasoningDelta,
    RefusalDelta,
    Reply,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)

_encode = msgspec.json.Encoder().encode

_ALIVE = b": thinking\n\n"
_FINISH: dict[Finish, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "pause": "stop",
    # There is no word for it; this one says that the answer is not all there.
    "error": "length",
}


def openai_finish(finish: Finish) -> str:
    return _FINISH[finish]


def openai_usage(usage: Usage) -> dict[str, Any]:
    """A partition as OpenAI writes it: the input count contains what was read from and written to a cache."""
    prompt, completion = usage.input_total, usage.output + usage.audio_out
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": usage.audio_in},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_out},
    }


def head_of(reply: Reply, object_: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{reply.id}", "object": object_, "created": reply.created, "model": reply.model}


def image_entry(image: Image, index: int) -> dict[str, Any]:
    """A picture beside the text, as OpenRouter has it: https://openrouter.ai/docs/features/multimodal/image-generation"""
    return {"type": "image_url", "index": index, "image_url": {"url": pictures.text_of(image.source)}}


class FrameWriter:
    """The hub's own frames. Each names the role; tool calls are the whole list, so they go out once, at the end."""

    def __init__(self) -> None:
        self._calls: dict[int, ToolCallStart] = {}
        self._arguments: dict[int, list[str]] = {}
        self._is_finished = False

    def begin(self) -> bytes:
        return b""

    def write(self, events: list[Event]) -> bytes:
        return b"".join([self._one(event) for event in events])

    def beat(self) -> bytes:
        return _ALIVE

    def end(self, usage: Usage | None) -> bytes:
        last = b""
        if self._calls:
            whole = [
                ToolCall(
                    id=call.id,
                    name=call.name,
                    arguments=neutral.arguments_of("".join(self._arguments.get(index, ()))),
                    opaque=call.opaque,
                )
                for index, call in sorted(self._calls.items())
            ]
            last = _frame("", [parts.call_entry(call, is_text=True) for call in whole])
        if usage is not None:
            prompt, completion = usage.input_total, usage.output + usage.audio_out
            counted = {"promptTokens": prompt, "completionTokens": completion, "totalTokens": prompt + completion}
            last += b"data: " + _encode({"usage": counted}) + b"\n\n"
        return last

    def _one(self, event: Event) -> bytes:
        if self._is_finished:
            return b""
        match event:
            case TextDelta() | RefusalDelta():
                return _frame(event.text, []) if event.text else b""
            case ReasoningDelta():
                # This form has no place for thoughts.
                return _ALIVE
            case ToolCallStart():
                self._calls[event.index] = event
                return _ALIVE
            case ToolCallDelta():
                self._arguments.setdefault(event.index, []).append(event.text)
                return _ALIVE
            case Produced():
                file = parts.file_entry(event.part)
                return b"" if file is None else _frame("", [], file)
            case Finished():
                self._is_finished = True
            case _:
                pass
        return b""


def _frame(content: str, calls: list[dict[str, Any]], file: dict[str, Any] | None = None) -> bytes:
    delta: dict[str, Any] = {"role": "assistant", "content": content, "toolCalls": calls}
    if file is not None:
        delta["files"] = [file]
    return b"data: " + _encode({"delta": delta}) + b"\n\n"


class ChunkWriter:
    """OpenAI's chunks: https://developers.openai.com/api/reference/resources/chat/subresources/completions"""

    def __init__(self, reply: Reply) -> None:
        self._wants_usage = reply.wants_usage
        # All chunks begin alike.
        self._head = b"data: " + _encode(head_of(reply, "chat.completion.chunk"))[:-1] + b',"choices":['
        self._finish: Finished | None = None
        self._pictures = count()

    def begin(self) -> bytes:
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def write(self, events: list[Event]) -> bytes:
        return b"".join([self._one(event) for event in events])

    def beat(self) -> bytes:
        return _ALIVE

    def end(self, usage: Usage | None) -> bytes:
        last = self._chunk({}, openai_finish(self._finish.finish if self._finish is not None else "stop"))
        if self._wants_usage:
            counted = _encode(openai_usage(usage)) if usage is not None else b"null"
            last += self._head + b'],"usage":' + counted + b"}\n\n"
        return last + b"data: [DONE]\n\n"

    def _one(self, event: Event) -> bytes:
        if self._finish is not None:
            return b""
        if event.__class__ is TextDelta:
            return self._chunk({"content": cast(TextDelta, event).text})
        match event:
            case RefusalDelta():
                return self._chunk({"refusal": event.text})
            case ReasoningDelta():
                return self._chunk({"reasoning_content": event.text})
            case ToolCallStart():
                function = {"name": event.name, "arguments": ""}
                call = {"index": event.index, "id": event.id, "type": "function", "function": function}
                return self._chunk({"tool_calls": [call]})
            case ToolCallDelta():
                return self._chunk({"tool_calls": [{"index": event.index, "function": {"arguments": event.text}}]})
            case Produced(part=Image() as image):
                return self._chunk({"images": [image_entry(image, next(self._pictures))]})
            case Finished():
                self._finish = event
            case _:
                pass
        return b""

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        reason = b"null" if finish is None else b'"' + finish.encode() + b'"'
        return self._head + b'{"index":0,"delta":' + _encode(delta) + b',"finish_reason":' + reason + b"}]}\n\n"
