"""From rates to cards: what a deployment's meters are sold at, to whom.

A price is what its rate says, else the cost with a markup: the team's if it has one, else the model's, the provider's,
the hub's. No price but zero lies below cost, unless the hub's setting allows it; where sources of a cost disagree, the
higher one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.catalog import cards, rates, settings
from app.domain.catalog.cards import Card, Line
from app.domain.catalog.models import Deployment, Model, Provider
from app.domain.catalog.rates import InForce
from app.domain.catalog.settings import Terms

_MOST_CARDS = 20_000
"""Kept ready; each takes a few kilobytes."""


class Prices:
    """Every deployment's rates in force, and the cards that were made of them. A snapshot holds one."""

    def __init__(
        self,
        lines: Mapping[str, Sequence[InForce]],
        markups: Mapping[str, int],
        terms: Terms,
        changes_at: datetime | None = None,
        *,
        count: int = 0,
    ) -> None:
        """`markups` by deployment, in hundredths of a percent: its model's, else its provider's."""
        self.lines = lines
        self.markups = markups
        self._cards: dict[tuple[str, int | None], Card | None] = {}
        self.terms = terms
        self.count = count
        """How many lines there were ever: none goes, so an equal number is the same lines."""
        self.changes_at = changes_at
        """When these are out of date although nobody will have changed anything: the next line comes into force."""

    def card(self, deployment_id: str, team_markup: int | None) -> Card | None:
        """The card for a team with this markup (None: it has none); None where the deployment has no rates."""
        key = (deployment_id, team_markup)
        if key not in self._cards:
            if len(self._cards) >= _MOST_CARDS:
                self._cards.clear()
            self._cards[key] = self._made(deployment_id, team_markup)
        return self._cards[key]

    def _made(self, deployment_id: str, team_markup: int | None) -> Card | None:
        lines = self.lines.get(deployment_id)
        if not lines:
            return None
        markup = team_markup
        if markup is None:
            markup = self.markups.get(deployment_id, self.terms.markup_basis_points)
        return card_of(deployment_id, lines, self.terms, markup)


def card_of(deployment_id: str, lines: Iterable[InForce], terms: Terms, markup_basis_points: int) -> Card:
    """The card of these lines; also for a price list that is only tried out."""
    return cards.make(
        deployment_id=deployment_id,
        lines=[
            Line(
                rate_id=line.id,
                meter=line.meter,
                per_units=line.per_units,
                cost_nano=line.cost_nano,
                price_nano=price_of(line.cost_nano, line.price_nano, line.review_cost_nano, terms, markup_basis_points),
                condition=line.condition,
            )
            for line in lines
        ],
        credit_price_nano=terms.credit_price_nano,
        markup_basis_points=markup_basis_points,
        sells_below_cost=terms.sells_below_cost,
    )


def price_of(
    cost_nano: int | None, price_nano: int | None, review_cost_nano: int | None, terms: Terms, markup_basis_points: int
) -> int | None:
    """nano-credits for as many units as the rate is quoted for; None where neither cost nor price is known."""
    if cost_nano is None or price_nano == 0:
        return price_nano
    cost = max(cost_nano, review_cost_nano or 0)
    if price_nano is None:
        return terms.price_of(cost, markup_basis_points)
    return price_nano if terms.sells_below_cost else max(price_nano, terms.price_of(cost, 0))


async def load(session: AsyncSession, before: Prices | None = None) -> Prices:
    """The prices in force now, of every deployment. What is still true of those `before` is not read again: rates are
    many, and seldom are they what has changed."""
    at = await rates.moment(session)
    # The count first: a line that is added meanwhile makes the next load read again.
    count = await rates.count(session)
    rows = await session.execute(
        select(Deployment.id, Model.markup_basis_points, Provider.markup_basis_points)
        .join(Model, Model.id == Deployment.model_id)
        .join(Provider, Provider.id == Deployment.provider_id)
    )
    both = {id_: of_provider if own is None else own for id_, own, of_provider in rows}
    markups = {id_: markup for id_, markup in both.items() if markup is not None}
    terms = await settings.terms(session)
    if before is None or before.count != count or (before.changes_at is not None and at >= before.changes_at):
        lines = await rates.all_in_force(session, at)
        return Prices(lines, markups, terms, await rates.next_change(session, at), count=count)
    if before.markups == markups and before.terms == terms:
        return before
    return Prices(before.lines, markups, terms, before.changes_at, count=count)
