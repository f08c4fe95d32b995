"""Chat completions, upstream face: what OpenAI-compatible providers answer, in one piece or streamed.

https://developers.openai.com/api/reference/resources/chat/subresources/completions/streaming-events
"""

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
from app.wire.sse import SseReader

_encode = msgspec.json.Encoder().encode

_NULL = Raw(b"null")
"""Absent and null are the same. (`Raw | None` decodes nothing but null.)"""


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: Any = None
    """JSON as a string, as documented; some servers give the object itself."""


class _ToolCall(Struct, gc=False):
    index: int | None = None
    """Of a stream; xAI and some others send calls whole and leave it out."""
    id: str | None = None
    function: _Function | None = None
    extra_content: Raw = _NULL


class _Said(Struct, gc=False):
    """A message or a delta."""

    content: str | list[Any] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    """DeepSeek, xAI, Ark."""
    reasoning: str | None = None
    """Ollama, OpenRouter, vLLM."""
    reasoning_details: Raw = _NULL
    """OpenRouter: https://openrouter.ai/docs/guides/best-practices/reasoning-tokens"""
    tool_calls: list[_ToolCall] | None = None
    images: list[Any] | None = None


class _Choice(Struct, gc=False):
    index: int | None = None
    finish_reason: str | None = None
    delta: _Said | None = None
    message: _Said | None = None


class _Chunk(Struct):
    id: str | None = None
    choices: list[_Choice] | None = None
    service_tier: Any = None
    usage: Raw = _NULL
    error: Raw = _NULL


_decode_chunk = msgspec.json.Decoder(_Chunk).decode

_NOT_AS_DOCUMENTED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "error": "error",
    # https://api-docs.deepseek.com/api/create-chat-completion
    "insufficient_system_resource": "error",
}


def read_answer(content: bytes, target: Target) -> Answer:
    """
    Raises:
        BrokenStream, ErrorInside
    """
    try:
        whole = _decode_chunk(content)
    except _NOT_AS_DOCUMENTED as failure:
        raise BrokenStream(f"an answer that is no chat completion ({failure})") from None
    if not whole.choices:
        if (error := _present(whole.error)) is not None:
            raise ErrorInside(error)
        raise BrokenStream("an answer without choices")
    choice = whole.choices[0]
    parts = _parts(choice.message or _Said(), target)
    finish = _FINISHES.get(choice.finish_reason or "stop", "stop")
    if finish == "stop" and any(isinstance(part, ToolCall) for part in parts):
        # A call that was forced ends with `stop`.
        finish = "tool_calls"
    tier = tiers.tier_of(whole.service_tier)
    return Answer(parts=parts, finish=finish, upstream_id=whole.id, usage=_present(whole.usage), service_tier=tier)


def _parts(said: _Said, target: Target) -> tuple[Part, ...]:
    parts: list[Part] = []
    thought = said.reasoning_content or said.reasoning
    details = _list(said.reasoning_details)
    if thought or details:
        parts.append(Reasoning(text=thought or _told(details), opaque=_opaque(details, target)))
    text = _text_of(said.content)
    if text:
        parts.append(Text(text=text))
    if said.refusal:
        parts.append(Refusal(text=said.refusal))
    for n, call in enumerate(said.tool_calls or ()):
        function = call.function or _Function()
        arguments = neutral.arguments_of(_arguments(function.arguments))
        id_ = call.id or _id(target, n)
        parts.append(ToolCall(id=id_, name=function.name or "", arguments=arguments, opaque=_signature(call, target)))
    parts += [image for entry in said.images or () if (image := _image(entry)) is not None]
    return tuple(parts)


def _id(target: Target, n: int) -> str:
    return f"call_{target.call_id}_{n}"


