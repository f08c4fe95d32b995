"""Anthropic's endpoints that the hub serves.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from app.wire.endpoint import CONVERSATION_METERS, CONVERSATION_TYPES, Endpoint

MESSAGES = Endpoint(
    name="messages",
    path="/messages",
    model_types=CONVERSATION_TYPES,
    meters=CONVERSATION_METERS,
    task="conversation",
    required=(("messages", "array"),),
    can_stream=True,
)
COUNT_TOKENS = Endpoint(
    name="messages.count_tokens",
    path="/messages/count_tokens",
    model_types=CONVERSATION_TYPES,
    meters=("requests",),
    required=(("messages", "array"),),
)
ENDPOINTS: tuple[Endpoint, ...] = (MESSAGES, COUNT_TOKENS)
