"""Server-sent events, as a provider sends them, cut into events whatever the pieces in which they arrive.

https://html.spec.whatwg.org/multipage/server-sent-events.html: lines end with LF, CR LF or CR; a line without a colon
is a field with an empty value; a comment begins with a colon; the last event counts only if a blank line follows. Here
an unfinished last event counts too: several providers leave the blank line out.
"""

from __future__ import annotations

from typing import NamedTuple

from app.wire.answers import MAX_EVENT_BYTES, BrokenStream


class SseEvent(NamedTuple):
    name: str
    """`message` where the stream names none."""
    data: bytes


class Cutter:
    """Cuts a stream where its events end: what it gives are whole events with plain line ends, blank lines included."""

    __slots__ = ("_had_cr", "_held", "_max_event")

    def __init__(self, max_event: int = MAX_EVENT_BYTES) -> None:
        self._held = bytearray()
        """The beginning of an event whose end has not come."""
        self._had_cr = False
        """Whether the last byte was a CR, so that an LF now belongs to it."""
        self._max_event = max_event

    @property
    def is_within(self) -> bool:
        """Whether an event has begun that is not complete."""
        return bool(self._held)

    def feed(self, chunk: bytes) -> bytes:
        """
        Raises:
            BrokenStream: an event beyond all bounds.
        """
        if chunk and (self._had_cr or b"\r" in chunk):
            if self._had_cr and chunk.startswith(b"\n"):
                chunk = chunk[1:]
            self._had_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # An event ends within the new bytes or where they meet the old ones. The old ones are not searched again: a
        # flood of lines without an end would cost the square of its length.
        cut = chunk.rfind(b"\n\n") + 2
        if cut < 2:
            cut = 1 if chunk.startswith(b"\n") and self._held.endswith(b"\n") else 0
        if not cut:
            self._hold(chunk)
            return b""
        whole = bytes(self._held) + chunk[:cut] if self._held else chunk[:cut]
        self._held.clear()
        if cut < len(chunk):
            self._hold(chunk[cut:])
        return whole

    def finish(self) -> bytes:
        """The stream has ended: what is left of it, as an event."""
        rest = bytes(self._held).strip(b"\n")
        self._held.clear()
        return rest + b"\n\n" if rest else b""

    def _hold(self, piece: bytes) -> None:
        self._held += piece
        if len(self._held) > self._max_event:
            raise BrokenStream(f"an event of more than {self._max_event} bytes")


def data_of(event: bytes) -> bytes | None:
    """The data of one event; None for a comment or an event without any."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).strip() if lines else None


class SseReader:
    """Events with their names, for those who read a stream rather than pass it on."""

    def __init__(self, max_event: int = MAX_EVENT_BYTES) -> None:
        self._cutter = Cutter(max_event)

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that are complete with this piece; comments give none.

        Raises:
            BrokenStream: an event beyond all bounds.
        """
        whole = self._cutter.feed(chunk)
        return _events(whole) if whole else []

    def finish(self) -> list[SseEvent]:
        """The stream has ended: what is left of it."""
        rest = self._cutter.finish()
        return _events(rest) if rest else []


def _events(text: bytes) -> list[SseEvent]:
    found: list[SseEvent] = []
    for block in text.split(b"\n\n"):
        name, lines = "message", list[bytes]()
        for line in block.split(b"\n"):
            if line.startswith(b"data:"):
                lines.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line.startswith(b"event:"):
                name = line[6:].strip().decode("utf-8", "replace") or "message"
        if lines:
            found.append(SseEvent(name, lines[0] if len(lines) == 1 else b"\n".join(lines)))
    return found
