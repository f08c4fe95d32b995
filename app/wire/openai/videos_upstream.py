"""Videos, upstream face: OpenAI's own API of them, for Sora and for servers that have taken it over.

OpenAI announced the end of its own Sora API for 2026-09-24 (its Python library marks the methods so); the format lives
on in other servers. https://developers.openai.com/api/reference/resources/videos
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.wire import pictures, videos
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.forms import FileField, write_form
from app.wire.notes import Notes
from app.wire.request import Outgoing, raw_of, write_document
from app.wire.videos import Progress, State, VideoOrder

_LENGTHS = (4, 8, 12)
_SIZES = {"720p": {"16:9": "1280x720", "9:16": "720x1280"}, "1080p": {"16:9": "1792x1024", "9:16": "1024x1792"}}
_STATES: dict[str, State] = {
    "queued": "queued",
    "in_progress": "in_progress",
    "completed": "completed",
    "failed": "failed",
}

default_seconds = 4


def write_video(order: VideoOrder, target: Target, notes: Notes) -> Outgoing:
    why = "OpenAI's videos have no such field"
    videos.drop(order, notes, why, "negative_prompt", "seed", "has_sound", "last_frame", "user")
    is_sora = target.model.startswith("sora")
    seconds = videos.seconds_for(order, _LENGTHS, notes) if is_sora else order.seconds
    fields: dict[str, Any] = {
        "model": target.model,
        "prompt": order.prompt,
        "seconds": str(seconds) if seconds is not None else None,
        "size": _size(order, notes),
        **order.extras,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    if order.image is None:
        document = {name: raw_of(value) for name, value in fields.items()}
        return Outgoing("application/json", write_document(document, target.deviations))
    content = pictures.bytes_of(order.image, order.at("image"))
    texts = [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in fields.items()
    ]
    return write_form(texts, [FileField("input_reference", order.image.media_type or "image/png", content)])


def _size(order: VideoOrder, notes: Notes) -> str | None:
    if order.width is not None:
        return f"{order.width}x{order.height}"
    if order.aspect is None and order.resolution is None:
        return None
    shape = videos.shape_for(order, ("16:9", "9:16"), notes) or "16:9"
    fineness = videos.resolution_for(order, ("720p", "1080p"), notes) or "720p"
    return _SIZES[fineness][shape]


class _Job(Struct):
    id: str | None = None
    status: str | None = None
    progress: float | None = None
    seconds: Any = None
    error: Raw = Raw(b"null")
    usage: Raw = Raw(b"null")


_decode = msgspec.json.Decoder(_Job).decode


def read_started(content: bytes) -> str:
    job = _read(content)
    if job.id is None:
        if bytes(job.error) != b"null":
            raise ErrorInside(job.error.copy())
        raise BrokenStream("a job without an id")
    return job.id


def progress_path(job_id: str) -> str | None:
    return f"/videos/{job_id}"


def read_progress(content: bytes, job_id: str) -> Progress:
    job = _read(content)
    state = _STATES.get(job.status or "")
    if state is None:
        raise BrokenStream(f"a job in the state {str(job.status)[:40]}")
    seconds = str(job.seconds)
    return Progress(
        state=state,
        percent=int(job.progress) if job.progress is not None else None,
        path=f"/videos/{job_id}/content" if state == "completed" else None,
        seconds=int(seconds) if seconds.isdigit() else None,
        usage=job.usage.copy() if bytes(job.usage) != b"null" else None,
        error=job.error.copy() if bytes(job.error) != b"null" else None,
    )


def _read(content: bytes) -> _Job:
    try:
        return _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no job ({failure})") from None
