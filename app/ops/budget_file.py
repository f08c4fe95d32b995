"""The section `budgets` of `hub.yaml`. In the terms of a budget here, `scope_id` is what the file calls it.

A budget is known by scope, name, unit and window: one that differs in anything else is the same budget, changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from app.base.money import MAX_NANO
from app.domain.billing import budget_rules, budget_words
from app.domain.billing.budget_rules import Terms
from app.domain.billing.windows import WINDOWS
from app.domain.identity import users
from app.ops import file_values
from app.ops.changes import FieldChange, field, yes
from app.ops.file_values import Names, tried
from app.ops.marked_yaml import Entry, suggestion

DEFAULT_TIMEZONE = "UTC"
DEFAULT_LEVELS = (80, 100)

_FIELDS = ("scope", "of", "amount", "unit", "window", "timezone", "warn", "block", "note")


class Known(Struct, frozen=True):
    """What budgets can be of: what the file names, and what stays in the hub."""

    teams: Mapping[str, Collection[str]]
    """Names of keys by that of the team."""
    models: Collection[str]


def title(terms: Terms) -> str:
    """What a plan calls it, and by what it is known: `team acme cost/month`."""
    return " ".join(word for word in (terms.scope, terms.scope_id, f"{terms.unit}/{terms.window}") if word)


def read(section: Entry, known: Known) -> tuple[Terms, ...]:
    """The budgets of the file; one with a fault is left out, for then the file is refused."""
    names = Names("budget (scope, of, unit and window)")
    found = [_budget(entry, known, names) for entry in section.items()]
    return tuple(terms for terms in found if terms is not None)


def changes(old: Terms | None, new: Terms) -> list[FieldChange]:
    """The fields in which they differ; all of a new one."""
    before = ("", "", "", "", "") if old is None else _texts(old)
    return [
        field(name, was, is_)
        for name, was, is_ in zip(("amount", "timezone", "warn", "block", "note"), before, _texts(new), strict=True)
    ]


def exported(terms: Terms) -> dict[str, object]:
    """As the file has it."""
    return {
        "scope": terms.scope,
        **({"of": terms.scope_id} if terms.scope_id else {}),
        "amount": budget_words.amount_text(terms.unit, terms.amount)
        if terms.unit in budget_rules.MONEY_UNITS
        else terms.amount,
        "unit": terms.unit,
        "window": terms.window,
        **({"timezone": terms.timezone} if terms.timezone != DEFAULT_TIMEZONE else {}),
        "warn": list(terms.warn_percents),
        "block": terms.action == "block",
        **({"note": terms.note} if terms.note else {}),
    }


def _budget(entry: Entry, known: Known, names: Names) -> Terms | None:
    fields = entry.fields(_FIELDS)
    scope = file_values.one_of(fields.need("scope"), budget_rules.SCOPES)
    unit = file_values.one_of(fields.need("unit"), budget_rules.UNITS)
    window = file_values.one_of(fields.need("window"), WINDOWS)
    amount, of = fields.need("amount"), fields.get("of")
    zone, warn, block, note = (fields.get(name) for name in ("timezone", "warn", "block", "note"))
    count = 0 if amount is None else _amount(amount, unit)
    name = "" if of is None else _name(of, scope, known)
    given = [] if warn is None else [item.integer(1, budget_rules.MAX_PERCENT) for item in warn.items()]
    if not (scope in budget_rules.SCOPES and unit in budget_rules.UNITS and window in WINDOWS and count):
        return None
    if of is not None and not name:
        return None
    terms = tried(
        entry,
        lambda: budget_rules.terms(
            scope=scope,
            scope_id=name,
            unit=unit,
            amount=count,
            window=window,
            timezone=DEFAULT_TIMEZONE if zone is None else zone.text(),
            warn_percents=DEFAULT_LEVELS if warn is None else given,
            action="block" if block is not None and block.boolean() else "warn",
            note="" if note is None else note.text(),
        ),
    )
    if terms is not None:
        names.claim(entry, title(terms))
    return terms


def _amount(entry: Entry, unit: str) -> int:
    """More than zero; 0 of what was a fault."""
    if unit not in budget_rules.UNITS:
        return 0
    if unit not in budget_rules.MONEY_UNITS:
        return entry.integer(1, min(MAX_NANO, 10**18 - 1))
    faults = len(entry.book.faults)
    nano = file_values.amount(entry)
    if nano == 0 and len(entry.book.faults) == faults:
        entry.fault("a budget must be more than zero.")
    return nano


def _name(entry: Entry, scope: str, known: Known) -> str:
    """What the budget is of, if that is there; empty after a fault."""
    name = entry.text()
    if not name:
        return ""
    match scope:
        case "team":
            return _one_of(entry, name, "team", list(known.teams))
        case "project" | "key":
            team = _team_of(name, known.teams)
            if team is None:
                entry.fault(f'"{name}" names no team before the slash. Write TEAM/{scope.upper()}.')
                return ""
            if scope == "key":
                return _one_of(entry, name, "key", [f"{team}/{key}" for key in known.teams[team]])
            return name
        case "user":
            return tried(entry, lambda: users.check_address(name)) or ""
        case "model":
            return _one_of(entry, name, "model", known.models)
        case "hub":
            entry.fault("a budget of the hub is of nothing else; leave this away.")
            return ""
        case _:
            return ""


def _one_of(entry: Entry, name: str, what: str, known: Collection[str]) -> str:
    if name in known:
        return name
    entry.fault(f'there is no {what} "{name}".{suggestion(name, known)}')
    return ""


def _team_of(name: str, teams: Collection[str]) -> str | None:
    """The longest name of a team before a slash: names may have slashes themselves."""
    fitting = [team for team in teams if name.startswith(f"{team}/") and len(name) > len(team) + 1]
    return max(fitting, key=len, default=None)


def _texts(terms: Terms) -> Sequence[str]:
    return (
        budget_words.amount(terms.unit, terms.amount),
        terms.timezone,
        ",".join(map(str, terms.warn_percents)),
        yes(terms.action == "block"),
        terms.note,
    )
