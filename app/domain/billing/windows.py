"""Windows of time in which budgets count: a day, a week, a month of some time zone, or all time.

A window is worked out from the moment alone, so there is nothing to reset. The windows of a zone follow each other
without gap or overlap, also where a day has 23 or 25 hours.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from app.base.errors import BadValue

Window = Literal["day", "week", "month", "total"]
WINDOWS: tuple[Window, ...] = ("day", "week", "month", "total")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_OF_THIS_MACHINE = frozenset({"localtime", "Factory"})
"""Names that mean another zone elsewhere, or none."""


def begins(window: Window, timezone: str, moment_us: int) -> tuple[int, int | None]:
    """When the window that has the moment in it begins, and when the next one does; microseconds since 1970.

    A week begins on Monday. All time begins at 0 and has no end.
    """
    if window == "total":
        return 0, None
    zone = ZoneInfo(timezone)
    first = _first_day(window, (_EPOCH + moment_us * _MICROSECOND).astimezone(zone).date())
    # A clock that is set back over midnight shows the old day again after the new one has begun, and one that is set
    # forward over it shows the new day early.
    if _midnight_us(_after(window, first), zone) <= moment_us:
        first = _after(window, first)
    elif _midnight_us(first, zone) > moment_us:
        first = _first_day(window, first - _DAY)
    return _midnight_us(first, zone), _midnight_us(_after(window, first), zone)


def check_window(window: str) -> Window:
    """
    Raises:
        BadValue: there is no such window.
    """
    if window not in WINDOWS:
        raise BadValue(f'"{window}" is not a window. It must be day, week, month or total.', param="window")
    return window


def check_timezone(timezone: str) -> str:
    """
    Raises:
        BadValue: there is no such zone.
    """
    if timezone not in _zones():
        raise BadValue(
            f'"{timezone}" is not a time zone. Write a name such as Europe/Berlin, or UTC.', param="timezone"
        )
    return timezone


def local(timezone: str, moment_us: int) -> datetime:
    """The moment as the clocks of the zone show it."""
    return (_EPOCH + moment_us * _MICROSECOND).astimezone(ZoneInfo(timezone))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _OF_THIS_MACHINE


def _first_day(window: Window, day: date) -> date:
    match window:
        case "week":
            return day - day.weekday() * _DAY
        case "month":
            return day.replace(day=1)
        case _:
            return day


def _after(window: Window, first: date) -> date:
    """The first day of the next window."""
    match window:
        case "week":
            return first + 7 * _DAY
        case "month":
            return (first + 31 * _DAY).replace(day=1)
        case _:
            return first + _DAY


def _midnight_us(day: date, zone: ZoneInfo) -> int:
    """Where midnight comes twice it is the first; where it is left out, the moment of the leap."""
    # Without a fold, a time that does not exist is read by the offset before the leap.
    return (datetime.combine(day, time(), zone).astimezone(UTC) - _EPOCH) // _MICROSECOND
