"""How often somebody may try to sign in: counted in the database, so that it holds for all processes.

A window begins with its first try and ends by itself: nobody is locked out for good, and a one-time link always works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

from msgspec import Struct
from sqlalchemy import case, delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.addresses import Address
from app.base.errors import AppError
from app.domain.identity.models import SignInTries

_MINUTES = 60
_HOUR = 3600
_DAY = 86_400

_MOST_WAIT_SECONDS = _DAY


class TooManyTries(AppError):
    """Too many tries to sign in, or too many at once."""

    status, code, owner = 429, "too_many_tries", "you"

    def __init__(self, seconds: int) -> None:
        minutes = -(-seconds // 60)
        wait = f"{seconds} seconds" if seconds < 90 else f"{minutes} minutes"
        super().__init__(f"Too many tries. Wait {wait}, then try again.")
        self.retry_after_seconds = seconds


class Rule(Struct, frozen=True):
    """At most `count` tries within `seconds`."""

    name: str
    count: int
    seconds: int


ACCOUNT = (Rule("account", 10, 5 * _MINUTES), Rule("account-hour", 20, _HOUR))
ADDRESS = (Rule("address", 10, 5 * _MINUTES),)
ALL = (Rule("all", 1000, 5 * _MINUTES),)
SECOND = (Rule("second", 5, 5 * _MINUTES), Rule("second-hour", 20, _HOUR), Rule("second-day", 50, _DAY))
RESET = (Rule("reset", 5, _DAY),)
RESET_ADDRESS = (Rule("reset-address", 10, 5 * _MINUTES),)


class Counted(Struct, frozen=True):
    """Rules, and for whom they count."""

    rules: tuple[Rule, ...]
    whom: str

    def buckets(self) -> list[tuple[Rule, str]]:
        # A digest: the table need not tell who tried.
        digest = hashlib.sha256(self.whom.encode("utf-8", "surrogateescape")).hexdigest()[:40]
        return [(rule, f"{rule.name}:{digest}") for rule in self.rules]


def signing_in(email: str, address: Address | None) -> list[Counted]:
    """What a try to sign in with a password counts for."""
    return [account(email), Counted(ADDRESS, network(address)), Counted(ALL, "")]


def account(email: str) -> Counted:
    return Counted(ACCOUNT, email.strip().lower())


def second_factor(user_id: str) -> list[Counted]:
    return [Counted(SECOND, user_id)]


def resetting(email: str, address: Address | None) -> list[Counted]:
    return [Counted(RESET, email.strip().lower()), Counted(RESET_ADDRESS, network(address)), Counted(ALL, "")]


def network(address: Address | None) -> str:
    """An address of IPv4, or the /64 of one of IPv6: a household has so many that each would be tried once."""
    match address:
        case IPv4Address():
            return str(address)
        case IPv6Address():
            return str(ip_network((address, 64), strict=False))
        case None:
            return "unknown"


async def take(session: AsyncSession, counted: Sequence[Counted]) -> None:
    """Count one try, before it is made. Tries that are refused here are not counted.

    Raises:
        TooManyTries: one of the rules has no room; its transaction must end with this.
    """
    now_us = clock.now_us()
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    for whose in counted:
        for rule, bucket in whose.buckets():
            until_us = now_us + rule.seconds * clock.MICROSECONDS
            is_over = SignInTries.until_us <= now_us
            statement = (
                insert(SignInTries)
                .values(bucket=bucket, began_us=now_us, until_us=until_us, count=1)
                .on_conflict_do_update(
                    index_elements=[SignInTries.bucket],
                    set_={
                        "count": case((is_over, 1), else_=SignInTries.count + 1),
                        "began_us": case((is_over, now_us), else_=SignInTries.began_us),
                        "until_us": case((is_over, until_us), else_=SignInTries.until_us),
                    },
                )
                .returning(SignInTries.count.label("tries"), SignInTries.until_us)
            )
            row = (await session.execute(statement)).one()
            if row.tries > rule.count:
                seconds = -(-(row.until_us - now_us) // clock.MICROSECONDS)
                raise TooManyTries(min(max(seconds, 1), _MOST_WAIT_SECONDS))


async def give_back(session: AsyncSession, counted: Sequence[Counted]) -> None:
    """The try succeeded: it does not count."""
    for whose in counted:
        buckets = [bucket for _, bucket in whose.buckets()]
        await session.execute(
            update(SignInTries)
            .where(SignInTries.bucket.in_(buckets), SignInTries.count > 0)
            .values(count=SignInTries.count - 1)
        )


async def clear(session: AsyncSession, counted: Sequence[Counted]) -> None:
    """Whoever it is has shown who they are: nothing counts any more."""
    buckets = [bucket for whose in counted for _, bucket in whose.buckets()]
    await session.execute(delete(SignInTries).where(SignInTries.bucket.in_(buckets)))
