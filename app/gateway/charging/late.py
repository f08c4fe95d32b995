"""What a call comes to that outlived its request: a video, priced by the card that was pinned when it was ordered."""

from __future__ import annotations

from msgspec import Struct

from app.base.clock import now_us
from app.base.usage import Usage, UsageSource
from app.domain.billing.budget_rules import spent_by
from app.domain.billing.movements import Settle, Spent
from app.domain.calls import handed_over
from app.domain.calls.handed_over import Pinned
from app.domain.catalog import cards, cards_store, policy
from app.gateway.shared import Shared


class LatePriced(Struct, frozen=True, kw_only=True):
    """Names and units as in `Call`."""

    settle: Settle | None = None
    charged_as: str | None = None
    cost_nano: int | None = None
    charge_nano: int | None = None


async def price(
    shared: Shared, call_id: str, usage: Usage, source: UsageSource, reported_nano: int | None, *, is_made: bool
) -> LatePriced:
    """Also where nothing was made: then the hold is given up."""
    async with shared.db.reading() as session:
        pinned = await handed_over.pinned(session, call_id)
        if pinned is None:
            return LatePriced()
        card = await cards_store.find(session, pinned.card_id) if pinned.card_id is not None else None
    snapshot = shared.snapshots.current
    if pinned.billing == "off" or pinned.billing is None:
        return LatePriced(settle=_settle(shared, call_id, pinned, usage, None, 0))
    ruling = policy.outcome(snapshot.policy, "completed" if is_made else "failed", is_something_delivered=is_made)
    facts = cards.read_facts(pinned.price_facts, pinned.started_us)
    charged = policy.charged(usage, ruling.action)
    cost = 0 if source == "none" else cards.cost(card, usage, facts) if card is not None else None
    if cost is None:
        cost = reported_nano
    charge = 0
    if card is not None and charged is not None and source != "none":
        charge = cards.charge(card, charged, facts) or 0
    return LatePriced(
        settle=_settle(shared, call_id, pinned, usage, cost, charge if pinned.billing == "credits" else 0),
        charged_as=ruling.said,
        cost_nano=cost,
        charge_nano=charge if pinned.billing == "credits" else None,
    )


def _settle(
    shared: Shared, call_id: str, pinned: Pinned, usage: Usage, cost_nano: int | None, charge_nano: int
) -> Settle:
    budgets = shared.snapshots.current.budgets
    spends: list[Spent] = []
    for rule in budgets.of(pinned.team_id, pinned.api_key_id, pinned.user_id, pinned.project, pinned.model):
        room = budgets.room(rule, pinned.started_us)
        amount = spent_by(rule.unit, usage, cost_nano=cost_nano, charge_nano=charge_nano)
        spends.append(Spent(room.spend_id, rule.id, room.begins_us, amount))
    return Settle(
        call_id=call_id,
        team_id=pinned.team_id,
        now_us=now_us(),
        charge_nano=charge_nano,
        overdraft_nano=charge_nano,
        spends=spends,
    )
