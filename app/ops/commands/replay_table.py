"""How commands show calls that were priced anew under another price list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.ops import console

if TYPE_CHECKING:
    from app.gateway.desk.what_if import Replay, Sums

_SHOWN = 40
"""Teams and models in a table; JSON has all."""


def show(replay: Replay) -> None:
    from app.base import clock

    since, until = (console.show_moment(clock.from_us(moment)) for moment in (replay.since_us, replay.until_us))
    total = replay.total
    console.say(f"The {total.calls:,} calls from {since} to {until} UTC, in credits; costs and margins in US dollars:")
    rows = [[one.team, one.model, *_cells(one.sums)] for one in replay.effects[:_SHOWN]]
    if len(replay.effects) > _SHOWN:
        rows.append([f"… and {len(replay.effects) - _SHOWN} more", *[""] * 8])
    if replay.effects:
        rows.append(["all", "", *_cells(total)])
    console.print_table(
        ["team", "model", "calls", "charged", "then", "cost", "cost then", "margin", "margin then"],
        rows,
        empty="There were none.",
    )
    if total.unpriced:
        console.say(f"{total.unpriced:,} calls could not be priced: what they used has no price there.")
    if total.cost_unknown:
        console.say(f"Of {total.cost_unknown:,} calls nobody knows what they would have cost.")


def as_json(replay: Replay) -> dict[str, Any]:
    from msgspec import to_builtins

    return to_builtins(replay)


def amount(nano: int | None) -> str:
    from app.base.money import show_nano

    return "" if nano is None else show_nano(nano)


def condition_words(condition: Mapping[str, Any]) -> str:
    """A rate's condition for a table."""
    left = dict(condition)
    parts: list[str] = []
    if (tokens := left.pop("input_over", None)) is not None:
        parts.append(f"over {tokens:,} tokens in")
    if "from" in left:
        parts.append(f"{left.pop('from')}–{left.pop('until')} UTC")
    return ", ".join([*parts, *(str(value) for value in left.values())])


def _cells(sums: Sums) -> list[str]:
    return [
        f"{sums.calls:,}",
        _money(sums.charged_nano),
        _money(sums.charged_then_nano),
        _money(sums.cost_nano),
        _money(sums.cost_then_nano),
        _money(sums.margin_nano),
        _money(sums.margin_then_nano),
    ]


def _money(nano: int) -> str:
    """To the millionth, towards minus infinity."""
    return amount(nano // 1_000 * 1_000)
