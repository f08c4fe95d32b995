"""The book: accounts, grants, holds and spends of one transaction, in memory, and the steps that write what changes.

Movements (`movements.py`) look into it and change it; they neither wait nor ask. All of a batch share one book, so the
second sees what the first did. Who opens a book has locked the rows of accounts, holds and spends.

A journal's hash covers the journal, its entries and the hash of the account's journal before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, bindparam, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.base.clock import MICROSECONDS
from app.base.orm import Base
from app.base.writer import Found, Lookup, Refused, Statement, Step
from app.domain.billing.models import Account, BudgetSpend, CreditGrant, Entry, Hold, Journal

NO_HEAD = bytes(32)
"""What stands before an account's first journal."""

_encode = msgspec.json.Encoder().encode


class NoAccount(Refused):
    """The team has no account, so there is nothing to spend."""


class AccountState(Struct, gc=False):
    """As `Account`."""

    team_id: str
    posted: int
    held: int
    overage: int
    credit_line: int
    is_frozen: bool
    next_expiry_us: int | None
    journals: int
    head: bytes


class GrantState(Struct, gc=False):
    """As `CreditGrant`."""

    id: str
    team_id: str
    category: str
    source: str
    source_ref: str
    priority: int
    amount: int
    remaining: int
    taken_back: int
    effective_us: int
    expires_us: int | None
    created_us: int

    def burns_before(self) -> tuple[int, bool, int, bool, int, str]:
        """The order in which grants burn: priority, those that end (the earlier first), given before bought, age."""
        end = self.expires_us
        return (self.priority, end is None, end or 0, self.category == "paid", self.created_us, self.id)

    def is_usable(self, *, begun_us: int, unexpired_at_us: int) -> bool:
        has_ended = self.expires_us is not None and self.expires_us <= unexpired_at_us
        return self.remaining > 0 and self.effective_us <= begun_us and not has_ended


class HoldState(Struct, gc=False):
    """As `Hold`."""

    call_id: str
    team_id: str
    amount: int
    budgets: str
    state: str
    created_us: int


class SpendState(Struct, gc=False):
    """As `BudgetSpend`."""

    id: str
    spent: int
    held: int


class EntryLine(Struct, frozen=True, gc=False):
    """So many nano-credits into an account; out of it below zero."""

    account: str
    amount: int
    grant_id: str | None = None


ACCOUNTS = Lookup(
    select(
        Account.team_id,
        Account.posted_nano,
        Account.held_nano,
        Account.overage_nano,
        Account.credit_line_nano,
        Account.is_frozen,
        Account.next_expiry_us,
        Account.journals,
        Account.head,
    ),
    Account.__table__.c.team_id,
    order=1,
    locks=True,
)
HOLDS = Lookup(
    select(Hold.call_id, Hold.team_id, Hold.amount_nano, Hold.budgets, Hold.state, Hold.created_us),
    Hold.__table__.c.call_id,
    order=2,
    locks=True,
)
_BLANK_SPEND = Statement(
    upsert(BudgetSpend)
    .values(
        id=bindparam("id"),
        budget_id=bindparam("budget_id"),
        begins_us=bindparam("begins_us"),
        spent=literal_column("0"),
        held=literal_column("0"),
    )
    .on_conflict_do_nothing(),
    ("id", "budget_id", "begins_us"),
)


def _blank_spend(spend_id: str) -> Step:
    budget_id, _, begins_seconds = spend_id.rpartition("@")
    return Step(_BLANK_SPEND, (spend_id, budget_id, int(begins_seconds) * MICROSECONDS))


SPENDS = Lookup(
    select(BudgetSpend.id, BudgetSpend.spent, BudgetSpend.held),
    BudgetSpend.__table__.c.id,
    order=3,
    locks=True,
    blank=_blank_spend,
)
"""A window's first calls may come to several hubs at once: the row is made before it is looked at."""
_GRANT_COLUMNS = select(
    CreditGrant.id,
    CreditGrant.team_id,
    CreditGrant.category,
    CreditGrant.source,
    CreditGrant.source_ref,
    CreditGrant.priority,
    CreditGrant.amount_nano,
    CreditGrant.remaining_nano,
    CreditGrant.taken_back_nano,
    CreditGrant.effective_us,
    CreditGrant.expires_us,
    CreditGrant.created_us,
)
GRANTS = Lookup(
    _GRANT_COLUMNS.where(CreditGrant.remaining_nano > literal_column("0")),
    CreditGrant.__table__.c.team_id,
    order=4,
)
"""Those of an account that still have something; the account's lock keeps them."""
GRANTS_BY_REF = Lookup(_GRANT_COLUMNS, CreditGrant.__table__.c.source_ref, order=5)
JOURNALS = Lookup(select(Journal.ref), Journal.__table__.c.ref, order=6)

