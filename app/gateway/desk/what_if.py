"""What if other prices had been in force: the calls of some time, priced anew under another price list.

Every call is priced by itself, as it was when it ended: its usage and what conditions ask of it stand in its row, and
so does the row of the charging policy that applied. So the sums are exact, each call's charge rounded up by itself.
Of calls from a time without billing, which have no such row, the hub's policy says what would have been charged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from msgspec import Struct

from app.base.db import Database
from app.base.money import NANO
from app.base.usage import Usage
from app.domain.calls import replaying
from app.domain.catalog import cards, policy, settings
from app.domain.catalog.cards import Card, Facts
from app.domain.catalog.policy import Action, Ended, Policy
from app.domain.catalog.pricing import Prices
from app.domain.catalog.serving import is_built_in
from app.domain.identity import teams
from app.gateway.bill import free_card

_ENDED: Mapping[str, Ended] = {"succeeded": "completed", "client_gone": "client_gone", "interrupted": "stopped"}
"""By the status of a call; any other one failed."""


class Sums(Struct, kw_only=True):
    """What some calls came to, and would come to. Charges in nano-credits, costs and margins in nano-USD."""

    calls: int = 0
    unpriced: int = 0
    """Of them, those that the other price list cannot price: they count nothing in `charged_then_nano`."""
    cost_unknown: int = 0
    """Of them, those whose cost nobody knows by the other price list: they count nothing in `cost_then_nano`."""
    charged_nano: int = 0
    """As it stands in the calls, before anything was given back."""
    charged_then_nano: int = 0
    cost_nano: int = 0
    """As it stands in the calls; one whose cost was unknown counts nothing."""
    cost_then_nano: int = 0
    margin_nano: int = 0
    """What the credits charged are worth now, less the cost; rounded down."""
    margin_then_nano: int = 0
    """The same by the other price list and its credit price."""


class Effect(Struct, frozen=True, kw_only=True):
    """On the calls of one team for one model."""

    team: str
    """Its name, or the id of one that is gone."""
    model: str
    sums: Sums


class Replay(Struct, frozen=True, kw_only=True):
    since_us: int
    until_us: int
    effects: list[Effect]
    """The greatest change of charge first."""
    total: Sums


async def replay(
    db: Database, then: Prices, *, since_us: int, until_us: int, deployment_ids: Collection[str] | None = None
) -> Replay:
    """Price the calls that began between these moments anew, all of them or those that these deployments answered.

    The database is read in pieces, with a session for each: what ends meanwhile may be in it or not.
    """
    async with db.reading() as session:
        found = await teams.listed(session)
        credit_price_nano = (await settings.terms(session)).credit_price_nano
        policies = policy.read(await settings.get(session, "charging_policy"))
        first = await replaying.first(session, since_us, until_us)
    names = {team.id: team.name for team in found}
    counter = _Counter(then, {team.id: team.markup_basis_points for team in found}, policies, deployment_ids)
    after, is_first = first, True
    while after is not None:
        async with db.reading() as session:
            rows = await replaying.piece(session, after, since_us, until_us, is_first=is_first)
        counter.count(rows)
        after, is_first = rows[-1][0] if rows else None, False
        # Whoever else is served by this process comes first.
        await asyncio.sleep(0)
    total = Sums()
    effects: list[Effect] = []
    for (team_id, model), sums in counter.found.items():
        _settle(sums, credit_price_nano, then.terms.credit_price_nano)
        _add(total, sums)
        effects.append(Effect(team=names.get(team_id, team_id), model=model, sums=sums))
    _settle(total, credit_price_nano, then.terms.credit_price_nano)
    effects.sort(key=lambda one: (-abs(one.sums.charged_then_nano - one.sums.charged_nano), one.team, one.model))
    return Replay(since_us=since_us, until_us=until_us, effects=effects, total=total)


class _Counter:
    """Prices rows and sums them up."""

    def __init__(
        self,
        prices: Prices,
        markups: Mapping[str, int | None],
        policies: Policy,
        deployment_ids: Collection[str] | None,
    ) -> None:
        self._prices, self._markups, self._policies = prices, markups, policies
        self._only = None if deployment_ids is None else frozenset(deployment_ids)
        self._cards: dict[tuple[str, str], Card | None] = {}
        self.found: dict[tuple[str, str], Sums] = {}

    def count(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            _, team_id, model, deployment, started_us, status, charged_as, source, words, cost, charge, told = row[:12]
            if self._only is not None and deployment not in self._only:
                continue
            usage = Usage(
                input=row[12],
                cache_read=row[13],
                cache_write_5m=row[14],
                cache_write_1h=row[15],
                output=row[16],
                reasoning=row[17],
                audio_in=row[18],
                audio_out=row[19],
                images=row[20],
                seconds=row[21],
                characters=row[22],
                requests=row[23],
                web_searches=row[24],
            )
            sums = self.found.get((team_id, model))
            if sums is None:
                sums = self.found[team_id, model] = Sums()
            sums.calls += 1
            if charge is not None:
                sums.charged_nano += charge
            if cost is not None:
                sums.cost_nano += cost
            if source == "none" or source is None:
                continue
            card = self._card(team_id, deployment)
            action = self._action(charged_as, status, usage)
            facts = Facts(started_us=started_us) if words is None else cards.read_facts(words, started_us)
            cost_then, charge_then = amounts(card, usage, facts, action, told if source == "reported_cost" else None)
            if cost_then is None:
                sums.cost_unknown += 1
            else:
                sums.cost_then_nano += cost_then
            if charge_then is None:
                sums.unpriced += 1
            else:
                sums.charged_then_nano += charge_then

    def _card(self, team_id: str, deployment_id: str | None) -> Card | None:
        if deployment_id is None:
            return None
        key = (team_id, deployment_id)
        if key not in self._cards:
            card = self._prices.card(deployment_id, self._markups.get(team_id))
            if card is None and is_built_in(deployment_id):
                card = free_card(deployment_id)
            self._cards[key] = card
        return self._cards[key]

    def _action(self, charged_as: str | None, status: str, usage: Usage) -> Action:
        if charged_as is not None:
            return cast(Action, charged_as.rpartition(" ")[2])
        is_delivered = bool(usage.output or usage.audio_out or usage.images or usage.seconds or status == "succeeded")
        return policy.outcome(self._policies, _ENDED.get(status, "failed"), is_something_delivered=is_delivered).action


def amounts(
    card: Card | None, usage: Usage, facts: Facts, action: Action, told_nano: int | None
) -> tuple[int | None, int | None]:
    """Cost (nano-USD) and charge (nano-credits) of a call; None: unknown, as nothing prices it.

    `told_nano` is the cost of a call that its provider has told in money alone.
    """
    charged = policy.charged(usage, action)
    if told_nano is not None:
        if charged is None:
            return told_nano, 0
        return told_nano, None if card is None else cards.charge_of_cost(card, told_nano)
    cost = None if card is None else cards.cost(card, usage, facts)
    if charged is None:
        return cost, 0
    return cost, None if card is None else cards.charge(card, charged, facts)


def _settle(sums: Sums, credit_price_nano: int, credit_price_then_nano: int) -> None:
    """Work the margins out, once the sums are whole."""
    sums.margin_nano = sums.charged_nano * credit_price_nano // NANO - sums.cost_nano
    sums.margin_then_nano = sums.charged_then_nano * credit_price_then_nano // NANO - sums.cost_then_nano


def _add(total: Sums, sums: Sums) -> None:
    for name in Sums.__struct_fields__:
        setattr(total, name, getattr(total, name) + getattr(sums, name))
