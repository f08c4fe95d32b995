"""OpenAI's format on both sides: chat completions, embeddings, pictures, sound, moderations."""

from __future__ import annotations

from app.wire.endpoint import Endpoint
from app.wire.openai import body, bounds, cutting, tap
from app.wire.openai.tap import StreamTap
from app.wire.request import Request

write = body.write
most_output = bounds.most_output
read_facts = tap.read_answer
characters_of = tap.characters_of

_CHUNKS = {"chat.completions": cutting.CHAT, "completions": cutting.TEXT}


def follow(request: Request, endpoint: Endpoint) -> StreamTap:
    """A tap for a stream that answers `request`."""
    return StreamTap(
        chunks=_CHUNKS.get(endpoint.name, ""),
        model=request.model,
        wants_usage=request.wants_usage,
        asks_usage=endpoint.has_usage_option,
        carries_media=endpoint.name.startswith(("images", "audio")),
    )
