"""A waiting ASGI client, as the gateway sees it (`gateway/door.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from litestar.types import Send

from app.base.errors import AppError, WrongMethod

Headers = Sequence[tuple[bytes, bytes]]
Render = Callable[[AppError, str | None], bytes]


class AsgiDoor:
    def __init__(self, send: Send, *, error_body: Render, error_event: Render) -> None:
        self._send = send
        self.error_body = error_body
        self.error_event = error_event
        self.has_started = False
        self.is_finished = False

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.has_started = self.is_finished = True
        length = (b"content-length", b"%d" % len(body))
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def start(self, status: int, headers: Headers) -> None:
        self.has_started = True
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def write(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self, piece: bytes = b"") -> None:
        self.is_finished = True
        await self._send({"type": "http.response.body", "body": piece, "more_body": False})

    async def break_off(self, event: bytes | None) -> None:
        if event is not None:
            await self.end(event)
        # Else nothing: the connection is closed before the answer is whole, and the client notices.

    async def refuse(self, error: AppError) -> None:
        """Answer a request that never became a call."""
        headers = [(b"content-type", b"application/json")]
        if error.retry_after_seconds is not None:
            headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
        if isinstance(error, WrongMethod):
            headers.append((b"allow", ", ".join(error.allowed).encode()))
        if error.http_status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="hub"'))
        if error.http_status in (408, 413):
            # What is left of the body is not read.
            headers.append((b"connection", b"close"))
        await self.answer(error.http_status, headers, self.error_body(error, None))
