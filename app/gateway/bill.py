"""The bill of one call: the prices that were pinned when it was admitted, what is held for it, what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from msgspec import Struct

from app.base.clock import now_us
from app.base.errors import NoRoute
from app.base.money import NANO
from app.base.usage import Usage
from app.domain.billing.budget_rules import BudgetRule
from app.domain.catalog import cards, policy
from app.domain.catalog.cards import Card, Facts, Line
from app.domain.catalog.serving import BUILT_IN, CallableModel, Route
from app.domain.identity.callers import Caller
from app.gateway.formats import FORMATS
from app.gateway.request import CallRequest
from app.gateway.snapshot import Snapshot
from app.wire import order_facts, tiers
from app.wire.endpoint import Endpoint
from app.wire.order_facts import OrderFacts

_NO_FACTS = Facts(started_us=0)


class Bill(Struct, kw_only=True):
    billing: str
    """The hub's mode when the call was admitted: `off cost credits`."""
    cards: Mapping[str, Card]
    """By the id of the deployment; one that has no rates has none."""
    policy: Mapping[str, policy.Action]
    facts: Facts
    order: OrderFacts = OrderFacts()
    rules: tuple[BudgetRule, ...] = ()
    """The budgets that it counts in."""
    asked_output: int | None = None
    """What the caller bounds the answer to, in tokens."""
    is_held: bool = False
    """Whether a hold is open for it: of credits, of budgets, or of both."""
    held_nano: int = 0
    forecast: Usage = Usage()
    """What was expected of it when it was let in."""
    watched_tokens: int | None = None
    """Of a stream that is charged: it may write so many before its hold has to grow. None: it is not watched."""
    slice_tokens: int = 0
    most_output: int | None = None
    """What its answer is bounded to, where the credits allow no more; None as the caller asked."""
    is_cut: bool = False
    """Whether the hub ended its stream because there was no credit left."""

    @property
    def charges(self) -> bool:
        return self.billing == "credits"

    @property
    def counts(self) -> bool:
        """Whether money or budgets play any part."""
        return self.billing != "off" or bool(self.rules)

    def dearest_cost(self, usage: Usage) -> int:
        """What the usage costs, in nano-USD, at the dearest of those deployments."""
        dearest = 0
        for card in self.cards.values():
            dearest = max(dearest, cards.cost(card, usage, self.facts) or 0)
        return dearest

    def dearest(self, usage: Usage) -> int:
        """What the usage is charged at the dearest of the deployments that may serve it."""
        dearest = 0
        for card in self.cards.values():
            dearest = max(dearest, cards.charge(card, usage, self.facts) or 0)
        return dearest


def open_bill(snapshot: Snapshot, caller: Caller, model: CallableModel, request: CallRequest) -> Bill:
    """The bill of a call that begins now, by today's prices."""
    rules = snapshot.budgets.of(caller.team_id, caller.key_id, caller.user_id, request.project, model.name)
    if snapshot.billing == "off" and not rules:
        return Bill(billing="off", cards={}, policy=snapshot.policy, facts=_NO_FACTS)
    order = order_facts.order_facts(request.body, request.endpoint)
    found: dict[str, Card] = {}
    if snapshot.billing != "off":
        for route in model.routes:
            card = card_for(snapshot, caller, route)
            if card is not None:
                found[route.id] = card
    return Bill(
        billing=snapshot.billing,
        cards=found,
        policy=snapshot.policy,
        facts=_facts(request, order),
        order=order,
        rules=tuple(rules),
        asked_output=asked_output(request),
    )


def card_for(snapshot: Snapshot, caller: Caller, route: Route) -> Card | None:
    """What the deployment is sold at to the caller's team; None where it has no rates."""
    card = snapshot.prices.card(route.id, caller.markup_basis_points)
    return free_card(route.id) if card is None and route.source.id == BUILT_IN else card


@cache
def free_card(deployment_id: str) -> Card:
    """The card of a built-in model: it has no rates, and costs nobody anything."""
    meters = ("input", "output", "images", "seconds", "characters", "requests")
    return cards.make(
        deployment_id=deployment_id,
        lines=[Line(rate_id="", meter=meter, per_units=1, cost_nano=0, price_nano=0) for meter in meters],
        credit_price_nano=NANO,
        markup_basis_points=0,
    )


def priced_routes(bill: Bill, model: CallableModel, endpoint: Endpoint) -> CallableModel:
    """The model with those deployments alone that have a price, where credits are charged. Unpriced is not free.

    Raises:
        NoRoute: none has. The caller is not told why; the administrator is, by `hub doctor` and the log.
    """
    if not bill.charges:
        return model
    priced = tuple(route for route in model.routes if is_priced(bill, route.id, endpoint))
    if len(priced) == len(model.routes):
        return model
    if not priced:
        raise NoRoute(f"{model.name} cannot be called at the moment. The hub's administrator can see why.")
    return CallableModel(
        name=model.name,
        type=model.type,
        aliases=model.aliases,
        routes=priced,
        created_at=model.created_at,
        is_demo=model.is_demo,
    )


def is_priced(bill: Bill, deployment_id: str, endpoint: Endpoint) -> bool:
    card = bill.cards.get(deployment_id)
    return card is not None and cards.is_priced(card, endpoint.meters)


def _facts(request: CallRequest, order: OrderFacts) -> Facts:
    return Facts(
        service_tier=tiers.requested_tier(request.body),
        size=order.size,
        quality=order.quality,
        started_us=now_us(),
    )


def asked_output(request: CallRequest) -> int | None:
    """What the caller bounds the answer to, in tokens, where its format has a word for that."""
    face = FORMATS[request.endpoint.name]
    bounded = face.client or face.passing
    return None if bounded is None else bounded.most_output(request.body)
