"""Chat completions, client face: the answers that callers expect, in one piece or streamed.

Thoughts go out as `reasoning_content`, as DeepSeek and most servers do it, and with what must come back signed as
`reasoning_details`, in OpenRouter's shape: https://openrouter.ai/docs/guides/best-practices/reasoning-tokens
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from app.base.usage import Usage
from app.wire import neutral
from app.wire.neutral import Audio, Image, Opaque, Reasoning, Refusal, Text, ToolCall
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
from app.wire.openai.chat_client_parts import MARKED

_encode = msgspec.json.Encoder().encode

_FINISH = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "pause": "stop",
    # There is no word for it; this one says that the answer is not all there.
    "error": "length",
}
_AUDIO_SECONDS = 3600
"""How long a sound can be referred to by its id; nobody keeps ours, but the field is required."""


def write_answer(answer: Answer, reply: Reply, usage: Usage | None) -> bytes:
    """One `chat.completion`."""
    choice = {"index": 0, "message": _message(answer, reply), "logprobs": None, "finish_reason": _FINISH[answer.finish]}
    whole: dict[str, Any] = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.model,
        "choices": [choice],
    }
    if usage is not None:
        whole["usage"] = usage_entry(usage)
    return _encode(whole)


def usage_entry(usage: Usage) -> dict[str, Any]:
    """A partition as OpenAI writes it: the input count contains what was read from and written to a cache."""
    prompt, completion = usage.input_total, usage.output + usage.audio_out
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": usage.audio_in,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_out},
    }


def _message(answer: Answer, reply: Reply) -> dict[str, Any]:
    parts = answer.parts
    texts = [part.text for part in parts if isinstance(part, Text)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    calls = [_call_entry(part) for part in parts if isinstance(part, ToolCall)]
    # An answer without words is empty rather than absent, except where absent is what clients know.
    content = "".join(texts) if texts or not (calls or refusals) else None
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": "".join(refusals) or None}
    thoughts = [part for part in parts if isinstance(part, Reasoning)]
    if any(thought.text for thought in thoughts):
        message["reasoning_content"] = "".join(thought.text for thought in thoughts)
    if details := [_detail(n, thought.text, thought.opaque, thought.is_redacted) for n, thought in enumerate(thoughts)]:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    if images := [_image_entry(part) for part in parts if isinstance(part, Image)]:
        message["images"] = images
    if (sound := next((part for part in parts if isinstance(part, Audio)), None)) is not None:
        message["audio"] = _audio_entry(sound, reply)
    return message


def _call_entry(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": bytes(call.arguments).decode()}
    entry: dict[str, Any] = {"id": call.id, "type": "function", "function": function}
    if call.opaque is not None:
        entry["extra_content"] = _extra(call.opaque)
    return entry


def _extra(opaque: Opaque) -> dict[str, Any]:
    return {"google": {"thought_signature": neutral.opaque_text(opaque, "google")}}


def _detail(n: int, text: str, opaque: Opaque | None, is_redacted: bool) -> dict[str, Any]:
    mark = None if opaque is None else neutral.opaque_text(opaque, MARKED)
    if is_redacted:
        return {"type": "reasoning.encrypted", "data": mark, "format": None, "index": n}
    return {"type": "reasoning.text", "text": text, "signature": mark, "format": None, "index": n}


def _image_entry(image: Image) -> dict[str, Any]:
    source = image.source
    url = source.url or f"data:{source.media_type or 'image/png'};base64,{source.data}"
    return {"type": "image_url", "image_url": {"url": url}}


def _audio_entry(sound: Audio, reply: Reply) -> dict[str, Any]:
    return {
        "id": f"audio_{reply.id}",
        "data": sound.source.data or "",
        "expires_at": reply.created + _AUDIO_SECONDS,
        "transcript": "",
    }


class StreamWriter:
    """Chunks. States: nothing said yet → deltas → finished; every chunk but the last has one choice."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        head = {"id": f"chatcmpl-{reply.id}", "object": "chat.completion.chunk", "created": reply.created}
        head["model"] = reply.model
        # All chunks begin alike.
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":['
        self._finish: Finished | None = None
        self._calls: dict[int, int] = {}
        """A call's number in the events → in the chunks, where they count from 0 without gaps."""
        self._thoughts = 0
        self._thought: list[str] = []
        self._pictures = 0

    def begin(self) -> bytes:
        return self._chunk(b'{"role":"assistant","content":"","refusal":null}')

    def write(self, events: list[Event]) -> bytes:
        return b"".join([self._one(event) for event in events])

    def beat(self) -> bytes:
        return b": waiting\n\n"

    def end(self, usage: Usage | None) -> bytes:
        finish = _FINISH[self._finish.finish if self._finish is not None else "stop"]
        last = self._chunk(b"{}", finish)
        if self._reply.wants_usage:
            counted = _encode(usage_entry(usage)) if usage is not None else b"null"
            last += self._head + b'],"usage":' + counted + b"}\n\n"
        return last + b"data: [DONE]\n\n"

    def _one(self, event: Event) -> bytes:
        if self._finish is not None:
            return b""
        if event.__class__ is TextDelta:
            return self._chunk(b'{"content":' + _encode(cast(TextDelta, event).text) + b"}")
        match event:
            case ReasoningDelta():
                self._thought.append(event.text)
                return self._delta({"reasoning_content": event.text})
            case ReasoningEnd():
                return self._end_thought(event)
            case ToolCallStart():
                return self._start_call(event)
            case ToolCallDelta():
                number = self._calls.get(event.index)
                if number is None:
                    return b""
                return self._delta({"tool_calls": [{"index": number, "function": {"arguments": event.text}}]})
            case RefusalDelta():
                return self._delta({"refusal": event.text})
            case Produced(part=Image() as image):
                entry = {"index": self._pictures, **_image_entry(image)}
                self._pictures += 1
                return self._delta({"images": [entry]})
            case Produced(part=Audio() as sound):
                return self._delta({"audio": _audio_entry(sound, self._reply)})
            case Finished():
                self._finish = event
            case _:
                pass
        return b""

    def _start_call(self, event: ToolCallStart) -> bytes:
        number = len(self._calls)
        if event.index in self._calls:
            # Twice the same number: clients would glue the two together.
            return b""
        self._calls[event.index] = number
        entry: dict[str, Any] = {"index": number, "id": event.id, "type": "function"}
        entry["function"] = {"name": event.name, "arguments": ""}
        if event.opaque is not None:
            entry["extra_content"] = _extra(event.opaque)
        return self._delta({"tool_calls": [entry]})

    def _end_thought(self, event: ReasoningEnd) -> bytes:
        """What is signed goes out once more, whole: only together with its signature is a thought of use to its vendor.

        Thoughts without one are not repeated.
        """
        text, self._thought = "".join(self._thought), []
        if event.opaque is None:
            return b""
        detail = _detail(self._thoughts, text, event.opaque, event.is_redacted)
        self._thoughts += 1
        return self._delta({"reasoning_details": [detail]})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._chunk(_encode(delta))

    def _chunk(self, delta: bytes, finish: str | None = None) -> bytes:
        reason = b"null" if finish is None else b'"' + finish.encode() + b'"'
        return self._head + b'{"index":0,"delta":' + delta + b',"logprobs":null,"finish_reason":' + reason + b"}]}\n\n"


def stream_writer(reply: Reply) -> StreamWriter:
    return StreamWriter(reply)
