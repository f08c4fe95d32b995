"""Taps on Gemini's own answers: they let the bytes through and read from them what the record needs.

A stream has no word for its end. What comes with the finish reason, and all after it, is held back until the call is
settled; an error in the middle must not carry the provider's own text. Everything else goes through as it came.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.usage import Usage
from app.wire import tiers
from app.wire.answers import MAX_MEDIA_EVENT_BYTES, AnswerFacts, BrokenStream
from app.wire.gemini import searches
from app.wire.gemini.conversation_writer import usage_entry
from app.wire.sse import Cutter, data_of

_MAX_GARBAGE_EVENTS = 10
_MAX_TAIL = MAX_MEDIA_EVENT_BYTES
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NULL, _NO_CALL = Raw(b"null"), Raw(b"")
_TOO_LONG = "MAX_TOKENS"
_REPEATED = ("modelVersion", "createTime", "responseId")

_encode = msgspec.json.Encoder().encode


class _Part(Struct, gc=False, rename="camel"):
    text: str | None = None
    function_call: Raw = _NO_CALL


class _Content(Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(Struct, gc=False, rename="camel"):
    index: int | None = None
    content: _Content | None = None
    finish_reason: str | None = None
    grounding_metadata: Raw = _NULL


class _Feedback(Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Response(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    embeddings: list[Raw] | None = None
    embedding: Raw = _NULL
    prompt_feedback: _Feedback | None = None
    usage_metadata: Raw = _NULL
    response_id: str | None = None
    model_version: str | None = None
    error: Raw = _NULL


class _Loose(Struct):
    """The same, believing less: for what is not as documented."""

    error: Raw = _NULL


_decode = msgspec.json.Decoder(_Response).decode
_decode_loose = msgspec.json.Decoder(_Loose).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class StreamTap:
    """Follows one stream of events. `feed` gives what may go to the client now."""

    def __init__(self, model: str = "") -> None:
        """`model`: as the caller named it, for a stream that is cut before it has begun."""
        self._model = model
        self._seen = b""
        """The data of the first event, for what all of them repeat."""
        self._speaking: set[int] = set()
        """Candidates that have said something, and those that have ended."""
        self._ended: set[int] = set()
        self._is_cut = False
        self._cutter = Cutter(MAX_MEDIA_EVENT_BYTES)
        self._garbage = 0
        self._web_searches = 0
        self._report = _NULL
        self._tail = bytearray()
        self.upstream_id: str | None = None
        self.error: Raw | None = None
        """The provider's error event, if one came; nothing after it is passed on."""
        self.finish_reason: str | None = None
        self.has_begun = False
        self.is_complete = False
        self.is_done = False
        """Never: the connection's end is the only word for it."""
        self.characters = 0
        """Of text, thoughts and function calls that went by, for the estimate when no usage comes."""

    @property
    def usage(self) -> Raw | None:
        """Counts are those of the answer so far: the last report is the one that counts."""
        return searches.joined(self._report, self._web_searches) if _is_there(self._report) else None

    @property
    def service_tier(self) -> str | None:
        return tiers.tier_in_report(self._report)

    @property
    def tail(self) -> bytes:
        return b"" if self._is_cut else bytes(self._tail)

    def feed(self, chunk: bytes) -> bytes:
        """
        Raises:
            BrokenStream: an event beyond all bounds, or too much that is not JSON.
        """
        if self.error is not None or self._is_cut:
            return b""
        events = self._cutter.feed(chunk)
        return self._pass(events) if events else b""

    def finish(self) -> bytes:
        """The stream has ended: what is left, if it is a whole event."""
        rest = self._cutter.finish()
        return self._pass(rest) if rest and self.error is None and not self._is_cut else b""

    def cut(self, usage: Usage | None) -> bytes:
        """See `faces.Tap`."""
        if self._is_cut:
            return b""
        said = bytes(self._tail)
        unfinished = sorted(self._speaking - self._ended)
        if not unfinished and not self.is_complete:
            unfinished = [0]
        if unfinished:
            said += self._last_event(unfinished, usage)
            self.finish_reason = _TOO_LONG
        self._is_cut = self.is_complete = True
        return said

    def _last_event(self, unfinished: list[int], usage: Usage | None) -> bytes:
        content = {"parts": [{"text": ""}], "role": "model"}
        whole: dict[str, Any] = {
            "candidates": [{"content": content, "finishReason": _TOO_LONG, "index": index} for index in unfinished],
            "modelVersion": self._model,
            "responseId": "",
        }
        fields = _fields_of(self._seen)
        whole |= {name: fields[name] for name in _REPEATED if name in fields}
        if usage is not None:
            whole["usageMetadata"] = usage_entry(usage)
        elif _is_there(self._report):
            whole["usageMetadata"] = self._report
        return b"data: " + _encode(whole) + b"\n\n"

    def _pass(self, events: bytes) -> bytes:
        """Look at each event of a piece that ends with one."""
        return b"".join([self._one(event) for event in events[:-2].split(b"\n\n")])

    def _one(self, event: bytes) -> bytes:
        data = data_of(event)
        if self.error is not None or not data:
            # Google's libraries take a comment for JSON, and an event without data is nothing to anybody.
            return b""
        try:
            seen = _decode(data)
        except msgspec.ValidationError:
            seen = self._seen_loosely(data)
        except _NOT_JSON:
            seen = None
        if seen is None:
            self._refuse_garbage()
            return b""
        if _is_there(seen.error):
            self.error = seen.error.copy()
            return b""
        if not self.has_begun:
            self.has_begun, self._seen = True, data
        self._read(seen)
        whole = event + b"\n\n"
        if not self.is_complete:
            return whole
        self._tail += whole
        if len(self._tail) > _MAX_TAIL:
            raise BrokenStream("too much after the end of the answer")
        return b""

    def _read(self, seen: _Response) -> None:
        self.upstream_id = self.upstream_id or seen.response_id
        for candidate in seen.candidates or ():
            self.characters += _characters(candidate)
            if candidate.finish_reason is not None:
                self.finish_reason = candidate.finish_reason
                self.is_complete = True
                self._ended.add(candidate.index or 0)
            else:
                self._speaking.add(candidate.index or 0)
            if _is_there(candidate.grounding_metadata):
                found = searches.count(candidate.grounding_metadata, seen.model_version)
                self._web_searches = max(self._web_searches, found)
        feedback = seen.prompt_feedback
        if not seen.candidates and feedback is not None and feedback.block_reason is not None:
            self.finish_reason = feedback.block_reason
            self.is_complete = True
        if _is_there(seen.usage_metadata):
            self._report = seen.usage_metadata

    def _seen_loosely(self, data: bytes) -> _Response | None:
        try:
            return _Response(error=_decode_loose(data).error)
        except _NOT_JSON:
            return None

    def _refuse_garbage(self) -> None:
        self._garbage += 1
        if self._garbage > _MAX_GARBAGE_EVENTS:
            raise BrokenStream("events that are not JSON")


