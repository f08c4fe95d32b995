"""The section `limits` of `hub.yaml`. In the terms of a limit here, `scope_id` is what the file calls it.

A limit is known by scope, name, unit and time: one that differs in anything else is the same limit, changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from app.domain.calls import limit_rules
from app.domain.calls.limit_rules import EACH, Terms
from app.domain.identity import users
from app.ops import file_values
from app.ops.changes import FieldChange, field
from app.ops.file_values import Names, tried
from app.ops.marked_yaml import Entry, suggestion

_FIELDS = ("scope", "of", "each", "amount", "unit", "per", "note")


class Known(Struct, frozen=True):
    """What limits can be of: what the file names, and what stays in the hub."""

    teams: Mapping[str, Collection[str]]
    """Names of keys by that of the team."""
    models: Collection[str]
    credentials: Collection[str]
    """`provider/label`"""


def title(terms: Terms) -> str:
    """What a plan calls it, and by what it is known: `team acme requests/minute`."""
    of = "of each" if terms.scope_id == EACH else terms.scope_id
    return " ".join(word for word in (terms.scope, of, f"{terms.unit}/{terms.per}") if word)


def read(section: Entry, known: Known) -> tuple[Terms, ...]:
    """The limits of the file; one with a fault is left out, for then the file is refused."""
    names = Names("limit (scope, of, unit and per)")
    found = [_limit(entry, known, names) for entry in section.items()]
    return tuple(terms for terms in found if terms is not None)


def changes(old: Terms | None, new: Terms) -> list[FieldChange]:
    """The fields in which they differ; all of a new one."""
    before = ("", "") if old is None else (str(old.amount), old.note)
    return [field("amount", before[0], str(new.amount)), field("note", before[1], new.note)]


def exported(terms: Terms) -> dict[str, object]:
    """As the file has it."""
    of = {"each": True} if terms.scope_id == EACH else {"of": terms.scope_id} if terms.scope_id else {}
    return {
        "scope": terms.scope,
        **of,
        "amount": terms.amount,
        "unit": terms.unit,
        **({} if terms.unit == "streams" else {"per": terms.per}),
        **({"note": terms.note} if terms.note else {}),
    }


def _limit(entry: Entry, known: Known, names: Names) -> Terms | None:
    faults = len(entry.book.faults)
    fields = entry.fields(_FIELDS)
    scope = file_values.one_of(fields.need("scope"), limit_rules.SCOPES)
    unit = file_values.one_of(fields.need("unit"), limit_rules.UNITS)
    amount, of, each, per, note = (fields.get(name) for name in ("amount", "of", "each", "per", "note"))
    if amount is None:
        fields.need("amount")
    count = 0 if amount is None else amount.integer(1, limit_rules.MAX_AMOUNT)
    # Streams are counted at once, so there is no need to say so.
    time = "once" if per is None and unit == "streams" else file_values.one_of(fields.need("per"), limit_rules.PERS)
    name = "" if of is None else _name(of, scope, known)
    if each is not None and each.boolean():
        if of is not None:
            each.fault("a limit is of one (of) or of each one (each: true), not of both.")
        name = EACH
    if len(entry.book.faults) > faults:
        return None
    terms = tried(
        entry,
        lambda: limit_rules.terms(
            scope=scope,
            scope_id=name,
            unit=unit,
            amount=count,
            per=time,
            note="" if note is None else note.text(),
        ),
    )
    if terms is not None:
        names.claim(entry, title(terms))
    return terms


def _name(entry: Entry, scope: str, known: Known) -> str:
    """What the limit is of, if that is there; empty after a fault."""
    name = entry.text()
    if not name:
        return ""
    if name == EACH:
        entry.fault("write each: true for a limit of each one.")
        return ""
    match scope:
        case "team":
            return _one_of(entry, name, "team", list(known.teams))
        case "key":
            return _one_of(entry, name, "key", [f"{team}/{key}" for team, keys in known.teams.items() for key in keys])
        case "user":
            return tried(entry, lambda: users.check_address(name)) or ""
        case "model":
            return _one_of(entry, name, "model", known.models)
        case "credential":
            return _one_of(entry, name, "credential", known.credentials)
        case "hub":
            entry.fault("a limit of the hub is of nothing else; leave this away.")
            return ""
        case _:
            return ""


def _one_of(entry: Entry, name: str, what: str, known: Collection[str]) -> str:
    if name in known:
        return name
    entry.fault(f'there is no {what} "{name}".{suggestion(name, known)}')
    return ""
