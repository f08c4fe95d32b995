"""What the gateway asks of a door: take an answer, and say errors in the caller's format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.base.errors import AppError

Headers = Sequence[tuple[bytes, bytes]]


class Door(Protocol):
    """One waiting client. After it has left, writing does nothing."""

    @property
    def is_finished(self) -> bool:
        """Whether a whole answer was given, be it an error."""
        ...

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer at once."""
        ...

    async def start(self, status: int, headers: Headers) -> None:
        """The head of an answer that comes in pieces."""
        ...

    async def write(self, piece: bytes) -> None:
        """Returns when the client's connection can take more."""
        ...

    async def end(self, piece: bytes = b"") -> None:
        """The last piece."""
        ...

    async def break_off(self, event: bytes | None) -> None:
        """End an answer that could not be completed: with a last event, or by closing the connection."""
        ...

    def error_body(self, error: AppError, call_id: str | None, /) -> bytes: ...

    def error_event(self, error: AppError, call_id: str | None, /) -> bytes:
        """An error as the last event of a stream that had begun."""
        ...
