"""The neutral forms of tasks that are one question and one answer: vectors and pictures."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from app.wire.neutral import Source


class EmbeddingOrder(Struct, frozen=True, kw_only=True):
    texts: tuple[str, ...]
    dimensions: int | None = None
    purpose: str | None = None
    """Gemini's task type or Cohere's input type, as the client wrote it."""
    is_base64: bool = False
    """Whether the client wants each vector as base64 of little-endian float32, as OpenAI's libraries ask by default."""
    user: str | None = None
    unread: tuple[str, ...] = ()


class Embeddings(Struct, frozen=True, kw_only=True):
    vectors: tuple[tuple[float, ...], ...]
    """In the order of the texts."""
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
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    media_type: str | None = None
    """`image/png`, as wanted."""
    negative_prompt: str | None = None
    seed: int | None = None
    images: tuple[Source, ...] = ()
    """Pictures to start from."""
    mask: Source | None = None
    delivery: Literal["url", "inline"] | None = None
    """How the client wants to get them; None: as its format does by default."""
    user: str | None = None
    unread: tuple[str, ...] = ()


class Picture(Struct, frozen=True, kw_only=True):
    source: Source
    revised_prompt: str | None = None


class Pictures(Struct, frozen=True, kw_only=True):
    pictures: tuple[Picture, ...]
    usage: Raw | None = None
    upstream_id: str | None = None


Order = EmbeddingOrder | ImageOrder
Result = Embeddings | Pictures
