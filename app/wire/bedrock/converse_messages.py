"""The messages of a Converse request: a history that Bedrock takes, whatever the one that the client sent.

Roles alternate and the user begins; every call is answered in the next message, results first; no text is blank;
documents have a text beside them; thoughts go back only signed, to who signed them.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from app.wire import neutral
from app.wire.bedrock import media
from app.wire.bedrock.families import Model
from app.wire.neutral import (
    Audio,
    CacheMark,
    Conversation,
    File,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from app.wire.notes import Notes

Block = dict[str, Any]

FILLER = "."
"""Where Bedrock insists on words that nobody said."""
_MOST_CACHE_POINTS = 4


class CachePoints:
    """The cache points of one request, counted over all of its parts."""

    def __init__(self, model: Model, notes: Notes) -> None:
        self._model = model
        self._notes = notes
        self._left = _MOST_CACHE_POINTS

    def after(self, mark: CacheMark | None, place: str, at: str) -> list[Block]:
        """The block for a mark; none where there is no mark or where it cannot stand."""
        if mark is None:
            return []
        at = f"{at}.cache_control" if at else "cache_control"
        if place not in self._model.cache_points:
            self._notes.dropped(at, "this model has no cache points here")
            return []
        if not self._left:
            self._notes.dropped(at, f"Bedrock takes {_MOST_CACHE_POINTS} cache points")
            return []
        self._left -= 1
        point = {"type": "default"}
        if mark.ttl == "1h" and self._model.takes_hour_cache:
            point["ttl"] = "1h"
        elif mark.ttl == "1h":
            self._notes.emulated(at, "cached for five minutes")
        return [{"cachePoint": point}]


class _Turn(Struct):
    role: str
    parts: list[Part]


def messages(said: Conversation, model: Model, origin: str, cache: CachePoints, notes: Notes) -> list[Block]:
    """
    Raises:
        BadRequest: a part that cannot be expressed; `param` is its path.
    """
    writer = _Writer(model, origin, cache, notes)
    written: list[Block] = []
    for turn in _answered(_turns(said, notes), notes):
        _append(written, turn.role, writer.blocks(turn))
    if not written or written[0]["role"] != "user":
        notes.defaulted("messages", "the user begins a conversation")
        written.insert(0, {"role": "user", "content": [{"text": FILLER}]})
    for message in written:
        _accompany_documents(message["content"], notes)
    if written[-1]["role"] == "assistant":
        _strip_the_end(written[-1]["content"])
    if said.cache_all is not None:
        written[-1]["content"] += cache.after(said.cache_all, "messages", "")
    return written


def has_tool_blocks(written: list[Block]) -> bool:
    return any("toolUse" in block or "toolResult" in block for message in written for block in message["content"])


def _turns(said: Conversation, notes: Notes) -> list[_Turn]:
    turns: list[_Turn] = []
    for message in said.messages:
        role, parts = message.role, list(message.parts)
        if message.name is not None:
            notes.dropped(f"{message.at}.name", "Converse has no names of speakers")
        if role == "system":
            notes.emulated(message.at or "messages", "an instruction in the middle stands in a user message")
            role = "user"
        if turns and turns[-1].role == role:
            turns[-1].parts += parts
        else:
            turns.append(_Turn(role, parts))
    return turns


def _answered(turns: list[_Turn], notes: Notes) -> list[_Turn]:
    """The same with each call answered once, at once, under an id that no other call has."""
    whole: list[_Turn] = []
    used: set[str] = set()
    calls: list[tuple[str, ToolCall]] = []
    for turn in turns:
        if turn.role == "user":
            whole.append(_Turn("user", _results_first(turn.parts, calls, notes)))
            calls = []
        else:
            parts, calls = _with_own_ids(turn.parts, used)
            whole.append(_Turn("assistant", parts))
    if calls:
        whole.append(_Turn("user", _results_first([], calls, notes)))
    return whole


def _with_own_ids(parts: list[Part], used: set[str]) -> tuple[list[Part], list[tuple[str, ToolCall]]]:
    """The parts, and beside each call the id that the client knows it by."""
    renamed: list[Part] = []
    calls: list[tuple[str, ToolCall]] = []
    for part in parts:
        if not isinstance(part, ToolCall):
            renamed.append(part)
            continue
        id_, n = neutral.legal_id(part.id), 1
        while id_ in used:
            n += 1
            id_ = neutral.legal_id(f"{part.id}_{n}")
        used.add(id_)
        call = replace(part, id=id_)
        renamed.append(call)
        calls.append((part.id, call))
    return renamed, calls


def _results_first(parts: list[Part], calls: list[tuple[str, ToolCall]], notes: Notes) -> list[Part]:
    given: dict[str, list[ToolResult]] = {}
    for part in parts:
        if isinstance(part, ToolResult):
            given.setdefault(part.call_id, []).append(part)
    results: list[Part] = []
    for known_as, call in calls:
        of_call = given.get(known_as)
        if of_call:
            results.append(replace(of_call.pop(0), call_id=call.id))
        else:
            notes.defaulted(call.at or "messages", "a call without a result is answered with an error")
            results.append(ToolResult(call_id=call.id, is_error=True, at=call.at))
    rest: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolResult):
            rest.append(part)
        elif any(part is left for left in given[part.call_id]):
            notes.emulated(part.at, "a result without its call stands in a user message")
            rest += part.parts
    return results + rest


class _Writer:
    def __init__(self, model: Model, origin: str, cache: CachePoints, notes: Notes) -> None:
        self._model = model
        self._origin = origin
        self._cache = cache
        self._notes = notes
        self._names = media.DocumentNames()

    def blocks(self, turn: _Turn) -> list[Block]:
        one = self._assistant if turn.role == "assistant" else self._user
        return [block for part in turn.parts for block in one(part)]

    def _assistant(self, part: Part) -> list[Block]:
        match part:
            case Text():
                return self._text(part)
            case Refusal():
                return [{"text": part.text}] if part.text.strip() else []
            case ToolCall():
                call = {"toolUseId": part.id, "name": part.name, "input": part.arguments}
                return [{"toolUse": call}, *self._marked(part.cache, part.at)]
            case Reasoning():
                return self._thought(part)
            case _:
                self._notes.dropped(part.at, "a picture or file in the assistant's own turn")
                return []

    def _thought(self, part: Reasoning) -> list[Block]:
        opaque = part.opaque
        # Only Claude signs; what is behind a profile is not known, and may be Claude.
        may_sign = self._model.claude is not None or not self._model.maker
        if opaque is None or opaque.origin != self._origin or not may_sign:
            self._notes.dropped(part.at, "thoughts go back to the model that signed them alone")
            return []
        if part.is_redacted:
            return [{"reasoningContent": {"redactedContent": opaque.value}}]
        return [{"reasoningContent": {"reasoningText": {"text": part.text, "signature": opaque.value}}}]

    def _user(self, part: Part) -> list[Block]:
        match part:
            case Text():
                return self._text(part)
            case ToolResult():
                return self._result(part)
            case Image():
                return [self._image(part), *self._marked(part.cache, part.at)]
            case Audio():
                return [media.sound(part), *self._marked(part.cache, part.at)]
            case File():
                return [media.file(part, self._names), *self._marked(part.cache, part.at)]
            case _:
                self._notes.dropped(part.at, "it cannot stand in a user's message")
                return []

    def _image(self, part: Image) -> Block:
        if part.detail not in (None, "auto"):
            self._notes.dropped(f"{part.at}.detail", "Converse does not say how closely to look")
        return media.image(part)

    def _text(self, part: Text) -> list[Block]:
        # Bedrock refuses a block whose text is blank.
        return [{"text": part.text}, *self._marked(part.cache, part.at)] if part.text.strip() else []

    def _result(self, part: ToolResult) -> list[Block]:
        content: list[Block] = []
        beside: list[Block] = []
        for inner in part.parts:
            match inner:
                case Text():
                    content += [{"text": inner.text}] if inner.text.strip() else []
                    if inner.cache is not None:
                        self._notes.dropped(f"{inner.at}.cache_control", "no cache point stands inside of a result")
                case Image():
                    content.append(self._image(inner))
                case File():
                    content.append(media.file(inner, self._names))
                case Audio():
                    self._notes.emulated(inner.at, "a tool's sound stands in the user message")
                    beside.append(media.sound(inner))
        # An empty list is refused; an empty object says the same.
        result: Block = {"toolUseId": part.call_id, "content": content or [{"json": {}}]}
        if part.is_error:
            result["status"] = "error"
        return [{"toolResult": result}, *self._marked(part.cache, part.at), *beside]

    def _marked(self, mark: CacheMark | None, at: str) -> list[Block]:
        return self._cache.after(mark, "messages", at)


def _append(written: list[Block], role: str, blocks: list[Block]) -> None:
    if not blocks:
        return
    if written and written[-1]["role"] == role:
        written[-1]["content"] += blocks
    else:
        written.append({"role": role, "content": blocks})


def _accompany_documents(blocks: list[Block], notes: Notes) -> None:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html: never without a text."""
    if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
        notes.defaulted("messages", "a document has a text beside it")
        blocks.append({"text": FILLER})


def _strip_the_end(blocks: list[Block]) -> None:
    """An answer that the model shall go on with must not end in white space."""
    last = blocks[-1]
    if "text" in last:
        last["text"] = last["text"].rstrip()
