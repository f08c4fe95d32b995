"""What a plan consists of, and how it is told to people and programs.

Nothing here shows a secret: a secret is "set" or "changed".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from app.base import money
from app.ops.marked_yaml import Fault
from app.ops.steps import Step

Action = Literal["add", "change", "remove"]

_SIGN: Mapping[Action, str] = {"add": "+", "change": "~", "remove": "-"}


class FieldChange(Struct, frozen=True):
    """One field of a change. Of a secret both texts are None."""

    field: str
    old: str | None
    new: str | None

    def text(self, action: Action) -> str:
        if self.old is None and self.new is None:
            return f"{self.field} {'set' if action == 'add' else 'changed'}"
        if action == "add":
            return f"{self.field} {self.new}"
        if action == "remove":
            return f"{self.field} {self.old}"
        return f"{self.field} {_or_none(self.old)} → {_or_none(self.new)}"


class Change(Struct, frozen=True):
    """One thing that is added, changed or removed, and the steps that do it."""

    action: Action
    what: str
    """`provider`, `credential`, `model`, …"""
    name: str
    fields: tuple[FieldChange, ...]
    steps: tuple[Step, ...]

    def text(self) -> str:
        fields = ", ".join(field.text(self.action) for field in self.fields)
        return f"{_SIGN[self.action]} {self.what} {self.name}{': ' if fields else ''}{fields}"


class Plan(Struct, frozen=True):
    changes: tuple[Change, ...]
    """In the order in which they are carried out."""
    kept: tuple[str, ...]
    """What is in the hub, not in the file, and stays because nothing is pruned."""
    faults: tuple[Fault, ...]
    """Why the plan cannot be carried out."""

    @property
    def is_removing(self) -> bool:
        return any(change.action == "remove" for change in self.changes)


def field(name: str, old: str | None, new: str | None) -> FieldChange:
    return FieldChange(name, old or None, new or None)


def yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def amount_text(nano: int | None) -> str | None:
    return None if nano is None else money.show_nano(nano)


def percent_text(points: int | None) -> str | None:
    return None if points is None else money.show_basis_points(points)


def moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _or_none(text: str | None) -> str:
    return "none" if text is None else text
