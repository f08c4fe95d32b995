"""generateContent, upstream face: what Gemini answers, whole and as a stream.

https://ai.google.dev/api/generate-content#GenerateContentResponse
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from app.wire import tiers
from app.wire.answers import MAX_MEDIA_EVENT_BYTES, BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.gemini import searches
from app.wire.gemini.part_reader import part_of
from app.wire.neutral import NO_ARGUMENTS, Audio, File, Finish, Image, Opaque, Part, Reasoning, Source, Text, ToolCall
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
from app.wire.sse import SseReader

_NULL = Raw(b"null")
"""msgspec has no union of Raw and None."""
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Call(Struct, gc=False):
    name: str | None = None
    id: str | None = None
    args: Raw = _NULL


class _Blob(Struct, gc=False, rename="camel"):
    mime_type: str | None = None
    data: str | None = None


class _FileData(Struct, gc=False, rename="camel"):
    file_uri: str | None = None
    mime_type: str | None = None


class _Code(Struct, gc=False):
    language: str | None = None
    code: str | None = None


class _CodeResult(Struct, gc=False):
    output: str | None = None


class _Part(Struct, gc=False, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None
    inline_data: _Blob | None = None
    file_data: _FileData | None = None
    executable_code: _Code | None = None
    code_execution_result: _CodeResult | None = None


class _Content(Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(Struct, gc=False, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    index: int = 0
    grounding_metadata: Raw = _NULL


class _Feedback(Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Response(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Raw = _NULL
    response_id: str | None = None
    model_version: str | None = None
    error: Raw = _NULL


_decode = msgspec.json.Decoder(_Response).decode

_FINISHES: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "OTHER": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "CONTINUATION": "pause",
}
"""https://ai.google.dev/api/generate-content#FinishReason; a reason that is new is an end like any other."""


def read_answer(content: bytes, target: Target) -> Answer:
    """
    Raises:
        BrokenStream, ErrorInside
    """
    try:
        whole = _decode(content)
    except _NOT_JSON as failure:
        raise BrokenStream(f"an answer that is no response of generateContent ({failure})") from None
    if _is_there(whole.error):
        raise ErrorInside(whole.error.copy())
    candidate = whole.candidates[0] if whole.candidates else None
    blocked = whole.prompt_feedback.block_reason if whole.prompt_feedback is not None else None
    if candidate is None and blocked is None:
        raise BrokenStream("an answer without candidates")
    parts: list[Part] = []
    if candidate is not None and candidate.content is not None:
        for sent in candidate.content.parts or ():
            _add(parts, sent, target)
    return Answer(
        parts=tuple(parts),
        finish=_finish(candidate, any(isinstance(part, ToolCall) for part in parts)),
        upstream_id=whole.response_id,
        usage=_usage(whole, _searched(0, whole, candidate)),
        service_tier=tiers.tier_in_report(whole.usage_metadata),
    )


def _add(parts: list[Part], sent: _Part, target: Target) -> None:
    opaque = _opaque(sent, target)
    if sent.function_call is not None:
        calls = sum(isinstance(part, ToolCall) for part in parts)
        call = sent.function_call
        id_ = call.id or _id(target, calls)
        parts.append(ToolCall(id=id_, name=call.name or "", arguments=_arguments(call), opaque=opaque))
        return
    if sent.thought:
        parts.append(Reasoning(text=sent.text or "", opaque=opaque))
        return
    text = _text(sent)
    if text:
        parts.append(Text(text=text, opaque=opaque))
        return
    if opaque is not None:
        parts.append(Reasoning(opaque=opaque))
    if (made := _media(sent)) is not None:
        parts.append(made)


def _finish(candidate: _Candidate | None, has_calls: bool) -> Finish:
    """A prompt that was refused has no candidate. Calls end with the same word as text."""
    if candidate is None:
        return "content_filter"
    finish = _FINISHES.get(candidate.finish_reason or "STOP", "stop")
    return "tool_calls" if finish == "stop" and has_calls else finish


def _text(sent: _Part) -> str:
    """What a model says; code that ran at Google and what came out of it as text too."""
    if sent.executable_code is not None:
        return f"```{(sent.executable_code.language or '').lower()}\n{sent.executable_code.code or ''}\n```\n"
    if sent.code_execution_result is not None:
        return f"```\n{sent.code_execution_result.output or ''}\n```\n"
    return sent.text or ""


