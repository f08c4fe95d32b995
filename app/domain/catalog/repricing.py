"""Repricing: explicit prices for many lines at once, by a rule, looked at before they are set.

A scope says which lines, a rule what becomes of their prices; `draft` shows both without changing anything. `apply`
makes a named change of it, now or at a moment that is to come. It adds lines as any change of rates does: what was
charged stays as it was, and `price_changes.py` can put back what was there before.

A price that a rule has set is explicit: it is the same for every team, and stays when the cost changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct, to_builtins
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, Conflict, NotFound
from app.base.ids import new_id
from app.base.money import MAX_NANO, NANO, show_nano
from app.base.usage import METERS
from app.domain.catalog import pricing, rates, settings
from app.domain.catalog.models import Deployment, Model, PriceChange, Provider
from app.domain.catalog.rates import InForce, NewLine
from app.domain.catalog.settings import Terms

MAX_NAME = 100

_WHOLE = 10_000
"""Basis points of one."""
_A_SECOND = timedelta(seconds=1)
_SHOWN = 5
"""Rows named in a sentence; more are counted."""


class Scope(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which lines: all of these must fit. What is empty asks nothing."""

    providers: tuple[str, ...] = ()
    """Names."""
    models: tuple[str, ...] = ()
    """Public names, in which `*` stands for anything."""
    deployments: tuple[str, ...] = ()
    """Ids."""
    meters: tuple[str, ...] = ()

    @property
    def names_routes(self) -> bool:
        """Whether somebody meant these very models, so that a line that lacks is added."""
        return bool(self.models or self.deployments)


class Markup(Struct, frozen=True, tag="markup"):
    """Cost plus so much, as it is at the moment. A line whose cost is unknown stays as it is."""

    basis_points: int


class Factor(Struct, frozen=True, tag="factor"):
    """Present prices, also those that come from a markup, and so much more, or less if it is below zero."""

    basis_points: int


class Explicit(Struct, frozen=True, tag="price"):
    """These prices, of lines without a condition; in nano-credits by meter, for as many units as rates are quoted for.

    Where the scope names models or deployments, a line that lacks is added.
    """

    prices: Mapping[str, int]


class BackToMarkup(Struct, frozen=True, tag="back_to_markup"):
    """No explicit prices: cost with the markup of team, model, provider or hub. A line without a cost stays."""


Rule = Markup | Factor | Explicit | BackToMarkup


class Row(Struct, frozen=True, kw_only=True):
    """One line, before and after. Amounts for `per_units`; prices in nano-credits, for a team without own markup."""

    deployment_id: str
    provider: str
    model: str
    meter: str
    condition: Mapping[str, Any]
    per_units: int
    cost_nano: int | None
    review_cost_nano: int | None
    """The higher cost, where sources disagree."""
    before_nano: int | None
    after_nano: int | None
    """What will be charged."""
    old_price_nano: int | None
    """Explicit, until then."""
    new_price_nano: int | None
    """Explicit, from then on; None: from the cost."""
    floor_nano: int | None
    """The cost in nano-credits."""

    @property
    def is_below_cost(self) -> bool:
        """Whether it is meant to be sold for less than it costs."""
        price = self.after_nano if self.new_price_nano is None else self.new_price_nano
        return price is not None and self.floor_nano is not None and price < self.floor_nano


class Left(Struct, frozen=True, kw_only=True):
    """A line in the scope to which the rule cannot be applied."""

    provider: str
    model: str
    meter: str
    condition: Mapping[str, Any]
    why: str


class Draft(Struct, frozen=True, kw_only=True):
    scope: Scope
    rule: Rule
    moment: datetime
    """By the lines in force then."""
    rows: tuple[Row, ...]
    """What would change."""
    left: tuple[Left, ...]
    allows_below_cost: bool

    def lines(self) -> dict[str, list[NewLine]]:
        """What is to be added, by deployment."""
        found: dict[str, list[NewLine]] = {}
        for row in self.rows:
            line = NewLine(row.meter, row.cost_nano, row.new_price_nano, row.condition, row.review_cost_nano)
            found.setdefault(row.deployment_id, []).append(line)
        return found


class _Served(Struct, frozen=True):
    deployment_id: str
    provider: str
    model: str
    markup: int | None
    """In basis points; None: that of the hub."""


