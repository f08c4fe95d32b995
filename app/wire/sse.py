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


class SseReader:
    def __init__(self, max_event: int = MAX_EVENT_BYTES) -> None:
        self._held = bytearray()
        self._had_cr = False
        self._max_event = max_event

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that are complete with this piece; comments give none.

        Raises:
            BrokenStream: an event beyond all bounds.
        """
        if self._had_cr or b"\r" in chunk:
            if self._had_cr and chunk.startswith(b"\n"):
                chunk = chunk[1:]
            self._had_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # An event ends within the new bytes or where they meet the old ones; the old ones are not searched again.
        cut = chunk.rfind(b"\n\n") + 2
        if cut < 2:
            cut = 1 if chunk.startswith(b"\n") and self._held.endswith(b"\n") else 0
        if not cut:
            self._hold(chunk)
            return []
        whole = bytes(self._held) + chunk[:cut] if self._held else chunk[:cut]
        self._held.clear()
        self._hold(chunk[cut:])
        return _events(whole)

    def finish(self) -> list[SseEvent]:
        """The stream has ended: what is left of it."""
        rest = bytes(self._held)
        self._held.clear()
        return _events(rest) if rest.strip(b"\n") else []

    def _hold(self, piece: bytes) -> None:
        self._held += piece
        if len(self._held) > self._max_event:
            raise BrokenStream(f"an event of more than {self._max_event} bytes")


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
