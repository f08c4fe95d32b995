"""Videos, client face: OpenAI's Videos API, JSON or a form.

https://developers.openai.com/api/reference/resources/videos
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, cast

import msgspec

from app.base.errors import BadRequest
from app.wire import pictures
from app.wire.fields import Fields, wrong_type
from app.wire.neutral import Source
from app.wire.request import Request, fields_of
from app.wire.videos import VideoJob, VideoOrder

waits = False

_encode = msgspec.json.Encoder().encode

PREFIX = "video_"
"""Before our id of a job."""
_MOST_SECONDS = 600
_FIELDS = {
    "seconds": "seconds",
    "width": "size",
    "aspect": "aspect_ratio",
    "resolution": "resolution",
    "image": "input_reference",
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "has_sound": "generate_audio",
    "user": "user",
}


def read_video(request: Request) -> VideoOrder:
    """
    Raises:
        BadRequest: `param` names the field.
    """
    fields = fields_of(request) if request.document is not None else _fields_of_form(request)
    there = {ours: theirs for ours, theirs in _FIELDS.items() if fields.has(theirs)}
    image = _image(request, fields)
    if image is not None:
        there["image"] = "input_reference"
    fields.drop("model")
    size = fields.text("size") or "auto"
    width, height = (None, None) if size == "auto" else pictures.size_of(size, "size")
    order = VideoOrder(
        prompt=fields.needed_text("prompt"),
        seconds=_seconds(fields),
        width=width,
        height=height,
        aspect=fields.text("aspect_ratio"),
        resolution=fields.text("resolution"),
        image=image,
        negative_prompt=fields.text("negative_prompt"),
        seed=fields.whole("seed"),
        has_sound=fields.flag("generate_audio"),
        user=fields.text("user"),
        places=there,
    )
    fields.done()
    document = request.document or {}
    extras = {name: document[name] for name in fields.unread if name in document}
    return msgspec.structs.replace(order, extras=extras, unread=tuple(fields.unread))


def write_job(job: VideoJob) -> bytes:
    return _encode(job_object(job))


def job_object(job: VideoJob) -> dict[str, Any]:
    error = {"code": job.error_code, "message": job.error_text} if job.state == "failed" else None
    return {
        "id": f"{PREFIX}{job.id}",
        "object": "video",
        "model": job.model,
        "status": job.state,
        "progress": job.progress,
        "created_at": job.created,
        "completed_at": job.completed,
        "expires_at": job.expires,
        "seconds": str(job.seconds),
        "size": job.size,
        "error": error,
        "remixed_from_video_id": None,
    }


def write_list(jobs: Iterable[VideoJob], *, has_more: bool) -> bytes:
    rows = [job_object(job) for job in jobs]
    ends = {"first_id": rows[0]["id"] if rows else None, "last_id": rows[-1]["id"] if rows else None}
    return _encode({"object": "list", "data": rows, "has_more": has_more, **ends})


def write_deleted(id_: str) -> bytes:
    return _encode({"id": f"{PREFIX}{id_}", "object": "video.deleted", "deleted": True})


def _seconds(fields: Fields) -> int | None:
    """OpenAI writes the number as a string."""
    value = fields.any("seconds")
    if value is None:
        return None
    text = str(value)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:5]) <= _MOST_SECONDS:
        raise BadRequest(f"The field seconds must be a whole number from 1 to {_MOST_SECONDS}.", param="seconds")
    return int(text)


def _image(request: Request, fields: Fields) -> Source | None:
    if request.document is None:
        file = next((part for part in request.parts if part.is_file and part.name == "input_reference"), None)
        if file is None:
            return None
        data = base64.b64encode(file.content).decode()
        return Source(data=data, media_type=pictures.media_type_of_bytes(file.content))
    value = fields.any("input_reference")
    if value is None:
        return None
    if isinstance(value, dict):
        held = cast(dict[str, Any], value)
        value = held.get("image_url")
        if value is None and held.get("file_id") is not None:
            raise BadRequest("The hub keeps no uploaded files.", param="input_reference.file_id")
    if not isinstance(value, str):
        raise wrong_type("input_reference.image_url", str)
    return pictures.source_of(value)


def _fields_of_form(request: Request) -> Fields:
    values: dict[str, Any] = {}
    for part in request.parts:
        if part.is_file:
            if part.name != "input_reference":
                values[part.name] = "a file"
            continue
        text = part.content.decode("utf-8", "replace")
        is_number = part.name == "seed" and text.lstrip("-").isdigit()
        values[part.name] = int(text) if is_number else text == "true" if part.name == "generate_audio" else text
    return Fields(values)