async def draft(
    session: AsyncSession,
    scope: Scope,
    rule: Rule,
    moment: datetime | None = None,
    *,
    allows_below_cost: bool = False,
) -> Draft:
    """What the rule would change; a moment that has passed, or None, is now.

    Lines that begin later than `moment` are not looked at: other changes stay as they are, and a cost that a bundle
    has announced will take the price over.

    Raises:
        NotFound: a provider or a deployment that is not there.
        BadValue: nothing is in the scope, a meter or a number cannot be, or a price would lie below cost and neither
            `allows_below_cost` nor the hub's setting allows that. Then the sentence names the rows.
    """
    _check(scope, rule)
    at = known_at = await rates.moment(session)
    if moment is not None and moment > at:
        # A line that replaces one of the same moment begins a little later than that.
        at, known_at = moment, moment + _A_SECOND
    served = await _served(session, scope)
    in_force = await rates.in_force(session, [one.deployment_id for one in served], known_at)
    terms = await settings.terms(session)
    rows: list[Row] = []
    left: list[Left] = []
    for one in served:
        for line in _in_scope(scope, rule, one.deployment_id, in_force[one.deployment_id]):
            found = _applied(one, line, rule, terms)
            if isinstance(found, Left):
                left.append(found)
            elif found.new_price_nano != found.old_price_nano:
                rows.append(found)
    made = Draft(
        scope=scope,
        rule=rule,
        moment=at,
        rows=tuple(rows),
        left=tuple(left),
        allows_below_cost=allows_below_cost,
    )
    if not (allows_below_cost or terms.sells_below_cost):
        _refuse_below_cost([row for row in rows if _is_mistaken(row, rule)])
    return made


async def apply(
    session: AsyncSession, draft_: Draft, *, name: str, actor: str, effective_from: datetime | None = None
) -> PriceChange:
    """Make the change, from now on or from a moment that is to come. Only what was shown is done.

    Raises:
        BadValue: the name cannot be, or nothing would change.
        Conflict: the name is taken; or the prices have changed since the draft was made.
    """
    _check_name(name)
    # From here on nobody else changes rates, so that what is looked at is what is changed.
    await settings.lock(session)
    if await session.scalar(select(PriceChange.id).where(PriceChange.name == name)) is not None:
        raise Conflict(f'There is a price change "{name}" already; give this one another name.', param="name")
    again = await draft(session, draft_.scope, draft_.rule, effective_from, allows_below_cost=draft_.allows_below_cost)
    if (again.rows, again.left) != (draft_.rows, draft_.left):
        raise Conflict("Rates have changed since this was looked at. Look at it again.")
    if not again.rows:
        raise BadValue("Nothing would change: all these prices are as the rule says.", param="rule")
    now = clock.now()
    change = PriceChange(
        id=new_id(),
        name=name,
        scope=to_builtins(draft_.scope),
        rule=to_builtins(draft_.rule),
        effective_from=max(now, effective_from or now),
        created_at=now,
        created_by=actor,
        reverted_at=None,
        before=[to_builtins(row) for row in again.rows],
    )
    session.add(change)
    await session.flush()
    for deployment_id, lines in again.lines().items():
        await rates.add_lines(
            session,
            deployment_id,
            lines,
            source=f"change:{name}",
            effective_from=effective_from,
            change_id=change.id,
            # It was checked above, a negative markup as well.
            allows_below_cost=True,
        )
    return change


def _check(scope: Scope, rule: Rule) -> None:
    for meter in scope.meters:
        rates.per_units(meter)
    match rule:
        case Markup(points) | Factor(points):
            settings.check_markup(points)
        case Explicit(prices):
            if not prices:
                raise BadValue("Say at least one price.", param="rule")
            for meter, price in prices.items():
                rates.per_units(meter)
                if not 0 <= price <= MAX_NANO:
                    raise BadValue(f"The price of {meter} must be zero or more.", param=meter)
        case BackToMarkup():
            pass


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
        raise BadValue(f"A price change has a name of 1 to {MAX_NAME} characters.", param="name")


