"""Budgets in words: for callers who are refused, for lists, for pages. Never names what is another team's."""

from __future__ import annotations

import re
from datetime import datetime

from app.base import money
from app.base.errors import BadValue, BudgetExceeded
from app.domain.billing import windows
from app.domain.billing.budget_rules import MONEY_UNITS, BudgetRule, Terms, Unit

_WHOLE = re.compile(r"[0-9]{1,18}")
_A_DAY_US = 86_400_000_000
_OF_WINDOW = {"day": "today", "week": "this week", "month": "this month", "total": "all time"}
_UNITS = {"cost": "USD", "credits": "credits", "calls": "calls", "tokens": "tokens"}


def amount(unit: Unit, count: int) -> str:
    """`12.5 USD`, `3 calls`. Exact."""
    return f"{amount_text(unit, count)} {_UNITS[unit]}"


def amount_text(unit: Unit, count: int) -> str:
    """The number alone, as `amount_of` reads it."""
    return money.show_nano(count) if unit in MONEY_UNITS else str(count)


def amount_of(unit: str, text: str) -> int:
    """What `amount_text` has written, or a person.

    Raises:
        BadValue: it is no number of that unit.
    """
    if unit in MONEY_UNITS:
        return money.nano(text)
    if not _WHOLE.fullmatch(text):
        raise BadValue(f'"{text}" is not a number of {unit}. Write a whole number.', param="amount")
    return int(text)


def ends(ends_us: int | None, timezone: str) -> str | None:
    """`2026-12-01 00:00 Europe/Berlin`; None of a window without an end."""
    return None if ends_us is None else f"{_moment(windows.local(timezone, ends_us))} {timezone}"


def exceeded(rule: BudgetRule, now_us: int, *, team_name: str, key_name: str) -> BudgetExceeded:
    """Why the call of that team's key is refused, and until when. The names are the caller's own."""
    _, ends_us = windows.begins(rule.window, rule.timezone, now_us)
    sentence = f"The budget of {_whose(rule, team_name, key_name)} for {_OF_WINDOW[rule.window]} is used up"
    if ends_us is None:
        return BudgetExceeded(f"{sentence}. Whoever runs this hub can raise it.")
    wait_us = ends_us - now_us
    return BudgetExceeded(
        f"{sentence}; the next one begins at {ends(ends_us, rule.timezone)}.",
        retry_after_seconds=-(-wait_us // 1_000_000) if wait_us <= _A_DAY_US else None,
    )


def _whose(terms: Terms, team_name: str, key_name: str) -> str:
    match terms.scope:
        case "hub":
            return "this hub"
        case "team":
            return f"team {team_name}"
        case "project":
            return f"project {terms.scope_id.partition('/')[2]}"
        case "key":
            return f"the API key {key_name}"
        case "user":
            return "the person whose API key this is"
        case "model":
            return f"{terms.scope_id}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
