"""How numbers, times and money look on every page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from app.base import clock, money

NONE = "—"
"""What is not there; a zero is `0`."""


@lru_cache(maxsize=512)
def zone(name: str) -> tzinfo:
    """The IANA time zone of that name; UTC when there is none, or this machine does not know it."""
    try:
        return ZoneInfo(name) if name else UTC
    # A folder's name such as "Europe" gives an OSError; a path that leads elsewhere a ValueError.
    except (ValueError, OSError, LookupError):
        return UTC


def number(count: int | None) -> str:
    """12345 → `12,345`."""
    return NONE if count is None else f"{count:,}"


def duration(microseconds: int | None) -> str:
    """`0.4 ms`, `412 ms`, `8.4 s`, `2 m 05 s`."""
    if microseconds is None:
        return NONE
    milliseconds = microseconds / 1000
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    tenths = round(milliseconds / 100)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} m {seconds:02d} s"


def when(moment: datetime | int, zone: tzinfo) -> Markup:
    """A moment, or microseconds since 1970, as `20 Nov, 14:02:07` in that zone; the year if it is not this one."""
    if isinstance(moment, int):
        moment = clock.from_us(moment)
    local = moment.astimezone(zone)
    year = "" if local.year == clock.now().astimezone(zone).year else f" {local.year}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        f"{_day(local)} {local.year}, {local:%H:%M:%S}.{local.microsecond // 1000:03d} {local:%Z}",
        f"{_day(local)}{year}, {local:%H:%M:%S}",
    )


def usd(amount_nano: int | None) -> str:
    """nano-USD, exact: `$0.00125`."""
    if amount_nano is None:
        return NONE
    text = money.show_nano(abs(amount_nano))
    return f"{'−' if amount_nano < 0 else ''}${text}"


def plural(count: int, one: str, many: str) -> str:
    """`1 model`, `2 models`."""
    return f"{count:,} {one if count == 1 else many}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b}"


ALL: Mapping[str, Callable[..., Any]] = {
    "number": number,
    "duration": duration,
    "when": when,
    "usd": usd,
    "nano": money.show_nano,
    "plural": plural,
}
