"""Chat completions, upstream face: what OpenAI-compatible providers are sent for a conversation, and what they answer.

https://developers.openai.com/api/reference/resources/chat/subresources/completions/methods/create
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.wire import neutral
from app.wire.answers import MAX_MEDIA_EVENT_BYTES, BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.neutral import (
    Answer,
    Audio,
    CacheMark,
    Conversation,
    Event,
    File,
    Finish,
    Finished,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Produced,
    Reasoning,
    ReasoningDelta,
    ReasoningEnd,
    Refusal,
    RefusalDelta,
    Source,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
)
from app.wire.notes import Notes
from app.wire.request import Outgoing, raw_of, write_document
from app.wire.sse import SseReader

_encode = msgspec.json.Encoder().encode

_AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/wav": "wav", "audio/x-wav": "wav"}
_TAKES_MARKS = frozenset({"openrouter"})
"""Who takes Anthropic's cache marks inside this format: https://openrouter.ai/docs/features/prompt-caching"""
_TAKES_DETAILS = frozenset({"openrouter"})
"""Who gives and takes `reasoning_details`: https://openrouter.ai/docs/use-cases/reasoning-tokens"""


# --- what we send


def write_request(conversation: Conversation, target: Target, notes: Notes) -> Outgoing:
    writer = _Writer(conversation, target, notes)
    document = {name: raw_of(value) for name, value in writer.fields().items() if value is not None}
    return Outgoing("application/json", write_document(document, target.deviations))


