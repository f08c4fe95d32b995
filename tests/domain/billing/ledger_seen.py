"""An account as its tables say, for those who judge what a movement has done to it."""

from __future__ import annotations

from msgspec import Struct


class Grant(Struct, frozen=True):
    id: str
    priority: int
    category: str
    remaining: int
    effective_us: int
    expires_us: int | None
    created_us: int

    def has_ended(self, now: int) -> bool:
        return self.expires_us is not None and self.expires_us <= now

    def is_usable(self, now: int) -> bool:
        return self.effective_us <= now and not self.has_ended(now)


class Seen(Struct, frozen=True):
    """An account as its tables say."""

    posted: int
    held: int
    overage: int
    line: int
    is_frozen: bool
    grants: list[Grant]

    def free(self, now: int) -> int:
        usable = sum(grant.remaining for grant in self.grants if grant.is_usable(now))
        return usable - self.overage - self.held + self.line
