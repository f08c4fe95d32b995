"""The books, derived again from their journals: chain, sums, balances, grants. Read in pieces, nothing is changed.

What each check is called, and what it finds:

    seq       a journal is missing or there is one too many in its account's count
    chain     a journal does not carry the hash of the one before it
    hash      a journal or its entries were changed after they were written
    sum       entries do not come to zero
    charge    a settlement that does not take credits from the team for the house
    overdraft a settlement that took an account deeper than was allowed
    head      the account does not stand at its newest journal
    posted    a balance that its entries do not come to, or that its grants do not back
    held      credits that are set aside for calls that do not run, or the other way round
    grant     a grant that its entries do not come to, or that is of another account
    taken     more was taken back than was bought, or other than the journals say
    expiry    a grant ends and its account does not know when
    orphan    a row whose journal or account is not there

All is read in one transaction, so that calls which run meanwhile do not look like faults. On SQLite the log of the
database cannot shrink until it is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.wrongs import Report
from app.domain.billing import book
from app.domain.billing.book import EntryLine
from app.domain.billing.models import Account, CreditGrant, Entry, Journal

_ACCOUNTS_PER_QUERY = 500
_JOURNALS_PER_QUERY = 2000
"""Their references are the parameters of one query."""
_BEFORE_ALL = -(2**62)


class _Grant(Struct, gc=False):
    amount: int
    remaining: int
    taken_back: int
    expires_us: int | None
    filled: int = 0
    sum: int = 0


class _Walk:
    """One account: what its row says, and what its journals have come to so far."""

    __slots__ = ("at", "bare", "grants", "posted", "prev", "row", "taken")

    def __init__(self, row: _AccountRow) -> None:
        self.row = row
        self.grants: dict[str, _Grant] = {}
        self.posted = 0
        self.bare = 0
        """Of the wallet, on no grant: what is owed, below zero."""
        self.taken = 0
        self.at = 0
        self.prev = book.NO_HEAD


class _AccountRow(Struct, frozen=True):
    team_id: str
    posted: int
    held: int
    overage: int
    credit_line: int
    next_expiry_us: int | None
    journals: int
    head: bytes


_ACCOUNT_COLUMNS = select(
    Account.team_id,
    Account.posted_nano,
    Account.held_nano,
    Account.overage_nano,
    Account.credit_line_nano,
    Account.next_expiry_us,
    Account.journals,
    Account.head,
)
_GRANT_COLUMNS = select(
    CreditGrant.team_id,
    CreditGrant.id,
    CreditGrant.amount_nano,
    CreditGrant.remaining_nano,
    CreditGrant.taken_back_nano,
    CreditGrant.expires_us,
)
_PLACE = tuple_(Journal.team_id, Journal.seq)
_JOURNAL_COLUMNS = select(
    Journal.team_id,
    Journal.seq,
    Journal.ref,
    Journal.kind,
    Journal.actor,
    Journal.reason,
    Journal.created_us,
    Journal.prev,
    Journal.hash,
)
_ENTRY_COLUMNS = select(Entry.ref, Entry.account, Entry.amount_nano, Entry.grant_id)


async def stand_still(session: AsyncSession) -> None:
    """All that this session reads from here on is of one moment. It must not have read before."""
    if session.get_bind().dialect.name == "postgresql":
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


async def accounts(
    session: AsyncSession,
    report: Report,
    held: Mapping[str, int],
    *,
    since_us: int | None = None,
    overdraft_nano: int | None = None,
) -> None:
    """Check the accounts, all their journals and grants; with `since_us`, of those that have moved since.

    `held` is what open holds set aside, by team. With `overdraft_nano`, no settlement may have gone deeper than so
    much below the credit line that the account has today.

    Raises:
        Enough
    """
    after: str | None = None
    size = _ACCOUNTS_PER_QUERY if since_us is None else 1
    while rows := await _next_accounts(session, after, since_us, size):
        walks = {row.team_id: _Walk(row) for row in rows}
        first, after = rows[0].team_id, rows[-1].team_id
        await _read_grants(session, walks, first, after)
        await _walk_journals(session, report, walks, first, after, overdraft_nano)
        for walk in walks.values():
            _check_account(report, walk, held.get(walk.row.team_id, 0))
        report.count("accounts", len(walks))
    if since_us is None:
        await _check_orphans(session, report)


async def _next_accounts(
    session: AsyncSession, after: str | None, since_us: int | None, size: int
) -> Sequence[_AccountRow]:
    query = _ACCOUNT_COLUMNS.order_by(Account.team_id).limit(size)
    if after is not None:
        query = query.where(Account.team_id > after)
    if since_us is not None:
        newest = and_(Journal.team_id == Account.team_id, Journal.seq == Account.journals)
        # An account whose newest journal is not there is looked at, too.
        query = query.outerjoin(Journal, newest).where(or_(Journal.ref.is_(None), Journal.created_us >= since_us))
    return [_AccountRow(*row) for row in await session.execute(query)]


async def _read_grants(session: AsyncSession, walks: Mapping[str, _Walk], first: str, last: str) -> None:
    query = _GRANT_COLUMNS.where(CreditGrant.team_id >= first, CreditGrant.team_id <= last)
    for team_id, grant_id, amount, remaining, taken_back, expires_us in await session.execute(query):
        if team_id in walks:
            walks[team_id].grants[grant_id] = _Grant(amount, remaining, taken_back, expires_us)


async def _walk_journals(
    session: AsyncSession,
    report: Report,
    walks: Mapping[str, _Walk],
    first: str,
    last: str,
    overdraft_nano: int | None,
) -> None:
    place: tuple[str, int] = (first, _BEFORE_ALL)
    while True:
        query = _JOURNAL_COLUMNS.where(place < _PLACE, Journal.team_id <= last).order_by(Journal.team_id, Journal.seq)
        rows = (await session.execute(query.limit(_JOURNALS_PER_QUERY))).all()
        if not rows:
            return
        place = (rows[-1][0], rows[-1][1])
        lines = await _entries(session, [row[2] for row in rows])
        report.count("journals", len(rows))
        report.count("entries", sum(map(len, lines.values())))
        for team_id, seq, ref, kind, actor, reason, created_us, prev, hash_ in rows:
            walk = walks.get(team_id)
            if walk is None:
                continue  # `_check_orphans` tells it
            entries = lines.get(ref, ())
            if seq != walk.at + 1:
                report.tell("seq", "journal", ref, seq, walk.at + 1)
            if prev != walk.prev:
                report.tell("chain", "journal", ref, prev.hex(), walk.prev.hex())
            should = book.hash_of(prev, ref, team_id, seq, kind, actor, reason, created_us, entries)
            if hash_ != should:
                report.tell("hash", "journal", ref, hash_.hex(), should.hex())
            # What comes after is measured by what stands here: one wrong row is told once.
            walk.at, walk.prev = seq, hash_
            before = walk.posted
            total = _add(report, walk, ref, entries)
            if total:
                report.tell("sum", "journal", ref, total, 0)
            if kind == "settle" or ref.startswith("settle:"):
                _check_settlement(report, ref, kind, entries)
                if overdraft_nano is not None:
                    floor = min(before, -(walk.row.credit_line + overdraft_nano))
                    if walk.posted < floor:
                        report.tell("overdraft", "journal", ref, walk.posted, floor)


async def _entries(session: AsyncSession, refs: Sequence[str]) -> Mapping[str, Sequence[EntryLine]]:
    found: dict[str, list[EntryLine]] = {}
    query = _ENTRY_COLUMNS.where(Entry.ref.in_(refs)).order_by(Entry.ref, Entry.n)
    for ref, account, amount, grant_id in (await session.execute(query)).all():
        line = EntryLine(account, amount, grant_id)
        if ref in found:
            found[ref].append(line)
        else:
            found[ref] = [line]
    return found


def _add(report: Report, walk: _Walk, ref: str, entries: Sequence[EntryLine]) -> int:
    total = 0
    for line in entries:
        amount = line.amount
        total += amount
        if line.account != "wallet":
            if line.grant_id is not None:
                report.tell("grant", "entry", ref, f"{line.account} {line.grant_id}", f"{line.account} alone")
            if line.account == "refunded":
                walk.taken += amount
            continue
        walk.posted += amount
        if line.grant_id is None:
            walk.bare += amount
            continue
        grant = walk.grants.get(line.grant_id)
        if grant is None:
            report.tell("grant", "entry", ref, line.grant_id, f"a grant of {walk.row.team_id}")
            continue
        grant.sum += amount
        if amount > 0:
            grant.filled += amount
    return total


def _check_settlement(report: Report, ref: str, kind: str, entries: Sequence[EntryLine]) -> None:
    if kind != "settle" or not ref.startswith("settle:"):
        report.tell("charge", "journal", ref, kind, "settle")
    revenue = [line.amount for line in entries if line.account == "revenue"]
    if len(revenue) != 1 or revenue[0] <= 0:
        report.tell("charge", "journal", ref, f"revenue {revenue}", "one entry above 0")
    for line in entries:
        if line.account != "revenue" and (line.amount > 0 or line.account not in ("wallet", "written_off")):
            report.tell("charge", "entry", ref, f"{line.account} {line.amount}", "out of the wallet, or written off")


def _check_account(report: Report, walk: _Walk, held: int) -> None:
    row, key = walk.row, walk.row.team_id
    if row.journals != walk.at or row.head != walk.prev:
        report.tell("head", "account", key, f"{row.journals} {row.head.hex()}", f"{walk.at} {walk.prev.hex()}")
    remaining = taken_back = 0
    next_end: int | None = None
    for grant_id, grant in walk.grants.items():
        report.count("grants", 1)
        report.same("grant", "credit_grant", grant_id, grant.amount, grant.filled)
        report.same("grant", "credit_grant", grant_id, grant.remaining, grant.sum)
        if not 0 <= grant.remaining <= grant.amount:
            report.tell("grant", "credit_grant", grant_id, grant.remaining, f"0 to {grant.amount}")
        if not 0 <= grant.taken_back <= grant.amount:
            report.tell("taken", "credit_grant", grant_id, grant.taken_back, f"0 to {grant.amount}")
        remaining += grant.remaining
        taken_back += grant.taken_back
        if grant.remaining and grant.expires_us is not None:
            next_end = grant.expires_us if next_end is None else min(next_end, grant.expires_us)
    report.same("posted", "account", key, row.posted, walk.posted)
    report.same("posted", "account", key, row.posted, remaining - row.overage)
    report.same("posted", "account", key, -row.overage, walk.bare)
    report.same("held", "account", key, row.held, held)
    report.same("taken", "account", key, taken_back, walk.taken)
    # Earlier than need be only costs a look.
    if next_end is not None and (row.next_expiry_us is None or row.next_expiry_us > next_end):
        report.tell("expiry", "account", key, row.next_expiry_us, next_end)


async def _check_orphans(session: AsyncSession, report: Report) -> None:
    journals = select(Journal.ref).outerjoin(Account, Journal.team_id == Account.team_id).order_by(Journal.ref)
    grants = select(CreditGrant.id).outerjoin(Account, CreditGrant.team_id == Account.team_id).order_by(CreditGrant.id)
    for table, query in (("journal", journals), ("credit_grant", grants)):
        for key in await session.scalars(query.where(Account.team_id.is_(None)).limit(report.left)):
            report.tell("orphan", table, key, None, "an account")
    if await session.scalar(select(func.count()).select_from(Entry)) != report.checked.get("entries", 0):
        lone = select(Entry.ref, Entry.n, Entry.account, Entry.amount_nano)
        lone = lone.outerjoin(Journal, Entry.ref == Journal.ref).where(Journal.ref.is_(None))
        for ref, n, account, amount in await session.execute(lone.order_by(Entry.ref, Entry.n).limit(report.left)):
            report.tell("orphan", "entry", f"{ref}/{n}", f"{account} {amount}", "a journal")
