"""The neutral forms of tasks that are one question and one answer: vectors and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.wire.neutral import File, Image, Source, Text


class EmbeddingOrder(Struct, frozen=True, kw_only=True):
    """Of `texts` and `parts` one is empty."""

    texts: tuple[str, ...] = ()
    """Each gets a vector."""
    parts: tuple[Text | Image | File, ...] = ()
    """They get one vector together; a `File` is a video."""
    dimensions: int | None = None
    purpose: str | None = None
    """Gemini's task type or Cohere's input type, as the client wrote it."""
    is_base64: bool = False
    """Whether the client wants each vector as base64 of little-endian float32, as OpenAI's libraries ask by default."""
    user: str | None = None
    unread: tuple[str, ...] = ()

    def texts_alone(self) -> tuple[str, ...]:
        """For those who take nothing else.

        Raises:
            BadRequest: there are parts in place of texts.
        """
        if self.parts:
            raise BadRequest("This model takes a text or several in input, and no parts.", param="input")
        return self.texts


class Embeddings(Struct, frozen=True, kw_only=True):
    vectors: tuple[tuple[float, ...], ...]
    """In the order of the texts; of parts there is one."""
    usage: Raw | None = None
    upstream_id: str | None = None


class ImageOrder(Struct, frozen=True, kw_only=True):
    prompt: str
    n: int = 1
    width: int | None = None
    height: int | None = None
    """Both or none, in pixels."""
    aspect: str | None = None
    """`16:9`, where the client says a shape in place of a size."""
    resolution: str | None = None
    """`1K`, `2K`, `4K`, where the client says how fine it should be in place of a size."""
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    media_type: str | None = None
    """`image/png`, as wanted."""
    compression: int | None = None
    """Of JPEG and WebP, 0 to 100."""
    moderation: str | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    images: tuple[Source, ...] = ()
    """Pictures to start from."""
    mask: Source | None = None
    """Where the first of them may be changed: OpenAI's kind, transparent there."""
    delivery: Literal["url", "inline"] | None = None
    """How the client wants to get them; None: as its format does by default."""
    is_streamed: bool = False
    """Whether the client waits for events; what is drawn comes as the last one."""
    user: str | None = None
    places: Mapping[str, str] = {}
    """Our name of a setting (`width`) → its path in the client's document; only of those that stood there."""
    extras: Mapping[str, Raw] = {}
    """Fields that the hub has no word for, as the client wrote them: a provider of the same format may know them."""
    unread: tuple[str, ...] = ()
    """The paths of `extras`, and of what is lost wherever the order goes."""

    def at(self, setting: str) -> str:
        """Where the client wrote a setting, for a note or an error."""
        return self.places.get(setting, setting)


class Picture(Struct, frozen=True, kw_only=True):
    source: Source
    revised_prompt: str | None = None
    """What the provider made of the prompt before it drew."""


class Pictures(Struct, frozen=True, kw_only=True):
    pictures: tuple[Picture, ...]
    usage: Raw | None = None
    upstream_id: str | None = None


Order = EmbeddingOrder | ImageOrder
Result = Embeddings | Pictures
