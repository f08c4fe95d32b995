"""What is wrong with prices: what cannot be sold, what is sold at a loss, where a provider charges otherwise."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence

from msgspec import Struct

from app.adapters.providers.registry import KINDS
from app.base.db import AsyncSession
from app.base.money import show_nano
from app.domain.catalog import cards, deployments, notices, providers, supposed
from app.domain.catalog.pricing import Prices
from app.wire.openai.endpoints import ENDPOINTS

_SOLD_BY = {
    "chat": ("input", "output"),
    "embedding": ("input",),
    "image": ("images",),
    "video": ("seconds",),
    "speech": ("characters",),
    "transcription": ("seconds",),
    "moderation": ("requests",),
}
"""Type of model → the meters that it is usually sold by."""


class Fault(Struct, frozen=True, kw_only=True):
    """One thing to mend, of one model at one provider."""

    kind: str
    """`unpriced` (no call can be charged, so there are none), `below_cost`, or that of a notice, such as `drift`."""
    model: str
    provider: str
    sentence: str
    command: str
    """What mends it; amounts are for whoever types it to fill in."""


async def faults(session: AsyncSession, billing: str, prices: Prices) -> list[Fault]:
    """The worst first; `prices` are those in force. Without credits nothing is sold: then only notices count."""
    found: list[Fault] = []
    names = {provider.id: provider for provider in await providers.listed(session)}
    models = {model.id: model for model in await deployments.models(session)}
    routes = {route.id: route for route in await deployments.listed(session)}
    if billing == "credits":
        for route in routes.values():
            provider, model = names[route.provider_id], models[route.model_id]
            if provider.is_enabled and provider.kind in KINDS and not _can_be_charged(prices, route.id, model.type):
                found.append(_unpriced(model.name, model.type, provider.name))
        for one in supposed.below_cost(prices):
            route = routes.get(one.line.deployment_id)
            if route is not None:
                found.append(_below_cost(models[route.model_id].name, names[route.provider_id].name, one))
    for notice in await notices.all_of(session):
        route = routes.get(notice.deployment_id)
        if route is not None:
            model, provider = models[route.model_id].name, names[route.provider_id].name
            command = f"hub prices diff --provider {provider}"
            found.append(Fault(kind=notice.kind, model=model, provider=provider, sentence=notice.text, command=command))
    return found


def own_meters(model_type: str) -> Sequence[str]:
    """What is counted at the endpoint that is made for models of this type, not at another one that takes them too."""
    fitting = [endpoint for endpoint in ENDPOINTS if model_type in endpoint.model_types]
    return min(fitting, key=lambda endpoint: len(endpoint.model_types)).meters


def _can_be_charged(prices: Prices, deployment_id: str, model_type: str) -> bool:
    card = prices.card(deployment_id, None)
    return card is not None and cards.is_priced(card, own_meters(model_type))


def _unpriced(model: str, type_: str, provider: str) -> Fault:
    amounts = " ".join(f"--price {meter}=…" for meter in _SOLD_BY[type_])
    return Fault(
        kind="unpriced",
        model=model,
        provider=provider,
        sentence=f"{model} at {provider} has no price, so nobody can call it there. Unpriced is not free.",
        command=f"hub reprice apply {_names([model, provider])} {_scope(model, provider)} {amounts}",
    )


def _below_cost(model: str, provider: str, one: supposed.BelowCost) -> Fault:
    when = "" if one.line.condition.is_empty else f" ({one.line.condition.key})"
    what = f"{one.line.meter}{when} of {model} at {provider}"
    if one.charged_nano < one.floor_nano:
        sentence = f"{what} is sold at a loss: for {show_nano(one.charged_nano)} credits; it costs "
    else:
        sentence = f"{what} is priced at {show_nano(one.wanted_nano)} credits, below its cost, which is charged: "
    command = "hub settings set sell_below_cost off"
    if one.line.price_nano is not None:
        name, scope = _names([model, "by markup"]), _scope(model, provider)
        command = f"hub reprice apply {name} {scope} --meter {one.line.meter} --back-to-markup"
    return Fault(
        kind="below_cost",
        model=model,
        provider=provider,
        sentence=f"{sentence}{show_nano(one.floor_nano)} per {one.line.per_units}.",
        command=command,
    )


def _names(words: Collection[str]) -> str:
    return shlex.quote(" ".join(words))


def _scope(model: str, provider: str) -> str:
    return f"--model {shlex.quote(model)} --provider {provider}"