def _text_of(content: str | list[Any] | None) -> str:
    """A string; some servers answer with parts."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = [cast(dict[str, Any], part).get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _arguments(arguments: Any) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return _encode(arguments).decode()


def _signature(call: _ToolCall, target: Target) -> Opaque | None:
    """https://ai.google.dev/gemini-api/docs/thought-signatures: where Gemini behind OpenAI's format puts them."""
    if call.extra_content is _NULL:
        return None
    decoded: Any = msgspec.json.decode(call.extra_content)
    google = cast(dict[str, Any], decoded).get("google") if isinstance(decoded, dict) else None
    signature = cast(dict[str, Any], google).get("thought_signature") if isinstance(google, dict) else None
    return Opaque(target.origin, signature) if isinstance(signature, str) else None


def _image(entry: Any) -> Image | None:
    """OpenRouter's pictures in a message: https://openrouter.ai/docs/features/multimodal/image-generation"""
    outer = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
    inner: Any = outer.get("image_url")
    url = cast(dict[str, Any], inner).get("url") if isinstance(inner, dict) else inner
    if not isinstance(url, str):
        return None
    if url.startswith("data:"):
        head, _, data = url[5:].partition(",")
        return Image(source=Source(data=data, media_type=head.partition(";")[0] or "image/png"))
    return Image(source=Source(url=url))


def _list(raw: Raw) -> list[dict[str, Any]]:
    decoded: Any = None if raw is _NULL else msgspec.json.decode(raw)
    entries = cast(list[Any], decoded) if isinstance(decoded, list) else []
    return [cast(dict[str, Any], entry) for entry in entries if isinstance(entry, dict)]


def _told(details: list[dict[str, Any]]) -> str:
    """The text of details, where the thought stands nowhere else."""
    told = [detail.get("text") or detail.get("summary") for detail in details]
    return "".join(text for text in told if isinstance(text, str))


def _opaque(details: list[dict[str, Any]], target: Target) -> Opaque | None:
    return Opaque(target.origin, _encode(details).decode()) if details else None


def _present(raw: Raw) -> Raw | None:
    """A copy: the rest of the answer need not be kept for it."""
    return None if raw is _NULL or bytes(raw) == b"null" else raw.copy()


class _Call:
    """A tool call that streams in."""

    __slots__ = ("held", "id", "number", "opaque")

    def __init__(self, id_: str | None) -> None:
        self.id = id_
        self.number: int | None = None
        """Ours, once it has begun."""
        self.held: list[str] = []
        """Arguments that came before the name."""
        self.opaque: Opaque | None = None


