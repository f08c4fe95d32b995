"""What can be called, for those who only want to know."""

from __future__ import annotations

from app.domain.catalog import cards
from app.domain.catalog.serving import CallableModel
from app.domain.identity.callers import Caller
from app.gateway.bill import card_for
from app.gateway.desk.price_checks import own_meters
from app.gateway.formats import upstream_endpoint
from app.gateway.shared import Shared
from app.gateway.snapshot import Snapshot
from app.wire.endpoint import Endpoint


def is_available(shared: Shared, model: CallableModel, endpoint: Endpoint) -> bool:
    """Whether any route speaks the endpoint and has a credential that does not rest."""
    return any(
        shared.health.rests_for(credential.id, route.upstream_model) <= 0
        for route in model.routes
        if upstream_endpoint(route.source.kind, endpoint, route.upstream_model) is not None
        for credential in route.source.credentials
    )


def callable_models(snapshot: Snapshot, caller: Caller) -> list[CallableModel]:
    """The models that the key may call, by name; where credits are charged, those alone that have a price."""
    models = [model for model in snapshot.catalogue() if caller.may_call(model.name)]
    if snapshot.billing != "credits":
        return models
    return [model for model in models if _is_sold(snapshot, caller, model)]


def _is_sold(snapshot: Snapshot, caller: Caller, model: CallableModel) -> bool:
    meters = own_meters(model.type)
    priced = (card_for(snapshot, caller, route) for route in model.routes)
    return any(card is not None and cards.is_priced(card, meters) for card in priced)
