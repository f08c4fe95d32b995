"""A conversation as Gemini's `contents`, in an order that it accepts.

The turns alternate and begin with the user's; what answers a function call follows it at once, one response for each
call and nothing before them; calls carry a thought signature where the model checks that.

https://ai.google.dev/gemini-api/docs/function-calling, …/thought-signatures
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw

from app.base.errors import BadRequest
from app.wire import neutral
from app.wire.gemini import signatures
from app.wire.gemini.models import Traits
from app.wire.neutral import (
    Audio,
    CacheMark,
    Conversation,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from app.wire.notes import Notes

Json = dict[str, Any]

_GO_ON = "Continue."
"""Said by a user who has to say something: before a history that begins with the model, after one that ends with it."""
_NO_RESULT = "The function gave no result."
_ITS_WORDS = frozenset({"output", "result", "error"})

_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/plain",
    "html": "text/html",
    "htm": "text/html",
    "csv": "text/csv",
    "xml": "text/xml",
    "json": "application/json",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}
_VIDEO_HOSTS = frozenset({"www.youtube.com", "youtube.com", "m.youtube.com", "youtu.be"})


class HistoryWriter:
    def __init__(self, conversation: Conversation, origin: str, traits: Traits, notes: Notes) -> None:
        self._said = conversation
        self._origin = origin
        self._traits = traits
        self._notes = notes
        self._names = neutral.names_of_calls(conversation)
        self._open: dict[str, ToolCall] = {}
        """Calls of the model's last turn that have no response yet, by id."""
        self._contents: list[Json] = []

    def contents(self) -> list[Json]:
        """
        Raises:
            BadRequest: a part that cannot be expressed; `param` is its path.
        """
        for is_model, messages in groupby(self._said.messages, key=lambda message: message.role == "assistant"):
            if is_model:
                for message in messages:
                    self._add("model", self._model(message))
            else:
                self._add("user", self._user(list(messages)))
        self._answer_open()
        contents = self._contents
        if not contents or contents[0]["role"] != "user":
            self._notes.defaulted(self._said.at("messages"), "the first turn has to be the user's")
            contents.insert(0, {"role": "user", "parts": [{"text": _GO_ON}]})
        if contents[-1]["role"] == "model" and not self._traits.takes_sampling:
            self._notes.emulated(self._said.at("messages"), "the last turn has to be the user's")
            self._add("user", [{"text": _GO_ON}])
        return contents

    def _add(self, role: str, parts: list[Json]) -> None:
        """Turns of the same role become one."""
        if not parts:
            return
        if self._contents and self._contents[-1]["role"] == role:
            self._contents[-1]["parts"] += parts
        else:
            self._contents.append({"role": role, "parts": parts})

    # --- the model's turns

    def _model(self, message: Message) -> list[Json]:
        parts: list[Json] = []
        for part in message.parts:
            match part:
                case Text():
                    self._mark(part.cache, part.at)
                    if part.text:
                        parts.append(self._signed({"text": part.text}, part))
                case Refusal():
                    parts.append({"text": part.text})
                case Reasoning():
                    if (thought := self._thought(part)) is not None:
                        parts.append(thought)
                case ToolCall():
                    self._mark(part.cache, part.at)
                    self._open[part.id] = part
                    parts.append(self._call(part))
                case Image() | Audio() | File():
                    parts.append(self._media(part))
                case ToolResult():
                    self._notes.dropped(part.at, "a result in the model's own turn")
        self._sign_first_call(parts, message.at)
        return parts

    def _thought(self, part: Reasoning) -> Json | None:
        opaque = part.opaque
        if opaque is None or opaque.origin != self._origin:
            self._notes.dropped(part.at, "thoughts without a signature of Google")
            return None
        if not part.text:
            # The signature of a part that came without text, or whose place the client's format does not keep.
            return {"text": "", "thoughtSignature": opaque.value}
        return {"text": part.text, "thought": True, "thoughtSignature": opaque.value}

    def _call(self, call: ToolCall) -> Json:
        function: Json = {"id": neutral.legal_id(call.id), "name": call.name, "args": call.arguments}
        return self._signed({"functionCall": function}, call)

    def _signed(self, entry: Json, part: Text | ToolCall) -> Json:
        if part.opaque is not None and part.opaque.origin == self._origin:
            entry["thoughtSignature"] = part.opaque.value
        return entry

    def _sign_first_call(self, parts: list[Json], at: str) -> None:
        """Of parallel calls only the first one carries a signature; one that Google did not make gets the word that
        is documented for histories from elsewhere."""
        if not self._traits.checks_signatures:
            return
        first = next((n for n, part in enumerate(parts) if "functionCall" in part), None)
        if first is None or "thoughtSignature" in parts[first]:
            return
        before = parts[first - 1] if first else None
        if before is not None and before.get("text") == "" and "thoughtSignature" in before:
            # A format that has no place for it at the call kept it before the call.
            parts[first]["thoughtSignature"] = before["thoughtSignature"]
            del parts[first - 1]
            return
        parts[first]["thoughtSignature"] = signatures.FOREIGN
        self._notes.emulated(at, "a function call that Google has not signed")

    # --- the user's turns

    def _user(self, messages: list[Message]) -> list[Json]:
        """All that is said up to the model's next turn: results may stand in messages of their own."""
        given = [part for message in messages for part in message.parts]
        results = {part.call_id: part for part in given if isinstance(part, ToolResult)}
        others: list[Part] = [part for part in given if not isinstance(part, ToolResult)]
        parts: list[Json] = []
        if self._open:
            # In the order of the calls; what is answered elsewhere, later or never gets a response too.
            parts = [part for call in self._open.values() for part in self._answered(call, results, others)]
            self._open = {}
        for orphan in results.values():
            self._notes.emulated(orphan.at, "a result without a call before it stands as text")
            name = orphan.name or self._names.get(orphan.call_id) or orphan.call_id
            parts.append({"text": f"Result of {name}: {_text_of(orphan)}"})
            others += [part for part in orphan.parts if not isinstance(part, Text)]
        for message in messages:
            if message.role == "system":
                self._notes.emulated(message.at, "an instruction in the middle stands in a user turn")
        parts += [written for part in others if (written := self._said_by_user(part)) is not None]
        return parts

    def _answered(self, call: ToolCall, results: dict[str, ToolResult], others: list[Part]) -> list[Json]:
        result = results.pop(call.id, None)
        name = call.name
        if result is None:
            self._notes.emulated(call.at, "a function call that was not answered")
            return [_response(call, name, {"error": _NO_RESULT}, [])]
        self._mark(result.cache, result.at)
        files: list[Json] = []
        for part in result.parts:
            if isinstance(part, Text):
                self._mark(part.cache, part.at)
            elif self._traits.shows_tools_pictures and isinstance(part, Image) and part.source.data is not None:
                files.append(self._media(part))
            else:
                self._notes.emulated(part.at, "what a function shows stands beside its response")
                others.append(part)
        return [_response(call, name, _given(result), files)]

    def _answer_open(self) -> None:
        """The conversation ends without results for what was called last."""
        if not self._open or not self._contents or self._contents[-1]["role"] != "model":
            return
        calls, self._open = self._open, {}
        for call in calls.values():
            self._notes.emulated(call.at, "a function call that was not answered")
            self._add("user", [_response(call, call.name, {"error": _NO_RESULT}, [])])

    def _said_by_user(self, part: Part) -> Json | None:
        match part:
            case Text():
                self._mark(part.cache, part.at)
                return {"text": part.text} if part.text else None
            case Image() | Audio() | File():
                self._mark(part.cache, part.at)
                return self._media(part)
            case Refusal():
                return {"text": part.text}
            case _:
                raise BadRequest(f"The part at {part.at} cannot stand in a user's message.", param=part.at)

    # --- files

    def _media(self, part: Image | Audio | File) -> Json:
        source = part.source
        if source.data is not None:
            entry: Json = {"inlineData": {"mimeType": source.media_type, "data": source.data}}
        elif source.url is not None:
            entry = {"fileData": _file(part, source.url)}
        elif source.file_id is not None and source.file_id.startswith(("https://generativelanguage.", "gs://")):
            entry = {"fileData": _file(part, source.file_id)}
        else:
            raise BadRequest(f"The file at {part.at} is known to another provider only.", param=part.at)
        if isinstance(part, Image) and part.detail in ("low", "high") and self._traits.has_levels:
            # https://ai.google.dev/gemini-api/docs/media-resolution: of a single part since Gemini 3.
            entry["mediaResolution"] = {"level": f"MEDIA_RESOLUTION_{part.detail.upper()}"}
        return entry

    def _mark(self, mark: CacheMark | None, at: str) -> None:
        if mark is not None:
            self._notes.dropped(f"{at}.cache_control", "Gemini caches by itself")


