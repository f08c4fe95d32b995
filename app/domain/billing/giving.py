"""The movements of grants: what a team is given, what ends, what is taken back. Rare, and never part of a call.

    Give      credits in: a grant, a purchase, a refund of a call
    Sweep     what has ended goes out, and debt is paid by what can be spent
    Deduct    credits out, with a reason
    TakeBack  a purchase that was paid back or is disputed

As in `movements.py` each may be posted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from app.base import money
from app.base.writer import Found, Lookup, Refused, Step
from app.domain.billing import book
from app.domain.billing.book import ACCOUNTS, GRANTS, GRANTS_BY_REF, JOURNALS, Book, EntryLine, GrantState
from app.domain.billing.movements import Insufficient

SWEEP_AFTER_US = 15 * 60 * 1_000_000
"""A grant is swept so long after its end: calls that were let in on it are over by then."""

House = Literal["granted", "sold", "revenue"]


class UnknownGrant(Refused):
    """Nothing was ever given under that number."""


class Give(Struct, kw_only=True):
    """A new grant. What the team owes is paid from it first. The same source and number give once."""

    team_id: str
    grant_id: str
    category: Literal["paid", "promo"]
    source: str
    source_ref: str
    amount_nano: int
    reason: str
    actor: str
    now_us: int
    priority: int = 50
    effective_us: int | None = None
    """None: at once."""
    expires_us: int | None = None
    house: House = "granted"
    """Where it comes from: `revenue` gives a call's charge back."""
    is_new: bool = False
    """Once decided: whether it had not been given before."""

    def __post_init__(self) -> None:
        money.check_amounts(self.amount_nano, least=1)

    @property
    def ref(self) -> str:
        kind = "refund" if self.house == "revenue" else "grant"
        return f"{kind}:{self.source}:{self.source_ref}"

    def reads(self) -> Iterable[tuple[Lookup, Sequence[str]]]:
        yield ACCOUNTS, (self.team_id,)
        yield GRANTS, (self.team_id,)
        yield JOURNALS, (self.ref,)

    def opens(self, found: Found) -> Book:
        return Book(found)

    def decide(self, ledger: Book) -> list[Step]:
        self.is_new = False
        if self.ref in ledger.refs:
            return []
        account = ledger.account(self.team_id)
        grant = GrantState(
            id=self.grant_id,
            team_id=self.team_id,
            category=self.category,
            source=self.source,
            source_ref=self.source_ref,
            priority=self.priority,
            amount=self.amount_nano,
            remaining=self.amount_nano,
            taken_back=0,
            effective_us=self.now_us if self.effective_us is None else self.effective_us,
            expires_us=self.expires_us,
            created_us=self.now_us,
        )
        adding = ledger.add_grant(grant, self.reason)
        paid = 0
        if grant.is_usable(begun_us=self.now_us, unexpired_at_us=self.now_us):
            paid = min(account.overage, grant.amount)
        grant.remaining -= paid
        account.overage -= paid
        lines = [
            EntryLine(self.house, -self.amount_nano),
            EntryLine("wallet", self.amount_nano, grant.id),
            EntryLine("wallet", -paid, grant.id),
            EntryLine("wallet", paid),
        ]
        journal = ledger.journal(
            account,
            self.ref,
            "refund" if self.house == "revenue" else "grant",
            lines,
            actor=self.actor,
            reason=self.reason,
            now_us=self.now_us,
        )
        _note_expiry(account, ledger.grants_of(self.team_id))
        self.is_new = True
        paying = [book.write_grant(grant)] if paid else []
        return [adding, *journal, *paying, book.write_account(account)]


class Sweep(Struct, kw_only=True):
    """Take out what ended `SWEEP_AFTER_US` ago, and pay what the team owes from grants that have begun since."""

    team_id: str
    now_us: int
    expired_nano: int = 0
    """Once decided."""

    def reads(self) -> Iterable[tuple[Lookup, Sequence[str]]]:
        yield ACCOUNTS, (self.team_id,)
        yield GRANTS, (self.team_id,)

    def opens(self, found: Found) -> Book:
        return Book(found)

    def decide(self, ledger: Book) -> list[Step]:
        account = ledger.account(self.team_id)
        self.expired_nano = 0
        steps: list[Step] = []
        for grant in ledger.grants_of(self.team_id):
            if grant.expires_us is None or grant.expires_us > self.now_us - SWEEP_AFTER_US or not grant.remaining:
                continue
            rest = grant.remaining
            grant.remaining = 0
            lines = [EntryLine("wallet", -rest, grant.id), EntryLine("expired", rest)]
            steps += ledger.journal(
                account,
                f"expire:{grant.id}",
                "expire",
                lines,
                actor="hub",
                reason="Its time was over.",
                now_us=self.now_us,
            )
            steps.append(book.write_grant(grant))
            self.expired_nano += rest
        steps += cover(ledger, account, self.now_us)
        _note_expiry(account, ledger.grants_of(self.team_id))
        return [*steps, book.write_account(account)]


