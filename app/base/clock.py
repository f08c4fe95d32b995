"""The two clocks: the wall for what people read, the monotonic one for everything that is measured or times out."""

from __future__ import annotations

import time
from datetime import UTC, datetime

MICROSECONDS = 1_000_000


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


def now_us() -> int:
    """The moment in microseconds since 1970, as calls store it."""
    return time.time_ns() // 1000


def from_us(moment_us: int) -> datetime:
    """Microseconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(moment_us / MICROSECONDS, UTC)
