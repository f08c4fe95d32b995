"""`hub verify`: the books (billing), the calls that they charge, the prices that these were charged by, and the audit
trail.

Of calls, by name of the check:

    price     cost or charge are not what the call's card and usage come to, by the row of the charging policy
    card      the card that priced the call is not there, or is another deployment's; a card is not what its id says
    line      a line of a card says something else than the rate that it names
    settled   a call was charged and no journal says so, or the other way round; or the two differ
    refund    more was given back than was charged, or the call knows other refunds than the books
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from app.base.db import AsyncSession, Database
from app.base.wrongs import Enough, Report
from app.domain.billing import roots, verifying, verifying_holds
from app.domain.calls import bills
from app.domain.calls.bills import Billed
from app.domain.catalog import cards, policy
from app.domain.catalog import verifying as verifying_cards
from app.domain.catalog.cards import Card
from app.domain.identity import audit_upkeep

_MOST_CARDS = 10_000
"""Kept in memory while calls are checked."""

Amounts = tuple[int | None, int | None]


async def verify(
    db: Database, *, now_us: int, since_us: int | None = None, with_calls: bool = True, most: int = 1
) -> Report:
    """Check everything, or what has moved since, until `most` wrong rows are found."""
    report = Report(most)
    async with db.reading() as session:
        await verifying.stand_still(session)
        await check(session, report, now_us=now_us, since_us=since_us, with_calls=with_calls)
    return report


async def check(
    session: AsyncSession, report: Report, *, now_us: int, since_us: int | None = None, with_calls: bool = True
) -> None:
    """The same in a session that is there; the report has what was found."""
    try:
        held = await verifying_holds.open_holds(session, report, now_us)
        await verifying.accounts(session, report, held, since_us=since_us)
        await verifying_holds.ended_holds(session, report, since_us=since_us)
        await roots.check(session, report, since_us=since_us)
        await audit_upkeep.verify(session, report)
        if with_calls:
            await verifying_cards.check_cards(session, report)
            await _check_calls(session, report, since_us)
            await _check_refunds(session, report, since_us)
    except Enough:
        pass


def expected(call: Billed, card: Card | None) -> Amounts:
    """Cost (nano-USD) and charge (nano-credits) as the call's own row has them come to."""
    if call.billing in (None, "off") or call.charged_as is None:
        return None, None
    action = cast(policy.Action, call.charged_as.rpartition(" ")[2])
    charged = policy.charged(call.usage, action)
    cost: int | None = None
    charge: int | None = 0
    if call.usage_source == "none":
        cost = 0
    elif call.usage_source == "reported_cost" and call.provider_cost_nano is not None:
        cost = call.provider_cost_nano
        if card is not None and charged is not None:
            charge = cards.charge_of_cost(card, cost)
    elif card is not None:
        facts = cards.read_facts(call.price_facts, call.started_us)
        cost = cards.cost(card, call.usage, facts)
        if charged is not None:
            charge = cards.charge(card, charged, facts)
    return cost, (charge or 0) if call.billing == "credits" else None


async def _check_calls(session: AsyncSession, report: Report, since_us: int | None) -> None:
    known: dict[str, Card] = {}
    after, settlements = "", 0
    while calls := await bills.after(session, after, since_us):
        after = calls[-1].id
        report.count("calls", len(calls))
        if len(known) > _MOST_CARDS:
            known.clear()
        named = {call.card_id for call in calls if call.card_id is not None}
        known |= await verifying_cards.load(session, named - known.keys())
        charged = await verifying_holds.charged(session, [call.id for call in calls])
        settlements += len(charged)
        for call in calls:
            _check_price(report, call, known)
            _check_settlement(report, call, charged.get(call.id))
        await _check_refunded(session, report, calls)
    if since_us is not None or settlements != await verifying_holds.count_settlements(session):
        await _check_settled_calls(session, report, since_us)


