"""Taps: they let an answer's bytes through and read from them what the record needs.

A stream is cut into its events, because the last ones are held back until the call is settled, the usage chunk that the
client did not ask for is withheld, and an error in the middle must not carry the provider's own text. Everything else
goes through byte for byte.
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from app.base.usage import Usage
from app.wire import tiers
from app.wire.answers import MAX_EVENT_BYTES, MAX_MEDIA_EVENT_BYTES, AnswerFacts, BrokenStream
from app.wire.openai import cutting
from app.wire.sse import Cutter, data_of

_MAX_GARBAGE_EVENTS = 10
_DONE = b"[DONE]"
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Something(Struct, gc=False):
    """An object whose content is read later, and only if it is there."""


class _Delta(Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Raw = Raw(b"")


class _Choice(Struct, gc=False):
    index: int | None = None
    finish_reason: str | None = None
    delta: _Delta | None = None
    text: str | None = None


class _Event(Struct, gc=False):
    id: str | None = None
    type: str | None = None
    choices: tuple[_Choice, ...] | UnsetType | None = UNSET
    usage: _Something | None = None
    error: _Something | str | None = None


class _LooseEvent(Struct, gc=False):
    """The same, believing less: for events whose choices are not as documented."""

    choices: Any = None
    usage: _Something | None = None
    error: Any = None


class _Tiered(Struct, gc=False):
    service_tier: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_tier = msgspec.json.Decoder(_Tiered).decode
_decode_loose = msgspec.json.Decoder(_LooseEvent).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class StreamTap:
    """Follows one SSE stream. `feed` gives what may go to the client now; `tail` is what waits for the settlement."""

    def __init__(
        self,
        *,
        wants_usage: bool,
        asks_usage: bool,
        carries_media: bool = False,
        chunks: str = cutting.CHAT,
        model: str = "",
    ) -> None:
        """
        Args:
            chunks: What a chunk calls itself; empty where the stream has none (pictures, sound).
            model: As the caller named it, for a stream that is cut before it has begun.
        """
        self._chunks = chunks
        self._model = model
        self._seen = b""
        """The data of an event, for what all of them repeat."""
        self._choices = {0}
        self._finished: set[int] = set()
        self._is_over = False
        """Whether nothing goes out any more: an error came, or the hub has cut the stream."""
        self._is_cut = False
        self._withholds_usage = asks_usage and not wants_usage
        self._asks_usage = asks_usage
        self._cutter = Cutter(MAX_MEDIA_EVENT_BYTES if carries_media else MAX_EVENT_BYTES)
        self._garbage = 0
        self._usage_event = b""
        self._tier: Any = None
        self.upstream_id: str | None = None
        self.usage: Raw | None = None
        self.error: Raw | None = None
        """The provider's error event, if one came; nothing after it is passed on."""
        self.finish_reason: str | None = None
        self.has_begun = False
        """Whether an event of the answer has come, rather than comments alone."""
        self.is_complete = False
        """Whether the provider said that this was all."""
        self.is_done = False
        """Whether it said so with `[DONE]`, after which nothing comes."""
        self.characters = 0
        """Of text, reasoning and tool arguments that went by, for the estimate when no usage comes."""

    @property
    def tail(self) -> bytes:
        """The last events, which wait for the settlement: the usage, where the client asked for it, and the end."""
        if self._is_cut:
            return b""
        return self._usage_event + (cutting.DONE if self.is_done else b"")

    @property
    def service_tier(self) -> str | None:
        """As the event with the usage says it, else as the first one does."""
        if self._tier is None and b'"service_tier"' in self._seen:
            with contextlib.suppress(*_NOT_JSON):
                self._tier = _decode_tier(self._seen).service_tier
        return tiers.tier_of(self._tier)

    def feed(self, chunk: bytes) -> bytes:
        """Raises `BrokenStream` for an event beyond all bounds or too much that is not JSON."""
        cutter = self._cutter
        is_one_line = chunk.endswith(b"\n\n") and chunk.find(b"\n") == len(chunk) - 2
        if is_one_line and not cutter.is_within and b"\r" not in chunk:
            # The usual piece: one event on one line.
            data = chunk[6:-2] if chunk.startswith(b"data: ") else data_of(chunk[:-2])
            return chunk if self._look(chunk, data) else b""
        if self._is_over:
            return b""
        events = cutter.feed(chunk)
        return self._pass(events) if events else b""

    def finish(self) -> bytes:
        """The stream has ended: what is left, if it is a whole event."""
        rest = self._cutter.finish()
        return self._pass(rest) if rest and not self._is_over else b""

    def cut(self, usage: Usage | None) -> bytes:
        """See `faces.Tap`. Streams of pictures and of sound have no word for it and no marker of their end: they just
        end, and `finish_reason` stays None."""
        if self._is_cut:
            return b""
        said = self.tail
        if self._chunks:
            ending = cutting.Ending(self._seen, self._chunks, self._model)
            unfinished = sorted(self._choices - self._finished)
            said = ending.finishes(unfinished)
            if self._asks_usage and not self._withholds_usage:
                said += self._usage_event or ending.usage(usage)
            said += cutting.DONE
            self.finish_reason = cutting.LENGTH if unfinished else self.finish_reason
        self._is_over = self._is_cut = self.is_complete = True
        return said

    def _pass(self, events: bytes) -> bytes:
        """Look at each event of a piece that ends with one."""
        return b"".join([event + b"\n\n" for event in events[:-2].split(b"\n\n") if self._look(event, data_of(event))])

    def _look(self, event: bytes, data: bytes | None) -> bool:
        """Read one event; whether it goes to the client now."""
        if self._is_over or data == b"":
            # An event with empty data is nothing that a client could read as JSON.
            return False
        if data is None:
            return True
        if data == _DONE:
            self.is_complete = self.is_done = True
            return False
        try:
            return self._read(event, data, _decode_event(data))
        except msgspec.ValidationError:
            return self._read_loose(event, data)
        except _NOT_JSON:
            return self._refuse_garbage()

    def _read(self, event: bytes, data: bytes, seen: _Event) -> bool:
        if seen.error is not None:
            return self._stop_at_error(data)
        self.has_begun = True
        if self.upstream_id is None:
            self.upstream_id = seen.id
            self._seen = data
        choices = seen.choices
        if choices is UNSET or choices is None:
            if seen.type is not None and seen.type.endswith((".completed", ".done")):
                self.is_complete = True
        else:
            for choice in choices:
                if choice.finish_reason is not None:
                    self.finish_reason = choice.finish_reason
                    self.is_complete = True
                    self._finished.add(choice.index or 0)
                if choice.index:
                    self._choices.add(choice.index)
                delta = choice.delta
                if delta is not None:
                    if delta.content is not None:
                        self.characters += len(delta.content)
                    else:
                        thought = delta.reasoning_content or delta.reasoning
                        self.characters += len(bytes(delta.tool_calls)) if thought is None else len(thought)
                elif choice.text is not None:
                    self.characters += len(choice.text)
        if seen.usage is not None:
            return self._read_usage(event, data, has_choices=bool(choices))
        return True

    def _read_loose(self, event: bytes, data: bytes) -> bool:
        try:
            seen = _decode_loose(data)
        except _NOT_JSON:
            return self._refuse_garbage()
        if seen.error is not None:
            return self._stop_at_error(data)
        self.has_begun = True
        if seen.usage is not None:
            return self._read_usage(event, data, has_choices=bool(seen.choices))
        return True

    def _stop_at_error(self, data: bytes) -> bool:
        self.error = _decode_fields(data)["error"].copy()
        self._is_over = True
        return False

    def _read_usage(self, event: bytes, data: bytes, *, has_choices: bool) -> bool:
        """Counts are cumulative where they come more than once: the last report is the one that counts."""
        fields = _decode_fields(data)
        # Raw points into the whole event; a copy keeps only the report.
        self.usage = fields["usage"].copy()
        if "service_tier" in fields:
            self._tier = _decode_tier(data).service_tier
        if has_choices or not self._asks_usage:
            return True
        if not self._withholds_usage:
            self._usage_event = event.rstrip(b"\n") + b"\n\n"
        return False

    def _refuse_garbage(self) -> bool:
        self._garbage += 1
        if self._garbage > _MAX_GARBAGE_EVENTS:
            raise BrokenStream("events that are not JSON")
        return False