class _Writer:
    def __init__(self, conversation: Conversation, target: Target, notes: Notes) -> None:
        self._said = conversation
        self._target = target
        self._notes = notes
        self._has_marks = target.origin in _TAKES_MARKS

    def fields(self) -> dict[str, Any]:
        said, sampling = self._said, self._said.sampling
        fields: dict[str, Any] = {
            "model": self._target.model,
            "messages": self._messages(),
            "max_completion_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stop": list(sampling.stop) or None,
            "seed": sampling.seed,
            "presence_penalty": sampling.presence_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "n": sampling.n if sampling.n != 1 else None,
            "logit_bias": sampling.logit_bias,
            "tools": self._tools() or None,
            "response_format": None if said.output is None else _format(said.output),
            "user": said.user,
            "service_tier": said.service_tier,
            "verbosity": said.verbosity,
            "modalities": list(said.modalities) or None,
        }
        if sampling.n is not None and sampling.n > 1:
            self._notes.dropped(said.at("n"), "one answer per call across formats")
            fields["n"] = None
        if sampling.logprobs is not None:
            self._notes.dropped(said.at("logprobs"), "not translated")
        if sampling.top_k is not None:
            self._notes.dropped(said.at("top_k"), "OpenAI's format has no top_k")
        if said.tools:
            fields["parallel_tool_calls"] = said.has_parallel_tools
            if said.tool_choice is not None:
                choice = said.tool_choice
                by_name = {"type": "function", "function": {"name": choice.name}}
                fields["tool_choice"] = by_name if choice.mode == "tool" else choice.mode
        if said.reasoning is not None:
            wish = said.reasoning
            fields["reasoning_effort"] = wish.word()
            if wish.budget_tokens is not None and not wish.is_off:
                self._notes.emulated(said.at("reasoning"), f"a budget became the effort {wish.word()}")
        if self._target.is_streamed:
            fields["stream"] = True
            fields["stream_options"] = {"include_usage": True}
        return fields

    def _messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        if self._said.system:
            messages.append({"role": "system", "content": self._texts(self._said.system)})
        for message in self._said.messages:
            if message.role == "assistant":
                messages.append(self._assistant(message))
            elif message.role == "system":
                texts = tuple(part for part in message.parts if isinstance(part, Text))
                messages.append({"role": "system", "content": self._texts(texts)})
            else:
                messages += self._user(message)
        return messages

    def _user(self, message: Message) -> list[dict[str, Any]]:
        """Results come first, each in a message of its own; then what the user says."""
        messages: list[dict[str, Any]] = []
        rest: list[Part] = []
        for part in message.parts:
            if not isinstance(part, ToolResult):
                rest.append(part)
                continue
            texts = tuple(inner for inner in part.parts if isinstance(inner, Text))
            others = [inner for inner in part.parts if not isinstance(inner, Text)]
            content = self._texts(texts) if texts else ""
            messages.append({"role": "tool", "tool_call_id": part.call_id, "content": content})
            if others:
                # A tool's message holds text alone; what it made is shown by the user.
                self._notes.emulated(part.at, "pictures and files of a tool stand in a user message")
                rest += others
            self._mark(part.cache, part.at)
        if rest or not messages:
            entry: dict[str, Any] = {"role": "user", "content": self._content(rest)}
            if message.name is not None:
                entry["name"] = message.name
            messages.append(entry)
        return messages

    def _assistant(self, message: Message) -> dict[str, Any]:
        entry: dict[str, Any] = {"role": "assistant", "content": None}
        texts = tuple(part for part in message.parts if isinstance(part, Text))
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        refusals = [part.text for part in message.parts if isinstance(part, Refusal)]
        if texts:
            entry["content"] = "".join(text.text for text in texts)
            for text in texts:
                self._mark(text.cache, text.at)
        if refusals:
            entry["refusal"] = "".join(refusals)
        if calls:
            entry["tool_calls"] = [_call(call) for call in calls]
        elif not texts and not refusals:
            entry["content"] = ""
        self._put_thoughts(entry, [part for part in message.parts if isinstance(part, Reasoning)])
        for part in message.parts:
            if isinstance(part, Image | Audio | File):
                self._notes.dropped(part.at, "a picture or file in the assistant's own turn")
        return entry

    def _put_thoughts(self, entry: dict[str, Any], thoughts: list[Reasoning]) -> None:
        if not thoughts:
            return
        field = self._target.reasoning_field
        own = [t.opaque.value for t in thoughts if t.opaque is not None and t.opaque.origin == self._target.origin]
        if own and self._target.origin in _TAKES_DETAILS:
            entry["reasoning_details"] = [detail for text in own for detail in msgspec.json.decode(text)]
        elif field is not None:
            entry[field] = "".join(thought.text for thought in thoughts)
        else:
            self._notes.dropped(thoughts[0].at, "the provider does not take thoughts back")

    def _texts(self, texts: tuple[Text, ...]) -> str | list[dict[str, Any]]:
        """One string, which every server understands; parts only where they carry marks that arrive."""
        if self._has_marks and any(text.cache is not None for text in texts):
            return [self._text(text) for text in texts]
        for text in texts:
            self._mark(text.cache, text.at)
        return "\n\n".join(text.text for text in texts)

    def _content(self, parts: list[Part]) -> str | list[dict[str, Any]]:
        texts = tuple(part for part in parts if isinstance(part, Text))
        if len(texts) == len(parts):
            return self._texts(texts)
        return [self._part(part) for part in parts]

    def _part(self, part: Part) -> dict[str, Any]:
        match part:
            case Text():
                return self._text(part)
            case Image():
                self._mark(part.cache, part.at)
                url: dict[str, Any] = {"url": _url(part.source, part.at)}
                if part.detail is not None:
                    url["detail"] = part.detail
                return {"type": "image_url", "image_url": url}
            case Audio():
                source = part.source
                format_ = _AUDIO_FORMATS.get(source.media_type or "")
                if source.data is None or format_ is None:
                    raise BadRequest(f"The sound at {part.at} must be wav or mp3 for this provider.", param=part.at)
                return {"type": "input_audio", "input_audio": {"data": source.data, "format": format_}}
            case File():
                return self._file(part)
            case _:
                raise BadRequest(f"The part at {part.at} cannot stand in a user's message.", param=part.at)

    def _file(self, part: File) -> dict[str, Any]:
        source = part.source
        self._mark(part.cache, part.at)
        if (source.media_type or "").startswith("video/"):
            return {"type": "video_url", "video_url": {"url": _url(source, part.at)}}
        file: dict[str, Any] = {"filename": part.name or "document.pdf", "file_data": _url(source, part.at)}
        return {"type": "file", "file": file}

    def _text(self, text: Text) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "text", "text": text.text}
        self._put_mark(entry, text.cache, text.at)
        return entry

    def _tools(self) -> list[dict[str, Any]]:
        tools: list[dict[str, Any]] = []
        for spec in self._said.tools:
            function: dict[str, Any] = {"name": spec.name, "parameters": spec.parameters}
            if spec.description is not None:
                function["description"] = spec.description
            if spec.strict is not None:
                function["strict"] = spec.strict
            entry: dict[str, Any] = {"type": "function", "function": function}
            self._put_mark(entry, spec.cache, spec.at)
            tools.append(entry)
        return tools

    def _put_mark(self, entry: dict[str, Any], mark: CacheMark | None, at: str) -> None:
        if mark is not None and self._has_marks:
            entry["cache_control"] = {"type": "ephemeral", **({"ttl": "1h"} if mark.ttl == "1h" else {})}
        else:
            self._mark(mark, at)

    def _mark(self, mark: CacheMark | None, at: str) -> None:
        if mark is not None:
            self._notes.dropped(f"{at}.cache_control", "the provider caches by itself")


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": bytes(call.arguments).decode()}
    return {"id": neutral.legal_id(call.id, 64), "type": "function", "function": function}


