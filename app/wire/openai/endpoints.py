"""OpenAI's endpoints that the hub serves, as rows: what each takes, what it answers with, and what it meters."""

from __future__ import annotations

from app.wire.endpoint import CONVERSATION_METERS, CONVERSATION_TYPES, Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        name="chat.completions",
        path="/chat/completions",
        model_types=CONVERSATION_TYPES,
        meters=CONVERSATION_METERS,
        task="conversation",
        required=(("messages", "array"),),
        can_stream=True,
        has_usage_option=True,
    ),
    Endpoint(
        name="completions",
        path="/completions",
        model_types=("chat",),
        meters=CONVERSATION_METERS,
        required=(("prompt", "string or array"),),
        can_stream=True,
        has_usage_option=True,
    ),
    Endpoint(
        name="embeddings",
        path="/embeddings",
        model_types=("embedding",),
        task="embedding",
        meters=("input", "requests"),
        required=(("input", "string or array"),),
    ),
    Endpoint(
        name="images.generations",
        path="/images/generations",
        task="image",
        model_types=("image",),
        meters=("input", "output", "images", "requests"),
        required=(("prompt", "string"),),
        can_stream=True,
    ),
    Endpoint(
        name="images.edits",
        path="/images/edits",
        task="image",
        model_types=("image",),
        meters=("input", "output", "images", "requests"),
        body="multipart",
        required=(("image", "file"), ("prompt", "string")),
        can_stream=True,
    ),
    Endpoint(
        name="videos",
        path="/videos",
        task="video",
        model_types=("video",),
        meters=("output", "seconds", "requests"),
        body="either",
        required=(("prompt", "string"),),
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
