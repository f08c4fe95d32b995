"""`/api/v2/chat`: a call of the framework's chat model, and the answer that its client expects.

    {"input": {"messages", "tools"?, "toolChoice"?, "responseFormat"?, "modelOptions", "outputFileType"?},
     "agent"?, "options"?: {"streaming"?, …}, "model"?}

The answer is one object, or frames that are merged into one: what stands below `delta.text` is appended, what stands
below `delta.json` replaces what was there. So tool calls go out whole, once. An answer by a schema goes out as the
value `json`; where it is no JSON after all (cut off, or beside tool calls) it stays `text`. `finishReason` is ours: the
original loses it, and clients pass over keys that they do not know.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from app.base.usage import Usage
from app.wire import neutral
from app.wire.aigne import bounds, messages, parts, settings
from app.wire.aigne.answers import BETWEEN_THOUGHTS, model_names, text_of, thoughts_of, usage_entry
from app.wire.aigne.client import JSON_VALUE
from app.wire.aigne.spelling import places_of, spelt
from app.wire.fields import Fields, missing
from app.wire.neutral import Audio, Conversation, File, Image, Message, Text, ToolCall
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
from app.wire.request import Request, fields_of

_encode = msgspec.json.Encoder().encode

most_output = bounds.most_output_of_chat

_ALIVE = b": thinking\n\n"


def read_conversation(request: Request) -> Conversation:
    """
    Raises:
        BadRequest: a field is missing or wrong; `param` is its path.
    """
    fields = fields_of(request)
    given = fields.object("input")
    if given is None:
        raise missing("input")
    # For the client itself: who called, what it remembers, how files should come back (both ways are understood).
    fields.drop("agent", "options", "model")
    given.drop("model", "outputFileType", "output_file_type")
    asked = given.object(spelt(given, "modelOptions")) or Fields({}, given.path("modelOptions"), given.unread)
    asked.drop("model", "preferInputFileType", "prefer_input_file_type")
    places = places_of(asked, settings.PLACES)
    for ours, name in (("tool_choice", "toolChoice"), ("output", "responseFormat")):
        places |= places_of(given, {ours: (name,)})
    conversation = conversation_of(given, asked, places)
    for one in (asked, given, fields):
        one.done()
    conversation.unread = tuple(fields.unread)
    return conversation


Said = tuple[tuple[Text, ...], tuple[Message, ...]]


def conversation_of(given: Fields, asked: Fields, places: dict[str, str], said: Said | None = None) -> Conversation:
    """What `given` says, or `said`, with the settings in `asked`, which may be the same object as `given`.

    Raises:
        BadRequest: `param` is the path.
    """
    system, spoken = messages.read(given) if said is None else said
    caching = settings.caching(asked)
    tools = settings.tools(given)
    if caching.system is not None and system and system[-1].cache is None:
        system = (*system[:-1], replace(system[-1], cache=caching.system))
    if caching.tools is not None and tools and tools[-1].cache is None:
        tools = (*tools[:-1], replace(tools[-1], cache=caching.tools))
    emulated: list[tuple[str, str]] = []
    return Conversation(
        system=system,
        messages=spoken,
        tools=tools,
        tool_choice=settings.tool_choice(given, tools),
        has_parallel_tools=asked.flag(spelt(asked, "parallelToolCalls")),
        sampling=settings.sampling(asked),
        output=settings.output(given, emulated),
        reasoning=settings.reasoning(asked),
        user=asked.text("user"),
        service_tier=asked.text(spelt(asked, "serviceTier")),
        verbosity=asked.text("verbosity"),
        modalities=asked.texts("modalities"),
        cache_all=caching.everything,
        places=places,
        emulated=tuple(emulated),
    )


def write_answer(answer: Answer, reply: Reply, usage: Usage | None) -> bytes:
    whole: dict[str, Any] = _said(text_of(answer), is_json=reply.form == JSON_VALUE)
    if thoughts := thoughts_of(answer):
        whole["thoughts"] = thoughts
    if calls := [parts.call_entry(part, is_text=False) for part in answer.parts if isinstance(part, ToolCall)]:
        whole["toolCalls"] = calls
    files = [parts.file_entry(part) for part in answer.parts if isinstance(part, Image | Audio | File)]
    if found := [file for file in files if file is not None]:
        whole["files"] = found
    if usage is not None:
        whole["usage"] = usage_entry(usage, reply.id)
    return _encode(whole | model_names(reply.model) | {"finishReason": answer.finish})


def _said(text: str, *, is_json: bool) -> dict[str, Any]:
    if not text:
        return {}
    value = _json_of(text) if is_json else None
    return {"text": text} if value is None else {"json": value}


def _json_of(text: str) -> Raw | None:
    try:
        msgspec.json.decode(text)
        return parts.one_line(text.encode())
    except (msgspec.DecodeError, RecursionError):
        return None


class StreamWriter:
    """Frames. Text and thoughts go out as they come, files when they are there; what replaces goes out in the last
    frame: tool calls, an answer by a schema, usage. Until then comments keep the connection alive."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._is_json = reply.form == JSON_VALUE
        self._held: list[str] = []
        self._calls: dict[int, ToolCallStart] = {}
        self._arguments: dict[int, list[str]] = {}
        self._files: list[dict[str, Any]] = []
        self._has_thought = False
        self._is_new_thought = False
        self._finish: Finished | None = None

    def begin(self) -> bytes:
        return _json_frame(model_names(self._reply.model))

    def write(self, events: list[Event]) -> bytes:
        return b"".join([self._one(event) for event in events])

    def beat(self) -> bytes:
        return _ALIVE

    def end(self, usage: Usage | None) -> bytes:
        text = "".join(self._held)
        said = _said(text, is_json=True)
        last: dict[str, Any] = {"json": said["json"]} if "json" in said else {}
        if self._calls:
            last["toolCalls"] = [parts.call_entry(call, is_text=False) for call in self._whole_calls()]
        if usage is not None:
            last["usage"] = usage_entry(usage, self._reply.id)
        last["finishReason"] = self._finish.finish if self._finish is not None else "stop"
        # Text that should have been JSON and is none is still what the model said.
        before = _text_frame("text", text) if "text" in said else b""
        return before + _json_frame(last)

    def _one(self, event: Event) -> bytes:
        if self._finish is not None:
            return b""
        if event.__class__ is TextDelta:
            return self._text(cast(TextDelta, event).text)
        match event:
            case RefusalDelta():
                return self._text(event.text)
            case ReasoningDelta():
                return self._thought(event.text)
            case ReasoningEnd():
                self._is_new_thought = self._has_thought
            case ToolCallStart():
                self._calls[event.index] = event
                return _ALIVE
            case ToolCallDelta():
                self._arguments.setdefault(event.index, []).append(event.text)
                return _ALIVE
            case Produced():
                return self._file(event.part)
            case Finished():
                self._finish = event
            case _:
                pass
        return b""

    def _text(self, text: str) -> bytes:
        if not text:
            return b""
        if self._is_json:
            self._held.append(text)
            return _ALIVE
        return _text_frame("text", text)

    def _thought(self, text: str) -> bytes:
        if not text:
            return b""
        border = BETWEEN_THOUGHTS if self._is_new_thought else ""
        self._has_thought, self._is_new_thought = True, False
        return _text_frame("thoughts", border + text)

    def _file(self, part: Image | Audio | File) -> bytes:
        entry = parts.file_entry(part)
        if entry is None:
            return b""
        self._files.append(entry)
        return _json_frame({"files": self._files})

    def _whole_calls(self) -> list[ToolCall]:
        return [
            ToolCall(
                id=call.id,
                name=call.name,
                arguments=neutral.arguments_of("".join(self._arguments.get(index, ()))),
                opaque=call.opaque,
            )
            for index, call in sorted(self._calls.items())
        ]


def stream_writer(reply: Reply) -> StreamWriter:
    return StreamWriter(reply)


def _text_frame(key: str, text: str) -> bytes:
    return b'data: {"delta":{"text":{"' + key.encode() + b'":' + _encode(text) + b"}}}\n\n"


def _json_frame(values: dict[str, Any]) -> bytes:
    return b'data: {"delta":{"json":' + _encode(values) + b"}}\n\n"
