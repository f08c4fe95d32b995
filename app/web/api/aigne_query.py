"""What AIGNE's routes have in common: who asks, and what stands in the query."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

import msgspec

from app.base import clock
from app.base.clock import MICROSECONDS
from app.base.errors import BadRequest, NotAllowed
from app.base.money import show_nano
from app.domain.calls.statistics import Range
from app.domain.identity.callers import Caller
from app.web.api.visit import Visit

encode = msgspec.json.Encoder().encode

DAY_US = 24 * 3600 * MICROSECONDS
HOUR_US = 3600 * MICROSECONDS
LONGEST_DAYS = 92
"""Sums over a longer time are not made on request."""
_DEFAULT_DAYS = 30
_MAX_TEXT = 200
_MOST_OFFSET_MINUTES = 14 * 60
_TRUE = ("true", "1")
_LAST_SECOND = 253_402_300_799
"""Of the year 9999."""


def caller_of(visit: Visit) -> Caller:
    """
    Raises:
        NotAuthenticated: no key, one that opens nothing, or an expired one.
    """
    return visit.caller()


def credit_number(amount_nano: int) -> msgspec.Raw:
    """Credits as a number of JSON, to the last digit."""
    return msgspec.Raw(show_nano(amount_nano).encode())


class Query:
    """The query of a visit, read with complaints that name the field."""

    def __init__(self, visit: Visit) -> None:
        # What follows the limit is not looked at; nobody has as many fields.
        self._fields = dict(parse_qsl(visit.query[:8192], max_num_fields=64) if visit.query.count("&") < 64 else ())

    def text(self, name: str) -> str | None:
        """None where it is absent or empty."""
        value = self._fields.get(name, "")[:_MAX_TEXT]
        return value or None

    def word(self, name: str, words: Collection[str], default: str) -> str:
        value = self.text(name) or default
        if value not in words:
            raise BadRequest(f"The parameter {name} must be one of: {', '.join(sorted(words))}.", param=name)
        return value

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 12 or not low <= int(text) <= high:
            raise BadRequest(f"The parameter {name} must be a whole number from {low} to {high}.", param=name)
        return int(text)

    def moment_us(self, name: str) -> int | None:
        """Seconds since 1970 in the query."""
        if self.text(name) is None:
            return None
        return self.whole(name, 0, low=0, high=_LAST_SECOND) * MICROSECONDS

    def paging(self, default_size: int) -> tuple[int, int]:
        """Page, from 1, and its size."""
        page = self.whole("page", 1, low=1, high=100_000)
        return page, self.whole("pageSize", default_size, low=1, high=100)

    def offset_us(self) -> int:
        """`timezoneOffset` in minutes with JavaScript's sign: UTC+8 is -480."""
        minutes = self.whole("timezoneOffset", 0, low=-_MOST_OFFSET_MINUTES, high=_MOST_OFFSET_MINUTES)
        return minutes * 60 * MICROSECONDS

    def range_of(self, caller: Caller) -> Range:
        """`startTime` and `endTime`, or the last `timeRange` days; at most the last `LONGEST_DAYS` of it.

        Raises:
            BadRequest: the start is not before the end.
        """
        now_us = clock.now_us()
        until_us = min(self.moment_us("endTime") or now_us, now_us) + 1
        days = self.whole("timeRange", _DEFAULT_DAYS, low=1, high=366)
        since_us = self.moment_us("startTime")
        if since_us is None:
            since_us = until_us - days * DAY_US
        if since_us >= until_us:
            raise BadRequest("The parameter startTime must lie before endTime and before now.", param="startTime")
        return Range(
            team_id=caller.team_id, since_us=max(since_us, until_us - LONGEST_DAYS * DAY_US), until_us=until_us
        )

    def refuse_all_users(self) -> None:
        """
        Raises:
            NotAllowed: a key sees the calls of its own team and no others.
        """
        if any((self.text(name) or "").lower() in _TRUE for name in ("allUsers", "allUser")):
            raise NotAllowed("An API key sees the calls of its own team alone. Leave allUsers out.", param="allUsers")
