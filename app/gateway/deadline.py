"""The deadlines of one call, on one timer.

Progress only notes the time; the timer looks when it fires and, if nothing is overdue, sets itself for when something
could be. A stream of a thousand pieces costs two timers, not a thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Literal

from app.adapters.providers.kinds import Deadlines

Overdue = Literal["first_byte", "idle", "total", "client"]

CLIENT_STALL_SECONDS = 60.0
"""A client that takes nothing for so long is treated as gone."""


class Deadline:
    def __init__(self, expire: Callable[[Overdue], None], total_at: float) -> None:
        """`total_at` is on the monotonic clock."""
        self._loop = asyncio.get_running_loop()
        self._expire = expire
        self._total_at = total_at
        self._limits: Deadlines | None = None
        self._first_byte_seconds = 0.0
        self._mark = 0.0
        """When the provider was asked, or last made progress."""
        self._has_answered = False
        self._client_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0.0

    def ask(self, limits: Deadlines, *, is_streamed: bool) -> None:
        """A provider is being asked, under its limits."""
        self._limits = limits
        self._first_byte_seconds = limits.first_byte if is_streamed else limits.whole
        self._mark = monotonic()
        self._has_answered = False
        self._client_since = None
        self._total_at = min(self._total_at, self._mark + limits.total)
        if self._timer is not None:
            self._timer.cancel()
        self._set_timer()

    def progress(self) -> None:
        """Something came from the provider."""
        self._mark = monotonic()
        if not self._has_answered:
            self._has_answered = True
            self._look_by(self._mark + (self._limits.idle if self._limits is not None else 0.0))

    def giving(self) -> None:
        """From here the client is waited for."""
        self._client_since = monotonic()
        self._look_by(self._client_since + CLIENT_STALL_SECONDS)

    def given(self) -> None:
        """The client has taken it."""
        self._client_since = None
        self._mark = monotonic()
        self._look_by(self._mark + (self._limits.idle if self._limits is not None else 0.0))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._expire = _nobody

    def _look_by(self, moment: float) -> None:
        """From here on something can be overdue sooner than the timer was set for."""
        if self._timer is not None and moment < self._looks_at:
            self._timer.cancel()
            self._set_timer()

    def _set_timer(self) -> None:
        self._looks_at = min(self._next()[0], self._total_at)
        self._timer = self._loop.call_later(max(0.0, self._looks_at - monotonic()), self._look)

    def _next(self) -> tuple[float, Overdue]:
        assert self._limits is not None
        if self._client_since is not None:
            return self._client_since + CLIENT_STALL_SECONDS, "client"
        if self._has_answered:
            return self._mark + self._limits.idle, "idle"
        return self._mark + self._first_byte_seconds, "first_byte"

    def _look(self) -> None:
        now = monotonic()
        at, what = self._next()
        if now >= self._total_at:
            self._expire("total")
        elif now >= at:
            self._expire(what)
        else:
            self._set_timer()


def _nobody(_what: Overdue) -> None:
    """Who hears of a deadline once the call is over."""
