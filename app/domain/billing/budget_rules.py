"""Budgets as calls meet them: what each says, which ones bind a call, and which window it counts in.

Pure: the rules come from `budgets`, what was spent stands in the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from app.base.errors import BadValue
from app.base.money import MAX_NANO
from app.base.usage import Usage
from app.domain.billing import windows
from app.domain.billing.windows import Window

Scope = Literal["hub", "team", "project", "key", "user", "model"]
Unit = Literal["cost", "credits", "calls", "tokens"]
Action = Literal["warn", "block"]

SCOPES: tuple[Scope, ...] = ("hub", "team", "project", "key", "user", "model")
UNITS: tuple[Unit, ...] = ("cost", "credits", "calls", "tokens")
ACTIONS: tuple[Action, ...] = ("warn", "block")

MONEY_UNITS: tuple[Unit, ...] = ("cost", "credits")
"""Nano-USD and nano-credits; the others are plain counts."""

MAX_PERCENT = 1000
MAX_LEVELS = 10

_MAX_SCOPE_ID = 200
_MAX_ABOVE = 16
"""More keys than ever stand above one."""


class Terms(Struct, frozen=True, kw_only=True):
    """What a budget says. Made by `terms`, which checks it."""

    scope: Scope
    scope_id: str
    unit: Unit
    amount: int
    window: Window
    timezone: str
    warn_percents: tuple[int, ...]
    action: Action
    note: str = ""


class BudgetRule(Terms, frozen=True, kw_only=True):
    """A budget in force, or one that was."""

    id: str
    created_us: int
    ended_us: int | None = None


class Room(Struct, frozen=True):
    """The window of a budget in which something is spent."""

    spend_id: str
    begins_us: int
    ends_us: int | None


class Budgets:
    """The budgets in force, found by what a call belongs to. One for each snapshot.

    `parents` has the id of the key that made it for each key that was made by another one: what it spends counts in the
    budgets of all above it.
    """

    def __init__(self, rules: Iterable[BudgetRule], parents: Mapping[str, str] | None = None) -> None:
        self._parents = parents or {}
        by_scope: dict[Scope, dict[str, list[BudgetRule]]] = defaultdict(lambda: defaultdict(list))
        for rule in rules:
            by_scope[rule.scope][rule.scope_id].append(rule)
        found = {scope: {id_: tuple(own) for id_, own in by_scope[scope].items()} for scope in SCOPES}
        self._hub = found["hub"].get("", ())
        self._teams, self._projects, self._keys = found["team"], found["project"], found["key"]
        self._users, self._models = found["user"], found["model"]
        self._is_empty = not any(found.values())
        self._rooms: dict[str, Room] = {}
        self.rules: Mapping[str, BudgetRule] = {
            rule.id: rule for of_scope in found.values() for own in of_scope.values() for rule in own
        }
        """By id."""

    def of(
        self, team_id: str, key_id: str, user_id: str | None, project: str | None, model: str
    ) -> Sequence[BudgetRule]:
        """Every budget that the call counts in, by id: the order in which their spends are locked.

        `model` is the public name, aliases resolved.
        """
        if self._is_empty:
            return ()
        found = [
            *self._hub,
            *self._teams.get(team_id, ()),
            *self._keys.get(key_id, ()),
            *self._models.get(model, ()),
        ]
        if self._parents and self._keys:
            above = self._parents.get(key_id)
            for _ in range(_MAX_ABOVE):
                if above is None:
                    break
                found += self._keys.get(above, ())
                above = self._parents.get(above)
        if user_id is not None:
            found += self._users.get(user_id, ())
        if project is not None and self._projects:
            found += self._projects.get(project_scope(team_id, project), ())
        if len(found) > 1:
            found.sort(key=_by_id)
        return found

    def room(self, rule: BudgetRule, now_us: int) -> Room:
        """The window that has the moment in it. A call counts in that of its `started_us`, however long it runs."""
        known = self._rooms.get(rule.id)
        if known is None or not (known.begins_us <= now_us and (known.ends_us is None or now_us < known.ends_us)):
            known = self._rooms[rule.id] = room(rule, now_us)
        return known


def terms(
    *,
    scope: str,
    scope_id: str,
    unit: str,
    amount: int,
    window: str,
    timezone: str,
    warn_percents: Sequence[int],
    action: str,
    note: str = "",
) -> Terms:
    """What a budget may say.

    Whether the team, key or user is there is for those to check who know them.

    Raises:
        BadValue: a field cannot be; `param` names it.
    """
    if scope not in SCOPES:
        raise BadValue(f'"{scope}" is not a scope. It must be {_one_of(SCOPES)}.', param="scope")
    if (scope == "hub") == bool(scope_id):
        raise BadValue(
            "A budget of the hub is of nothing else." if scope_id else f"A budget of scope {scope} must say of which.",
            param="scope_id",
        )
    if len(scope_id) > _MAX_SCOPE_ID:
        raise BadValue("This name is too long for a budget.", param="scope_id")
    if scope == "project" and not all(scope_id.partition("/")[::2]):
        raise BadValue("A budget of a project needs its team and its name.", param="scope_id")
    if unit not in UNITS:
        raise BadValue(f'"{unit}" is not a unit of budgets. It must be {_one_of(UNITS)}.', param="unit")
    if not 0 < amount <= MAX_NANO:
        raise BadValue("The amount of a budget must be more than zero, and not beyond billions.", param="amount")
    if action not in ACTIONS:
        raise BadValue(f'"{action}" is not an action. It must be {_one_of(ACTIONS)}.', param="action")
    return Terms(
        scope=scope,
        scope_id=scope_id,
        unit=unit,
        amount=amount,
        window=windows.check_window(window),
        timezone=windows.check_timezone(timezone),
        warn_percents=_levels(warn_percents, action),
        action=action,
        note=note,
    )


def room(rule: BudgetRule, now_us: int) -> Room:
    """`Budgets.room`, worked out anew."""
    begins_us, ends_us = windows.begins(rule.window, rule.timezone, now_us)
    return Room(spend_id(rule.id, begins_us), begins_us, ends_us)


def spend_id(budget_id: str, begins_us: int) -> str:
    """The key of what is spent of a budget in the window that begins then."""
    return f"{budget_id}@{begins_us // 1_000_000}"


def project_scope(team_id: str, project: str) -> str:
    """What a budget of a project calls it."""
    return f"{team_id}/{project}"


def spent_by(unit: Unit, usage: Usage, *, cost_nano: int | None, charge_nano: int | None) -> int:
    """What one call that has ended spends of a budget in this unit. What nobody knows is nothing.

    Every call counts as one, whatever came of it. `app.domain.calls.reports.spent_since` sums the same from the calls.
    """
    match unit:
        case "cost":
            return cost_nano or 0
        case "credits":
            return charge_nano or 0
        case "calls":
            return 1
        case "tokens":
            return usage.input_total + usage.output + usage.audio_out


def _levels(percents: Sequence[int], action: str) -> tuple[int, ...]:
    levels = tuple(percents)
    if any(type(level) is not int or not 1 <= level <= MAX_PERCENT for level in levels) or len(levels) > MAX_LEVELS:
        raise BadValue(
            f"Warn levels are at most {MAX_LEVELS} percentages from 1 to {MAX_PERCENT}.", param="warn_percents"
        )
    if any(low >= high for low, high in pairwise(levels)):
        raise BadValue("Warn levels must ascend, such as 80,95.", param="warn_percents")
    if action == "warn" and not levels:
        raise BadValue("A budget that does not block needs a level at which it warns.", param="warn_percents")
    return levels


def _one_of(known: Sequence[str]) -> str:
    return f"{', '.join(known[:-1])} or {known[-1]}"


def _by_id(rule: BudgetRule) -> str:
    return rule.id
