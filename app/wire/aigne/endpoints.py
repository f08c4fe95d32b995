"""AIGNE's endpoints: the hub's own v2 routes as `@aigne/aigne-hub`, its CLI and the SDK of Blocklets call them."""

from __future__ import annotations

from app.wire.endpoint import CONVERSATION_METERS, CONVERSATION_TYPES, Endpoint

CHAT = Endpoint(
    name="aigne.chat",
    path="/api/v2/chat",
    model_types=CONVERSATION_TYPES,
    meters=CONVERSATION_METERS,
    task="conversation",
    required=(("input", "object"),),
    can_stream=True,
)
COMPLETIONS = Endpoint(
    name="aigne.completions",
    path="/api/v2/chat/completions",
    model_types=CONVERSATION_TYPES,
    meters=CONVERSATION_METERS,
    task="conversation",
    can_stream=True,
)
EMBEDDINGS = Endpoint(
    name="aigne.embeddings",
    path="/api/v2/embeddings",
    model_types=("embedding",),
    meters=("input", "requests"),
    task="embedding",
)
IMAGE = Endpoint(
    name="aigne.image",
    path="/api/v2/image",
    model_types=("image",),
    meters=("input", "output", "images", "requests"),
    task="image",
)
VIDEO = Endpoint(
    name="aigne.video",
    path="/api/v2/video",
    model_types=("video",),
    meters=("output", "seconds", "requests"),
    task="video",
    required=(("input", "object"),),
)

ENDPOINTS: tuple[Endpoint, ...] = (CHAT, COMPLETIONS, EMBEDDINGS, IMAGE, VIDEO)
