"""`GET /v1/models` and `/v1/models/{id}`: what this key may call. Ids contain slashes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from app.domain.catalog.serving import CallableModel
from app.gateway.admission import find_model
from app.gateway.availability import callable_models
from app.web.api.visit import Visit
from app.wire.anthropic import client as anthropic
from app.wire.gemini import client as gemini
from app.wire.openai import client


async def answer(visit: Visit) -> None:
    """
    Raises:
        NotAuthenticated
        NotFound, NotAllowed: as for a call.
    """
    if b"x-goog-api-key" in visit.headers or b"x-goog-api-client" in visit.headers:
        # Google's library asks under `/v1` too.
        await answer_gemini(visit)
        return
    if b"anthropic-version" in visit.headers:
        await answer_anthropic(visit)
        return
    caller = visit.caller()
    snapshot = visit.gateway.snapshots.current
    name = visit.variables.get("name")
    if name is None:
        # By name, without aliases: each model once.
        models = callable_models(snapshot, caller)
        await visit.answer(client.model_list(_entry(model) for model in models))
    else:
        await visit.answer(client.model_object(_entry(find_model(snapshot, caller, name))))


async def answer_anthropic(visit: Visit) -> None:
    """The same in Anthropic's shape, in pages.

    Raises:
        NotAuthenticated
        NotFound, NotAllowed: as for a call.
        BadRequest: a page that does not exist.
    """
    visit.door.error_body = anthropic.error_body
    caller = visit.caller()
    snapshot = visit.gateway.snapshots.current
    name = visit.variables.get("name")
    if name is None:
        models = callable_models(snapshot, caller)
        entries = [anthropic.model_entry(model.name, created=model.created_at) for model in models]
        await visit.answer(anthropic.model_page(entries, dict(parse_qsl(visit.query))))
    else:
        model = find_model(snapshot, caller, name)
        await visit.answer(anthropic.model_object(anthropic.model_entry(model.name, created=model.created_at)))


async def answer_gemini(visit: Visit) -> None:
    """The same in Gemini's shape.

    Raises:
        NotAuthenticated
        NotFound, NotAllowed: as for a call.
    """
    # Under `/v1` the path is OpenAI's, and so would its errors be.
    visit.door.error_body = gemini.error_body
    caller = visit.caller()
    snapshot = visit.gateway.snapshots.current
    name = visit.variables.get("name")
    if name is None:
        models = callable_models(snapshot, caller)
        await visit.answer(gemini.model_list(_gemini_entry(model) for model in models))
    else:
        await visit.answer(gemini.model_object(_gemini_entry(find_model(snapshot, caller, name))))


def _gemini_entry(model: CallableModel) -> dict[str, Any]:
    return gemini.model_entry(model.name, type_=model.type, owned_by=_owner(model))


def _owner(model: CallableModel) -> str:
    return min((route.source.name for route in model.routes), default="none")


def _entry(model: CallableModel) -> dict[str, Any]:
    owners = sorted({route.source.name for route in model.routes})
    return client.model_entry(
        model.name,
        created=model.created_at,
        owned_by=owners[0] if owners else "none",
        type_=model.type,
        is_demo=model.is_demo,
    )
