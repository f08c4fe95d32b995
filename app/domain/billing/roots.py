"""The daily root: one hash over the newest journals of all accounts that moved, on top of the root before.

Whoever writes a root down elsewhere can tell later whether anything before it was changed: each account's chain ends in
a hash that went into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import and_, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import from_us
from app.base.wrongs import Report
from app.domain.billing.models import Account, Journal, LedgerHead, LedgerRoot

NO_ROOT = bytes(32)
"""What stands before the first root."""

_ROWS_PER_INSERT = 1000

_encode = msgspec.json.Encoder().encode


class Head(Struct, frozen=True, order=True):
    """The newest journal of an account."""

    team_id: str
    seq: int
    hash: bytes


class Root(Struct, frozen=True, kw_only=True):
    day: str
    prev: bytes
    hash: bytes
    heads: Sequence[Head]
    created_us: int


async def due(session: AsyncSession, now_us: int) -> Root | None:
    """Today's root, if there is none yet (in UTC) and an account has moved since the last one."""
    day = f"{from_us(now_us):%Y-%m-%d}"
    last = select(LedgerRoot.day, LedgerRoot.hash).order_by(LedgerRoot.day.desc()).limit(1)
    newest = (await session.execute(last)).first()
    # Days go up in order, whatever the clock does.
    if newest is not None and newest.day >= day:
        return None
    heads = await _moved(session)
    if not heads:
        return None
    prev = NO_ROOT if newest is None else newest.hash
    return Root(day=day, prev=prev, hash=hash_of(prev, day, heads), heads=heads, created_us=now_us)


async def add(session: AsyncSession, root: Root) -> bool:
    """Write it down; False when another process was quicker, and nothing is written."""
    adding = upsert(LedgerRoot).values(
        day=root.day, prev=root.prev, hash=root.hash, heads=len(root.heads), created_us=root.created_us
    )
    if await session.scalar(adding.on_conflict_do_nothing().returning(LedgerRoot.day)) is None:
        return False
    for start in range(0, len(root.heads), _ROWS_PER_INSERT):
        some = root.heads[start : start + _ROWS_PER_INSERT]
        rows = [{"day": root.day, "team_id": head.team_id, "seq": head.seq, "hash": head.hash} for head in some]
        await session.execute(insert(LedgerHead), rows)
    return True


def hash_of(prev: bytes, day: str, heads: Iterable[Head]) -> bytes:
    """SHA-256 of JSON lines: the root before and the day, then each head, by team."""
    digest = hashlib.sha256(_encode((prev.hex(), day)))
    for head in sorted(heads):
        digest.update(b"\n" + _encode((head.team_id, head.seq, head.hash.hex())))
    return digest.digest()


async def check(session: AsyncSession, report: Report, *, since_us: int | None = None) -> None:
    """Check that each root follows from the one before and its heads, and that the heads are in the books.

    Raises:
        Enough
    """
    first_day = "" if since_us is None else f"{from_us(since_us):%Y-%m-%d}"
    columns = select(LedgerRoot.day, LedgerRoot.prev, LedgerRoot.hash, LedgerRoot.heads)
    before = columns.where(LedgerRoot.day < first_day).order_by(LedgerRoot.day.desc()).limit(1)
    last = (await session.execute(before)).first() if first_day else None
    prev = NO_ROOT if last is None else last.hash
    roots = await session.execute(columns.where(LedgerRoot.day >= first_day).order_by(LedgerRoot.day))
    for day, says_prev, says, count in roots.all():
        report.count("roots", 1)
        report.same("root", "ledger_root", day, says_prev.hex(), prev.hex())
        of_day = select(LedgerHead.team_id, LedgerHead.seq, LedgerHead.hash).where(LedgerHead.day == day)
        heads = [Head(*row) for row in await session.execute(of_day)]
        report.same("root", "ledger_root", day, count, len(heads))
        report.same("root", "ledger_root", day, says.hex(), hash_of(says_prev, day, heads).hex())
        prev = says
    await _check_heads(session, report, first_day)


async def _moved(session: AsyncSession) -> list[Head]:
    seen = select(LedgerHead.team_id, func.max(LedgerHead.seq).label("seq")).group_by(LedgerHead.team_id).subquery()
    query = (
        select(Account.team_id, Account.journals, Account.head)
        .outerjoin(seen, seen.c.team_id == Account.team_id)
        .where(Account.journals > func.coalesce(seen.c.seq, 0))
    )
    return [Head(*row) for row in await session.execute(query)]


async def _check_heads(session: AsyncSession, report: Report, first_day: str) -> None:
    same_place = and_(Journal.team_id == LedgerHead.team_id, Journal.seq == LedgerHead.seq)
    query = (
        select(LedgerHead.day, LedgerHead.team_id, LedgerHead.hash, func.coalesce(Journal.hash, NO_ROOT))
        .outerjoin(Journal, same_place)
        .where(LedgerHead.day >= first_day, or_(Journal.hash.is_(None), Journal.hash != LedgerHead.hash))
        .order_by(LedgerHead.day, LedgerHead.team_id)
        .limit(report.left)
    )
    for day, team_id, says, found in await session.execute(query):
        should = None if found == NO_ROOT else found.hex()
        report.tell("root", "ledger_head", f"{day}/{team_id}", says.hex(), should)
