"""The kinds of provider that the hub knows: one row each, every fact with its source.

What a stream costs after the client left (`on_disconnect`): OpenRouter publishes where closing the connection stops
model and bill (OpenAI, Azure, Anthropic, xAI, DeepSeek, …) and where it does not (Bedrock, Google, …):
https://openrouter.ai/docs/api-reference/streaming. Where nothing is published the stream is read to its end, so that
the bill is known.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.adapters.providers import demo, signing
from app.adapters.providers.kinds import Kind
from app.adapters.providers.rows import openai_format, own_formats
from app.adapters.providers.rows.openai_format import EVERYTHING, LIKE_OPENAI

_DEMO = Kind(
    name="demo",
    title="Built-in demo",
    docs="app/adapters/providers/demo.py",
    wire="openai",
    base_url="demo:",
    paths=EVERYTHING,
    signing=signing.unsigned,
    secret_parts=(),
    usage=LIKE_OPENAI,
    fetches_urls=frozenset({"image", "audio", "file"}),
    on_disconnect="cancel",
    models_path=None,
    starter_models=demo.MODELS,
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        openai_format.OPENAI,
        own_formats.ANTHROPIC,
        own_formats.BEDROCK,
        own_formats.GOOGLE,
        openai_format.DEEPSEEK,
        openai_format.OLLAMA,
        openai_format.OPENROUTER,
        openai_format.XAI,
        openai_format.DOUBAO,
        openai_format.POE,
        own_formats.IDEOGRAM,
        openai_format.CUSTOM,
        _DEMO,
    )
}
"""By name, in the order in which people are shown them."""
