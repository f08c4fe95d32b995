"""The two clocks: the wall for what people read, the monotonic one for everything that is measured or times out."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

MICROSECONDS = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


def now_us() -> int:
    """The moment in microseconds since 1970, as calls store it."""
    return time.time_ns() // 1000


def from_us(moment_us: int) -> datetime:
    """Microseconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(moment_us / MICROSECONDS, UTC)


def to_us(moment: datetime) -> int:
    """A moment with its time zone as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