def _fields_of(data: bytes) -> dict[str, Raw]:
    try:
        return _decode_fields(data) if data else {}
    except _NOT_JSON:
        return {}


def _is_there(raw: Raw) -> bool:
    # What is absent is the default itself, and that is nearly always.
    return raw is not _NULL and bytes(raw) != b"null"


def _characters(candidate: _Candidate) -> int:
    count = 0
    if candidate.content is not None:
        for part in candidate.content.parts or ():
            if part.text is not None:
                count += len(part.text)
            elif part.function_call is not _NO_CALL:
                count += len(bytes(part.function_call))
    return count


def read_facts(content: bytes) -> AnswerFacts:
    """Never fails: what is not there or not as documented is None, and `is_json` says whether it was JSON at all."""
    try:
        answer = _decode(content)
    except msgspec.ValidationError:
        return AnswerFacts()
    except _NOT_JSON:
        return AnswerFacts(is_json=False)
    candidate = answer.candidates[0] if answer.candidates else None
    feedback = answer.prompt_feedback
    reason = candidate.finish_reason if candidate is not None else None
    if candidate is None and feedback is not None:
        reason = feedback.block_reason
    usage: Raw | None = None
    if bytes(answer.usage_metadata) != b"null":
        grounding = candidate.grounding_metadata if candidate is not None else _NULL
        found = searches.count(grounding, answer.model_version) if bytes(grounding) != b"null" else 0
        usage = searches.joined(answer.usage_metadata, found)
    return AnswerFacts(
        upstream_id=answer.response_id,
        finish_reason=reason,
        usage=usage,
        error=answer.error if bytes(answer.error) != b"null" else None,
        items=len(answer.embeddings or ()) or int(bytes(answer.embedding) != b"null"),
        service_tier=tiers.tier_in_report(answer.usage_metadata),
    )


def characters_of(content: bytes) -> int:
    """Of an answer that came in one piece, for an estimate of its usage."""
    try:
        answer = _decode(content)
    except _NOT_JSON:
        # Of another shape: too much is the safer guess.
        return len(content)
    return sum(_characters(candidate) for candidate in answer.candidates or ())
