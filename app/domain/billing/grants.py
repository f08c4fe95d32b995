"""Credits that teams are given, and credits that are taken off again; each with a reason and in the ledger.

Whoever gives has a number for what it gives (`source_ref`): under the same number nothing is given twice, whatever
races. Amounts are nano-credits, moments microseconds. What teams have is told by `balances.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, NotFound
from app.base.ids import new_id
from app.base.money import MAX_NANO, show_nano
from app.domain.billing import accounts, ledger
from app.domain.billing.giving import Deduct, Give, TakeBack, UnknownGrant
from app.domain.billing.models import Account, CreditGrant, Entry, Journal
from app.domain.billing.movements import Insufficient

FILE = "file"
"""The source of what `hub apply` gives."""
CONSOLE = "console"
"""The source of what somebody gives by hand."""
REFUND = "refund"

MAX_REASON = 500
PRIORITY = 50

_REFS_PER_QUERY = 500
_NUMBERS_AT_ONCE = 8

Category = Literal["paid", "promo"]


async def grant(
    session: AsyncSession,
    *,
    team_id: str,
    amount_nano: int,
    source: str,
    reason: str,
    actor: str | None = None,
    source_ref: str | None = None,
    category: Category = "promo",
    priority: int = PRIORITY,
    effective_us: int | None = None,
    expires_us: int | None = None,
) -> bool:
    """Give credits to a team. `source_ref` is the giver's number of it; without one it is given as often as it is
    asked for. `effective_us` None is at once, `expires_us` None never; of lower `priority` burns first.

    Returns False if the source has given under this number before, to whichever team; then nothing changes.

    Raises:
        BadValue: the amount, the reason, the priority or the moments cannot be.
    """
    now_us = clock.now_us()
    _check_amount(amount_nano)
    _check_terms(priority, effective_us, expires_us, now_us)
    return await _give(
        session,
        Give(
            team_id=team_id,
            grant_id=new_id(),
            category=category,
            source=source,
            source_ref=source_ref or new_id(),
            amount_nano=amount_nano,
            reason=checked_reason(reason),
            actor=actor or source,
            now_us=now_us,
            priority=priority,
            effective_us=effective_us,
            expires_us=expires_us,
        ),
    )


async def deduct(
    session: AsyncSession, *, team_id: str, amount_nano: int, reason: str, actor: str, number: str | None = None
) -> None:
    """Take credits off, those first that burn first. What running calls hold stays theirs. The same number is taken
    once.

    Raises:
        BadValue: the amount or the reason cannot be, or the team has not so much to give up.
    """
    _check_amount(amount_nano)
    now_us = clock.now_us()
    await ledger.open_account(session, team_id, now_us)
    movement = Deduct(
        team_id=team_id,
        number=number or new_id(),
        amount_nano=amount_nano,
        reason=checked_reason(reason),
        actor=actor,
        now_us=now_us,
    )
    try:
        await ledger.post(session, movement)
    except Insufficient as refusal:
        has = max(0, refusal.free_nano)
        raise BadValue(
            f"The team can give up {show_nano(has)} credits; to take {show_nano(amount_nano)}, "
            f"{show_nano(amount_nano - has)} are missing.",
            param="amount",
        ) from None


async def refund_call(
    session: AsyncSession, *, call_id: str, team_id: str, amount_nano: int, refunded_nano: int, reason: str, actor: str
) -> None:
    """Give back `amount_nano` of what a call was charged, as a grant without an end. `refunded_nano` is what the call
    has had back with that; whoever keeps the call has guarded it (`app/gateway/desk/refunds.py`).

    Raises:
        BadValue: the team has not paid so much for the call.
    """
    _check_amount(amount_nano)
    paid_nano = -int(
        await session.scalar(
            select(func.coalesce(func.sum(Entry.amount_nano), 0)).where(
                Entry.ref == f"settle:{call_id}", Entry.account == "wallet"
            )
        )
        or 0
    )
    if refunded_nano > paid_nano:
        before = refunded_nano - amount_nano
        raise BadValue(
            f"The team paid {show_nano(paid_nano)} credits for this call and has had {show_nano(before)} back; "
            f"{show_nano(paid_nano - before)} can be refunded.",
            param="amount",
        )
    await _give(
        session,
        Give(
            team_id=team_id,
            grant_id=new_id(),
            category="promo",
            source=REFUND,
            # What the call has had back grows with each refund, so it numbers them.
            source_ref=f"{call_id}:{refunded_nano}",
            amount_nano=amount_nano,
            reason=checked_reason(reason),
            actor=actor,
            now_us=clock.now_us(),
            house="revenue",
        ),
    )


async def take_back(
    session: AsyncSession,
    *,
    team_id: str,
    source: str,
    source_ref: str,
    number: str,
    amount_nano: int,
    reason: str,
    actor: str,
    freezes: bool = False,
) -> int:
    """A purchase was paid back or is disputed: gives what was taken, which is 0 when `number` was taken before or all
    of the purchase is gone. What the team has spent of it already becomes debt, and freezes the account.

    Raises:
        BadValue: the amount or the reason cannot be.
        NotFound: the source never gave this team anything under that number.
    """
    _check_amount(amount_nano)
    now_us = clock.now_us()
    await ledger.open_account(session, team_id, now_us)
    movement = TakeBack(
        team_id=team_id,
        source=source,
        source_ref=source_ref,
        number=number,
        amount_nano=amount_nano,
        reason=checked_reason(reason),
        actor=actor,
        now_us=now_us,
        freezes=freezes,
    )
    try:
        await ledger.post(session, movement)
    except UnknownGrant:
        raise NotFound(f"{source} has given this team nothing under the number {source_ref}.") from None
    return movement.taken_nano


async def change_of_file(session: AsyncSession, team_id: str, difference_nano: int) -> None:
    """A file says that it grants so much more, or less, than files have granted so far. Whoever calls sees to it that
    files are applied one after another.

    Raises:
        BadValue: the amount cannot be, or the team has spent what the file takes off.
    """
    if difference_nano > 0:
        await grant(session, team_id=team_id, amount_nano=difference_nano, source=FILE, reason="hub apply")
        return
    taken = await _taken_by_file(session, [team_id])
    await deduct(
        session,
        team_id=team_id,
        amount_nano=-difference_nano,
        reason="hub apply",
        actor=FILE,
        number=_file_number(team_id, len(taken.get(team_id, ())) + 1),
    )


async def granted_by_file(session: AsyncSession) -> Mapping[str, int]:
    """Team → what files have granted to it so far, less what they have taken off again."""
    rows = await session.execute(
        select(CreditGrant.team_id, func.sum(CreditGrant.amount_nano))
        .where(CreditGrant.source == FILE)
        .group_by(CreditGrant.team_id)
    )
    # PostgreSQL sums big integers as a decimal.
    given = {team_id: int(total) for team_id, total in rows}
    taken = await _taken_by_file(session, given)
    return {team_id: total - sum(taken.get(team_id, ())) for team_id, total in given.items()}


async def teams_with_grants(session: AsyncSession) -> frozenset[str]:
    """The ids of the teams that were ever given something: the books name them."""
    return frozenset((await session.scalars(select(Account.team_id).where(Account.journals > 0))).all())


def checked_reason(reason: str) -> str:
    """The reason, without space at its ends.

    Raises:
        BadValue: empty, too long, or with control characters.
    """
    text = reason.strip()
    if not text or len(text) > MAX_REASON or not text.isprintable():
        raise BadValue(f"Say why, in one line of at most {MAX_REASON} characters.", param="reason")
    return text


async def _give(session: AsyncSession, movement: Give) -> bool:
    if await accounts.lock(session, movement.team_id) + movement.amount_nano > MAX_NANO:
        raise BadValue("That is more credits than a team can have.", param="amount")
    try:
        async with session.begin_nested():
            await ledger.post(session, movement)
    except IntegrityError:
        # Another team's account is another lock: whoever was first under this number has it.
        if await session.scalar(select(Journal.ref).where(Journal.ref == movement.ref)) is None:
            raise
        return False
    return movement.is_new


async def _taken_by_file(session: AsyncSession, team_ids: Iterable[str]) -> dict[str, list[int]]:
    """What files have taken off each team, in order. Asked for by number: no journal but these is read."""
    taken: dict[str, list[int]] = {}
    asked, first = list(team_ids), 1
    while asked:
        refs = {
            f"deduct:{_file_number(team_id, number)}": team_id
            for team_id in asked
            for number in range(first, first + _NUMBERS_AT_ONCE)
        }
        found = await _deducted(session, refs)
        for ref, amount in found.items():
            taken.setdefault(refs[ref], []).append(amount)
        first += _NUMBERS_AT_ONCE
        asked = [team_id for team_id in asked if len(taken.get(team_id, ())) == first - 1]
    return taken


async def _deducted(session: AsyncSession, refs: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    wanted: Sequence[str] = list(refs)
    for start in range(0, len(wanted), _REFS_PER_QUERY):
        rows = await session.execute(
            select(Entry.ref, Entry.amount_nano).where(
                Entry.ref.in_(wanted[start : start + _REFS_PER_QUERY]), Entry.account == "adjusted"
            )
        )
        found |= dict(rows.all())
    return found


def _file_number(team_id: str, number: int) -> str:
    return f"{FILE}:{team_id}:{number}"


def _check_amount(amount_nano: int) -> None:
    if not 0 < amount_nano <= MAX_NANO:
        raise BadValue("An amount is more than zero credits, and not more than a billion of them.", param="amount")


def _check_terms(priority: int, effective_us: int | None, expires_us: int | None, now_us: int) -> None:
    if not 0 <= priority <= 100:
        raise BadValue("A priority is 0 to 100; lower burns first.", param="priority")
    if expires_us is not None and expires_us <= max(now_us, effective_us or 0):
        raise BadValue("Credits cannot end before they begin, or in the past.", param="expires")
