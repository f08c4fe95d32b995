"""Times of day: the hours that a list of windows leaves out."""

from __future__ import annotations

from collections.abc import Sequence

_DAY = 24 * 60


def between(windows: Sequence[str]) -> list[tuple[str, str]]:
    """`["00:00-01:00", "04:00-00:00"]` → `[("01:00", "04:00")]`. `00:00` at the end of a window is midnight."""
    taken = [False] * _DAY
    for window in windows:
        start, end = (_minutes(text) for text in window.split("-"))
        for minute in range(start, end if end > start else end + _DAY):
            taken[minute % _DAY] = True
    found: list[tuple[str, str]] = []
    begin: int | None = None
    for minute in range(_DAY):
        if not taken[minute] and begin is None:
            begin = minute
        if taken[minute] and begin is not None:
            found.append((_text(begin), _text(minute)))
            begin = None
    if begin is not None:
        found.append((_text(begin), "00:00"))
    return found


def _minutes(text: str) -> int:
    hour, _, minute = text.strip().partition(":")
    return int(hour) * 60 + int(minute)


def _text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
