"""Whether a model can be called right now, for those who only want to know."""

from __future__ import annotations

from app.domain.catalog.serving import CallableModel
from app.gateway.formats import upstream_endpoint
from app.gateway.shared import Shared
from app.wire.endpoint import Endpoint


def is_available(shared: Shared, model: CallableModel, endpoint: Endpoint) -> bool:
    """Whether any route speaks the endpoint and has a credential that does not rest."""
    return any(
        shared.health.rests_for(credential.id, route.upstream_model) <= 0
        for route in model.routes
        if upstream_endpoint(route.source.kind, endpoint, route.upstream_model) is not None
        for credential in route.source.credentials
    )
