"""Every format that the hub speaks: one row per endpoint, with its faces.

`client` is there where callers may speak it, `upstream` where a provider may, `passing` where it can be the same on
both sides and nothing is translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

from msgspec import Struct

from app.adapters.providers.kinds import Kind
from app.adapters.providers.registry import KINDS
from app.wire import by_piece
from app.wire.aigne import chat_client as aigne_chat
from app.wire.aigne import completions_client as aigne_completions
from app.wire.aigne import embedding_client as aigne_embeddings
from app.wire.aigne import image_client as aigne_image
from app.wire.aigne import video_client as aigne_video
from app.wire.anthropic import client as anthropic_client
from app.wire.anthropic import passing as anthropic_passing
from app.wire.anthropic import upstream as anthropic_upstream
from app.wire.anthropic import usage as anthropic_usage
from app.wire.bedrock import converse
from app.wire.bedrock import embed as bedrock_embed
from app.wire.bedrock import image as bedrock_image
from app.wire.bedrock import usage as bedrock_usage
from app.wire.endpoint import Endpoint, Task
from app.wire.faces import (
    ConversationClient,
    ConversationUpstream,
    OrderClient,
    OrderUpstream,
    Passing,
    UsageReader,
)
from app.wire.gemini import chat_client as gemini_client
from app.wire.gemini import chat_upstream as gemini_upstream
from app.wire.gemini import embeddings as gemini_embeddings
from app.wire.gemini import images as gemini_images
from app.wire.gemini import passing as gemini_passing
from app.wire.gemini import usage as gemini_usage
from app.wire.gemini import veo
from app.wire.ideogram import images as ideogram_images
from app.wire.openai import (
    ark_embeddings,
    ark_videos,
    chat_client,
    chat_images,
    chat_upstream,
    chat_videos,
    images_client,
    images_upstream,
    passing,
    videos_client,
    videos_upstream,
    xai_videos,
)
from app.wire.openai import embeddings as openai_embeddings
from app.wire.openai import usage as openai_usage
from app.wire.responses import client as responses_client
from app.wire.responses import passing as responses_passing
from app.wire.responses import upstream as responses_upstream
from app.wire.responses import usage as responses_usage
from app.wire.videos import VideoClient, VideoUpstream


class Format(Struct, frozen=True, kw_only=True):
    task: Task | None = None
    read_usage: UsageReader
    passing: Passing | None = None
    client: ConversationClient | None = None
    upstream: ConversationUpstream | None = None
    order_client: OrderClient | None = None
    order_upstream: OrderUpstream | None = None
    video_client: VideoClient | None = None
    video_upstream: VideoUpstream | None = None
    stream_media: str = "text/event-stream"
    """The content type of a provider's stream."""
    is_by_piece: bool = False
    """Whether its providers bill pictures or seconds alone and report no tokens, so that nothing is estimated."""
    keeps_extras: bool = False
    """Whether its upstream face itself passes on, or notes, what an order's client wrote beside the neutral form."""

    @property
    def is_spoken(self) -> bool:
        """Whether callers' requests in it can be translated."""
        return (self.client or self.order_client or self.video_client) is not None

    @property
    def is_answered(self) -> bool:
        """Whether requests can be translated into it."""
        return (self.upstream or self.order_upstream or self.video_upstream) is not None


_OPENAI = Format(read_usage=openai_usage.read_usage, passing=passing)

