"""Single values of `hub.yaml`: amounts, percentages, moments, names, and what a credential consists of.

Each function gives the value, or notes the fault at its place and gives something harmless: a file with faults is
refused as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from msgspec import Struct

from app.adapters.providers.kinds import Kind
from app.base import money
from app.base.errors import BadValue
from app.base.secret import Secret
from app.base.usage import METERS
from app.domain.catalog import settings
from app.ops.marked_yaml import Entry, suggestion

RATED_METERS = tuple(meter for meter in METERS if meter != "reasoning")
"""Reasoning is a part of output and has no rate of its own."""

BEDROCK = "bedrock"

_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_Result = TypeVar("_Result")


class Shape(Struct, frozen=True):
    """One way in which a credential may be written."""

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()

    def takes(self, given: Collection[str]) -> bool:
        return all(name in given for name in self.needed) and all(
            name in self.needed or name in self.optional for name in given
        )

    def __str__(self) -> str:
        optional = f" ({', '.join(self.optional)} if need be)" if self.optional else ""
        return f"{' and '.join(self.needed) or 'nothing'}{optional}"


def shapes(kind: Kind | None) -> tuple[Shape, ...]:
    """How credentials of this kind may be written; of an unknown kind, every way there is."""
    bedrock = (Shape(("access_key_id", "secret_access_key"), ("session_token",)), Shape(("api_key",)))
    if kind is None:
        return (Shape(("secret",)), *bedrock)
    if kind.name == BEDROCK:
        return bedrock
    # A local server asks for nothing, but a door in front of it may.
    return (Shape(kind.secret_parts),) if kind.secret_parts else (Shape((), ("secret",)),)


class Names:
    """The names that one list has used up."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lines: dict[object, int] = {}

    def claim(self, entry: Entry, name: object) -> None:
        """Note a fault if the name was claimed before. What could not be read (empty) is not compared."""
        if not name:
            return
        if name in self._lines:
            entry.fault(f"this {self._what} is here already, in line {self._lines[name]}.")
        self._lines.setdefault(name, entry.line)


def tried(entry: Entry, work: Callable[[], _Result]) -> _Result | None:
    """What `work` gives; its refusal becomes a fault of this entry."""
    try:
        return work()
    except BadValue as refusal:
        entry.fault(refusal.sentence)
        return None


def checked(entry: Entry | None, check: Callable[[str], str]) -> str:
    """Text that `check` accepts, in the form that it gives it."""
    if entry is None:
        return ""
    text = entry.text()
    if entry.kind != "str":
        return ""
    return tried(entry, lambda: check(text)) or ""


def one_of(entry: Entry | None, known: Collection[str]) -> str:
    text = "" if entry is None else entry.text()
    if entry is not None and entry.kind == "str" and text not in known:
        entry.fault(f'"{text}" is not possible.{suggestion(text, known)}')
    return text


def secret(entry: Entry, environ: Mapping[str, str]) -> Secret:
    """The text, or what the environment holds under the name after `env:`. An empty one was a fault."""
    if entry.kind != "str":
        entry.fault("a secret must be text: write it in quotes, or better as env:NAME.")
        return Secret("")
    text = entry.raw
    if text.startswith("env:"):
        match = _ENV.fullmatch(text)
        if match is None:
            entry.fault("env: must be followed by the name of a variable, such as env:OPENAI_API_KEY.")
            return Secret("")
        # What a shell or a secret file puts around a value is never part of it.
        text = environ.get(match[1], "").strip()
        if not text:
            entry.fault(f"the environment has no {match[1]}, or it is empty.")
            return Secret("")
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        entry.fault("a secret must be letters, digits and signs of ASCII, without spaces and line breaks.")
        return Secret("")
    return Secret(text)


def billing(entry: Entry) -> settings.BillingMode:
    # `off` without quotes is a boolean in YAML 1.1.
    mode = entry.raw.lower() if entry.kind == "bool" else entry.raw
    if entry.kind not in ("bool", "str") or mode not in settings.BILLING_MODES:
        entry.fault("billing must be off, cost or credits.")
        return "off"
    return mode


def amount(entry: Entry) -> int:
    """Nano; zero or more."""
    text = _number_text(entry, example="0.15")
    nano = tried(entry, lambda: money.nano(text)) if text else None
    if nano is not None and nano < 0:
        entry.fault("this must be zero or more.")
    return nano or 0


def amounts(entry: Entry) -> dict[str, int]:
    """Nano by meter."""
    return {meter: amount(value) for meter, value in entry.fields(RATED_METERS).items()}


def markup(entry: Entry) -> int:
    """Hundredths of a percent; below zero is a rebate, -100 percent is free."""
    text = _number_text(entry, example="12.5")
    points = tried(entry, lambda: money.basis_points(text)) if text else None
    if points is not None and not settings.MIN_MARKUP_POINTS <= points <= settings.MAX_MARKUP_POINTS:
        entry.fault("this must be a percentage from -100 to 100000.")
    return points or 0


def moment(entry: Entry) -> datetime | None:
    """A day is the last one on which the key works (UTC); or a moment such as 2027-01-31T12:00:00Z."""
    text = entry.raw
    try:
        if entry.kind in ("timestamp", "str") and _DAY.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=1)
        if entry.kind in ("timestamp", "str") and text:
            read = datetime.fromisoformat(text)
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    entry.fault("this must be a day such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z.")
    return None


def _number_text(entry: Entry, *, example: str) -> str:
    """The digits as they stand in the file: text, or an integer. A float would not be what the file says."""
    if entry.kind == "str" and entry.raw:
        return entry.raw
    if entry.kind == "int" and _INTEGER.fullmatch(entry.raw):
        return entry.raw
    if entry.kind == "float":
        entry.fault(f'a number with a point is read as a float; write it as text: "{entry.raw}".')
    else:
        entry.fault(f'this must be a number written as text, such as "{example}".')
    return ""
