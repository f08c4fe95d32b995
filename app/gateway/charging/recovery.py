"""After a crash: the calls that a dead process has left behind get their end, and are charged by their last checkpoint.

On some hosts a kill is the normal restart, so this is no accident: what was delivered is paid, what was held is free
again. A process that was only thought dead settles nothing twice: the hold has ended, and so has the call.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from app.base.clock import now_us
from app.base.db import Database
from app.base.usage import Usage
from app.domain.billing import budgets, holds, ledger
from app.domain.billing.budget_rules import Budgets, spent_by
from app.domain.billing.movements import Settle, Spent
from app.domain.calls import upkeep
from app.domain.calls.upkeep import Orphan, Recovered
from app.domain.catalog import cards, cards_store, policy, settings
from app.domain.catalog.cards import Card
from app.domain.catalog.policy import Policy
from app.domain.identity import callers
from app.gateway.charging.checkpoints import Progress

_MAX_EXPIRED = 500

_decode = msgspec.json.Decoder(Progress).decode
_log = structlog.stdlib.get_logger(__name__)


async def end_orphans(db: Database, data_dir: Path) -> int:
    """End the calls of processes that are gone; how many there were."""
    async with db.writing() as session:
        dead = await upkeep.dead_processes(session, data_dir)
        if not dead:
            return 0
        orphans = await upkeep.orphans(session, dead)
        held = await holds.open_of(session, [orphan.id for orphan in orphans])
        rules = Budgets(await budgets.in_force(session), await callers.parents(session))
        policies = policy.read(await settings.get(session, "charging_policy"))
        count = 0
        for orphan in orphans:
            hold = held.get(orphan.id)
            if hold is None:
                continue
            progress = _decode(hold.progress) if hold.progress else None
            card = progress.card if progress is not None else None
            if card is None and progress is not None and progress.card_id is not None:
                card = await cards_store.find(session, progress.card_id)
            recovered, usage = _recovered(orphan, progress, card, policies)
            if not await upkeep.end_orphan(session, orphan.id, recovered, usage):
                continue
            if card is not None:
                await ledger.run(session, cards_store.keep(card, now_us()))
            await ledger.post(session, _settle(orphan, progress, rules, recovered, usage))
            _log.warning("call.recovered", call=orphan.id, output=usage.output, charge_nano=recovered.charge_nano)
            count += 1
        return count + await upkeep.forget_processes(session, data_dir, dead)


async def release_expired(db: Database) -> int:
    """Release the holds whose time is over and whose call has ended; how many there were."""
    released = 0
    async with db.writing() as session:
        for hold in await holds.expired(session, now_us(), limit=_MAX_EXPIRED):
            if await upkeep.is_running(session, hold.call_id):
                continue
            await ledger.post(session, Settle(call_id=hold.call_id, team_id=hold.team_id, now_us=now_us()))
            _log.warning("hold.released", call=hold.call_id, nano=hold.amount_nano, reason="its time was over")
            released += 1
    return released


def _recovered(
    orphan: Orphan, progress: Progress | None, card: Card | None, policies: Policy
) -> tuple[Recovered, Usage]:
    """What the call came to, as far as its last checkpoint tells."""
    usage = progress.usage if progress is not None else Usage()
    ruling = policy.outcome(policies, "killed", is_something_delivered=usage.output > 0)
    charged = policy.charged(usage, ruling.action)
    price_facts = progress.price_facts if progress is not None else None
    facts = cards.read_facts(price_facts, orphan.started_us)
    charge = cards.charge(card, charged, facts) if card is not None and charged is not None else 0
    return Recovered(
        provider=progress.provider if progress is not None else None,
        deployment_id=progress.deployment_id if progress is not None else None,
        credential_id=progress.credential_id if progress is not None else None,
        upstream_model=progress.upstream_model if progress is not None else None,
        usage_source="recovered" if progress is not None else "none",
        card_id=card.id if card is not None else None,
        price_facts=price_facts,
        charged_as=ruling.said if orphan.billing != "off" else None,
        cost_nano=cards.cost(card, usage, facts) if card is not None else None,
        charge_nano=(charge or 0) if orphan.billing == "credits" else None,
    ), usage


def _settle(orphan: Orphan, progress: Progress | None, rules: Budgets, recovered: Recovered, usage: Usage) -> Settle:
    spends: list[Spent] = []
    for rule in rules.of(orphan.team_id, orphan.api_key_id, orphan.user_id, orphan.project, orphan.model):
        room = rules.room(rule, orphan.started_us)
        amount = spent_by(rule.unit, usage, cost_nano=recovered.cost_nano, charge_nano=recovered.charge_nano)
        spends.append(Spent(room.spend_id, rule.id, room.begins_us, amount))
    return Settle(
        call_id=orphan.id,
        team_id=orphan.team_id,
        now_us=now_us(),
        charge_nano=recovered.charge_nano or 0,
        overdraft_nano=progress.overdraft_nano if progress is not None else 0,
        spends=spends,
    )
