"""A door whose streams become a JSON array, for Gemini's clients that do not ask for events."""

from __future__ import annotations

from app.web.api.asgi_door import AsgiDoor, Headers
from app.wire.gemini.array_stream import ArrayOfEvents

_EVENTS = b"text/event-stream"
_CONTENT_TYPE = b"content-type"


class ArrayDoor(AsgiDoor):
    """Answers that are no stream go through as they are."""

    _array: ArrayOfEvents | None = None

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        if not _are_events(headers):
            await super().answer(status, headers, body)
            return
        await super().answer(status, _as_json(headers), ArrayOfEvents().end(body))

    async def start(self, status: int, headers: Headers) -> None:
        if _are_events(headers):
            self._array, headers = ArrayOfEvents(), _as_json(headers)
        await super().start(status, headers)

    async def write(self, piece: bytes) -> None:
        if self._array is not None:
            piece = self._array.feed(piece)
        if piece:
            await super().write(piece)

    async def end(self, piece: bytes = b"") -> None:
        await super().end(piece if self._array is None else self._array.end(piece))


def _are_events(headers: Headers) -> bool:
    return any(name.lower() == _CONTENT_TYPE and value.lower().startswith(_EVENTS) for name, value in headers)


def _as_json(headers: Headers) -> Headers:
    kept = [(name, value) for name, value in headers if name.lower() != _CONTENT_TYPE]
    return [*kept, (_CONTENT_TYPE, b"application/json; charset=UTF-8")]
