"""AIGNE's lists of models, and whether one can be called: `/api/ai/models`, `…/chat/models`, `/api/v2/status`.

The list and the status are open to all, because clients ask for them before they have a key; whoever brings a key sees
what it may call. No list names credentials, addresses or what they cost us. Rates are texts, and a status is an object:
clients refuse numbers and words.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.adapters.providers.registry import KINDS
from app.base.errors import AppError, NotFound
from app.domain.catalog import prices
from app.domain.catalog.prices import UNPRICED, Price
from app.domain.catalog.serving import CallableModel
from app.domain.identity.callers import Caller
from app.gateway import admission
from app.gateway.availability import is_available
from app.web.api.aigne_query import Query, caller_of, encode
from app.web.api.visit import Visit
from app.wire.aigne import endpoints
from app.wire.aigne.client import DEFAULT_MODELS

_ENDPOINTS = {endpoint.model_types[0]: endpoint for endpoint in endpoints.ENDPOINTS}
_TYPES = {"chat": "chat", "image": "image_generation", "embedding": "embedding", "video": "video"}
"""Our type of a model → AIGNE's."""
_ASKED_TYPES = {
    "chat": "chat",
    "chatcompletion": "chat",
    "image": "image",
    "image_generation": "image",
    "imagegeneration": "image",
    "embedding": "embedding",
    "video": "video",
}
_NO_PROVIDER = "aignehub"
"""In the place of a provider where a public name has none: clients put it before the name, and the hub takes it off."""
_PER_MILLION_TOKENS, _PER_PIECE = -15, -9
"""Powers of ten from nano-credits per million tokens, or per picture, to credits per one of them."""


async def list_public(visit: Visit) -> None:
    """`GET /api/ai/models`."""
    caller = caller_of(visit) if b"authorization" in visit.headers else None
    await visit.answer(encode(_entries(visit, caller)))


async def list_for_key(visit: Visit) -> None:
    """`GET /api/ai-providers/models`."""
    await visit.answer(encode(_entries(visit, caller_of(visit))))


async def list_grouped(visit: Visit) -> None:
    """`GET …/chat/models`: one entry for each bare name, with its rate at every provider."""
    grouped: dict[str, dict[str, Any]] = {}
    for entry in _entries(visit, caller_of(visit)):
        found = grouped.setdefault(
            entry["model"], {"model": entry["model"], "description": "", "rates": [], "providers": []}
        )
        provider = {"id": entry["providerId"], "name": entry["provider"], "displayName": entry["providerDisplayName"]}
        found["rates"].append(
            {
                "id": entry["key"],
                "type": entry["type"],
                "inputRate": entry["input_credits_per_token"],
                "outputRate": entry["output_credits_per_token"],
                "provider": provider,
                "description": "",
            }
        )
        found["providers"].append(provider)
    await visit.answer(encode(list(grouped.values())))


async def status(visit: Visit) -> None:
    """`GET /api/v2/status?model=`: always 200; `error` and `code` say what stands against it."""
    name = Query(visit).text("model") or DEFAULT_MODELS["conversation"]
    try:
        caller = caller_of(visit) if b"authorization" in visit.headers else None
        available = _is_served(visit, _find(visit, caller, name))
    except AppError as error:
        await visit.answer(encode({"available": False, "error": error.sentence, "code": error.http_status}))
        return
    body: dict[str, Any] = {"available": available}
    if not available:
        body |= {"error": f"No provider can serve {name} at the moment.", "code": 503}
    await visit.answer(encode(body))


async def status_of_old(visit: Visit) -> None:
    """`GET /api/v1/status`: whether any chat model can be called."""
    models = visit.gateway.snapshots.current.catalogue()
    await visit.answer(
        encode({"available": any(model.type == "chat" and _is_served(visit, model) for model in models)})
    )


def _find(visit: Visit, caller: Caller | None, name: str) -> CallableModel:
    snapshot = visit.gateway.snapshots.current
    if caller is not None:
        return admission.find_model(snapshot, caller, name)
    model = snapshot.models.get(name) or snapshot.models.get(name.removeprefix(admission.HUB_PREFIX))
    if model is None:
        raise NotFound(f"There is no model {name[:80]}.", param="model", code="model_not_found")
    return model


def _entries(visit: Visit, caller: Caller | None) -> list[dict[str, Any]]:
    asked = Query(visit).text("type")
    wanted = _TYPES if asked is None else {_ASKED_TYPES.get(asked.lower().replace("-", "_"), "")}
    snapshot = visit.gateway.snapshots.current
    markup = None if caller is None else caller.markup_basis_points
    return [
        _entry(
            visit, model, prices.of_model(model, snapshot.prices, markup) if snapshot.billing == "credits" else UNPRICED
        )
        for model in snapshot.catalogue()
        if model.type in wanted and (caller is None or caller.may_call(model.name))
    ]


def _entry(visit: Visit, model: CallableModel, price: Price) -> dict[str, Any]:
    provider, _, name = model.name.rpartition("/") if "/" not in model.name else model.name.partition("/")
    provider = provider or _NO_PROVIDER
    is_by_piece = model.type in ("image", "video")
    output = price.piece_nano if is_by_piece else price.output_nano
    return {
        "key": model.name,
        "model": name,
        "type": _TYPES[model.type],
        "provider": provider,
        "providerId": provider,
        "input_credits_per_token": _credits(price.input_nano, _PER_MILLION_TOKENS),
        "output_credits_per_token": _credits(output, _PER_PIECE if is_by_piece else _PER_MILLION_TOKENS),
        "modelMetadata": None,
        "providerDisplayName": _title(model, provider),
        "status": {"available": _is_served(visit, model)},
    }


def _title(model: CallableModel, provider: str) -> str:
    kind = KINDS.get(provider)
    if kind is not None:
        return kind.title
    return model.routes[0].source.kind.title if model.routes else provider


def _credits(nano: int | None, power: int) -> str:
    """Credits as a plain decimal; `0` also where there is no price."""
    text = f"{Decimal(nano or 0).scaleb(power):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_served(visit: Visit, model: CallableModel) -> bool:
    endpoint = _ENDPOINTS.get(model.type)
    return endpoint is not None and is_available(visit.gateway.shared, model, endpoint)
