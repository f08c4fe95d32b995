"""Budgets as calls meet them: which ones bind a call, which window it counts in, which levels it reaches."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from app.base.errors import BadValue
from app.base.money import NANO
from app.base.usage import Usage
from app.domain.billing import budget_notices, budget_rules, budget_words
from app.domain.billing.budget_rules import BudgetRule, Budgets, Terms

_DEFAULTS: dict[str, Any] = {
    "scope": "team",
    "scope_id": "t1",
    "unit": "cost",
    "amount": 50 * NANO,
    "window": "month",
    "timezone": "UTC",
    "warn_percents": (80, 95),
    "action": "block",
}


def _made(fields: dict[str, Any]) -> Terms:
    given: dict[str, Any] = _DEFAULTS | fields
    return budget_rules.terms(**given)


def _rule(id_: str = "b1", **fields: Any) -> BudgetRule:
    given: dict[str, Any] = _DEFAULTS | fields
    return BudgetRule(**given, id=id_, created_us=0)


def _us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def test_a_call_meets_the_budgets_of_all_that_it_belongs_to_and_no_others() -> None:
    rules = [
        _rule("8", scope="hub", scope_id=""),
        _rule("7", scope="team", scope_id="t1"),
        _rule("6", scope="project", scope_id="t1/site"),
        _rule("5", scope="key", scope_id="k1"),
        _rule("4", scope="user", scope_id="u1"),
        _rule("3", scope="model", scope_id="lab/x"),
        _rule("2", scope="team", scope_id="t1", window="day"),
    ]
    budgets = Budgets(
        [*rules, _rule("1", scope="team", scope_id="t2"), _rule("0", scope="project", scope_id="t2/site")]
    )

    def met(*of: Any) -> list[str]:
        return [rule.id for rule in budgets.of(*of)]

    assert met("t1", "k1", "u1", "site", "lab/x") == ["2", "3", "4", "5", "6", "7", "8"]
    assert met("t1", "k9", None, None, "lab/y") == ["2", "7", "8"]
    assert met("t2", "k1", None, "site", "lab/y") == ["0", "1", "5", "8"]
    # A project of the same name is another one in another team, and no caller can write its way into one.
    assert met("t3", "k9", "t1", "t1/site", "t1") == ["8"]


def test_a_hub_without_budgets_pays_nothing_for_them() -> None:
    budgets, rounds = Budgets(()), 20_000

    began = time.perf_counter()
    for _ in range(rounds):
        budgets.of("t1", "k1", "u1", "site", "lab/x")
    each_us = (time.perf_counter() - began) / rounds * 1e6

    assert budgets.of("t1", "k1", "u1", "site", "lab/x") == ()
    assert each_us < 1


def test_a_new_window_has_a_spend_of_its_own() -> None:
    rule = _rule(window="day", timezone="Europe/Berlin")
    budgets = Budgets([rule])

    evening, night = _us("2026-11-20 22:59:59"), _us("2026-11-20 23:00:00")

    assert budgets.room(rule, evening).spend_id == f"b1@{_us('2026-11-19 23:00:00') // 1_000_000}"
    assert budgets.room(rule, night).spend_id == f"b1@{night // 1_000_000}"
    assert budgets.room(rule, night).begins_us == night
    # The clock is set back.
    assert budgets.room(rule, evening).ends_us == night
    assert budget_rules.room(_rule(window="total"), night) == budget_rules.Room("b1@0", 0, None)


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("scope", "galaxy", "scope"),
        ("scope", "hub", "scope_id"),
        ("scope_id", "", "scope_id"),
        ("scope_id", "x" * 201, "scope_id"),
        ("unit", "EUR", "unit"),
        ("amount", 0, "amount"),
        ("amount", -1, "amount"),
        ("amount", 2**63, "amount"),
        ("window", "year", "window"),
        ("timezone", "Europe/Atlantis", "timezone"),
        ("warn_percents", (95, 80), "warn_percents"),
        ("warn_percents", (80, 80), "warn_percents"),
        ("warn_percents", (0,), "warn_percents"),
        ("warn_percents", (1001,), "warn_percents"),
        ("warn_percents", (True,), "warn_percents"),
        ("warn_percents", tuple(range(1, 12)), "warn_percents"),
        ("action", "explode", "action"),
    ],
)
def test_what_a_budget_cannot_be_is_refused_by_name(field: str, value: Any, param: str) -> None:
    with pytest.raises(BadValue) as refused:
        _made({field: value})
    assert refused.value.param == param


def test_a_budget_that_does_not_block_warns_at_least_once() -> None:
    assert _made({"warn_percents": ()}).warn_percents == ()
    with pytest.raises(BadValue, match="does not block"):
        _made({"warn_percents": (), "action": "warn"})


@pytest.mark.parametrize(
    ("before", "after", "due"),
    [
        (0, 79, []),
        (0, 80, [80]),
        (79, 94, [80]),
        (80, 94, []),
        (10, 100, [80, 95, 100]),
        (94, 300, [95, 100, 250]),
        (100, 90, []),
    ],
)
def test_a_level_is_due_when_the_spend_gets_there(before: int, after: int, due: list[int]) -> None:
    rule = _rule(amount=100, unit="calls", warn_percents=(80, 95, 100, 250))

    assert budget_notices.due_notices(rule, before, after) == due


def test_a_level_that_is_no_whole_number_is_not_reached_below_it() -> None:
    rule = _rule(amount=3, unit="calls", warn_percents=(50,))

    assert budget_notices.due_notices(rule, 0, 1) == []
    assert budget_notices.due_notices(rule, 1, 2) == [50]


def test_each_unit_counts_its_own() -> None:
    usage = Usage(
        input=10, cache_read=5, cache_write_5m=3, cache_write_1h=2, audio_in=1, output=7, reasoning=4, audio_out=1
    )

    counted = {unit: budget_rules.spent_by(unit, usage, cost_nano=12, charge_nano=15) for unit in budget_rules.UNITS}

    assert counted == {"cost": 12, "credits": 15, "calls": 1, "tokens": 29}
    assert budget_rules.spent_by("cost", usage, cost_nano=None, charge_nano=None) == 0


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"scope": "hub", "scope_id": ""}, "The budget of this hub for this month is used up"),
        ({}, "The budget of team acme for this month is used up"),
        ({"scope": "project", "scope_id": "t1/site"}, "The budget of project site for this month is used up"),
        ({"scope": "key", "scope_id": "k1"}, "The budget of the API key ci for this month is used up"),
        (
            {"scope": "user", "scope_id": "u1"},
            "The budget of the person whose API key this is for this month is used up",
        ),
        ({"scope": "model", "scope_id": "lab/x"}, "The budget of lab/x for this month is used up"),
    ],
)
def test_a_refusal_says_whose_budget_it_is_and_when_the_next_begins(fields: dict[str, Any], sentence: str) -> None:
    rule = _rule(timezone="Europe/Berlin", **fields)

    error = budget_words.exceeded(rule, _us("2026-11-20 12:00:00"), team_name="acme", key_name="ci")

    assert error.sentence == f"{sentence}; the next one begins at 2026-12-01 00:00 Europe/Berlin."
    assert (error.http_status, error.code, error.owner) == (402, "budget_exceeded", "you")
    assert error.retry_after_seconds is None


def test_a_refusal_says_how_long_to_wait_when_that_is_within_a_day() -> None:
    moment = _us("2026-11-20 23:59:30") + 1

    def refused(**fields: Any) -> int | None:
        return budget_words.exceeded(_rule(**fields), moment, team_name="a", key_name="b").retry_after_seconds

    assert refused(window="day") == 30
    assert refused(window="month") is None
    assert refused(window="total") is None
    assert "all time" in budget_words.exceeded(_rule(window="total"), moment, team_name="a", key_name="b").sentence
