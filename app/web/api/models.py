"""`GET /v1/models` and `/v1/models/{id}`: what this key may call. Ids contain slashes."""

from __future__ import annotations

from typing import Any

from app.domain.catalog.serving import CallableModel
from app.gateway.admission import find_model
from app.web.api.visit import Visit
from app.wire.openai import client


async def answer(visit: Visit) -> None:
    """
    Raises:
        NotAuthenticated
        NotFound, NotAllowed: as for a call.
    """
    caller = visit.caller()
    snapshot = visit.gateway.snapshots.current
    name = visit.variables.get("name")
    if name is None:
        # By name, without aliases: each model once.
        models = [model for model in snapshot.catalogue() if caller.may_call(model.name)]
        await visit.answer(client.model_list(_entry(model) for model in models))
    else:
        await visit.answer(client.model_object(_entry(find_model(snapshot, caller, name))))


def _entry(model: CallableModel) -> dict[str, Any]:
    owners = sorted({route.source.name for route in model.routes})
    return client.model_entry(
        model.name,
        created=model.created_at,
        owned_by=owners[0] if owners else "none",
        type_=model.type,
        is_demo=model.is_demo,
    )
