"""xAI's videos: an order gives a request id, which is asked until the video's address comes.

https://docs.x.ai/developers/model-capabilities/video/generation and
https://docs.x.ai/developers/rest-api-reference/inference/videos
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.wire import pictures, videos
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.notes import Notes
from app.wire.request import Outgoing
from app.wire.videos import Progress, VideoOrder

_LENGTHS = tuple(range(1, 16))
_SHAPES = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")

default_seconds = 8


def write_video(order: VideoOrder, target: Target, notes: Notes) -> Outgoing:
    why = "xAI has no such field"
    videos.drop(order, notes, why, "negative_prompt", "seed", "has_sound", "last_frame", "user")
    # 1080p came with grok-imagine-video-1.5.
    fineness = ("480p", "720p") if target.model == "grok-imagine-video" else ("480p", "720p", "1080p")
    fields: dict[str, Any] = {
        "model": target.model,
        "prompt": order.prompt,
        "duration": videos.seconds_for(order, _LENGTHS, notes),
        "aspect_ratio": videos.shape_for(order, _SHAPES, notes),
        "resolution": videos.resolution_for(order, fineness, notes),
        "image": {"url": pictures.text_of(order.image)} if order.image is not None else None,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    return Outgoing("application/json", msgspec.json.encode(fields))


class _Video(Struct):
    url: str | None = None
    duration: float | None = None
    respect_moderation: bool = True


class _Job(Struct):
    request_id: str | None = None
    status: str | None = None
    progress: float | None = None
    video: _Video | None = None
    usage: Raw = Raw(b"null")
    error: Raw = Raw(b"null")


_decode = msgspec.json.Decoder(_Job).decode


def read_started(content: bytes) -> str:
    job = _read(content)
    if job.request_id is None:
        if bytes(job.error) != b"null":
            raise ErrorInside(job.error.copy())
        raise BrokenStream("a job without an id")
    return job.request_id


def progress_path(job_id: str) -> str | None:
    return f"/videos/{job_id}"


def read_progress(content: bytes, job_id: str) -> Progress:
    job = _read(content)
    usage = job.usage.copy() if bytes(job.usage) != b"null" else None
    video = job.video
    if job.status in ("failed", "expired") or bytes(job.error) != b"null":
        error = job.error if bytes(job.error) != b"null" else _sentence(f"The generation has {job.status}.", None)
        return Progress(state="failed", usage=usage, error=error.copy())
    if video is not None and not video.respect_moderation:
        said = "The video did not pass xAI's moderation."
        return Progress(state="failed", usage=usage, error=_sentence(said, "content_policy_violation"))
    if job.status == "done" or (job.status is None and video is not None):
        if video is None or not video.url:
            raise BrokenStream("a video without an address")
        seconds = round(video.duration) if video.duration is not None else None
        return Progress(state="completed", percent=100, url=video.url, seconds=seconds, usage=usage)
    return Progress(state="in_progress", percent=int(job.progress) if job.progress is not None else None)


def _sentence(message: str, code: str | None) -> Raw:
    return Raw(msgspec.json.encode({"message": message, "code": code}))


def _read(content: bytes) -> _Job:
    try:
        return _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no job ({failure})") from None
