"""What is counted for limits: how much in a window, how many at once. In the memory of one process (here), or shared.

Additions alone: whoever has added too much takes it off again. So no two can both get the last place.

The memory is our own because that of the `limits` library looks at every counter at each addition: 1.7 ms where 20,000
are counted, for every call. What it does with Redis is in `shared_counts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class CountsUnavailable(Exception):
    """Nobody knows what is counted; the text is for the log."""


class Addition(Struct, frozen=True):
    """To one counter; below zero where something is given back. Moments in microseconds since 1970."""

    counter: str
    begins_us: int
    """Of the window that it counts in."""
    ends_us: int | None
    """None: what is under way at one time. It is given back when it ends, or with its process."""
    amount: int


class Counts(Protocol):
    async def add(self, additions: Sequence[Addition]) -> Sequence[int]:
        """What each counter stands at after it.

        Raises:
            CountsUnavailable
        """
        ...

    async def close(self) -> None: ...


class LocalCounts:
    """Of one process. Nothing is awaited between the first addition and the last."""

    def __init__(self) -> None:
        self._under_way: dict[str, int] = {}
        self._windows: dict[int, dict[str, int]] = {}
        """By their end, so that those that are over go all at once."""

    async def add(self, additions: Sequence[Addition]) -> Sequence[int]:
        return self.add_now(additions)

    def add_now(self, additions: Sequence[Addition]) -> Sequence[int]:
        return [self._add(one) for one in additions]

    async def close(self) -> None:
        """Nothing is open."""

    def _add(self, one: Addition) -> int:
        if one.ends_us is None:
            total = self._under_way.get(one.counter, 0) + one.amount
            if total:
                self._under_way[one.counter] = total
            else:
                self._under_way.pop(one.counter, None)
            return total
        window = self._windows.get(one.ends_us)
        if window is None:
            if one.amount < 0:
                # Given back to a window that is over: nobody asks for it any more.
                return 0
            for ended in [ends_us for ends_us in self._windows if ends_us <= one.begins_us]:
                del self._windows[ended]
            window = self._windows[one.ends_us] = {}
        total = window[one.counter] = window.get(one.counter, 0) + one.amount
        return total
