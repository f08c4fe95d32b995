"""When a line of a rate card applies, and the facts of a call that this is asked of.

    {"input_over": 200000, "service_tier": "flex", "size": "1024x1024", "quality": "high", "from": "16:30",
     "until": "00:30"}

All keys that are there must hold. Words are compared in small letters. A window of the day is in UTC and may pass
midnight; it is asked of the moment at which the call began.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import msgspec
from msgspec import Struct

from app.base.clock import MICROSECONDS
from app.base.errors import BadValue
from app.base.usage import MAX_UNITS

KEYS = ("input_over", "service_tier", "size", "quality", "from", "until")

_WORDS = ("service_tier", "size", "quality")
_WORD = re.compile(r"[a-z0-9][a-z0-9_.:/-]{0,39}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_MINUTE_US = 60 * MICROSECONDS
_DAY_MINUTES = 24 * 60

_encode = msgspec.json.Encoder(order="deterministic").encode


class Facts(Struct, frozen=True, kw_only=True, gc=False):
    """What conditions ask about a call, beside its usage. The words as the call has them; None: nothing was said."""

    service_tier: str | None = None
    size: str | None = None
    quality: str | None = None
    started_us: int
    """Microseconds since 1970."""


class Condition(Struct, frozen=True, kw_only=True, rename={"from_": "from"}, omit_defaults=True):
    """What must hold, all of it; None asks nothing."""

    input_over: int | None = None
    """More tokens than this went in, cached ones counted: then the line is for the whole call."""
    service_tier: str | None = None
    size: str | None = None
    quality: str | None = None
    from_: str | None = None
    """`HH:MM`, included; there if and only if `until` is."""
    until: str | None = None
    """`HH:MM`, not included."""

    @property
    def is_empty(self) -> bool:
        return self == ALWAYS

    @property
    def key(self) -> str:
        """Canonical JSON: two conditions with the same key are the same."""
        return _encode(self).decode()

    def as_json(self) -> dict[str, Any]:
        """As it is written in files and stored in rows."""
        return cast(dict[str, Any], msgspec.to_builtins(self))

    def specificity(self) -> tuple[int, int]:
        """The greater one wins where several hold: more keys, then the higher `input_over`. A window is one key."""
        asked = (self.input_over, self.service_tier, self.size, self.quality, self.from_)
        return sum(one is not None for one in asked), self.input_over or 0


ALWAYS = Condition()


def read(written: Mapping[str, Any]) -> Condition:
    """A condition as it is written in a file or stored in a row.

    Raises:
        BadValue: a key that is not one, or a value that cannot be; `param` is the key.
    """
    for key in written:
        if key not in KEYS:
            _refuse(key, f"there is none of that name; there are {', '.join(KEYS)}")
    over = written.get("input_over")
    if over is not None and (type(over) is not int or not 0 <= over <= MAX_UNITS):
        _refuse("input_over", "must be a number of tokens, such as 200000")
    begins, ends = _time(written, "from"), _time(written, "until")
    if (begins is None) != (ends is None):
        _refuse("until" if ends is None else "from", "a window of the day has both from and until")
    if begins is not None and begins == ends:
        _refuse("until", "must differ from `from`: a window of the whole day is no condition")
    words = {name: _word(written, name) for name in _WORDS}
    return Condition(input_over=over, from_=begins, until=ends, **words)


class Asker:
    """A condition made ready to be asked often."""

    __slots__ = ("_begins", "_ends", "_over", "_quality", "_size", "_tier")

    def __init__(self, condition: Condition) -> None:
        self._over = condition.input_over
        self._tier, self._size, self._quality = condition.service_tier, condition.size, condition.quality
        self._begins, self._ends = _minutes(condition.from_), _minutes(condition.until)

    def holds(self, input_total: int, facts: Facts) -> bool:
        if self._over is not None and input_total <= self._over:
            return False
        if self._tier is not None and not _is(facts.service_tier, self._tier):
            return False
        if self._size is not None and not _is(facts.size, self._size):
            return False
        if self._quality is not None and not _is(facts.quality, self._quality):
            return False
        if self._begins is None or self._ends is None:
            return True
        minute = facts.started_us // _MINUTE_US % _DAY_MINUTES
        if self._begins < self._ends:
            return self._begins <= minute < self._ends
        return minute >= self._begins or minute < self._ends


def facts_json(facts: Facts) -> str | None:
    """The words, for the call's row; None where there are none. The moment is in the row anyway."""
    words = {name: word for name in _WORDS if (word := getattr(facts, name)) is not None}
    return _encode(words).decode() if words else None


def read_facts(text: str | None, started_us: int) -> Facts:
    """What `facts_json` wrote, with the moment of its call."""
    words = {} if text is None else msgspec.json.decode(text, type=dict[str, str])
    return Facts(started_us=started_us, **words)


def _is(said: str | None, wanted: str) -> bool:
    return said is not None and (said == wanted or said.lower() == wanted)


def _time(written: Mapping[str, Any], key: str) -> str | None:
    value = written.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        _refuse(key, 'must be a time of the day in UTC, such as "16:30"')
    return value


def _word(written: Mapping[str, Any], key: str) -> str | None:
    value = written.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not _WORD.fullmatch(value.lower()):
        _refuse(key, "must be a word, such as flex, 1024x1024 or high")
    return value.lower()


def _minutes(time: str | None) -> int | None:
    return None if time is None else int(time[:2]) * 60 + int(time[3:])


def _refuse(key: str, why: str) -> NoReturn:
    raise BadValue(f"The condition {key[:40]}: {why}.", param=key[:40])
