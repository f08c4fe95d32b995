"""Warn levels of budgets: which ones a settlement has reached, and that each is told once a window."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.ids import new_id
from app.base.writer import Statement, Step
from app.domain.billing.budget_rules import BudgetRule
from app.domain.billing.models import BudgetNotice

_log = structlog.stdlib.get_logger(__name__)

_FIELDS = ("id", "budget_id", "spend_id", "percent", "created_us")

# SQLite has the same clause, and SQLAlchemy writes it for both.
_NOTE = Statement(
    insert(BudgetNotice).values(**{name: bindparam(name) for name in _FIELDS}).on_conflict_do_nothing(), _FIELDS
)


def due_notices(rule: BudgetRule, spent_before: int, spent_after: int) -> list[int]:
    """The warn levels, in percent, that lie between the two; one that is met exactly is reached."""
    return [
        percent for percent in rule.warn_percents if spent_before * 100 < rule.amount * percent <= spent_after * 100
    ]


def notice_steps(rule: BudgetRule, spend_id: str, percents: Sequence[int], now_us: int) -> list[Step]:
    """A row for each level. One that is there stays as it is, so a posting that is repeated tells nothing twice."""
    return [Step(_NOTE, (new_id(), rule.id, spend_id, percent, now_us)) for percent in percents]


def tell(rule: BudgetRule, spend_id: str, percents: Sequence[int], spent: int) -> None:
    """The same in the log, for whoever watches that."""
    for percent in percents:
        _log.warning(
            "budget.warned",
            budget=rule.id,
            scope=rule.scope,
            scope_id=rule.scope_id,
            unit=rule.unit,
            window=rule.window,
            spend=spend_id,
            percent=percent,
            spent=spent,
            amount=rule.amount,
        )


async def reached(session: AsyncSession, spend_ids: Collection[str]) -> dict[str, list[int]]:
    """Spend id → the levels that were told, ascending; those without any are not there."""
    rows = await session.execute(
        select(BudgetNotice.spend_id, BudgetNotice.percent)
        .where(BudgetNotice.spend_id.in_(list(spend_ids)))
        .order_by(BudgetNotice.percent)
    )
    found: dict[str, list[int]] = {}
    for spend_id, percent in rows:
        found.setdefault(spend_id, []).append(percent)
    return found
