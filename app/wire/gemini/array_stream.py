"""Without `?alt=sse` Gemini streams a JSON array. Inside the hub every stream is events; this makes the array of them.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

from app.wire.answers import MAX_MEDIA_EVENT_BYTES
from app.wire.sse import SseEvent, SseReader


class ArrayOfEvents:
    """The data of each event becomes an element; what comes between events becomes white space."""

    def __init__(self) -> None:
        self._reader = SseReader(MAX_MEDIA_EVENT_BYTES)
        self._has_begun = False

    def feed(self, piece: bytes) -> bytes:
        """
        Raises:
            BrokenStream: an event beyond all bounds.
        """
        written = self._elements(self._reader.feed(piece))
        # Keeps the connection alive, as it would have done as an event.
        return written or (b"\n" if self._has_begun and piece else b"")

    def end(self, piece: bytes = b"") -> bytes:
        last = self._elements(self._reader.feed(piece)) + self._elements(self._reader.finish())
        opening = b"" if self._has_begun else b"["
        return last + opening + b"]"

    def _elements(self, events: list[SseEvent]) -> bytes:
        written = b""
        for event in events:
            if event.data:
                written += (b",\r\n" if self._has_begun else b"[") + event.data
                self._has_begun = True
        return written
