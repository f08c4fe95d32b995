"""What limits may say, which ones bind a call, and when there is room again."""

from __future__ import annotations

import timeit
from typing import Any

import pytest

from app.base.clock import MICROSECONDS
from app.base.errors import BadValue
from app.domain.calls import limit_rules, limit_words
from app.domain.calls.limit_rules import EACH, Bound, LimitRuleFacts, Limits

NOON_US = 1_795_176_000 * MICROSECONDS


def _rule(scope: str, scope_id: str = "", *, unit: str = "requests", per: str = "minute", amount: int = 5) -> Any:
    terms = limit_rules.terms(scope=scope, scope_id=scope_id, unit=unit, amount=amount, per=per)
    fields = {name: getattr(terms, name) for name in terms.__struct_fields__}
    return LimitRuleFacts(**fields, id=f"{scope}-{scope_id}-{unit}-{per}", created_us=0)


def test_a_call_counts_in_every_limit_of_what_it_belongs_to() -> None:
    limits = Limits(
        [
            _rule("hub"),
            _rule("team", "t"),
            _rule("team", "t2"),
            _rule("key", EACH),
            _rule("user", "u"),
            _rule("model", "m", unit="tokens", per="day"),
            _rule("credential", "c", unit="streams", per="once"),
        ]
    )

    bound = limits.of("t", "k", "u", "m")

    assert sorted(one.counter for one in bound) == [
        "hub//requests/minute",
        "key/k/requests/minute",
        "model/m/tokens/day",
        "team/t/requests/minute",
        "user/u/requests/minute",
    ]
    assert [one.counter for one in limits.of_credential("c")] == ["credential/c/streams/once"]
    assert [one.rule.scope for one in limits.of("t3", "k", None, "m2")] == ["hub", "key"]


def test_a_limit_of_its_own_replaces_that_for_each_of_the_same_unit_and_time_alone() -> None:
    limits = Limits([_rule("key", EACH), _rule("key", EACH, per="day"), _rule("key", "k", amount=9)])

    assert sorted((one.rule.amount, one.rule.per) for one in limits.of("t", "k", None, "m")) == [
        (5, "day"),
        (9, "minute"),
    ]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"scope": "planet"}, "scope"),
        ({"scope": "hub"}, "scope_id"),
        ({"scope_id": ""}, "scope_id"),
        ({"scope_id": "x" * 201}, "scope_id"),
        ({"unit": "money"}, "unit"),
        ({"per": "week"}, "per"),
        ({"per": "once"}, "per"),
        ({"unit": "streams"}, "per"),
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 10**15 + 1}, "amount"),
    ],
)
def test_what_a_limit_cannot_say_is_refused_by_its_field(change: dict[str, Any], param: str) -> None:
    fields = {"scope": "team", "scope_id": "t", "unit": "requests", "amount": 1, "per": "minute"} | change
    with pytest.raises(BadValue) as refused:
        limit_rules.terms(**fields)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("per", "moment_us", "seconds"),
    [
        ("minute", NOON_US, 60),
        ("minute", NOON_US + 1, 60),
        ("minute", NOON_US + 59_000_001, 1),
        ("minute", NOON_US + 59_999_999, 1),
        ("day", NOON_US, 43_200),
        ("once", NOON_US, 1),
    ],
)
def test_retry_after_leads_exactly_into_the_next_window(per: str, moment_us: int, seconds: int) -> None:
    rule = _rule("hub", unit="streams" if per == "once" else "requests", per=per)

    assert limit_words.retry_after_seconds(rule, moment_us) == seconds
    if per != "once":
        begins_us, ends_us = limit_rules.window(rule.per, moment_us)
        assert begins_us <= moment_us < (ends_us or 0)
        assert limit_rules.window(rule.per, moment_us + seconds * MICROSECONDS)[0] == ends_us


def test_a_refusal_names_nobody_else() -> None:
    for scope in limit_rules.SCOPES:
        rule = _rule(scope, "" if scope == "hub" else "secret-id")
        told = limit_words.reached(Bound(rule, "secret-id"), NOON_US, limit_words.Names("acme", "own-id", "ci", "chat"))
        assert "secret-id" not in told.sentence
        assert told.sentence.endswith("5 requests a minute, is reached. Try again in 60 s.")


def test_what_a_key_has_made_counts_in_the_limits_of_the_keys_above_it() -> None:
    limits = Limits([_rule("key", EACH), _rule("key", "top", amount=2)], {"child": "middle", "middle": "top"})

    assert sorted((one.subject, one.rule.amount) for one in limits.of("t", "child", None, "m")) == [
        ("child", 5),
        ("middle", 5),
        ("top", 2),
    ]
    in_a_circle = Limits([_rule("key", EACH)], {"a": "b", "b": "a"})
    assert {one.subject for one in in_a_circle.of("t", "a", None, "m")} == {"a", "b"}


def test_looking_for_limits_costs_a_call_next_to_nothing() -> None:
    def best(limits: Limits) -> float:
        turns = timeit.repeat(lambda: (limits.of("t", "k", "u", "m"), limits.of_credential("c")), number=5000, repeat=9)
        return min(turns) / 5000 * 1e6

    assert best(Limits([])) < 3
    few, many = (Limits([_rule("key", f"k{n}") for n in range(count)]) for count in (10, 10_000))
    assert best(many) < max(3 * best(few), 10)
