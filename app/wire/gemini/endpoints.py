"""Gemini's endpoints that the hub serves, as rows. The model and the action stand in the path.

https://ai.google.dev/api/generate-content, …/tokens, …/embeddings
"""

from __future__ import annotations

from app.wire.endpoint import CONVERSATION_METERS, CONVERSATION_TYPES, Endpoint

GENERATE_CONTENT = Endpoint(
    name="generate_content",
    path="/models/{model}:generateContent",
    model_types=CONVERSATION_TYPES,
    meters=CONVERSATION_METERS,
    task="conversation",
    required=(("contents", "array"),),
    can_stream=True,
)
COUNT_TOKENS = Endpoint(
    name="gemini.count_tokens",
    path="/models/{model}:countTokens",
    model_types=(*CONVERSATION_TYPES, "embedding"),
    meters=("requests",),
)
EMBED = Endpoint(
    name="gemini.embed",
    path="/models/{model}:embedContent",
    model_types=("embedding",),
    task="embedding",
    meters=("input", "requests"),
    required=(("content", "object"),),
)
BATCH_EMBED = Endpoint(
    name="gemini.batch_embed",
    path="/models/{model}:batchEmbedContents",
    model_types=("embedding",),
    task="embedding",
    meters=("input", "requests"),
    required=(("requests", "array"),),
)

ENDPOINTS: tuple[Endpoint, ...] = (GENERATE_CONTENT, COUNT_TOKENS, EMBED, BATCH_EMBED)

STREAM_ACTION = "streamGenerateContent"