async def _served(session: AsyncSession, scope: Scope) -> list[_Served]:
    rows = await session.execute(
        select(Deployment.id, Provider.name, Model.name, Model.markup_basis_points, Provider.markup_basis_points)
        .join(Model, Model.id == Deployment.model_id)
        .join(Provider, Provider.id == Deployment.provider_id)
        .order_by(Provider.name, Model.name, Deployment.id)
    )
    every = [
        _Served(id_, provider, model, of_provider if of_model is None else of_model)
        for id_, provider, model, of_model, of_provider in rows
    ]
    # A provider that serves nothing yet is no mistake, only nothing in the scope.
    providers = set(await session.scalars(select(Provider.name)))
    ids = {one.deployment_id for one in every}
    if strangers := [name for name in scope.providers if name not in providers]:
        raise NotFound(f"There is no provider {strangers[0]}.", param="provider")
    if strangers := [id_ for id_ in scope.deployments if id_ not in ids]:
        raise NotFound(f"There is no deployment {strangers[0]}.", param="deployment")
    found = [
        one
        for one in every
        if (not scope.providers or one.provider in scope.providers)
        and (not scope.deployments or one.deployment_id in scope.deployments)
        and (not scope.models or any(fnmatchcase(one.model, pattern) for pattern in scope.models))
    ]
    if not found:
        raise BadValue("No model and provider are in this scope.", param="scope")
    return found


def _in_scope(scope: Scope, rule: Rule, deployment_id: str, lines: Sequence[InForce]) -> Iterator[InForce | NewLine]:
    """The lines that the rule is about; those that it adds are new ones, still without a price."""
    meters = scope.meters
    if not isinstance(rule, Explicit):
        yield from (line for line in lines if not meters or line.meter in meters)
        return
    wanted = [meter for meter in rule.prices if not meters or meter in meters]
    there = {line.meter: line for line in lines if line.condition.is_empty}
    for meter in wanted:
        if meter in there:
            yield there[meter]
        elif scope.names_routes:
            yield NewLine(meter, None, None)


def _applied(one: _Served, line: InForce | NewLine, rule: Rule, terms: Terms) -> Row | Left:
    markup = terms.markup_basis_points if one.markup is None else one.markup
    condition = line.condition.as_json() if isinstance(line, InForce) else {}

    def charged(price_nano: int | None) -> int | None:
        return pricing.price_of(line.cost_nano, price_nano, line.review_cost_nano, terms, markup)

    cost = None if line.cost_nano is None else max(line.cost_nano, line.review_cost_nano or 0)
    before = charged(line.price_nano)
    why = ""
    price: int | None = None
    match rule:
        case Markup(points):
            if cost is None:
                why = "its cost is unknown"
            else:
                price = -(-cost * (_WHOLE + points) * NANO // (_WHOLE * terms.credit_price_nano))
        case Factor(points):
            # In a line that is in force either is known.
            price = -(-(before or 0) * (_WHOLE + points) // _WHOLE)
        case Explicit(prices):
            price = prices[line.meter]
        case BackToMarkup():
            why = "its cost is unknown, so there is nothing to add a markup to" if cost is None else ""
    if why:
        return Left(provider=one.provider, model=one.model, meter=line.meter, condition=condition, why=why)
    price = None if price is None else min(price, MAX_NANO)
    if isinstance(rule, Factor) and price == before:
        # No price of its own for what does not change.
        price = line.price_nano
    return Row(
        deployment_id=one.deployment_id,
        provider=one.provider,
        model=one.model,
        meter=line.meter,
        condition=condition,
        per_units=rates.per_units(line.meter),
        cost_nano=line.cost_nano,
        review_cost_nano=line.review_cost_nano,
        before_nano=before,
        after_nano=charged(price),
        old_price_nano=line.price_nano,
        new_price_nano=price,
        floor_nano=None if cost is None else terms.price_of(cost, 0),
    )


def _is_mistaken(row: Row, rule: Rule) -> bool:
    """Below cost, unless somebody has said that it is free."""
    return row.is_below_cost and not (isinstance(rule, Explicit) and row.new_price_nano == 0)


def _by_name(row: Row) -> tuple[str, str, int]:
    return row.model, row.provider, METERS.index(row.meter)


def _refuse_below_cost(rows: Sequence[Row]) -> None:
    if not rows:
        return
    named = [
        f"{row.meter} of {row.model} at {row.provider} ({show_nano(row.new_price_nano or 0)}, costs "
        f"{show_nano(row.floor_nano or 0)})"
        for row in sorted(rows, key=_by_name)[:_SHOWN]
    ]
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    raise BadValue(
        f"These prices would lie below cost: {', '.join(named)}{more}. Leave them out of the scope, or allow it.",
        param="rule",
    )
