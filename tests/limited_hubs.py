"""Hubs with limits, on a clock that stands still where a test wants it to."""

from __future__ import annotations

from typing import Any

import pytest

from app.base.clock import MICROSECONDS
from tests.emulators.handle import Upstream
from tests.hubs import HUB_KEY, Json, described

OTHER_KEY = "hk-othr-0123456789abcdef0123456789abcdef"
NOON_US = 1_795_176_000 * MICROSECONDS
"""The beginning of a minute, twelve hours before the end of its day (UTC)."""


class Standstill:
    """The moment that limits go by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, second: float = 0) -> None:
        self.now_us = NOON_US + int(second * MICROSECONDS)
        for module in ("app.gateway.limiting", "app.gateway.limits.limit_headers"):
            monkeypatch.setattr(f"{module}.now_us", lambda: self.now_us)

    def go(self, seconds: float) -> None:
        self.now_us += int(seconds * MICROSECONDS)


def limited(upstream: Upstream, *limits: Json, **more: Any) -> Json:
    """A hub.yaml with two keys, the second of Ada's, and these limits: 3 requests a minute where they say nothing."""
    keys = [{"name": "ci", "secret": HUB_KEY}, {"name": "other", "secret": OTHER_KEY, "user": "ada@example.com"}]
    usual = {"amount": 3, "unit": "requests"}
    listed = [usual | one for one in limits]
    for one in listed:
        if one["unit"] != "streams":
            one.setdefault("per", "minute")
    return {**described(upstream, keys=keys, **more), "limits": listed}
