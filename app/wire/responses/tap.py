"""A tap on a stream of the Responses API: bytes go through, and what the record needs is read from them.

The event that ends a stream holds the whole response with its usage; it is kept back until the call is settled.
"""

from __future__ import annotations

import contextlib

import msgspec
from msgspec import Raw, Struct

from app.base.usage import Usage
from app.wire import tiers
from app.wire.answers import MAX_MEDIA_EVENT_BYTES, AnswerFacts, BrokenStream
from app.wire.neutral_answer import Reply
from app.wire.responses import cutting
from app.wire.responses.events import BEFORE, LAST, NOT_JSON, NULL, Whole, decode_whole, error_of
from app.wire.sse import Cutter, data_of

_MAX_GARBAGE_EVENTS = 10


class _Event(Struct, gc=False):
    type: str | None = None
    delta: str | None = None
    output_index: int | None = None
    response: Raw = NULL


class _LooseEvent(Struct, gc=False):
    """The same, believing less."""

    type: str | None = None


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_loose = msgspec.json.Decoder(_LooseEvent).decode

_UNKNOWN = Reply(id="", model="", created=0, wants_usage=True)


class StreamTap:
    def __init__(self, asked: Reply = _UNKNOWN) -> None:
        """`asked`: for a stream that is cut before it has begun."""
        self._asked = asked
        self._unfinished = cutting.Unfinished()
        self._passed = b""
        """The data of the last event that went out."""
        self._is_cut = False
        self.service_tier: str | None = None
        self.upstream_id: str | None = None
        self.usage: Raw | None = None
        self.error: Raw | None = None
        self.finish_reason: str | None = None
        self.has_begun = False
        self.is_complete = False
        self.characters = 0
        self.response = b""
        """The whole response, as the last event tells it."""
        self.tail = b""
        self._cutter = Cutter(MAX_MEDIA_EVENT_BYTES)
        self._garbage = 0

    @property
    def is_done(self) -> bool:
        return self.is_complete

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
        """See `faces.Tap`. `response` is the incomplete one then."""
        if self._is_cut:
            return b""
        said, self.tail = self.tail, b""
        if not self.is_complete:
            said, self.response = self._unfinished.cut(self._passed, self._asked, usage)
            self.finish_reason = cutting.TOO_LONG
        self._is_cut = self.is_complete = True
        return said

    def _pass(self, events: bytes) -> bytes:
        return b"".join([event + b"\n\n" for event in events[:-2].split(b"\n\n") if self._look(event)])

    def _look(self, event: bytes) -> bool:
        """Read one event; whether it goes to the client now."""
        data = data_of(event)
        if self.error is not None:
            if data is not None and b"response.failed" in data:
                self._learn_cause(data)
            return False
        if data is None:
            return bool(event)
        if self.is_complete:
            # `[DONE]`, which some servers add, and nothing else.
            self.tail += event + b"\n\n"
            return False
        if not data or data == b"[DONE]":
            return False
        try:
            seen = _decode_event(data)
        except msgspec.ValidationError:
            is_passed = self._look_loosely(data)
        except NOT_JSON:
            return self._refuse_garbage()
        else:
            is_passed = self._read(event, data, seen)
        if is_passed:
            self._passed = data
        return is_passed

    def _read(self, event: bytes, data: bytes, seen: _Event) -> bool:
        if seen.type == "error" or seen.type is None:
            return self._stop_at_error(data, is_told=seen.type == "error")
        if seen.delta is not None:
            self.has_begun = True
            self.characters += len(seen.delta)
            self._unfinished.say(seen.output_index, seen.delta)
            return True
        if seen.type not in BEFORE and seen.type not in LAST:
            self.has_begun = True
            self._unfinished.follow(data)
            return True
        whole = _whole(seen.response)
        self.upstream_id = self.upstream_id or whole.id
        if seen.type in BEFORE:
            self._unfinished.begin(data)
            return True
        self.service_tier = tiers.tier_of(whole.service_tier)
        self.usage = whole.report
        self.finish_reason = whole.finish
        if seen.type == "response.failed":
            self.error = whole.failure or Raw(b'{"message":"The response failed."}')
            return False
        self.has_begun = self.is_complete = True
        self.response = bytes(seen.response)
        self.tail = event + b"\n\n"
        return False

    def _stop_at_error(self, data: bytes, *, is_told: bool) -> bool:
        if is_told or b'"error"' in data:
            self.error = error_of(data)
            return False
        return self._refuse_garbage()

    def _learn_cause(self, data: bytes) -> None:
        """`error` comes first and says little; what `response.failed` says right after it is the cause."""
        with contextlib.suppress(*NOT_JSON):
            whole = _whole(_decode_event(data).response)
            self.usage = whole.report or self.usage
            self.error = whole.failure or self.error

    def _look_loosely(self, data: bytes) -> bool:
        """An event of a shape that is not known, such as one whose delta is an object."""
        try:
            seen = _decode_loose(data)
        except NOT_JSON:
            return self._refuse_garbage()
        if seen.type is None:
            return self._refuse_garbage()
        self.has_begun = True
        return True

    def _refuse_garbage(self) -> bool:
        self._garbage += 1
        if self._garbage > _MAX_GARBAGE_EVENTS:
            raise BrokenStream("events that are not JSON")
        return False


def _whole(response: Raw) -> Whole:
    try:
        return decode_whole(response)
    except NOT_JSON:
        return Whole()


def read_facts(content: bytes) -> AnswerFacts:
    """Never fails: what is not there or not as documented is None, and `is_json` says whether it was JSON at all."""
    try:
        whole = decode_whole(content)
    except msgspec.ValidationError:
        return AnswerFacts()
    except NOT_JSON:
        return AnswerFacts(is_json=False)
    return AnswerFacts(
        upstream_id=whole.id,
        finish_reason=whole.finish,
        usage=whole.report,
        error=whole.failure,
        service_tier=tiers.tier_of(whole.service_tier),
    )


class _Said(Struct):
    """A part of an item; what it holds is in one of these, by its type."""

    text: str | None = None
    refusal: str | None = None


class _Item(Struct):
    content: list[_Said] | None = None
    summary: list[_Said] | None = None
    arguments: str | None = None
    input: str | None = None


class _Spoken(Struct):
    output: list[_Item] | None = None


_decode_spoken = msgspec.json.Decoder(_Spoken).decode


def characters_of(content: bytes) -> int:
    """Of text, reasoning and tool arguments in an answer that came in one piece, for an estimate of its usage."""
    try:
        spoken = _decode_spoken(content)
    except NOT_JSON:
        # Of another shape: too much is the safer guess.
        return len(content)
    count = 0
    for item in spoken.output or ():
        said = (*(item.content or ()), *(item.summary or ()))
        count += sum(len(one.text or one.refusal or "") for one in said)
        count += len(item.arguments or "") + len(item.input or "")
    return count