def _url(source: Source, at: str) -> str:
    if source.url is not None:
        return source.url
    if source.data is None:
        raise BadRequest(f"The file at {at} is known to another provider only.", param=at)
    return f"data:{source.media_type};base64,{source.data}"


def _format(output: OutputFormat) -> dict[str, Any]:
    if output.mode == "json":
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": output.name, "schema": output.schema}
    if output.description is not None:
        schema["description"] = output.description
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}


# --- what we get


_NULL = Raw(b"null")
"""msgspec has no union of Raw and None."""


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: Any = None
    """A string, as documented; some servers (Ollama before 0.9) give the object itself."""


class _ToolCall(Struct, gc=False):
    index: int = 0
    id: str | None = None
    function: _Function | None = None
    extra_content: Raw = _NULL


class _Said(Struct, gc=False):
    """A message or a delta."""

    content: str | list[Any] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Raw = _NULL
    tool_calls: list[_ToolCall] | None = None
    images: list[Any] | None = None


class _Choice(Struct, gc=False):
    index: int = 0
    finish_reason: str | None = None
    delta: _Said | None = None
    message: _Said | None = None


class _Chunk(Struct):
    id: str | None = None
    choices: list[_Choice] | None = None
    usage: Raw = _NULL
    error: Raw = _NULL


_decode_chunk = msgspec.json.Decoder(_Chunk).decode

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
    "insufficient_system_resource": "error",
}


