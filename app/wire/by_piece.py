"""Usage at providers that report none and bill by the piece: the hub counts pictures and seconds itself, exactly."""

from __future__ import annotations

from msgspec import Raw

from app.base.usage import Usage
from app.wire.rules import UsageRule


def read_usage(report: bytes | Raw, rule: UsageRule, endpoint: str) -> Usage:
    """Nothing but what is counted elsewhere, whatever is in the report."""
    return Usage()
