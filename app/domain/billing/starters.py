"""Starter credits: what a team gets because a new person came with it. Once per person, for ever.

A person is `did:<did>` or `email:<sha256>`: the books are kept for ever and need no address.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.domain.billing import grants
from app.domain.billing.models import CreditGrant

SOURCE = "starter"

_DAY_US = 24 * 3600 * clock.MICROSECONDS
_LOCK_NUMBER = 4_816_203_975_118
"""Of the advisory lock that lets one starter at a time look at the day's sum on PostgreSQL."""

Outcome = Literal["given", "had", "off", "limit"]
"""`had`: this person has had theirs. `off`: there are none to be had. `limit`: no more of them today."""


def person_of_did(did: str) -> str:
    """With and without the method that may stand before it (`did:abt:`) it is the same person."""
    return f"did:{did.strip().rpartition(':')[2]}"


def person_of_email(address: str) -> str:
    """Of an address that the person has shown to be theirs."""
    return f"email:{hashlib.sha256(address.strip().lower().encode()).hexdigest()}"


async def give_starter(
    session: AsyncSession,
    team_id: str,
    person: str,
    *,
    amount_nano: int,
    days: int = 0,
    daily_limit_nano: int = 0,
) -> Outcome:
    """Give the person's team its starter credits, which end after `days` (0: never).

    All starters of a UTC day together are never more than `daily_limit_nano` (0: no limit), whatever races.
    """
    if amount_nano <= 0:
        return "off"
    if await _has_had(session, person):
        return "had"
    now_us = clock.now_us()
    if daily_limit_nano and not await _fits(session, amount_nano, daily_limit_nano, now_us):
        return "limit"
    is_new = await grants.grant(
        session,
        team_id=team_id,
        amount_nano=amount_nano,
        source=SOURCE,
        source_ref=person,
        reason="Starter credits.",
        actor="hub",
        expires_us=now_us + days * _DAY_US if days else None,
    )
    return "given" if is_new else "had"


async def _has_had(session: AsyncSession, person: str) -> bool:
    found = select(CreditGrant.id).where(CreditGrant.source == SOURCE, CreditGrant.source_ref == person)
    return await session.scalar(found) is not None


async def _fits(session: AsyncSession, amount_nano: int, daily_limit_nano: int, now_us: int) -> bool:
    if session.get_bind().dialect.name == "postgresql":
        # Held until the transaction ends. SQLite has one writer anyway.
        await session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})"))
    day_us = now_us - now_us % _DAY_US
    given = await session.scalar(
        select(func.coalesce(func.sum(CreditGrant.amount_nano), 0)).where(
            # An id begins with the milliseconds of its making: older grants are not looked at.
            CreditGrant.id >= f"{day_us // 1000:012x}",
            CreditGrant.source == SOURCE,
        )
    )
    return int(given or 0) + amount_nano <= daily_limit_nano