_KEPT = ("posted_nano", "held_nano", "overage_nano", "is_frozen", "next_expiry_us", "journals", "head")
_UPDATE_ACCOUNT = Statement(
    update(Account)
    .where(Account.team_id == bindparam("of_team"))
    .values({name: bindparam(f"new_{name}") for name in _KEPT}),
    ("of_team", *(f"new_{name}" for name in _KEPT)),
    is_independent=True,
    replaces=True,
)
_UPDATE_GRANT = Statement(
    update(CreditGrant)
    .where(CreditGrant.id == bindparam("of_grant"))
    .values(remaining_nano=bindparam("new_remaining"), taken_back_nano=bindparam("new_taken_back")),
    ("of_grant", "new_remaining", "new_taken_back"),
    is_independent=True,
    replaces=True,
)


def _insert(table: type[Base], names: Sequence[str]) -> Statement:
    return Statement(insert(table).values({name: bindparam(name) for name in names}), names, is_independent=True)


_ZERO: ColumnElement[int] = literal_column("0")

# The PostgreSQL words for an upsert are SQLite's, too.
_OPEN_ACCOUNT = Statement(
    upsert(Account)
    .values(
        team_id=bindparam("team_id"),
        head=bindparam("head"),
        created_us=bindparam("now_us"),
        is_frozen=literal_column("false"),
        posted_nano=_ZERO,
        held_nano=_ZERO,
        overage_nano=_ZERO,
        credit_line_nano=_ZERO,
        journals=_ZERO,
    )
    .on_conflict_do_nothing(),
    ("team_id", "head", "now_us"),
    is_independent=True,
)
_ADD_JOURNAL = _insert(Journal, ("ref", "team_id", "seq", "kind", "actor", "reason", "created_us", "prev", "hash"))
_ADD_ENTRY = _insert(Entry, ("ref", "n", "account", "grant_id", "amount_nano"))
_ADD_GRANT = _insert(
    CreditGrant,
    (
        "id",
        "team_id",
        "category",
        "source",
        "source_ref",
        "priority",
        "amount_nano",
        "remaining_nano",
        "taken_back_nano",
        "effective_us",
        "expires_us",
        "created_us",
        "reason",
    ),
)


