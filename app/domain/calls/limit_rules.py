"""Limits as calls meet them: what each says, which ones bind a call, and under which name it is counted.

Pure: the rules come from `limits`, what has been counted is the limiter's (`app.gateway.limiting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from app.base.clock import MICROSECONDS
from app.base.errors import BadValue

Scope = Literal["hub", "team", "key", "user", "model", "credential"]
Unit = Literal["requests", "tokens", "streams"]
Per = Literal["minute", "day", "once"]

SCOPES: tuple[Scope, ...] = ("hub", "team", "key", "user", "model", "credential")
UNITS: tuple[Unit, ...] = ("requests", "tokens", "streams")
PERS: tuple[Per, ...] = ("minute", "day", "once")
"""`once`: what is under way at one time, whatever the clock says."""

EACH = "*"
"""In place of an id: for each one by itself. One that has a limit of its own has that alone."""

MAX_AMOUNT = 10**15

_MAX_SCOPE_ID = 200
_MAX_ABOVE = 32
"""More keys than can stand above one: a circle in the rows must not hold up a call."""
_LENGTHS_US: Mapping[Per, int] = {"minute": 60 * MICROSECONDS, "day": 86_400 * MICROSECONDS}

_ByWhat = Mapping[str, tuple["LimitRuleFacts", ...]]


class Terms(Struct, frozen=True, kw_only=True):
    """What a limit says. Made by `terms`, which checks it."""

    scope: Scope
    scope_id: str
    unit: Unit
    amount: int
    per: Per
    note: str = ""

    @property
    def same(self) -> tuple[str, str, str, str]:
        """Two limits with the same are one, changed."""
        return self.scope, self.scope_id, self.unit, self.per


class LimitRuleFacts(Terms, frozen=True, kw_only=True):
    """A limit in force, or one that was."""

    id: str
    created_us: int
    ended_us: int | None = None


class Bound(Struct, frozen=True):
    """A limit that binds a call."""

    rule: LimitRuleFacts
    subject: str
    """The id of what it binds, also where the rule is for each one."""

    @property
    def counter(self) -> str:
        """Under which it is counted: a changed limit goes on from what the old one has counted."""
        rule = self.rule
        return f"{rule.scope}/{self.subject}/{rule.unit}/{rule.per}"


class Limits:
    """The limits in force, found by what a call belongs to. One for each snapshot.

    `parents` has the id of the key that made it for each key that was made by another one: what it asks for counts in
    the limits of all keys above it as well, so that nobody gets more by making keys.
    """

    def __init__(self, rules: Iterable[LimitRuleFacts], parents: Mapping[str, str] | None = None) -> None:
        self._parents = parents or {}
        self.rules: tuple[LimitRuleFacts, ...] = tuple(rules)
        found: dict[Scope, dict[str, tuple[LimitRuleFacts, ...]]] = {scope: {} for scope in SCOPES}
        for rule in self.rules:
            found[rule.scope][rule.scope_id] = (*found[rule.scope].get(rule.scope_id, ()), rule)
        self._hub = tuple(Bound(rule, "") for rule in found["hub"].get("", ()))
        self._teams, self._keys, self._users = found["team"], found["key"], found["user"]
        self._models, self._credentials = found["model"], found["credential"]
        self._is_empty = not any(of_scope for scope, of_scope in found.items() if scope != "credential")

    def of(self, team_id: str, key_id: str, user_id: str | None, model: str) -> Sequence[Bound]:
        """Every limit that the call counts in, whoever serves it. `model` is the public name, aliases resolved."""
        if self._is_empty:
            return ()
        bound = [*self._hub, *_own(self._teams, team_id), *_own(self._keys, key_id), *_own(self._models, model)]
        if self._parents and self._keys:
            above = self._parents.get(key_id)
            for _ in range(_MAX_ABOVE):
                if above is None:
                    break
                bound += _own(self._keys, above)
                above = self._parents.get(above)
        if user_id is not None:
            bound += _own(self._users, user_id)
        return bound

    def of_credential(self, credential_id: str) -> Sequence[Bound]:
        """Every limit of one of the hub's own credentials at a provider."""
        return _own(self._credentials, credential_id) if self._credentials else ()


def terms(*, scope: str, scope_id: str, unit: str, amount: int, per: str, note: str = "") -> Terms:
    """What a limit may say.

    Whether the team, key, user, model or credential is there is for those to check who know them.

    Raises:
        BadValue: a field cannot be; `param` names it.
    """
    if scope not in SCOPES:
        raise BadValue(f'"{scope}" is not a scope. It must be {_one_of(SCOPES)}.', param="scope")
    if (scope == "hub") == bool(scope_id):
        raise BadValue(
            "A limit of the hub is of nothing else." if scope_id else f"A limit of scope {scope} must say of which.",
            param="scope_id",
        )
    if len(scope_id) > _MAX_SCOPE_ID:
        raise BadValue("This name is too long for a limit.", param="scope_id")
    if unit not in UNITS:
        raise BadValue(f'"{unit}" is not a unit of limits. It must be {_one_of(UNITS)}.', param="unit")
    if per not in PERS:
        raise BadValue(f'"{per}" is not a time of limits. It must be {_one_of(PERS)}.', param="per")
    if (unit == "streams") != (per == "once"):
        raise BadValue(
            "Streams are limited at once: calls that are under way at one time."
            if unit == "streams"
            else f"A limit of {unit} is per minute or per day.",
            param="per",
        )
    if not 0 < amount <= MAX_AMOUNT:
        raise BadValue(f"The amount of a limit must be from 1 to {MAX_AMOUNT}.", param="amount")
    return Terms(scope=scope, scope_id=scope_id, unit=unit, amount=amount, per=per, note=note)


def window(per: Per, now_us: int) -> tuple[int, int | None]:
    """Begin and end of the minute or the day (in UTC) that has the moment in it; of `once`, there is no end."""
    length = _LENGTHS_US.get(per)
    if length is None:
        return 0, None
    begins_us = now_us // length * length
    return begins_us, begins_us + length


def _own(by_id: _ByWhat, id_: str) -> list[Bound]:
    """Those of this one, and those for each one that it has none of its own in place of."""
    if not by_id:
        return []
    own, each = by_id.get(id_, ()), by_id.get(EACH, ())
    bound = [Bound(rule, id_) for rule in own]
    if each:
        taken = {(rule.unit, rule.per) for rule in own}
        bound += [Bound(rule, id_) for rule in each if (rule.unit, rule.per) not in taken]
    return bound


def _one_of(known: Sequence[str]) -> str:
    return f"{', '.join(known[:-1])} or {known[-1]}"