FORMATS: Mapping[str, Format] = {
    "chat.completions": Format(
        task="conversation",
        read_usage=openai_usage.read_usage,
        passing=passing,
        client=chat_client,
        upstream=chat_upstream,
    ),
    "responses": Format(
        task="conversation",
        read_usage=responses_usage.read_usage,
        passing=responses_passing,
        client=responses_client,
        upstream=responses_upstream,
    ),
    "completions": _OPENAI,
    "embeddings": Format(
        task="embedding",
        read_usage=openai_usage.read_usage,
        passing=passing,
        order_client=openai_embeddings,
        order_upstream=openai_embeddings,
    ),
    "ark.embed": Format(task="embedding", read_usage=ark_embeddings.read_usage, order_upstream=ark_embeddings),
    "images.generations": Format(
        task="image",
        read_usage=openai_usage.read_usage,
        passing=passing,
        order_client=images_client,
        order_upstream=images_upstream,
        keeps_extras=True,
    ),
    "images.edits": Format(
        task="image", read_usage=openai_usage.read_usage, passing=passing, order_client=images_client
    ),
    "chat.images": Format(task="image", read_usage=openai_usage.read_usage, order_upstream=chat_images),
    "gemini.image": Format(
        task="image", read_usage=gemini_usage.read_usage, order_upstream=gemini_images, is_by_piece=True
    ),
    "ideogram.image": Format(
        task="image", read_usage=by_piece.read_usage, order_upstream=ideogram_images, is_by_piece=True
    ),
    "videos": Format(
        task="video",
        read_usage=by_piece.read_usage,
        video_client=videos_client,
        video_upstream=videos_upstream,
        is_by_piece=True,
    ),
    "veo": Format(task="video", read_usage=by_piece.read_usage, video_upstream=veo, is_by_piece=True),
    "ark.videos": Format(task="video", read_usage=ark_videos.read_usage, video_upstream=ark_videos),
    "xai.videos": Format(task="video", read_usage=by_piece.read_usage, video_upstream=xai_videos, is_by_piece=True),
    "chat.videos": Format(task="video", read_usage=by_piece.read_usage, video_upstream=chat_videos, is_by_piece=True),
    "audio.speech": _OPENAI,
    "audio.transcriptions": _OPENAI,
    "audio.translations": _OPENAI,
    "moderations": _OPENAI,
    "messages": Format(
        task="conversation",
        read_usage=anthropic_usage.read_usage,
        passing=anthropic_passing,
        client=anthropic_client,
        upstream=anthropic_upstream,
    ),
    "messages.count_tokens": Format(read_usage=anthropic_usage.read_usage, passing=anthropic_passing),
    "generate_content": Format(
        task="conversation",
        read_usage=gemini_usage.read_usage,
        passing=gemini_passing,
        client=gemini_client,
        upstream=gemini_upstream,
    ),
    "gemini.count_tokens": Format(read_usage=gemini_usage.read_usage, passing=gemini_passing),
    "gemini.batch_embed": Format(
        task="embedding",
        read_usage=gemini_usage.read_usage,
        passing=gemini_passing,
        order_client=gemini_embeddings.batch,
        order_upstream=gemini_embeddings,
    ),
    # Upstream many texts go in one batch, so this one is a client's alone.
    "gemini.embed": Format(
        task="embedding",
        read_usage=gemini_usage.read_usage,
        passing=gemini_passing,
        order_client=gemini_embeddings.one,
    ),
    # No provider answers in AIGNE's format, so nothing is ever read from it.
    "aigne.chat": Format(task="conversation", read_usage=by_piece.read_usage, client=aigne_chat),
    "aigne.completions": Format(task="conversation", read_usage=by_piece.read_usage, client=aigne_completions),
    "aigne.embeddings": Format(task="embedding", read_usage=by_piece.read_usage, order_client=aigne_embeddings),
    "aigne.image": Format(task="image", read_usage=by_piece.read_usage, order_client=aigne_image),
    "aigne.video": Format(task="video", read_usage=by_piece.read_usage, video_client=aigne_video),
    "converse": Format(
        task="conversation",
        read_usage=bedrock_usage.read_usage,
        upstream=converse,
        stream_media="application/vnd.amazon.eventstream",
    ),
    "bedrock.embed": Format(task="embedding", read_usage=bedrock_usage.read_usage, order_upstream=bedrock_embed),
    "bedrock.image": Format(
        task="image", read_usage=by_piece.read_usage, order_upstream=bedrock_image, is_by_piece=True
    ),
}


def upstream_endpoint(kind: Kind, endpoint: Endpoint, model: str) -> str | None:
    """At which of a provider's endpoints a call of its `model` (the provider's own name) is served: where that model
    alone is, else at the call's own endpoint where there is one, else at the first of its task."""
    for pattern, name in kind.served_at.items():
        if fnmatchcase(model, pattern) and _is_translated(endpoint.name, name):
            return name
    return endpoint.name if endpoint.name in kind.paths else _translated_to(kind.name, endpoint.name)


@cache
def _translated_to(kind_name: str, endpoint_name: str) -> str | None:
    return next((name for name in KINDS[kind_name].paths if _is_translated(endpoint_name, name)), None)


def _is_translated(own_name: str, name: str) -> bool:
    """Whether calls of one endpoint can be answered by another one."""
    own, theirs = FORMATS.get(own_name), FORMATS.get(name)
    if own is None or theirs is None or own.task is None:
        return False
    return own.is_spoken and theirs.is_answered and theirs.task == own.task
