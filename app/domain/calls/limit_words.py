"""Limits in words: for callers who are refused and for lists. Never names what is another team's."""

from __future__ import annotations

from msgspec import Struct

from app.base.clock import MICROSECONDS
from app.base.errors import LimitReached
from app.domain.calls.limit_rules import Bound, Terms, window

_TIMES = {"minute": "a minute", "day": "a day", "once": "at once"}
_FREE_SECONDS = 1
"""When one of the calls under way will have ended nobody knows."""


def amount(terms: Terms) -> str:
    """`60 requests a minute`, `1 call at once`."""
    what = "calls" if terms.unit == "streams" else terms.unit
    return f"{terms.amount} {what.removesuffix('s') if terms.amount == 1 else what} {_TIMES[terms.per]}"


class Names(Struct, frozen=True):
    """Of what is the caller's own, for what is said to them."""

    team: str
    key_id: str
    key: str
    model: str


def reached(bound: Bound, now_us: int, names: Names) -> LimitReached:
    """Why a call is refused, and when to try again."""
    wait = retry_after_seconds(bound.rule, now_us)
    return LimitReached(
        f"The limit of {_whose(bound, names)}, {amount(bound.rule)}, is reached. Try again in {wait} s.",
        retry_after_seconds=wait,
    )


def too_large(bound: Bound, tokens: int, names: Names) -> LimitReached:
    """Why a call is refused that no waiting helps: what it sends alone is more than the limit."""
    return LimitReached(
        f"This call sends about {tokens} tokens. The limit of {_whose(bound, names)} is "
        f"{amount(bound.rule)}, so it can never pass. Send less at a time.",
        code="request_over_limit",
    )


def retry_after_seconds(rule: Terms, now_us: int) -> int:
    """From now until there is room again, rounded up."""
    _, ends_us = window(rule.per, now_us)
    return _FREE_SECONDS if ends_us is None else max(1, -(-(ends_us - now_us) // MICROSECONDS))


def _whose(bound: Bound, names: Names) -> str:
    match bound.rule.scope:
        case "hub":
            return "this hub"
        case "team":
            return f"team {names.team}"
        case "key":
            return f"the API key {names.key}" if bound.subject == names.key_id else f"an API key above {names.key}"
        case "user":
            return "the person whose API key this is"
        case "model":
            return names.model
        case "credential":
            return "what serves it"
