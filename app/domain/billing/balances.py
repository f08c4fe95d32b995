"""What teams have: balances, lists of grants and of movements. Nothing is changed here.

What could be spent is worked out by the ledger's own rule, so pages and commands say what a call would be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.domain.billing.book import ACCOUNTS, GRANTS, Book
from app.domain.billing.models import Account, CreditGrant, Entry, Journal

EXPIRING_DAYS = 7
_DAY_US = 24 * 3600 * clock.MICROSECONDS

GrantStatus = Literal["pending", "granted", "depleted", "expired"]


class Balance(Struct, frozen=True, kw_only=True):
    """Of one team, in nano-credits."""

    posted_nano: int = 0
    """The rest of all grants, less what was spent beyond them."""
    held_nano: int = 0
    """Set aside for calls that run."""
    free_nano: int = 0
    """What a new call could be let in with, the credit line included; below zero where the team owes more."""
    overage_nano: int = 0
    """Spent beyond the grants."""
    credit_line_nano: int = 0
    is_frozen: bool = False
    granted_nano: int = 0
    """What the grants that have begun and not ended were when they were new, less what was taken back of them."""
    grants: int = 0
    """How many these are."""
    expiring_nano: int = 0
    """What of the grants ends within a week."""
    next_expiry_us: int | None = None
    """When the first of the grants with a rest ends."""

    @property
    def own_nano(self) -> int:
        """What could be spent without the credit line; never below zero."""
        return max(0, self.free_nano - self.credit_line_nano)


class GrantRow(Struct, frozen=True, kw_only=True):
    """A grant as lists show it."""

    id: str
    category: str
    source: str
    priority: int
    amount_nano: int
    remaining_nano: int
    taken_back_nano: int
    reason: str
    effective_us: int
    expires_us: int | None
    created_us: int

    def status(self, now_us: int) -> GrantStatus:
        if self.expires_us is not None and self.expires_us <= now_us:
            return "expired"
        if not self.remaining_nano:
            return "depleted"
        return "pending" if self.effective_us > now_us else "granted"


class MovementRow(Struct, frozen=True, kw_only=True):
    """A journal of an account as lists show it."""

    ref: str
    kind: str
    amount_nano: int
    """Into the account; below zero out of it. 0 where debt was only covered."""
    actor: str
    reason: str
    created_us: int


_ACCOUNT = select(
    Account.team_id,
    Account.posted_nano,
    Account.held_nano,
    Account.overage_nano,
    Account.credit_line_nano,
    Account.is_frozen,
    Account.next_expiry_us,
    Account.journals,
    Account.head,
)


async def of_team(session: AsyncSession, team_id: str) -> Balance:
    """A team that was never given anything has nothing."""
    now_us = clock.now_us()
    accounts = [tuple(row) for row in await session.execute(_ACCOUNT.where(Account.team_id == team_id))]
    if not accounts:
        return Balance()
    rests = [tuple(row) for row in await session.execute(GRANTS.of([team_id]))]
    book = Book({ACCOUNTS: accounts, GRANTS: rests})
    account = book.account(team_id)
    ends = [
        (grant.expires_us, grant.remaining)
        for grant in book.grants_of(team_id)
        if grant.expires_us is not None and grant.expires_us > now_us
    ]
    granted, grants = await _granted(session, team_id, now_us)
    return Balance(
        posted_nano=account.posted,
        held_nano=account.held,
        free_nano=book.free(account, now_us),
        overage_nano=account.overage,
        credit_line_nano=account.credit_line,
        is_frozen=account.is_frozen,
        granted_nano=granted,
        grants=grants,
        expiring_nano=sum(rest for end, rest in ends if end <= now_us + EXPIRING_DAYS * _DAY_US),
        next_expiry_us=min((end for end, _ in ends), default=None),
    )


async def count_grants(session: AsyncSession, team_id: str) -> int:
    """How many grants the team was ever given."""
    return await session.scalar(select(func.count()).where(CreditGrant.team_id == team_id)) or 0


async def page_of_grants(session: AsyncSession, team_id: str, *, limit: int, skip: int = 0) -> Sequence[GrantRow]:
    """`limit` grants of a team after the first `skip`, newest first."""
    query = select(CreditGrant).where(CreditGrant.team_id == team_id)
    query = query.order_by(CreditGrant.created_us.desc(), CreditGrant.id.desc())
    rows = await session.scalars(query.limit(limit).offset(skip))
    return [GrantRow(**{name: getattr(row, name) for name in GrantRow.__struct_fields__}) for row in rows]


async def count_movements(session: AsyncSession, team_id: str) -> int:
    """How many journals the account has."""
    return await session.scalar(select(Account.journals).where(Account.team_id == team_id)) or 0


async def page_of_movements(session: AsyncSession, team_id: str, *, limit: int, skip: int = 0) -> Sequence[MovementRow]:
    """`limit` journals of a team's account after the first `skip`, newest first. However many there are: they are
    numbered."""
    last = await count_movements(session, team_id) - skip
    if last <= 0:
        return []
    journals = (
        await session.scalars(
            select(Journal)
            .where(Journal.team_id == team_id, Journal.seq <= last, Journal.seq > last - limit)
            .order_by(Journal.seq.desc())
        )
    ).all()
    amounts: dict[str, int] = {
        ref: int(total)
        for ref, total in await session.execute(
            select(Entry.ref, func.sum(Entry.amount_nano))
            .where(Entry.ref.in_([journal.ref for journal in journals]), Entry.account == "wallet")
            .group_by(Entry.ref)
        )
    }
    return [
        MovementRow(
            ref=journal.ref,
            kind=journal.kind,
            amount_nano=amounts.get(journal.ref, 0),
            actor=journal.actor,
            reason=journal.reason,
            created_us=journal.created_us,
        )
        for journal in journals
    ]


async def _granted(session: AsyncSession, team_id: str, now_us: int) -> tuple[int, int]:
    row = (
        await session.execute(
            select(
                func.coalesce(func.sum(CreditGrant.amount_nano - CreditGrant.taken_back_nano), 0),
                func.count(),
            ).where(
                CreditGrant.team_id == team_id,
                CreditGrant.effective_us <= now_us,
                (CreditGrant.expires_us.is_(None)) | (CreditGrant.expires_us > now_us),
            )
        )
    ).one()
    return int(row[0]), row[1]
