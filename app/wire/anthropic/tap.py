"""A tap for Anthropic's streams: it lets their bytes through and reads from them what the record needs.

The last events (`message_delta` with the usage, `message_stop`) wait for the settlement, and an error in the middle
must not carry the provider's own text. Everything else goes through byte for byte.

https://platform.claude.com/docs/en/build-with-claude/streaming#event-types
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.usage import Usage
from app.wire import tiers
from app.wire.answers import MAX_MEDIA_EVENT_BYTES, AnswerFacts, BrokenStream
from app.wire.anthropic import usage
from app.wire.sse import Cutter, data_of

_MAX_GARBAGE_EVENTS = 10
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NULL = b"null"
_TOO_LONG = "max_tokens"

_encode = msgspec.json.Encoder().encode


class _Message(Struct, gc=False):
    id: str | None = None
    usage: Raw = Raw(_NULL)


class _Delta(Struct, gc=False):
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Event(Struct, gc=False):
    type: str | None = None
    index: int | None = None
    message: _Message | None = None
    delta: _Delta | None = None
    usage: Raw = Raw(_NULL)
    error: Raw = Raw(_NULL)


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class StreamTap:
    """Follows one SSE stream. `feed` gives what may go to the client now; `tail` is what waits for the settlement."""

    def __init__(self, model: str = "") -> None:
        """`model`: as the caller named it, for a stream that is cut before it has begun."""
        self._model = model
        self._has_started = False
        self._open: set[int] = set()
        """Blocks that have begun and not ended."""
        self._is_cut = False
        self._cutter = Cutter(MAX_MEDIA_EVENT_BYTES)
        self._garbage = 0
        self._last = b""
        """The end of the message, which waits."""
        self.upstream_id: str | None = None
        self.usage: Raw | None = None
        self.error: Raw | None = None
        """The provider's error, if one came; nothing after it is passed on."""
        self.finish_reason: str | None = None
        self.has_begun = False
        self.is_complete = False
        self.is_done = False
        """Whether `message_stop` has come, after which nothing does."""
        self.characters = 0
        """Of text, thinking and tool arguments that went by, for the estimate when no usage comes."""

    @property
    def tail(self) -> bytes:
        return b"" if self._is_cut else self._last

    @property
    def service_tier(self) -> str | None:
        return tiers.tier_in_report(self.usage)

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
        said = self._last if self.is_complete else self._cut_short(usage)
        if not self.is_done:
            said += _event("message_stop", {})
        self._is_cut = self.is_complete = True
        return said

    def _cut_short(self, counted: Usage | None) -> bytes:
        said = b"" if self._has_started else _event("message_start", {"message": _nothing_said(self._model)})
        for index in sorted(self._open):
            said += _event("content_block_stop", {"index": index})
        self.finish_reason = _TOO_LONG
        delta = {"stop_reason": _TOO_LONG, "stop_sequence": None}
        # What was told of the input stays: counts that are absent change nothing.
        report = {"output_tokens": 0} if counted is None else usage.entry(counted)
        return said + _event("message_delta", {"delta": delta, "usage": report})

    def _pass(self, events: bytes) -> bytes:
        return b"".join([passed for event in events[:-2].split(b"\n\n") if (passed := self._look(event))])

    def _look(self, event: bytes) -> bytes:
        """Read one event; what goes to the client now."""
        if self.error is not None:
            return b""
        data = data_of(event)
        if data is None:
            return event + b"\n\n"
        if not data:
            return b""
        try:
            seen = _decode_event(data)
        except msgspec.ValidationError:
            return self._pass_unknown(event, data)
        except _NOT_JSON:
            return self._refuse_garbage()
        return self._read(event, seen)

    def _read(self, event: bytes, seen: _Event) -> bytes:
        match seen.type:
            case "content_block_delta":
                delta = seen.delta
                if delta is not None:
                    said = delta.text or delta.thinking or delta.partial_json
                    self.characters += len(said) if said is not None else 0
            case "content_block_start":
                if seen.index is not None:
                    self._open.add(seen.index)
            case "content_block_stop":
                if seen.index is not None:
                    self._open.discard(seen.index)
            case "message_start":
                self._has_started = True
                if seen.message is not None:
                    self.upstream_id = seen.message.id
                    self.usage = usage.opening(_present(seen.message.usage))
            case "message_delta":
                self.usage = usage.merged(self.usage, _present(seen.usage))
                if seen.delta is not None and seen.delta.stop_reason is not None:
                    self.finish_reason = seen.delta.stop_reason
                    self.is_complete = True
                self.has_begun = True
                self._last += event + b"\n\n"
                return b""
            case "message_stop":
                self.has_begun = self.is_complete = self.is_done = True
                self._last += event + b"\n\n"
                return b""
            case "error":
                self.error = _present(seen.error) or Raw(b"{}")
                return b""
            case None if (error := _present(seen.error)) is not None:
                # As a proxy in front of the provider says it, without the type of an event.
                self.error = error
                return b""
            case _:
                pass
        if seen.type != "ping":
            self.has_begun = True
        return self._after_last(event)

    def _after_last(self, event: bytes) -> bytes:
        """Content after a `message_delta` shows that the end had not come yet."""
        last, self._last = self._last, b""
        return last + event + b"\n\n"

    def _pass_unknown(self, event: bytes, data: bytes) -> bytes:
        """JSON that is not as documented: the client may know more. What is no object is garbage."""
        try:
            fields = _decode_fields(data)
        except _NOT_JSON:
            return self._refuse_garbage()
        if bytes(fields.get("type", Raw())) == b'"error"':
            self.error = (_present(fields.get("error", Raw(_NULL)))) or Raw(b"{}")
            return b""
        self.has_begun = True
        return self._after_last(event)

    def _refuse_garbage(self) -> bytes:
        self._garbage += 1
        if self._garbage > _MAX_GARBAGE_EVENTS:
            raise BrokenStream("events that are not JSON")
        return b""


