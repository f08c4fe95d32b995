"""Limits in words: for callers who are refused and for lists. Never names what is another team's."""

from __future__ import annotations

from app.base.clock import MICROSECONDS
from app.base.errors import LimitReached
from app.domain.calls.limit_rules import LimitRuleFacts, Terms, window

_TIMES = {"minute": "a minute", "day": "a day", "once": "at once"}
_FREE_SECONDS = 1
"""When one of the calls under way will have ended nobody knows."""


def amount(terms: Terms) -> str:
    """`60 requests a minute`, `1 call at once`."""
    what = "calls" if terms.unit == "streams" else terms.unit
    return f"{terms.amount} {what.removesuffix('s') if terms.amount == 1 else what} {_TIMES[terms.per]}"


def reached(rule: LimitRuleFacts, now_us: int, *, team_name: str, key_name: str, model: str) -> LimitReached:
    """Why the call of that team's key is refused, and when to try again. The names are the caller's own."""
    wait = retry_after_seconds(rule, now_us)
    return LimitReached(
        f"The limit of {_whose(rule, team_name, key_name, model)}, {amount(rule)}, is reached. Try again in {wait} s.",
        retry_after_seconds=wait,
    )


def too_large(rule: LimitRuleFacts, tokens: int, *, team_name: str, key_name: str, model: str) -> LimitReached:
    """Why a call is refused that no waiting helps: what it sends alone is more than the limit."""
    return LimitReached(
        f"This call sends about {tokens} tokens. The limit of {_whose(rule, team_name, key_name, model)} is "
        f"{amount(rule)}, so it can never pass. Send less at a time.",
        code="request_over_limit",
    )


def retry_after_seconds(rule: Terms, now_us: int) -> int:
    """From now until there is room again, rounded up."""
    _, ends_us = window(rule.per, now_us)
    return _FREE_SECONDS if ends_us is None else max(1, -(-(ends_us - now_us) // MICROSECONDS))


def _whose(rule: Terms, team_name: str, key_name: str, model: str) -> str:
    match rule.scope:
        case "hub":
            return "this hub"
        case "team":
            return f"team {team_name}"
        case "key":
            return f"the API key {key_name}"
        case "user":
            return "the person whose API key this is"
        case "model":
            return model
        case "credential":
            return "what serves it"