def _media(sent: _Part) -> Image | Audio | File | None:
    if (blob := sent.inline_data) is not None and blob.data is not None:
        source = Source(data=blob.data, media_type=blob.mime_type or "application/octet-stream")
        return part_of(source, None, None, "")
    if (file := sent.file_data) is not None and file.file_uri is not None:
        return part_of(Source(url=file.file_uri, media_type=file.mime_type), None, None, "")
    return None


def _opaque(sent: _Part, target: Target) -> Opaque | None:
    return Opaque(target.origin, sent.thought_signature) if sent.thought_signature else None


def _arguments(call: _Call) -> Raw:
    return call.args.copy() if bytes(call.args).startswith(b"{") else NO_ARGUMENTS


def _id(target: Target, n: int) -> str:
    return f"call_{target.call_id}_{n}"


def _searched(before: int, response: _Response, candidate: _Candidate | None) -> int:
    if candidate is None or not _is_there(candidate.grounding_metadata):
        return before
    return max(before, searches.count(candidate.grounding_metadata, response.model_version))


def _usage(response: _Response, web_searches: int) -> Raw | None:
    return searches.joined(response.usage_metadata, web_searches) if _is_there(response.usage_metadata) else None


def _is_there(raw: Raw) -> bool:
    # What is absent is the default itself, and that is nearly always.
    return raw is not _NULL and bytes(raw) != b"null"


class StreamReader:
    """Each event is a response with what is new; counts are those of the answer so far."""

    def __init__(self, target: Target) -> None:
        self.upstream_id: str | None = None
        self.error: Raw | None = None
        self.has_begun = False
        self.is_complete = False
        self._target = target
        # Pictures and sound travel whole inside an event.
        self._sse = SseReader(MAX_MEDIA_EVENT_BYTES)
        self._calls = 0
        self._is_thinking = False
        self._web_searches = 0
        self._report = _NULL

    @property
    def usage(self) -> Raw | None:
        return searches.joined(self._report, self._web_searches) if _is_there(self._report) else None

    @property
    def service_tier(self) -> str | None:
        return tiers.tier_in_report(self._report)

    def feed(self, chunk: bytes) -> list[Event]:
        """
        Raises:
            BrokenStream
        """
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
        if self.error is not None or not data:
            return
        try:
            response = _decode(data)
        except _NOT_JSON as failure:
            raise BrokenStream(f"an event that is no response ({failure})") from None
        if _is_there(response.error):
            self.error = response.error.copy()
            return
        self.has_begun = True
        self.upstream_id = self.upstream_id or response.response_id
        candidates = response.candidates or ()
        first = next((candidate for candidate in candidates if candidate.index == 0), None)
        self._web_searches = _searched(self._web_searches, response, first)
        if _is_there(response.usage_metadata):
            self._report = response.usage_metadata
        if first is not None:
            self._candidate(first, events)
        elif response.prompt_feedback is not None and response.prompt_feedback.block_reason is not None:
            self._end("content_filter", events)

    def _candidate(self, candidate: _Candidate, events: list[Event]) -> None:
        if not self.is_complete and candidate.content is not None:
            for sent in candidate.content.parts or ():
                self._part(sent, events)
        if candidate.finish_reason is not None:
            self._end(_finish(candidate, self._calls > 0), events)

    def _end(self, finish: Finish, events: list[Event]) -> None:
        if not self.is_complete:
            self._end_thought(events)
            self.is_complete = True
            events.append(Finished(finish))

    def _part(self, sent: _Part, events: list[Event]) -> None:
        opaque = _opaque(sent, self._target)
        if sent.thought:
            if sent.text:
                self._is_thinking = True
                events.append(ReasoningDelta(sent.text))
            if opaque is not None:
                self._is_thinking = False
                events.append(ReasoningEnd(opaque))
            return
        self._end_thought(events)
        if sent.function_call is not None:
            call, n = sent.function_call, self._calls
            self._calls += 1
            events.append(ToolCallStart(n, call.id or _id(self._target, n), call.name or "", opaque))
            events.append(ToolCallDelta(n, bytes(_arguments(call)).decode()))
            return
        if text := _text(sent):
            events.append(TextDelta(text))
        if opaque is not None:
            # Events of text have no place for it, so it follows by itself.
            events.append(ReasoningEnd(opaque))
        if (made := _media(sent)) is not None:
            events.append(Produced(made))

    def _end_thought(self, events: list[Event]) -> None:
        if self._is_thinking:
            self._is_thinking = False
            events.append(ReasoningEnd())


def stream_reader(target: Target) -> StreamReader:
    return StreamReader(target)
