"""OpenAI's endpoints that the hub serves, as rows: what each takes, what it answers with, and what it meters."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Shape = Literal["json", "multipart"]


class Endpoint(Struct, frozen=True, kw_only=True):
    name: str
    path: str
    model_types: tuple[str, ...]
    """The types of models that can be called here."""
    meters: tuple[str, ...]
    """What a call consumes; a test refuses an endpoint without any."""
    body: Shape = "json"
    required: tuple[tuple[str, str], ...] = ()
    """(field, JSON type) that a request must have, beside `model`."""
    can_stream: bool = False
    has_usage_option: bool = False
    """Whether `stream_options.include_usage` exists, so that usage has to be asked for in streams."""
    is_binary: bool = False
    """Whether the answer is a file rather than JSON."""
    may_be_text: bool = False
    """Whether the caller can ask for plain text in place of JSON."""


_TOKENS = ("input", "cache_read", "output", "reasoning", "audio_in", "audio_out", "requests")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        name="chat.completions",
        path="/chat/completions",
        model_types=("chat", "image", "speech"),
        meters=_TOKENS,
        required=(("messages", "array"),),
        can_stream=True,
        has_usage_option=True,
    ),
    Endpoint(
        name="completions",
        path="/completions",
        model_types=("chat",),
        meters=_TOKENS,
        required=(("prompt", "string or array"),),
        can_stream=True,
        has_usage_option=True,
    ),
    Endpoint(
        name="embeddings",
        path="/embeddings",
        model_types=("embedding",),
        meters=("input", "requests"),
        required=(("input", "string or array"),),
    ),
    Endpoint(
        name="images.generations",
        path="/images/generations",
        model_types=("image",),
        meters=("input", "output", "images", "requests"),
        required=(("prompt", "string"),),
        can_stream=True,
    ),
    Endpoint(
        name="images.edits",
        path="/images/edits",
        model_types=("image",),
        meters=("input", "output", "images", "requests"),
        body="multipart",
        required=(("image", "file"), ("prompt", "string")),
        can_stream=True,
    ),
    Endpoint(
        name="audio.speech",
        path="/audio/speech",
        model_types=("speech",),
        meters=("characters", "requests"),
        required=(("input", "string"),),
        is_binary=True,
    ),
    Endpoint(
        name="audio.transcriptions",
        path="/audio/transcriptions",
        model_types=("transcription",),
        meters=("input", "output", "audio_in", "seconds", "requests"),
        body="multipart",
        required=(("file", "file"),),
        can_stream=True,
        may_be_text=True,
    ),
    Endpoint(
        name="audio.translations",
        path="/audio/translations",
        model_types=("transcription",),
        meters=("input", "output", "audio_in", "seconds", "requests"),
        body="multipart",
        required=(("file", "file"),),
        may_be_text=True,
    ),
    Endpoint(
        name="moderations",
        path="/moderations",
        model_types=("moderation",),
        meters=("requests",),
        required=(("input", "string or array"),),
    ),
)

BY_PATH = {endpoint.path: endpoint for endpoint in ENDPOINTS}
