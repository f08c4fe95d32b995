"""Budgets as rows: made, ended, never edited; and what was spent of each in a window.

A spend is a sum under the window's beginning. Calls that run hold a part of it, and count into it when they are settled
(`ledger` posts both); here it is opened with what was spent before the budget was there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import NotFound
from app.base.ids import new_id
from app.domain.billing import budget_rules, windows
from app.domain.billing.budget_rules import BudgetRule, Terms
from app.domain.billing.models import Budget, BudgetSpend

_IDS_PER_QUERY = 500
"""SQLite takes 32766 parameters, older ones 999."""


class Spend(Struct, frozen=True):
    """What a window has come to, in the budget's unit."""

    spent: int
    held: int
    """By calls that run."""


NOTHING = Spend(0, 0)


async def create(session: AsyncSession, terms: Terms, *, spent_so_far: int, now_us: int) -> BudgetRule:
    """Put a budget in force. One of the same scope, unit and window ends with that: so is a budget changed.

    Then it goes on from what the old one had counted in this window, if both have the same time zone; else from
    `spent_so_far`, what the calls since the beginning of the window come to. Calls that run meanwhile count in it when
    they end; those that end in the half second before every process knows of it are missing from its first window.
    """
    begins_us, _ = windows.begins(terms.window, terms.timezone, now_us)
    spent = spent_so_far
    for old in await _rules(session, and_(Budget.ended_at.is_(None), *_same(terms))):
        if old.timezone == terms.timezone:
            spend_id = budget_rules.spend_id(old.id, begins_us)
            counted = await session.scalar(
                select(BudgetSpend.spent).where(BudgetSpend.id == spend_id).with_for_update()
            )
            spent = spent if counted is None else counted
        await end(session, old.id)
    row = Budget(
        id=new_id(),
        **asdict(terms) | {"warn_percents": [*terms.warn_percents]},
        created_at=clock.from_us(now_us),
        ended_at=None,
    )
    session.add(row)
    session.add(
        BudgetSpend(
            id=budget_rules.spend_id(row.id, begins_us), budget_id=row.id, begins_us=begins_us, spent=spent, held=0
        )
    )
    await session.flush()
    return _rule(row)


async def end(session: AsyncSession, budget_id: str) -> bool:
    """Take a budget out of force; what was spent of it stays. Returns False if it was ended before.

    Raises:
        NotFound: there is no such budget.
    """
    ended = await session.scalar(
        update(Budget)
        .where(Budget.id == budget_id, Budget.ended_at.is_(None))
        .values(ended_at=clock.now())
        .returning(Budget.id)
    )
    if ended is None:
        await get(session, budget_id)
    return ended is not None


async def get(session: AsyncSession, budget_id: str) -> BudgetRule:
    """
    Raises:
        NotFound: there is no such budget.
    """
    row = await session.get(Budget, budget_id)
    if row is None:
        raise NotFound("There is no such budget. List them with: hub budget list", param="budget")
    return _rule(row)


async def in_force(session: AsyncSession) -> tuple[BudgetRule, ...]:
    """Every budget that binds calls now, oldest first."""
    return await _rules(session, Budget.ended_at.is_(None))


async def page(
    session: AsyncSession, *, limit: int, skip: int = 0, scope: str | None = None, scope_id: str | None = None
) -> Sequence[BudgetRule]:
    """`limit` budgets after the first `skip`, newest first; ended ones too."""
    query = select(Budget).order_by(Budget.created_at.desc(), Budget.id.desc()).limit(limit).offset(skip)
    if scope is not None:
        query = query.where(Budget.scope == scope)
    if scope_id is not None:
        query = query.where(Budget.scope_id == scope_id)
    return [_rule(row) for row in await session.scalars(query)]


async def spends(session: AsyncSession, spend_ids: Collection[str]) -> Mapping[str, Spend]:
    """What stands under each of these keys; those of which nothing was spent yet are not there."""
    ids = list(spend_ids)
    found: dict[str, Spend] = {}
    for start in range(0, len(ids), _IDS_PER_QUERY):
        rows = await session.execute(
            select(BudgetSpend.id, BudgetSpend.spent, BudgetSpend.held).where(
                BudgetSpend.id.in_(ids[start : start + _IDS_PER_QUERY])
            )
        )
        found |= {id_: Spend(spent, held) for id_, spent, held in rows}
    return found


async def lock_spend(session: AsyncSession, rule: BudgetRule, begins_us: int) -> Spend:
    """What was spent in that window, and until this transaction ends nobody else counts in it."""
    id_ = budget_rules.spend_id(rule.id, begins_us)
    row = await session.scalar(select(BudgetSpend).where(BudgetSpend.id == id_).with_for_update())
    if row is None:
        row = BudgetSpend(id=id_, budget_id=rule.id, begins_us=begins_us, spent=0, held=0)
        session.add(row)
        await session.flush()
    return Spend(row.spent, row.held)


async def set_spent(session: AsyncSession, rule: BudgetRule, begins_us: int, spent: int) -> None:
    """Correct what was spent in a window that `lock_spend` has locked; what is held stays."""
    await session.execute(
        update(BudgetSpend)
        .where(BudgetSpend.id == budget_rules.spend_id(rule.id, begins_us))
        .values(spent=spent)
        .execution_options(synchronize_session=False)
    )


async def end_with(session: AsyncSession, *, team_id: str | None = None, key_ids: Collection[str] = ()) -> None:
    """End the budgets of keys that are removed, and those of a team and of its projects."""
    gone: list[ColumnElement[bool]] = [and_(Budget.scope == "key", Budget.scope_id.in_(list(key_ids)))]
    if team_id is not None:
        gone.append(and_(Budget.scope == "team", Budget.scope_id == team_id))
        gone.append(and_(Budget.scope == "project", Budget.scope_id.startswith(f"{team_id}/", autoescape=True)))
    await session.execute(
        update(Budget)
        .where(Budget.ended_at.is_(None), or_(*gone))
        .values(ended_at=clock.now())
        .execution_options(synchronize_session=False)
    )


async def _rules(session: AsyncSession, condition: ColumnElement[bool]) -> tuple[BudgetRule, ...]:
    rows = await session.scalars(select(Budget).where(condition).order_by(Budget.created_at, Budget.id))
    return tuple(_rule(row) for row in rows)


def _same(terms: Terms) -> tuple[ColumnElement[bool], ...]:
    return (
        Budget.scope == terms.scope,
        Budget.scope_id == terms.scope_id,
        Budget.unit == terms.unit,
        Budget.window == terms.window,
    )


def _rule(row: Budget) -> BudgetRule:
    fields: dict[str, Any] = {name: getattr(row, name) for name in Terms.__struct_fields__}
    fields["warn_percents"] = tuple(row.warn_percents)
    ended_us = None if row.ended_at is None else _us(row.ended_at)
    return BudgetRule(**fields, id=row.id, created_us=_us(row.created_at), ended_us=ended_us)


def _us(moment: datetime) -> int:
    return (moment - clock.from_us(0)) // timedelta(microseconds=1)
