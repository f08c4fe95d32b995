"""An endpoint is one format of one task: what a request there looks like, what it answers with, and what it meters.

Two endpoints of the same task can stand for each other: a request that came in at one is read into the task's neutral
form and written for the other.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Shape = Literal["json", "multipart", "either"]
Task = Literal["conversation", "embedding", "image", "video"]


class Endpoint(Struct, frozen=True, kw_only=True):
    name: str
    """Ours, unique over all formats: `chat.completions`, `messages`."""
    path: str
    """Below the door's root; `{model}` where the format has the model in its path."""
    model_types: tuple[str, ...]
    """The types of models that can be called here."""
    meters: tuple[str, ...]
    """What a call consumes; a test refuses an endpoint without any."""
    task: Task | None = None
    """None: only a provider of the same format can serve it."""
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


CONVERSATION_METERS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_in",
    "audio_out",
    "web_searches",
    "requests",
)
CONVERSATION_TYPES = ("chat", "image", "speech")
"""Some models that draw or speak do it inside a conversation."""