def _event(type_: str, fields: dict[str, Any]) -> bytes:
    return b"event: " + type_.encode() + b"\ndata: " + _encode({"type": type_, **fields}) + b"\n\n"


def _nothing_said(model: str) -> dict[str, Any]:
    return {
        "id": "",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage.entry(None),
    }


def _present(raw: Raw) -> Raw | None:
    """A copy: Raw points into the whole event."""
    return None if bytes(raw) == _NULL else raw.copy()


class _Answer(Struct):
    id: str | None = None
    stop_reason: str | None = None
    usage: Raw = Raw(_NULL)
    error: Raw = Raw(_NULL)


_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(content: bytes) -> AnswerFacts:
    """Never fails: what is not there or not as documented is None, and `is_json` says whether it was JSON at all."""
    try:
        answer = _decode_answer(content)
    except msgspec.ValidationError:
        return AnswerFacts()
    except _NOT_JSON:
        return AnswerFacts(is_json=False)
    return AnswerFacts(
        upstream_id=answer.id,
        finish_reason=answer.stop_reason,
        usage=_present(answer.usage),
        error=_present(answer.error),
        service_tier=tiers.tier_in_report(_present(answer.usage)),
    )


class _Block(Struct):
    text: str | None = None
    thinking: str | None = None
    input: Raw = Raw(b"")


class _Spoken(Struct):
    content: list[_Block] | None = None


_decode_spoken = msgspec.json.Decoder(_Spoken).decode


def characters_of(content: bytes) -> int:
    """Of text, thinking and tool arguments in an answer that came in one piece, for an estimate of its usage."""
    try:
        spoken = _decode_spoken(content)
    except _NOT_JSON:
        # Of another shape: too much is the safer guess.
        return len(content)
    return sum(
        len(block.text or "") + len(block.thinking or "") + len(bytes(block.input)) for block in spoken.content or ()
    )