class _AnswerChoice(Struct):
    finish_reason: str | None = None


class _Answer(Struct):
    id: str | None = None
    choices: list[_AnswerChoice] | None = None
    data: list[Raw] | None = None
    usage: Raw = Raw(b"null")
    error: Raw = Raw(b"null")
    duration: float | None = None
    service_tier: Any = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(content: bytes) -> AnswerFacts:
    """Never fails: what is not there or not as documented is None, and `is_json` says whether it was JSON at all."""
    try:
        answer = _decode_answer(content)
    except msgspec.ValidationError:
        return _read_loosely(content)
    except _NOT_JSON:
        return AnswerFacts(is_json=False)
    return AnswerFacts(
        upstream_id=answer.id,
        finish_reason=answer.choices[0].finish_reason if answer.choices else None,
        usage=_present(answer.usage),
        error=_present(answer.error) if not answer.choices and not answer.data else None,
        items=len(answer.data) if answer.data is not None else 0,
        seconds=answer.duration,
        service_tier=tiers.tier_of(answer.service_tier),
    )


def _read_loosely(content: bytes) -> AnswerFacts:
    try:
        fields = _decode_fields(content)
    except msgspec.ValidationError:
        # Valid JSON that is not an object.
        return AnswerFacts()
    except _NOT_JSON:
        return AnswerFacts(is_json=False)
    return AnswerFacts(
        usage=_present(fields.get("usage")),
        error=_present(fields.get("error")) if "choices" not in fields else None,
    )


class _Message(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Raw = Raw(b"")


class _SpokenChoice(Struct):
    message: _Message | None = None
    text: str | None = None


class _Spoken(Struct):
    choices: list[_SpokenChoice] | None = None
    text: str | None = None


_decode_spoken = msgspec.json.Decoder(_Spoken).decode


def characters_of(content: bytes) -> int:
    """Of text, reasoning and tool arguments in an answer that came in one piece, for an estimate of its usage."""
    try:
        spoken = _decode_spoken(content)
    except _NOT_JSON:
        # Of another shape, or plain text: too much is the safer guess.
        return len(content)
    count = len(spoken.text or "")
    for choice in spoken.choices or ():
        count += len(choice.text or "")
        if (said := choice.message) is not None:
            thought = said.reasoning_content or said.reasoning or ""
            count += len(said.content or "") + len(thought) + len(bytes(said.tool_calls))
    return count


def _present(raw: Raw | None) -> Raw | None:
    """`null` and absent are the same here."""
    return None if raw is None or bytes(raw) == b"null" else raw
