"""Volcengine's videos (Seedance): tasks of content generation.

https://www.volcengine.com/docs/82379/1520757 (create) and https://www.volcengine.com/docs/82379/1521309 (query)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.usage import NotAPartition, Usage
from app.wire import pictures, videos
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.request import Outgoing
from app.wire.rules import UsageRule
from app.wire.videos import Progress, State, VideoOrder

_PATH = "/contents/generations/tasks"
_LENGTHS = tuple(range(2, 31))
_SHAPES = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
_FINENESSES = ("480p", "720p", "1080p")
_STATES: dict[str, State] = {
    "queued": "queued",
    "running": "in_progress",
    "succeeded": "completed",
    "failed": "failed",
    "cancelled": "failed",
    "expired": "failed",
}

default_seconds = 5


def write_video(order: VideoOrder, target: Target, notes: Notes) -> Outgoing:
    videos.drop(order, notes, "Doubao has no such field", "negative_prompt", "user")
    content: list[dict[str, Any]] = [{"type": "text", "text": order.prompt}]
    if order.image is not None:
        content.append(_frame(order.image, "first_frame"))
    if order.last_frame is not None:
        content.append(_frame(order.last_frame, "last_frame"))
    fields: dict[str, Any] = {
        "model": target.model,
        "content": content,
        "duration": videos.seconds_for(order, _LENGTHS, notes),
        "ratio": videos.shape_for(order, _SHAPES, notes),
        "resolution": videos.resolution_for(order, _FINENESSES, notes),
        "seed": order.seed,
        "generate_audio": order.has_sound,
        "watermark": False,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    return Outgoing("application/json", msgspec.json.encode(fields))


def read_usage(report: bytes | Raw, rule: UsageRule, endpoint: str) -> Usage:
    """The tokens that a video came to, by which it is billed; what went in costs nothing and is not reported.

    Raises:
        NotAPartition: no count of them, or one that cannot be true.
    """
    try:
        counted = _decode_usage(report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise NotAPartition(str(problem)) from None
    return Usage(output=counted.completion_tokens).checked()


class _Usage(Struct):
    completion_tokens: int


_decode_usage = msgspec.json.Decoder(_Usage).decode


def _frame(source: Source, role: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": pictures.text_of(source)}, "role": role}


class _Content(Struct):
    video_url: str | None = None


class _Job(Struct):
    id: str | None = None
    status: str | None = None
    content: _Content | None = None
    duration: float | None = None
    usage: Raw = Raw(b"null")
    error: Raw = Raw(b"null")


_decode = msgspec.json.Decoder(_Job).decode


def read_started(content: bytes) -> str:
    job = _read(content)
    if job.id is None:
        if bytes(job.error) != b"null":
            raise ErrorInside(job.error.copy())
        raise BrokenStream("a task without an id")
    return job.id


def progress_path(job_id: str) -> str | None:
    return f"{_PATH}/{job_id}"


def read_progress(content: bytes, job_id: str) -> Progress:
    job = _read(content)
    state = _STATES.get(job.status or "")
    if state is None:
        raise BrokenStream(f"a task in the state {str(job.status)[:40]}")
    url = job.content.video_url if job.content is not None else None
    if state == "completed" and not url:
        raise BrokenStream("a task that succeeded without a video")
    error = job.error.copy() if bytes(job.error) != b"null" else None
    if state == "failed" and error is None:
        error = Raw(msgspec.json.encode({"message": f"The task was {job.status}."}))
    return Progress(
        state=state,
        url=url,
        seconds=round(job.duration) if job.duration is not None and job.duration > 0 else None,
        usage=job.usage.copy() if bytes(job.usage) != b"null" else None,
        error=error,
    )


def _read(content: bytes) -> _Job:
    try:
        return _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no task ({failure})") from None