class Deduct(Struct, kw_only=True):
    """Take credits out. Never more than can be spent: what running calls hold stays theirs.

    Raises when decided:
        NoAccount, Insufficient
    """

    team_id: str
    number: str
    """The deduction's own number: the same is taken once."""
    amount_nano: int
    reason: str
    actor: str
    now_us: int

    def __post_init__(self) -> None:
        money.check_amounts(self.amount_nano, least=1)

    @property
    def ref(self) -> str:
        return f"deduct:{self.number}"

    def reads(self) -> Iterable[tuple[Lookup, Sequence[str]]]:
        yield ACCOUNTS, (self.team_id,)
        yield GRANTS, (self.team_id,)
        yield JOURNALS, (self.ref,)

    def opens(self, found: Found) -> Book:
        return Book(found)

    def decide(self, ledger: Book) -> list[Step]:
        if self.ref in ledger.refs:
            return []
        account = ledger.account(self.team_id)
        usable = sum(
            grant.remaining
            for grant in ledger.grants_of(self.team_id)
            if grant.is_usable(begun_us=self.now_us, unexpired_at_us=self.now_us)
        )
        free = min(usable, ledger.free(account, self.now_us) - account.credit_line)
        if self.amount_nano > free:
            raise Insufficient(free, self.amount_nano)
        lines, steps, _ = ledger.burn(account, self.amount_nano, begun_us=self.now_us, unexpired_at_us=self.now_us)
        lines.append(EntryLine("adjusted", self.amount_nano))
        journal = ledger.journal(
            account, self.ref, "deduct", lines, actor=self.actor, reason=self.reason, now_us=self.now_us
        )
        return [*journal, *steps, book.write_account(account)]


class TakeBack(Struct, kw_only=True):
    """A purchase was paid back or is disputed: what is left of it goes, the rest becomes debt and freezes the account.

    Together never more than was bought.

    Raises when decided:
        NoAccount, UnknownGrant
    """

    team_id: str
    source: str
    source_ref: str
    number: str
    """The payment rail's number of this refund: the same is taken once."""
    amount_nano: int
    reason: str
    actor: str
    now_us: int
    freezes: bool = False
    """A dispute freezes whatever is left."""
    taken_nano: int = 0
    """Once decided."""

    def __post_init__(self) -> None:
        money.check_amounts(self.amount_nano, least=1)

    @property
    def ref(self) -> str:
        return f"take_back:{self.source}:{self.number}"

    def reads(self) -> Iterable[tuple[Lookup, Sequence[str]]]:
        yield ACCOUNTS, (self.team_id,)
        yield GRANTS, (self.team_id,)
        yield GRANTS_BY_REF, (self.source_ref,)
        yield JOURNALS, (self.ref,)

    def opens(self, found: Found) -> Book:
        return Book(found)

    def decide(self, ledger: Book) -> list[Step]:
        self.taken_nano = 0
        if self.ref in ledger.refs:
            return []
        account = ledger.account(self.team_id)
        grant = ledger.grant_of(self.source, self.source_ref)
        if grant is None or grant.team_id != self.team_id:
            raise UnknownGrant(self.source_ref)
        amount = min(self.amount_nano, grant.amount - grant.taken_back)
        if not amount:
            return []
        rest = min(grant.remaining, amount)
        debt = amount - rest
        grant.remaining -= rest
        grant.taken_back += amount
        account.overage += debt
        account.is_frozen = account.is_frozen or self.freezes or debt > 0
        self.taken_nano = amount
        lines = [
            EntryLine("wallet", -rest, grant.id),
            EntryLine("wallet", -debt),
            EntryLine("refunded", amount),
        ]
        journal = ledger.journal(
            account, self.ref, "take_back", lines, actor=self.actor, reason=self.reason, now_us=self.now_us
        )
        covering = cover(ledger, account, self.now_us)
        return [*journal, book.write_grant(grant), *covering, book.write_account(account)]


def cover(ledger: Book, account: book.AccountState, now_us: int) -> list[Step]:
    """Debt never stands beside credit that can be spent: burn the one for the other at once."""
    if not account.overage:
        return []
    lines, steps, left = ledger.burn(account, account.overage, begun_us=now_us, unexpired_at_us=now_us)
    if not lines:
        return []
    lines.append(EntryLine("wallet", account.overage - left))
    account.overage = left
    ref = f"cover:{account.team_id}:{account.journals + 1}"
    return [
        *ledger.journal(account, ref, "cover", lines, actor="hub", reason="What was owed.", now_us=now_us),
        *steps,
    ]


def _note_expiry(account: book.AccountState, grants: Iterable[GrantState]) -> None:
    ends = [grant.expires_us for grant in grants if grant.remaining and grant.expires_us is not None]
    account.next_expiry_us = min(ends, default=None)
