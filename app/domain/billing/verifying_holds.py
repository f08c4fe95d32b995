"""Holds, checked: what is set aside is set aside by calls that run, and what is settled has one journal.

expired   an open hold whose time is long over: its call has died, and nobody has settled it
budgets   what a hold says of budgets cannot be read
held      a team's or a budget's held sum is another than that of the open holds
settled   a hold is settled and no journal charges its call, or the other way round
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from msgspec import Struct
from sqlalchemy import and_, func, literal, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import MICROSECONDS
from app.base.wrongs import Report
from app.domain.billing.grants import REFUND
from app.domain.billing.models import Account, BudgetSpend, CreditGrant, Entry, Hold, Journal

GRACE_US = 120 * MICROSECONDS
"""An open hold may be so old beyond its expiry: whoever settles those has not come by."""

_PER_QUERY = 2000

_decode_budgets = msgspec.json.Decoder(tuple[tuple[str, int], ...]).decode
_IS_OPEN = Hold.state == literal_column("'open'")
_SETTLE = "settle:"


class Refund(Struct, frozen=True):
    """A part of a call's charge that was given back."""

    number: str
    """`<call>:<all that it has had back with this one>`"""
    team_id: str
    amount_nano: int


async def open_holds(session: AsyncSession, report: Report, now_us: int) -> Mapping[str, int]:
    """Check the open holds and the budgets they hold of; gives what they set aside, by team.

    Raises:
        Enough
    """
    teams: dict[str, int] = {}
    spends: dict[str, int] = {}
    after = ""
    columns = select(Hold.call_id, Hold.team_id, Hold.amount_nano, Hold.budgets, Hold.expires_us).where(_IS_OPEN)
    while True:
        query = columns.where(Hold.call_id > after).order_by(Hold.call_id).limit(_PER_QUERY)
        rows = (await session.execute(query)).all()
        if not rows:
            break
        after = rows[-1][0]
        report.count("holds", len(rows))
        for call_id, team_id, amount, budgets, expires_us in rows:
            if expires_us + GRACE_US < now_us:
                report.tell("expired", "hold", call_id, f"open, expires_us {expires_us}", "ended")
            if amount < 0:
                report.tell("held", "hold", call_id, amount, "0 or more")
            teams[team_id] = teams.get(team_id, 0) + amount
            try:
                parts = _decode_budgets(budgets) if budgets else ()
            except msgspec.DecodeError:
                report.tell("budgets", "hold", call_id, budgets, "an array of [spend id, amount]")
                continue
            for spend_id, part in parts:
                spends[spend_id] = spends.get(spend_id, 0) + part
    await _check_spends(session, report, spends)
    await _check_teams(session, report, teams)
    return teams


async def ended_holds(session: AsyncSession, report: Report, *, since_us: int | None = None) -> None:
    """Check that a hold is settled where a journal charges its call, and only there; of those that ended since then.

    Holds are forgotten some days after their end, journals never: a journal without a hold is nothing wrong.

    Raises:
        Enough
    """
    is_settled = Hold.state == literal_column("'settled'")
    query = (
        select(Hold.call_id, Hold.state, func.coalesce(Journal.ref, ""))
        .outerjoin(Journal, Journal.ref == literal(_SETTLE) + Hold.call_id)
        .where(
            or_(
                and_(is_settled, Journal.ref.is_(None)),
                and_(Hold.state != literal_column("'settled'"), Journal.ref.is_not(None)),
                Hold.state.not_in(("open", "settled", "released")),
            )
        )
        .order_by(Hold.call_id)
        .limit(report.left)
    )
    counting = select(func.count()).select_from(Hold).where(Hold.state != literal_column("'open'"))
    if since_us is not None:
        query = query.where(Hold.ended_us >= since_us)
        counting = counting.where(Hold.ended_us >= since_us)
    for call_id, state, ref in await session.execute(query):
        report.tell("settled", "hold", call_id, state, f"settled: there is {ref}" if ref else "released")
    report.count("holds", await session.scalar(counting) or 0)


async def charged(session: AsyncSession, call_ids: list[str]) -> Mapping[str, tuple[str, int]]:
    """Team and charge in nano-credits of each of the calls that have a settlement."""
    query = (
        select(Journal.ref, Journal.team_id, Entry.amount_nano)
        .join(Entry, and_(Entry.ref == Journal.ref, Entry.account == "revenue"))
        .where(Journal.ref.in_([_SETTLE + call_id for call_id in call_ids]))
    )
    rows = (await session.execute(query)).all()
    return {ref.removeprefix(_SETTLE): (team_id, amount) for ref, team_id, amount in rows}


async def count_settlements(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).select_from(Journal).where(Journal.kind == "settle")) or 0


async def settled_calls(session: AsyncSession, after: str, since_us: int | None) -> list[str]:
    """The next calls that have a settlement, in the order of their ids; empty at the end."""
    query = select(Journal.ref).where(Journal.kind == "settle", Journal.ref > _SETTLE + after)
    if since_us is not None:
        query = query.where(Journal.created_us >= since_us)
    refs = await session.scalars(query.order_by(Journal.ref).limit(_PER_QUERY))
    return [ref.removeprefix(_SETTLE) for ref in refs]


async def refunds(session: AsyncSession, after: str, since_us: int | None) -> list[Refund]:
    """The next refunds of calls, by their numbers; empty at the end."""
    query = select(CreditGrant.source_ref, CreditGrant.team_id, CreditGrant.amount_nano)
    query = query.where(CreditGrant.source == REFUND, CreditGrant.source_ref > after)
    if since_us is not None:
        query = query.where(CreditGrant.created_us >= since_us)
    rows = await session.execute(query.order_by(CreditGrant.source_ref).limit(_PER_QUERY))
    return [Refund(*row) for row in rows]


async def refund_numbers(session: AsyncSession, numbers: Collection[str]) -> set[str]:
    """Which of these refunds there are."""
    query = select(CreditGrant.source_ref).where(CreditGrant.source == REFUND, CreditGrant.source_ref.in_(numbers))
    return set(await session.scalars(query))


async def _check_spends(session: AsyncSession, report: Report, spends: dict[str, int]) -> None:
    after = ""
    while True:
        query = select(BudgetSpend.id, BudgetSpend.held).where(BudgetSpend.id > after)
        rows = (await session.execute(query.order_by(BudgetSpend.id).limit(_PER_QUERY))).all()
        if not rows:
            break
        after = rows[-1][0]
        report.count("spends", len(rows))
        for spend_id, held in rows:
            report.same("held", "budget_spend", spend_id, held, spends.pop(spend_id, 0))
    for spend_id, amount in sorted(spends.items()):
        report.tell("held", "budget_spend", spend_id, None, amount)


async def _check_teams(session: AsyncSession, report: Report, teams: Mapping[str, int]) -> None:
    """Credits can be held of an account alone. Whether each holds so much is checked with its journals."""
    holding = [team_id for team_id, amount in teams.items() if amount]
    known: set[str] = set()
    for start in range(0, len(holding), _PER_QUERY):
        some = holding[start : start + _PER_QUERY]
        known |= set(await session.scalars(select(Account.team_id).where(Account.team_id.in_(some))))
    for team_id in sorted(set(holding) - known):
        report.tell("held", "account", team_id, None, teams[team_id])
