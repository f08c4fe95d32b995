"""A hub's books with something of everything in them, made by the movements and records that the hub itself makes."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from app.base.money import NANO
from app.base.usage import Usage
from app.domain.billing import roots
from app.domain.billing.giving import Deduct, Sweep, TakeBack
from app.domain.billing.movements import Room, Settle, Spent
from app.domain.calls import recorder
from app.domain.calls.recorder import Beginning, Ending
from app.domain.catalog import cards, cards_store, policy, pricing, rates
from app.domain.catalog.cards import Card, Facts
from app.domain.catalog.policy import Action
from app.domain.catalog.rates import NewLine
from app.domain.catalog.settings import Terms
from app.gateway.desk import refunds
from tests.domain.billing.ledger_desk import MINUTE, NOW, LedgerDesk, give, take

TERMS = Terms(credit_price_nano=NANO, markup_basis_points=2_000, sells_below_cost=False)
FLEX = Facts(service_tier="flex", started_us=NOW)
LATER = NOW + 60 * MINUTE

ROOM = Room("b1@0", "b1", 0, 7, 100, blocks=False)


class Billed(Struct, frozen=True):
    """The calls in the books, by what is special about each."""

    card: Card
    long: str
    """Charged from two grants, with a fraction of a nano-credit rounded up; a part was given back in two refunds."""
    told: str
    """The provider told its cost alone."""
    free: str
    """By the charging policy."""
    prompt: str
    """Charged for its input alone, and beyond what the team had: some is owed, some written off."""
    running: str
    """Holds credits of globex and room in a budget."""


async def fill(desk: LedgerDesk) -> Billed:
    card = await _card(desk)
    await desk.open("acme", "globex")
    await desk.done(
        give("gift", 3_000_000, expires_us=NOW + 10 * MINUTE),
        give("sale", 50_000_000, category="paid"),
        give("other", 9_000_000, team="globex"),
    )
    long, told, free, prompt, running = (f"{n:032x}" for n in range(1, 6))
    await _call(desk, card, long, Usage(input=2_001, cache_read=30, output=501, reasoning=7, requests=1), facts=FLEX)
    await _call(desk, card, told, Usage(input=10, output=5, requests=1), reported=1_234_567)
    await _call(desk, card, free, Usage(input=100, requests=1), row="failed.none", action="free")
    async with desk.db.writing() as session:
        for amount in (1_000, 20_000):
            await refunds.refund_call(session, long, amount_nano=amount, reason="It was slow.", actor="user:ann")
    await desk.done(
        give("brief", 7_000, expires_us=NOW + 10 * MINUTE),
        Sweep(team_id="acme", now_us=LATER),
        Deduct(team_id="acme", number="d1", amount_nano=5_000, reason="test", actor="hub", now_us=LATER),
        TakeBack(
            team_id="acme",
            source="test",
            source_ref="sale",
            number="r1",
            amount_nano=1_000_000,
            reason="test",
            actor="hub",
            now_us=LATER,
        ),
        give("late", 400_000, now=LATER, expires_us=LATER + 60 * MINUTE),
    )
    many = Usage(input=60_000_000, output=9, requests=1)
    await _call(desk, card, prompt, many, row="stopped.some", action="input_only", overdraft=1_000_000)
    begin = _beginning(running, "globex")
    await desk.writer.post(
        recorder.begin(begin), movement=take(running, 2_000_000, team="globex", rooms=[ROOM])
    ).committed()
    async with desk.db.writing() as session:
        root = await roots.due(session, NOW)
        assert root is not None
        assert await roots.add(session, root)
    await desk.done(give("more", 1_000, team="globex", now=LATER))
    async with desk.db.writing() as session:
        root = await roots.due(session, NOW + 24 * 60 * MINUTE)
        assert root is not None
        assert await roots.add(session, root)
    return Billed(card, long, told, free, prompt, running)


async def _card(desk: LedgerDesk) -> Card:
    async with desk.db.writing() as session:
        lines = [
            NewLine("input", 1_000_000_000, None),
            NewLine("output", 4_000_000_000, 5_000_000_001),
            NewLine("output", 2_000_000_001, None, {"service_tier": "flex"}),
            NewLine("cache_read", None, 0),
        ]
        await rates.add_lines(session, "dep", lines, source="file")
        at = await rates.moment(session)
        in_force = (await rates.in_force(session, ["dep"], at))["dep"]
    return pricing.card_of("dep", in_force, TERMS, TERMS.markup_basis_points)


def _beginning(call_id: str, team: str) -> Beginning:
    return Beginning(
        id=call_id,
        boot_id="boot",
        team_id=team,
        api_key_id="key",
        project=None,
        endpoint="chat.completions",
        model="lab/small",
        is_streamed=False,
        client=None,
        started_us=NOW,
        billing="credits",
        user_id=None,
    )


async def _call(
    desk: LedgerDesk,
    card: Card,
    call_id: str,
    usage: Usage,
    *,
    row: str = "completed.some",
    action: Action = "charge",
    facts: Facts | None = None,
    reported: int | None = None,
    overdraft: int = 0,
) -> None:
    facts = facts or Facts(started_us=NOW)
    charged = policy.charged(usage, action)
    if reported is not None:
        cost, charge = reported, cards.charge_of_cost(card, reported)
    else:
        cost = cards.cost(card, usage, facts)
        charge = cards.charge(card, charged, facts) if charged is not None else 0
    await desk.writer.post(recorder.begin(_beginning(call_id, "acme")), movement=take(call_id, 4_000)).committed()
    values: dict[str, Any] = dict.fromkeys(Ending.__struct_fields__) | {
        "status": "succeeded",
        "total_us": 1,
        "provider": "lab",
        "deployment_id": "dep",
        "attempts": 1,
        "usage_source": "provider" if reported is None else "reported_cost",
        "provider_cost_nano": reported,
        "card_id": card.id,
        "price_facts": cards.facts_json(facts),
        "charged_as": f"{row} {action}",
        "cost_nano": cost,
        "charge_nano": charge,
    }
    settle = Settle(
        call_id=call_id,
        team_id="acme",
        now_us=NOW,
        charge_nano=charge or 0,
        overdraft_nano=overdraft,
        spends=[Spent("b1@0", "b1", 0, 1)],
    )
    end = recorder.end(call_id, Ending(**values), usage)
    await desk.writer.post(end, cards_store.keep(card, NOW), movement=settle).committed()