def _response(call: ToolCall, name: str, given: Any, files: list[Json]) -> Json:
    response: Json = {"id": neutral.legal_id(call.id), "name": name, "response": given}
    if files:
        # https://ai.google.dev/gemini-api/docs/function-calling#multimodal
        response["parts"] = [{"inlineData": file["inlineData"]} for file in files]
    return {"functionResponse": response}


def _given(result: ToolResult) -> Any:
    """An object as it is; a text under the API's own word for it."""
    text = _text_of(result)
    if result.is_error:
        return {"error": text}
    if text.lstrip()[:1] == "{":
        try:
            values: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            values = None
        if isinstance(values, dict) and not (len(cast(Json, values)) == 1 and _ITS_WORDS & cast(Json, values).keys()):
            return Raw(text.strip().encode())
    return {"output": text}


def _text_of(result: ToolResult) -> str:
    return "\n".join(part.text for part in result.parts if isinstance(part, Text))


def _file(part: Image | Audio | File, uri: str) -> Json:
    entry: Json = {"fileUri": uri}
    media = part.source.media_type or _guessed(part, part.source)
    if media is not None:
        entry["mimeType"] = media
    return entry


def _guessed(part: Image | Audio | File, source: Source) -> str | None:
    """By the ending of the path; a page of YouTube is a video whose type the API knows itself."""
    split = urlsplit(source.url or "")
    if split.hostname in _VIDEO_HOSTS:
        return None
    known = _TYPES.get(split.path.rpartition(".")[2].lower())
    return known or ("image/jpeg" if isinstance(part, Image) else "application/pdf")
