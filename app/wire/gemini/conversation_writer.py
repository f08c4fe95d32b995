"""generateContent, client face: the answers that callers expect, whole and as a stream of them.

https://ai.google.dev/api/generate-content#GenerateContentResponse
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from app.base.usage import Usage
from app.wire import neutral
from app.wire.gemini import signatures
from app.wire.neutral import Audio, File, Finish, Image, Part, Reasoning, Refusal, Source, Text, ToolCall
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

_FINISH: dict[Finish, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "pause": "STOP",
    "error": "OTHER",
}

Json = dict[str, Any]


def write_answer(answer: Answer, reply: Reply, usage: Usage | None) -> bytes:
    """One `GenerateContentResponse`."""
    parts = [entry for part in answer.parts if (entry := _entry(part)) is not None]
    return _encode(_response(reply, parts, _FINISH[answer.finish], usage))


def _entry(part: Part) -> Json | None:
    match part:
        case Text() | Refusal():
            opaque = part.opaque if isinstance(part, Text) else None
            return _signed({"text": part.text}, signatures.written(opaque))
        case Reasoning():
            entry = {"text": part.text, "thought": True} if part.text else {"thought": True}
            mark = signatures.written(part.opaque, is_redacted=part.is_redacted)
            return _signed(entry, mark) if part.text or mark is not None else None
        case ToolCall():
            return _call(part.id, part.name, part.arguments, signatures.written(part.opaque) or signatures.UNSIGNED)
        case Image() | Audio() | File():
            return _media(part.source)
        case _:
            return None


def _signed(entry: Json, mark: str | None) -> Json:
    if mark is not None:
        entry["thoughtSignature"] = mark
    return entry


def _call(id_: str, name: str, arguments: Raw, mark: str | None) -> Json:
    return _signed({"functionCall": {"id": id_, "name": name, "args": arguments}}, mark)


def _media(source: Source) -> Json | None:
    if source.data is not None:
        return {"inlineData": {"mimeType": source.media_type, "data": source.data}}
    uri = source.url or source.file_id
    if uri is None:
        return None
    entry = {"fileUri": uri}
    if source.media_type is not None:
        entry["mimeType"] = source.media_type
    return {"fileData": entry}


def _response(reply: Reply, parts: list[Json], finish: str | None, usage: Usage | None) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    whole: Json = {"candidates": [candidate], "modelVersion": reply.model, "responseId": reply.id}
    if usage is not None:
        whole["usageMetadata"] = usage_entry(usage)
    return whole


def usage_entry(usage: Usage) -> Json:
    """A partition as Google writes it: the prompt contains what came from a cache, the candidates no thoughts."""
    prompt, said = usage.input_total, usage.output - usage.reasoning + usage.audio_out
    entry: Json = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": said,
        "totalTokenCount": prompt + said + usage.reasoning,
    }
    if usage.cache_read:
        entry["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        entry["thoughtsTokenCount"] = usage.reasoning
    if usage.audio_in:
        entry["promptTokensDetails"] = _details(prompt - usage.audio_in, usage.audio_in)
    if usage.audio_out:
        entry["candidatesTokensDetails"] = _details(said - usage.audio_out, usage.audio_out)
    return entry


def _details(text: int, audio: int) -> list[Json]:
    return [{"modality": "TEXT", "tokenCount": text}, {"modality": "AUDIO", "tokenCount": audio}]


class StreamWriter:
    """A stream of responses, each with what is new.

    A function call goes out whole, so the pieces of its arguments wait for the end of the answer; of a thought the
    newest piece waits, because its signature has to stand beside text.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._finish: Finished | None = None
        self._thought: str | None = None
        self._calls: dict[int, ToolCallStart] = {}
        self._arguments: dict[int, list[str]] = {}

    def begin(self) -> bytes:
        return b""

    def write(self, events: list[Event]) -> bytes:
        parts: list[Json] = []
        for event in events:
            if self._finish is None:
                self._one(event, parts)
        return self._frame(parts) if parts else b""

    def beat(self) -> bytes:
        # An empty line. Google's library takes a comment for JSON.
        return b"\n"

    def end(self, usage: Usage | None) -> bytes:
        parts: list[Json] = []
        self._end_thought(parts, None)
        self._put_calls(parts)
        finish = self._finish.finish if self._finish is not None else "stop"
        return self._frame(parts or [{"text": ""}], _FINISH[finish], usage)

    def _one(self, event: Event, parts: list[Json]) -> None:
        if isinstance(event, ReasoningDelta):
            self._end_thought(parts, None)
            self._thought = event.text
            return
        if isinstance(event, ReasoningEnd):
            self._end_thought(parts, signatures.written(event.opaque, is_redacted=event.is_redacted))
            return
        self._end_thought(parts, None)
        match event:
            case TextDelta() | RefusalDelta():
                if event.text:
                    _say(parts, event.text)
            case ToolCallStart():
                self._calls.setdefault(event.index, event)
            case ToolCallDelta():
                self._arguments.setdefault(event.index, []).append(event.text)
            case Produced():
                if (entry := _media(event.part.source)) is not None:
                    parts.append(entry)
            case Finished():
                self._finish = event
                self._put_calls(parts)

    def _end_thought(self, parts: list[Json], mark: str | None) -> None:
        text, self._thought = self._thought, None
        if text:
            parts.append(_signed({"text": text, "thought": True}, mark))
        elif mark is not None:
            parts.append(_signed({"thought": True}, mark))

    def _put_calls(self, parts: list[Json]) -> None:
        calls, self._calls = self._calls, {}
        for index, call in sorted(calls.items()):
            arguments = neutral.arguments_of("".join(self._arguments.pop(index, ())))
            parts.append(_call(call.id, call.name, arguments, signatures.written(call.opaque) or signatures.UNSIGNED))

    def _frame(self, parts: list[Json], finish: str | None = None, usage: Usage | None = None) -> bytes:
        return b"data: " + _encode(_response(self._reply, parts, finish, usage)) + b"\n\n"


def _say(parts: list[Json], text: str) -> None:
    """What came together goes out as one part."""
    last = parts[-1] if parts else None
    if last is not None and last.keys() == {"text"}:
        last["text"] += text
    else:
        parts.append({"text": text})


def stream_writer(reply: Reply) -> StreamWriter:
    return StreamWriter(reply)