def _check_price(report: Report, call: Billed, known: Mapping[str, Card]) -> None:
    card = None if call.card_id is None else known.get(call.card_id)
    if call.card_id is not None and card is None:
        report.tell("card", "call", call.id, call.card_id, "a card that is there")
        return
    if card is not None:
        report.same("card", "call", call.id, call.deployment_id, card.deployment_id)
    try:
        cost, charge = expected(call, card)
    except (msgspec.MsgspecError, TypeError):
        report.tell("price", "call", call.id, f"price_facts {call.price_facts}", "words that conditions ask for")
        return
    # Of a call that used nothing, nobody need have said what it cost.
    if call.cost_nano != cost and (call.cost_nano or cost):
        report.tell("price", "call", call.id, _said(call, "cost_nano", call.cost_nano), f"cost_nano {cost}")
    if call.charge_nano != charge and (call.charge_nano or charge):
        report.tell("price", "call", call.id, _said(call, "charge_nano", call.charge_nano), f"charge_nano {charge}")


def _said(call: Billed, name: str, amount: int | None) -> str:
    return f"{name} {amount} as {call.charged_as}, usage {call.usage_source}"


def _check_settlement(report: Report, call: Billed, settled: tuple[str, int] | None) -> None:
    charge = call.charge_nano or 0
    if charge < 0:
        report.tell("price", "call", call.id, charge, "0 or more")
    if settled is None:
        if charge:
            report.tell("settled", "call", call.id, f"charge_nano {charge}", f"a journal settle:{call.id}")
        return
    team_id, amount = settled
    report.same("settled", "call", call.id, charge, amount)
    report.same("settled", "call", call.id, call.team_id, team_id)


async def _check_refunded(session: AsyncSession, report: Report, calls: Sequence[Billed]) -> None:
    numbers = {f"{call.id}:{call.refunded_nano}": call for call in calls if call.refunded_nano}
    if not numbers:
        return
    there = await verifying_holds.refund_numbers(session, numbers)
    for number, call in numbers.items():
        if number not in there or not 0 < call.refunded_nano <= (call.charge_nano or 0):
            report.tell(
                "refund",
                "call",
                call.id,
                f"refunded_nano {call.refunded_nano} of {call.charge_nano}",
                f"a refund {number}" if number not in there else "not more than the charge",
            )


async def _check_settled_calls(session: AsyncSession, report: Report, since_us: int | None) -> None:
    after = ""
    while call_ids := await verifying_holds.settled_calls(session, after, since_us):
        after = call_ids[-1]
        found = await bills.of(session, call_ids)
        for call_id in call_ids:
            charge, _ = found.get(call_id, (0, 0))
            if charge <= 0:
                says = f"charge_nano {charge}" if call_id in found else None
                report.tell("settled", "call", call_id, says, f"a charge: there is settle:{call_id}")


async def _check_refunds(session: AsyncSession, report: Report, since_us: int | None) -> None:
    """Each refund stands on the one before it, so the last says what all come to; and its call knows that."""
    after = ""
    while refunds := await verifying_holds.refunds(session, after, since_us):
        after = refunds[-1].number
        totals = [(refund, *_parts(refund.number)) for refund in refunds]
        found = await bills.of(session, {call_id for _, call_id, _ in totals})
        before = {f"{call_id}:{total - refund.amount_nano}" for refund, call_id, total in totals}
        there = await verifying_holds.refund_numbers(session, before)
        for refund, call_id, total in totals:
            rest = total - refund.amount_nano
            if rest < 0 or (rest and f"{call_id}:{rest}" not in there):
                report.tell("refund", "credit_grant", refund.number, refund.amount_nano, "what the number says")
            _, refunded = found.get(call_id, (0, 0))
            if total > refunded:
                says = f"refunded_nano {refunded}" if call_id in found else None
                report.tell("refund", "call", call_id, says, f"refunded_nano {total}")


def _parts(number: str) -> tuple[str, int]:
    call_id, _, total = number.rpartition(":")
    return call_id, int(total) if total.isascii() and total.isdigit() else 0