class Book:
    def __init__(self, found: Found) -> None:
        self.accounts = {row[0]: _account(row) for row in found.get(ACCOUNTS, ())}
        self.holds = {row[0]: HoldState(*row) for row in found.get(HOLDS, ())}
        self.spends = {row[0]: SpendState(*row) for row in found.get(SPENDS, ())}
        self.refs = {row[0] for row in found.get(JOURNALS, ())}
        """Of the journals that were asked for, those which are there."""
        self.grants: dict[str, GrantState] = {}
        for lookup in (GRANTS, GRANTS_BY_REF):
            for row in found.get(lookup, ()):
                self.grants.setdefault(row[0], GrantState(*row))
        self._of_team: dict[str, list[GrantState]] = {}
        for grant in self.grants.values():
            self._of_team.setdefault(grant.team_id, []).append(grant)

    def account(self, team_id: str) -> AccountState:
        """
        Raises:
            NoAccount
        """
        found = self.accounts.get(team_id)
        if found is None:
            raise NoAccount(team_id)
        return found

    def grants_of(self, team_id: str) -> list[GrantState]:
        """In the order in which they burn."""
        grants = self._of_team.get(team_id, [])
        if len(grants) > 1:
            grants.sort(key=GrantState.burns_before)
        return grants

    def grant_of(self, source: str, source_ref: str) -> GrantState | None:
        """One that a movement asked for by its giver's number."""
        return next((g for g in self.grants.values() if (g.source, g.source_ref) == (source, source_ref)), None)

    def free(self, account: AccountState, now_us: int) -> int:
        """What could be set aside now: posted, less holds, less what has ended or has not begun, plus the line."""
        unusable = 0
        for grant in self._of_team.get(account.team_id, ()):
            if grant.effective_us > now_us or (grant.expires_us is not None and grant.expires_us <= now_us):
                unusable += grant.remaining
        return account.posted - account.held - unusable + account.credit_line

    def burn(
        self, account: AccountState, amount: int, *, begun_us: int, unexpired_at_us: int
    ) -> tuple[list[EntryLine], list[Step], int]:
        """Take up to `amount` from the grants: the entries, what writes the grants, and what they did not cover."""
        lines: list[EntryLine] = []
        steps: list[Step] = []
        left = amount
        for grant in self.grants_of(account.team_id):
            if not left:
                break
            if grant.is_usable(begun_us=begun_us, unexpired_at_us=unexpired_at_us):
                part = min(grant.remaining, left)
                left -= part
                grant.remaining -= part
                lines.append(EntryLine("wallet", -part, grant.id))
                steps.append(write_grant(grant))
        return lines, steps, left

    def add_grant(self, grant: GrantState, reason: str) -> Step:
        """A new grant's row. It begins full."""
        self.grants[grant.id] = grant
        self._of_team.setdefault(grant.team_id, []).append(grant)
        return Step(
            _ADD_GRANT,
            (
                grant.id,
                grant.team_id,
                grant.category,
                grant.source,
                grant.source_ref,
                grant.priority,
                grant.amount,
                grant.amount,
                0,
                grant.effective_us,
                grant.expires_us,
                grant.created_us,
                reason,
            ),
        )

    def journal(
        self,
        account: AccountState,
        ref: str,
        kind: str,
        lines: Sequence[EntryLine],
        *,
        actor: str,
        reason: str,
        now_us: int,
    ) -> list[Step]:
        """Add a journal to the account's chain, and what its wallet entries come to, to `posted`."""
        lines = [line for line in lines if line.amount]
        assert sum(line.amount for line in lines) == 0, (ref, lines)
        seq, prev = account.journals + 1, account.head
        head = hash_of(prev, ref, account.team_id, seq, kind, actor, reason, now_us, lines)
        account.journals, account.head = seq, head
        account.posted += sum(line.amount for line in lines if line.account == "wallet")
        self.refs.add(ref)
        return [
            Step(_ADD_JOURNAL, (ref, account.team_id, seq, kind, actor, reason, now_us, prev, head)),
            *(Step(_ADD_ENTRY, (ref, n, line.account, line.grant_id, line.amount)) for n, line in enumerate(lines)),
        ]


def hash_of(
    prev: bytes,
    ref: str,
    team_id: str,
    seq: int,
    kind: str,
    actor: str,
    reason: str,
    created_us: int,
    lines: Sequence[EntryLine],
) -> bytes:
    """SHA-256 of the JSON array of all that a journal says, entries last, without white space."""
    entries = [(line.account, line.grant_id, line.amount) for line in lines]
    said = (prev.hex(), ref, team_id, seq, kind, actor, reason, created_us, entries)
    return hashlib.sha256(_encode(said)).digest()


def write_account(account: AccountState) -> Step:
    return Step(
        _UPDATE_ACCOUNT,
        (
            account.team_id,
            account.posted,
            account.held,
            account.overage,
            account.is_frozen,
            account.next_expiry_us,
            account.journals,
            account.head,
        ),
    )


def write_grant(grant: GrantState) -> Step:
    return Step(_UPDATE_GRANT, (grant.id, grant.remaining, grant.taken_back))


def opening(team_id: str, now_us: int) -> Step:
    """An account for a team that may have none yet."""
    return Step(_OPEN_ACCOUNT, (team_id, NO_HEAD, now_us))


def _account(row: Sequence[object]) -> AccountState:
    team_id, posted, held, overage, line, is_frozen, next_expiry_us, journals, head = row
    # SQLite has no booleans.
    return AccountState(team_id, posted, held, overage, line, bool(is_frozen), next_expiry_us, journals, head)  # type: ignore[arg-type]
