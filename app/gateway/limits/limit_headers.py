"""What an answer tells of its caller's limits: in the headers of OpenAI, and at Anthropic's door in Anthropic's.

Limits of a model and of the hub are not told: what others use of them is theirs.

https://platform.openai.com/docs/guides/rate-limits
https://platform.claude.com/docs/en/api/rate-limits
"""

from __future__ import annotations

from app.base import clock
from app.base.clock import MICROSECONDS, now_us
from app.gateway.limits.limiter import Place, Places

_OWN = ("team", "key", "user")
_NAMES = {
    "requests": (b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests"),
    "tokens": (b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens"),
}
_ANTHROPIC_NAMES = {
    "requests": (
        b"anthropic-ratelimit-requests-limit",
        b"anthropic-ratelimit-requests-remaining",
        b"anthropic-ratelimit-requests-reset",
    ),
    "tokens": (
        b"anthropic-ratelimit-tokens-limit",
        b"anthropic-ratelimit-tokens-remaining",
        b"anthropic-ratelimit-tokens-reset",
    ),
}


def headers(places: Places, endpoint: str) -> list[tuple[bytes, bytes]]:
    """Of requests and of tokens the limit with the least left, as it stood when the call was let in."""
    is_anthropic = endpoint.startswith("messages")
    told: list[tuple[bytes, bytes]] = []
    for unit, names in (_ANTHROPIC_NAMES if is_anthropic else _NAMES).items():
        own = [place for place in places.places if place.bound.rule.unit == unit and place.bound.rule.scope in _OWN]
        if not own:
            continue
        least = min(own, key=lambda place: (place.left, -(place.ends_us or 0)))
        values = (
            b"%d" % least.bound.rule.amount,
            b"%d" % least.left,
            _moment(least) if is_anthropic else _duration(least),
        )
        told += zip(names, values, strict=True)
    return told


def _duration(place: Place) -> bytes:
    """`6m0s`, rounded up."""
    seconds = max(0, -(-((place.ends_us or 0) - now_us()) // MICROSECONDS))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}h" if hours else ""
    shown += f"{minutes}m" if hours or minutes else ""
    return f"{shown}{seconds}s".encode()


def _moment(place: Place) -> bytes:
    return clock.from_us(place.ends_us or 0).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
