"""The journals of one call: what it took from which grants, and what was given back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.billing import book
from app.domain.billing.book import EntryLine
from app.domain.billing.grants import REFUND
from app.domain.billing.models import Entry, Journal


class Proof(Struct, frozen=True, kw_only=True):
    """A journal with its entries: all that its hash covers. Amounts are nano-credits, hashes hexadecimal."""

    ref: str
    team_id: str
    seq: int
    kind: str
    actor: str
    reason: str
    created_us: int
    prev: str
    hash: str
    entries: Sequence[tuple[str, str | None, int]]
    """Account, grant, amount."""

    def of(self, account: str) -> int:
        return sum(amount for name, _, amount in self.entries if name == account)

    def digest(self) -> str:
        """The hash as it must be.

        Raises:
            ValueError: `prev` is not hexadecimal.
        """
        lines = [EntryLine(account, amount, grant_id) for account, grant_id, amount in self.entries]
        made = book.hash_of(
            bytes.fromhex(self.prev),
            self.ref,
            self.team_id,
            self.seq,
            self.kind,
            self.actor,
            self.reason,
            self.created_us,
            lines,
        )
        return made.hex()


async def settlement(session: AsyncSession, call_id: str) -> Proof | None:
    """None where the call was charged nothing."""
    return await _find(session, f"settle:{call_id}")


async def refunds(session: AsyncSession, call_id: str, refunded_nano: int) -> list[Proof]:
    """The refunds of a call that has had so much back, oldest first."""
    found: list[Proof] = []
    total = refunded_nano
    # The number of each says what all so far come to; so from the last one the way leads back to the first.
    while total > 0:
        proof = await _find(session, f"refund:{REFUND}:{call_id}:{total}")
        if proof is None or proof.of("revenue") >= 0:
            break
        found.append(proof)
        total += proof.of("revenue")
    return found[::-1]


async def _find(session: AsyncSession, ref: str) -> Proof | None:
    journal = await session.get(Journal, ref)
    if journal is None:
        return None
    entries = await session.execute(
        select(Entry.account, Entry.grant_id, Entry.amount_nano).where(Entry.ref == ref).order_by(Entry.n)
    )
    return Proof(
        ref=ref,
        team_id=journal.team_id,
        seq=journal.seq,
        kind=journal.kind,
        actor=journal.actor,
        reason=journal.reason,
        created_us=journal.created_us,
        prev=journal.prev.hex(),
        hash=journal.hash.hex(),
        entries=[(row[0], row[1], row[2]) for row in entries],
    )
