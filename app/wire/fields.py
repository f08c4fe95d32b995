"""Reads a client's JSON object field by field, says what is wrong with the path, and remembers what nobody took.

What is left when all readers are done (`done`) is what the hub has no place for: it is reported, never lost silently.
`null` and absent are the same, as every vendor here treats them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, cast

import msgspec
from msgspec import Raw

from app.base.errors import BadRequest

_TYPES: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "an array",
    dict: "an object",
}


class Fields:
    """One object. Taking a field removes it."""

    __slots__ = ("_unread", "_values", "at")

    def __init__(self, values: dict[str, Any], at: str = "", unread: list[str] | None = None) -> None:
        """`values` is consumed; `unread` gathers the paths of a whole document."""
        self._values = values
        self.at = at
        self._unread: list[str] = [] if unread is None else unread

    @classmethod
    def of(cls, value: Any, at: str, unread: list[str]) -> Fields:
        """
        Raises:
            BadRequest: not an object.
        """
        if not isinstance(value, dict):
            raise wrong_type(at, dict)
        return cls(cast(dict[str, Any], value), at, unread)

    def path(self, name: str) -> str:
        return f"{self.at}.{name}" if self.at else name

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self._values.get(name) is not None

    def any(self, name: str) -> Any:
        return self._values.pop(name, None)

    def raw(self, name: str) -> Raw | None:
        """The value as JSON again, for what is passed on unread."""
        value = self._values.pop(name, None)
        return None if value is None else Raw(msgspec.json.encode(value))

    def text(self, name: str) -> str | None:
        value = self._values.pop(name, None)
        if value is None or value.__class__ is str:
            return value
        raise wrong_type(self.path(name), str)

    def needed_text(self, name: str) -> str:
        value = self._values.pop(name, None)
        if value.__class__ is str:
            return cast(str, value)
        if value is None:
            raise missing(self.path(name))
        raise wrong_type(self.path(name), str)

    def word(self, name: str, words: Collection[str]) -> str | None:
        """One of a few words."""
        value = self.text(name)
        if value is not None and value not in words:
            listed = ", ".join(sorted(words))
            raise BadRequest(f"The field {self.path(name)} must be one of: {listed}.", param=self.path(name))
        return value

    def flag(self, name: str) -> bool | None:
        value = self._values.pop(name, None)
        if value is None or value.__class__ is bool:
            return value
        raise wrong_type(self.path(name), bool)

    def whole(self, name: str, *, least: int | None = None) -> int | None:
        value = self._values.pop(name, None)
        if value is None:
            return None
        if value.__class__ is float and value.is_integer():
            value = int(value)
        if value.__class__ is not int:
            raise wrong_type(self.path(name), int)
        if least is not None and value < least:
            raise BadRequest(f"The field {self.path(name)} must be at least {least}.", param=self.path(name))
        return value

    def number(self, name: str) -> float | None:
        value = self._values.pop(name, None)
        if value is None or value.__class__ is float:
            return value
        if value.__class__ is int:
            return cast(int, value)  # 1 stays 1 on the wire
        raise wrong_type(self.path(name), float)

    def object(self, name: str) -> Fields | None:
        value = self._values.pop(name, None)
        return None if value is None else Fields.of(value, self.path(name), self._unread)

    def list(self, name: str) -> list[Any] | None:
        value = self._values.pop(name, None)
        if value is None or value.__class__ is list:
            return value
        raise wrong_type(self.path(name), list)

    def objects(self, name: str) -> Iterator[Fields]:
        """The objects of an array; none where it is absent."""
        values = self.list(name)
        if values:
            at = self.path(name)
            for n, value in enumerate(values):
                yield Fields.of(value, f"{at}[{n}]", self._unread)

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings of an array, or one string alone."""
        value = self._values.pop(name, None)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list):
            raise wrong_type(self.path(name), list)
        for n, item in enumerate(cast(list[Any], value)):
            if not isinstance(item, str):
                raise wrong_type(f"{self.path(name)}[{n}]", str)
        return tuple(cast(list[str], value))

    def drop(self, *names: str) -> None:
        """Known, and without meaning for anybody but the client itself."""
        for name in names:
            self._values.pop(name, None)

    def rest(self) -> dict[str, Raw]:
        """What nobody took so far, as JSON again; it stays where it is."""
        return {name: Raw(msgspec.json.encode(value)) for name, value in self._values.items() if value is not None}

    def done(self) -> None:
        """Everything known has been taken: what is left is reported."""
        for name, value in self._values.items():
            if value is not None:
                self._unread.append(self.path(name))
        self._values = {}

    @property
    def unread(self) -> list[str]:
        """Of the whole document, so far."""
        return self._unread


def missing(path: str) -> BadRequest:
    return BadRequest(f"The field {path} is missing.", param=path)


def wrong_type(path: str, wanted: type) -> BadRequest:
    return BadRequest(f"The field {path} must be {_TYPES[wanted]}.", param=path)


def unknown_type(path: str, found: str | None, known: Collection[str]) -> BadRequest:
    """A part, tool or block of a type that does not exist."""
    shown = "missing" if found is None else f'"{found[:60]}"'
    return BadRequest(f"The field {path} is {shown}; it must be one of: {', '.join(sorted(known))}.", param=path)
