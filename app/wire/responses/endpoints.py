"""The one endpoint of the Responses API that calls a model. What is stored of its answers is read elsewhere."""

from __future__ import annotations

from app.wire.endpoint import CONVERSATION_METERS, CONVERSATION_TYPES, Endpoint

RESPONSES = Endpoint(
    name="responses",
    path="/responses",
    model_types=CONVERSATION_TYPES,
    meters=CONVERSATION_METERS,
    task="conversation",
    required=(("input", "string or array"),),
    can_stream=True,
)
ENDPOINTS: tuple[Endpoint, ...] = (RESPONSES,)