class StreamReader:
    """States of an answer: thinking, speaking or calling, finished."""

    def __init__(self, target: Target) -> None:
        self.upstream_id: str | None = None
        self.usage: Raw | None = None
        self.error: Raw | None = None
        self.has_begun = False
        self.is_complete = False
        self._target = target
        # Pictures travel whole inside an event.
        self._sse = SseReader(MAX_MEDIA_EVENT_BYTES)
        self._calls: dict[int, _Call] = {}
        """By the provider's number."""
        self._begun = 0
        self._details: list[dict[str, Any]] = []
        self._is_thinking = False
        self._has_thought_text = False
        self._finish: Finish | None = None
        self._tier: Any = None

    @property
    def service_tier(self) -> str | None:
        return tiers.tier_of(self._tier)

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
            self._end_thought(events)
        return events

    def _read(self, data: bytes, events: list[Event]) -> None:
        if self.error is not None or not data:
            return
        if data.strip() == b"[DONE]":
            self.is_complete = True
            self._end("stop", events)
            return
        try:
            chunk = _decode_chunk(data)
        except _NOT_AS_DOCUMENTED as failure:
            raise BrokenStream(f"an event that is no chunk ({failure})") from None
        if (error := _present(chunk.error)) is not None:
            self.error = error
            return
        self.has_begun = True
        self.upstream_id = self.upstream_id or chunk.id
        self._tier = chunk.service_tier or self._tier
        # Cumulative where it comes more than once.
        self.usage = _present(chunk.usage) or self.usage
        for choice in chunk.choices or ():
            if not choice.index:
                self._choice(choice, events)

    def _choice(self, choice: _Choice, events: list[Event]) -> None:
        if self._finish is not None:
            # OpenRouter repeats an empty choice beside the usage.
            return
        said = choice.delta or choice.message
        if said is not None:
            self._delta(said, events)
        if choice.finish_reason is not None:
            self.is_complete = True
            self._end(_FINISHES.get(choice.finish_reason, "stop"), events)

    def _end(self, finish: Finish, events: list[Event]) -> None:
        if self._finish is not None:
            return
        self._end_thought(events)
        for call in self._calls.values():
            self._begin(call, "", events)
        self._finish = "tool_calls" if finish == "stop" and self._begun else finish
        events.append(Finished(self._finish))

    def _delta(self, said: _Said, events: list[Event]) -> None:
        thought = said.reasoning_content or said.reasoning
        if thought:
            self._is_thinking = self._has_thought_text = True
            events.append(ReasoningDelta(thought))
        if details := _list(said.reasoning_details):
            self._is_thinking = True
            self._details += details
        text = said.content if said.content.__class__ is str else _text_of(said.content)
        if text:
            self._end_thought(events)
            events.append(TextDelta(cast(str, text)))
        if said.refusal:
            self._end_thought(events)
            events.append(RefusalDelta(said.refusal))
        if said.tool_calls:
            self._end_thought(events)
            for n, call in enumerate(said.tool_calls):
                self._call(n, call, events)
        for entry in said.images or ():
            image = _image(entry)
            if image is not None:
                self._end_thought(events)
                events.append(Produced(image))

    def _call(self, n: int, sent: _ToolCall, events: list[Event]) -> None:
        function = sent.function or _Function()
        theirs = n if sent.index is None else sent.index
        call = self._calls.get(theirs)
        # Some servers number every call 0 and tell them apart by their ids; others repeat id and name, or send them
        # empty, with each piece of the arguments.
        if call is None or (sent.id and function.name and call.id and sent.id != call.id):
            if call is not None:
                self._begin(call, "", events)
            call = self._calls[theirs] = _Call(sent.id or None)
        call.id = call.id or sent.id
        call.opaque = call.opaque or _signature(sent, self._target)
        if function.name:
            self._begin(call, function.name, events)
        text = _arguments(function.arguments)
        if text and call.number is None:
            call.held.append(text)
        elif text:
            events.append(ToolCallDelta(cast(int, call.number), text))

    def _begin(self, call: _Call, name: str, events: list[Event]) -> None:
        """Once, as soon as the name is known."""
        if call.number is not None:
            return
        call.number, self._begun = self._begun, self._begun + 1
        call.id = call.id or _id(self._target, call.number)
        events.append(ToolCallStart(call.number, call.id, name, call.opaque))
        if call.held:
            events.append(ToolCallDelta(call.number, "".join(call.held)))

    def _end_thought(self, events: list[Event]) -> None:
        if not self._is_thinking:
            return
        self._is_thinking = False
        details, self._details = _joined(self._details), []
        if not self._has_thought_text and (told := _told(details)):
            events.append(ReasoningDelta(told))
        self._has_thought_text = False
        events.append(ReasoningEnd(_opaque(details, self._target)))


def _joined(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pieces of one thought as one entry: what is given back must be what came, whole."""
    joined: list[dict[str, Any]] = []
    for detail in details:
        last = joined[-1] if joined else None
        if last is not None and (last.get("index"), last.get("type")) == (detail.get("index"), detail.get("type")):
            for name, value in detail.items():
                if name in ("text", "summary", "data") and isinstance(value, str) and isinstance(last.get(name), str):
                    last[name] += value
                elif value is not None:
                    last[name] = value
        else:
            joined.append(dict(detail))
    return joined


def stream_reader(target: Target) -> StreamReader:
    return StreamReader(target)
