"""The end of a call's hold: the charge is taken from the account, budgets count what was spent, all in the transaction
that ends the call. What admins should hear of follows."""

from __future__ import annotations

from app.base.clock import now_us
from app.base.usage import Usage
from app.base.writer import Posting
from app.domain.billing import budget_notices
from app.domain.billing.budget_rules import BudgetRule, spent_by
from app.domain.billing.movements import Settle, Spent
from app.domain.catalog import notices
from app.gateway.charging import holding, pricing
from app.gateway.charging.pricing import Priced
from app.gateway.course import Course


def movement(course: Course, usage: Usage, priced: Priced) -> Settle | None:
    """None where nothing was held and nothing is spent."""
    spends = [_spent(course, rule, usage, priced) for rule in _rules(course)]
    charge_nano = priced.charge_nano or 0
    if not course.bill.is_held and not charge_nano and not spends:
        return None
    return Settle(
        call_id=course.id,
        team_id=course.caller.team_id,
        now_us=now_us(),
        charge_nano=charge_nano,
        overdraft_nano=holding.overdraft_nano(course.bill),
        is_held=course.bill.is_held,
        spends=spends,
    )


def afterwards(
    course: Course,
    posting: Posting,
    settle: Settle | None,
    usage: Usage,
    priced: Priced,
    reported_nano: int | None,
) -> None:
    """What the call teaches the next ones, and the notices that it brings about."""
    shared = course.shared
    if usage.output and course.error is None and not course.bill.is_cut:
        shared.forecasts.learn(course.caller.key_id, course.model.name, usage.output)
    if settle is not None and settle.spends and any(rule.warn_percents for rule in _rules(course)):
        shared.errand(_warn(course, posting, settle))
    if pricing.has_drifted(priced.cost_nano, reported_nano) and course.candidate is not None:
        route = course.candidate.route
        if priced.card_id not in shared.drifted:
            shared.drifted.add(priced.card_id)
            shared.writer.post(
                notices.drift(route.id, priced.cost_nano or 0, reported_nano or 0, course.id, now_us()), must_take=True
            )


async def _warn(course: Course, posting: Posting, settle: Settle) -> None:
    """The warn levels that this call has reached, once it is committed."""
    try:
        await posting.committed()
    except Exception:  # it is told by whoever posted it
        return
    rules = {rule.id: rule for rule in _rules(course)}
    for spent in settle.spends:
        rule = rules.get(spent.budget_id)
        after = settle.totals.get(spent.spend_id)
        if rule is None or after is None:
            continue
        percents = budget_notices.due_notices(rule, after - spent.amount, after)
        if percents:
            steps = budget_notices.notice_steps(rule, spent.spend_id, percents, now_us())
            course.shared.writer.post(*steps, must_take=True)
            budget_notices.tell(rule, spent.spend_id, percents, after)


def _rules(course: Course) -> tuple[BudgetRule, ...]:
    """Those in force now: one that was made while the call ran counts it, too."""
    caller = course.caller
    return tuple(
        course.shared.snapshots.current.budgets.of(
            caller.team_id, caller.key_id, caller.user_id, course.request.project, course.model.name
        )
    )


def _spent(course: Course, rule: BudgetRule, usage: Usage, priced: Priced) -> Spent:
    window = course.shared.snapshots.current.budgets.room(rule, course.started_us)
    amount = spent_by(rule.unit, usage, cost_nano=priced.cost_nano, charge_nano=priced.charge_nano)
    return Spent(window.spend_id, rule.id, window.begins_us, amount)
