"""`GET /v1/models` and `/v1/models/{id}`: what this key may call. Ids contain slashes."""

from __future__ import annotations

from typing import Any

from app.domain.catalog.serving import CallableModel
from app.domain.identity.callers import Caller
from app.gateway.admission import find_model
from app.gateway.snapshot import Snapshot
from app.wire.openai import client


def listed(snapshot: Snapshot, caller: Caller) -> bytes:
    """By name, without aliases: each model once."""
    return client.model_list(_entry(model) for model in snapshot.catalogue() if caller.may_call(model.name))


def found(snapshot: Snapshot, caller: Caller, name: str) -> CallableModel:
    """
    Raises:
        NotFound, NotAllowed: as for a call.
    """
    return find_model(snapshot, caller, name)


def shown(model: CallableModel) -> bytes:
    return client.model_object(_entry(model))


def _entry(model: CallableModel) -> dict[str, Any]:
    owners = sorted({route.source.name for route in model.routes})
    return client.model_entry(
        model.name,
        created=model.created_at,
        owned_by=owners[0] if owners else "none",
        type_=model.type,
        is_demo=model.is_demo,
    )
