"""Videos out of chat completions: Poe's bots that film answer with a link when they have finished.

The provider has no job to ask for, so the order itself waits, and a restart loses it.
https://creator.poe.com/docs/external-applications/openai-compatible-api
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.wire import pictures, videos
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.notes import Notes
from app.wire.request import Outgoing
from app.wire.videos import Progress, VideoOrder

_LINK = re.compile(r"\]\((https?://[^\s)]+)\)|(https?://[^\s)\]]+\.(?:mp4|webm|mov)(?:\?[^\s)\]]*)?)", re.IGNORECASE)

default_seconds = 0


def write_video(order: VideoOrder, target: Target, notes: Notes) -> Outgoing:
    why = "a conversation has no such setting"
    videos.drop(order, notes, why, "seconds", "width", "aspect", "resolution", "negative_prompt", "seed")
    videos.drop(order, notes, why, "has_sound", "last_frame")
    content: Any = order.prompt
    if order.image is not None:
        picture = {"type": "image_url", "image_url": {"url": pictures.text_of(order.image)}}
        content = [{"type": "text", "text": order.prompt}, picture]
    fields: dict[str, Any] = {"model": target.model, "messages": [{"role": "user", "content": content}]}
    if order.user is not None:
        fields["user"] = order.user
    return Outgoing("application/json", msgspec.json.encode(fields))


class _Message(Struct):
    content: str | None = None


class _Choice(Struct):
    message: _Message = msgspec.field(default_factory=_Message)


class _Answer(Struct):
    choices: list[_Choice] = []
    error: Raw = Raw(b"null")


_decode = msgspec.json.Decoder(_Answer).decode


def read_started(content: bytes) -> str:
    """The video's address stands for the job."""
    try:
        answer = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no chat completion ({failure})") from None
    if not answer.choices:
        if bytes(answer.error) != b"null":
            raise ErrorInside(answer.error.copy())
        raise BrokenStream("an answer without choices")
    said = answer.choices[0].message.content or ""
    found = _LINK.search(said)
    if found is None:
        sentence = f"The model made no video. It said: {said[:300]}" if said else "The model made no video."
        error = {"message": sentence, "type": "invalid_request_error", "code": "no_video"}
        raise ErrorInside(Raw(msgspec.json.encode(error)))
    return found[1] or found[2]


def progress_path(job_id: str) -> str | None:
    return None


def read_progress(content: bytes, job_id: str) -> Progress:
    return Progress(state="completed", percent=100, url=job_id)