def read_answer(content: bytes, target: Target) -> Answer:
    """
    Raises:
        BrokenStream, ErrorInside
    """
    try:
        whole = _decode_chunk(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no chat completion ({failure})") from None
    if not whole.choices:
        if _is_there(whole.error):
            raise ErrorInside(whole.error.copy())
        raise BrokenStream("an answer without choices")
    choice = whole.choices[0]
    parts = _parts(choice.message or _Said(), target)
    finish = _FINISHES.get(choice.finish_reason or "stop", "stop")
    if finish == "stop" and any(isinstance(part, ToolCall) for part in parts):
        finish = "tool_calls"
    usage = whole.usage.copy() if _is_there(whole.usage) else None
    return Answer(parts=parts, finish=finish, upstream_id=whole.id, usage=usage)


def _parts(said: _Said, target: Target) -> tuple[Part, ...]:
    parts: list[Part] = []
    thought = said.reasoning_content or said.reasoning
    details = said.reasoning_details
    opaque = Opaque(target.origin, bytes(details).decode()) if _is_there(details) else None
    if thought or opaque is not None:
        parts.append(Reasoning(text=thought or "", opaque=opaque))
    text = _text_of(said.content)
    if text:
        parts.append(Text(text=text))
    if said.refusal:
        parts.append(Refusal(text=said.refusal))
    for n, call in enumerate(said.tool_calls or ()):
        function = call.function or _Function()
        arguments = neutral.arguments_of(_arguments(function.arguments))
        id_ = call.id or f"call_{target.call_id}_{n}"
        parts.append(ToolCall(id=id_, name=function.name or "", arguments=arguments, opaque=_opaque_of(call)))
    parts += [image for entry in said.images or () if (image := _image(entry)) is not None]
    return tuple(parts)


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


def _opaque_of(call: _ToolCall) -> Opaque | None:
    decoded: Any = msgspec.json.decode(call.extra_content)
    google = cast(dict[str, Any], decoded).get("google") if isinstance(decoded, dict) else None
    signature = cast(dict[str, Any], google).get("thought_signature") if isinstance(google, dict) else None
    return Opaque("google", signature) if isinstance(signature, str) else None


def _image(entry: Any) -> Image | None:
    """OpenRouter's pictures in a message: https://openrouter.ai/docs/features/multimodal/image-generation"""
    outer = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
    inner: Any = outer.get("image_url")
    url = cast(dict[str, Any], inner).get("url") if isinstance(inner, dict) else inner
    if not isinstance(url, str):
        return None
    if url.startswith("data:"):
        head, _, data = url[5:].partition(",")
        return Image(source=Source(data=data, media_type=head.partition(";")[0]))
    return Image(source=Source(url=url))


def _is_there(raw: Raw) -> bool:
    return bytes(raw) != b"null"


class StreamReader:
    def __init__(self, target: Target) -> None:
        self.upstream_id: str | None = None
        self.usage: Raw | None = None
        self.error: Raw | None = None
        self.has_begun = False
        self.is_complete = False
        self._target = target
        # Pictures travel whole inside an event.
        self._sse = SseReader(MAX_MEDIA_EVENT_BYTES)
        self._calls: dict[int, int] = {}
        """The provider's number of a tool call → ours."""
        self._last_id: dict[int, str] = {}
        self._details: list[Any] = []
        self._is_thinking = False
        self._finish: Finish | None = None

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
        if self.error is not None or not data:
            return
        if data == b"[DONE]":
            self.is_complete = True
            return
        try:
            chunk = _decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
            raise BrokenStream(f"an event that is no chunk ({failure})") from None
        if _is_there(chunk.error):
            self.error = chunk.error.copy()
            return
        self.has_begun = True
        self.upstream_id = self.upstream_id or chunk.id
        if _is_there(chunk.usage):
            # Cumulative where it comes more than once.
            self.usage = chunk.usage.copy()
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._choice(choice, events)

    def _choice(self, choice: _Choice, events: list[Event]) -> None:
        said = choice.delta or choice.message
        if said is not None:
            self._delta(said, events)
        if choice.finish_reason is not None and self._finish is None:
            self._end_thought(events)
            finish = _FINISHES.get(choice.finish_reason, "stop")
            self._finish = "tool_calls" if finish == "stop" and self._calls else finish
            self.is_complete = True
            events.append(Finished(self._finish))

    def _delta(self, said: _Said, events: list[Event]) -> None:
        thought = said.reasoning_content or said.reasoning
        if thought:
            self._is_thinking = True
            events.append(ReasoningDelta(thought))
        if _is_there(said.reasoning_details):
            decoded: Any = msgspec.json.decode(said.reasoning_details)
            self._details += cast(list[Any], decoded) if isinstance(decoded, list) else []
            self._is_thinking = True
        text = _text_of(said.content)
        if text:
            self._end_thought(events)
            events.append(TextDelta(text))
        if said.refusal:
            self._end_thought(events)
            events.append(RefusalDelta(said.refusal))
        for n, call in enumerate(said.tool_calls or ()):
            self._end_thought(events)
            self._call(n, call, events)
        for entry in said.images or ():
            image = _image(entry)
            if image is not None:
                events.append(Produced(image))

    def _call(self, n: int, call: _ToolCall, events: list[Event]) -> None:
        function = call.function or _Function()
        theirs = call.index
        # Some servers number every call 0 and tell them apart by their ids.
        is_new = theirs not in self._calls or (
            call.id is not None and function.name is not None and call.id != self._last_id.get(theirs)
        )
        if is_new:
            ours = max(self._calls.values(), default=-1) + 1
            self._calls[theirs] = ours
            id_ = call.id or f"call_{self._target.call_id}_{ours}"
            self._last_id[theirs] = id_
            events.append(ToolCallStart(ours, id_, function.name or "", _opaque_of(call)))
        text = _arguments(function.arguments)
        if text:
            events.append(ToolCallDelta(self._calls[theirs], text))

    def _end_thought(self, events: list[Event]) -> None:
        if not self._is_thinking:
            return
        self._is_thinking = False
        details, self._details = self._details, []
        opaque = Opaque(self._target.origin, _encode(_joined(details)).decode()) if details else None
        events.append(ReasoningEnd(opaque))


def _joined(details: list[Any]) -> list[Any]:
    """Pieces of one thought as one entry: what is given back must be what came, whole."""
    joined: list[dict[str, Any]] = []
    for detail in details:
        if not isinstance(detail, dict):
            continue
        entry = cast(dict[str, Any], detail)
        last = joined[-1] if joined else None
        if last is not None and (last.get("index"), last.get("type")) == (entry.get("index"), entry.get("type")):
            for name, value in entry.items():
                if name in ("text", "summary", "data") and isinstance(value, str) and isinstance(last.get(name), str):
                    last[name] += value
                elif value is not None:
                    last[name] = value
        else:
            joined.append(dict(entry))
    return joined


def stream_reader(target: Target) -> StreamReader:
    return StreamReader(target)
