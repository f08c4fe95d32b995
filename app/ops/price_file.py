"""What `hub.yaml` says of prices beside `cost` and `price`: the section `settings`, markups, rates with a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from app.base import money
from app.domain.catalog import conditions, rates, settings
from app.domain.catalog.conditions import Condition
from app.domain.catalog.rates import Line, NewLine
from app.ops import file_values
from app.ops.changes import FieldChange, amount_text, field, percent_text
from app.ops.file_values import Names
from app.ops.marked_yaml import Entry

SETTINGS = tuple(name for name in settings.SETTINGS if name != "billing")
"""The billing mode has a key of its own at the top of the file."""

Conditional = Mapping[tuple[str, Condition], Line]
"""Lines by meter and condition."""

_ENDED = Line(None, None)


class MarkupItem(Struct, frozen=True):
    """A file says `none` to take a markup away; what it leaves out stays."""

    basis_points: int | None


class RateItem(Struct, frozen=True):
    meter: str
    condition: Condition
    line: Line


def read_settings(section: Entry) -> dict[str, str]:
    """Texts as they are stored, of the settings that the section has."""
    found: dict[str, str] = {}
    for name, entry in section.fields(SETTINGS).items():
        written = _plain(entry)
        if written is not None:
            found[name] = file_values.tried(entry, lambda name=name, text=written: settings.find(name).tidy(text)) or ""
    return found


def read_markup(entry: Entry) -> MarkupItem:
    return MarkupItem(None if entry.kind == "str" and entry.raw == "none" else file_values.markup(entry))


def read_rate(entry: Entry, names: Names) -> RateItem:
    """One of a model's `rates`: `{meter, cost, price, when: {…}}`."""
    fields = entry.fields(("meter", "cost", "price", "when"))
    meter = file_values.one_of(fields.need("meter"), file_values.RATED_METERS)
    cost, price, when = fields.get("cost"), fields.get("price"), fields.need("when")
    if fields.is_whole and cost is None and price is None:
        entry.fault("a rate has a cost, a price, or both.")
    condition = conditions.ALWAYS if when is None else _condition(when)
    names.claim(entry, (meter, condition.key))
    return RateItem(
        meter=meter,
        condition=condition,
        line=Line(
            None if cost is None else file_values.amount(cost),
            None if price is None else file_values.amount(price),
        ),
    )


def markup_change(old: int | None, item: MarkupItem | None) -> list[FieldChange]:
    return [] if item is None else [field("markup", percent_text(old), percent_text(item.basis_points))]


def new_lines(wanted: Conditional) -> tuple[NewLine, ...]:
    return tuple(
        NewLine(meter, line.cost_nano, line.price_nano, condition.as_json())
        for (meter, condition), line in wanted.items()
    )


def changes(old: Conditional, new: Conditional) -> list[FieldChange]:
    """The amounts in which they differ."""
    found: list[FieldChange] = []
    for meter, condition in dict.fromkeys((*new, *old)):
        before, after = old.get((meter, condition), _ENDED), new.get((meter, condition), _ENDED)
        name = f"{meter} when {text(condition)}"
        found.append(field(f"{name} cost", amount_text(before.cost_nano), amount_text(after.cost_nano)))
        found.append(field(f"{name} price", amount_text(before.price_nano), amount_text(after.price_nano)))
    return found


def exported(lines: Conditional) -> list[dict[str, Any]]:
    return [
        {
            "meter": meter,
            **({} if line.cost_nano is None else {"cost": money.show_nano(line.cost_nano)}),
            **({} if line.price_nano is None else {"price": money.show_nano(line.price_nano)}),
            "when": condition.as_json(),
        }
        for (meter, condition), line in lines.items()
    ]


def of_hub(lines: Sequence[rates.InForce]) -> tuple[rates.Card, Conditional]:
    """A deployment's lines in force in the file's words: those that always hold, and the others."""
    return (
        {one.meter: one.line for one in lines if one.condition.is_empty},
        {(one.meter, one.condition): one.line for one in lines if not one.condition.is_empty},
    )


def text(condition: Condition) -> str:
    """For people: `input_over 200000 service_tier flex`."""
    return " ".join(f"{key} {value}" for key, value in condition.as_json().items())


def _condition(entry: Entry) -> Condition:
    written: dict[str, Any] = {}
    for key, value in entry.fields(conditions.KEYS).items():
        if key == "input_over":
            written[key] = value.integer(0, 1_000_000_000)
        elif value.kind == "int" and ":" in value.raw:
            # YAML 1.1 reads 16:30 as a number to the base of 60.
            written[key] = value.raw
        else:
            written[key] = value.text()
    found = file_values.tried(entry, lambda: conditions.read(written))
    if found is not None and found.is_empty:
        entry.fault("a rate that always holds belongs into cost and price.")
    return found or conditions.ALWAYS


def _plain(entry: Entry) -> str | None:
    """A setting as it is written. `on` without quotes is a boolean in YAML 1.1."""
    if entry.kind == "bool":
        return {"true": "on", "yes": "on", "false": "off", "no": "off"}.get(entry.raw.lower(), entry.raw.lower())
    if entry.kind == "int":
        return entry.raw
    if entry.kind == "float":
        entry.fault(f'a number with a point is read as a float; write it as text: "{entry.raw}".')
        return None
    text_ = entry.text()
    return text_ if entry.kind == "str" else None
