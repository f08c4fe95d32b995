"""`/api/v2/video`: a video, handed over when it is there. The request stays open until then.

    {"input": {"prompt", "seconds"?, "size"?, "image"?, …, "modelOptions", "outputFileType"?}}
        → {"videos": [file], "seconds", "usage", "model", "modelWithProvider"}

Its client waits three minutes. Who leaves earlier finds the video by the id in `x-hub-call-id` at `/v1/videos/{id}`.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from app.base.errors import BadRequest
from app.wire import pictures
from app.wire.aigne.answers import model_names
from app.wire.aigne.orders import Settings
from app.wire.request import Request
from app.wire.videos import VideoJob, VideoOrder

waits = True

_encode = msgspec.json.Encoder().encode

_MOST_SECONDS = 600
_PLACES = {
    "seconds": ("seconds", "durationSeconds", "duration"),
    "width": ("size",),
    "aspect": ("aspectRatio",),
    "resolution": ("resolution",),
    "image": ("image",),
    "last_frame": ("lastFrame",),
    "negative_prompt": ("negativePrompt",),
    "seed": ("seed",),
    "has_sound": ("generateAudio",),
    "delivery": ("outputFileType",),
    "user": ("user",),
}


def read_video(request: Request) -> VideoOrder:
    """
    Raises:
        BadRequest: `param` names the field.
    """
    settings = Settings(request, _PLACES)
    size, resolution = settings.text("width"), settings.text("resolution")
    if size is not None and "x" not in size.lower().replace("×", "x").replace("*", "x"):
        # Google's models are told `720p`.
        size, resolution = None, resolution or size
    width, height = pictures.size_of(size, settings.at("width")) if size is not None else (None, None)
    images, last_frames = settings.files("image"), settings.files("last_frame")
    for setting, found in (("image", images), ("last_frame", last_frames)):
        if len(found) > 1:
            raise BadRequest(f"The field {settings.at(setting)} must be one file.", param=settings.at(setting))
    fields, name = settings.where("has_sound")
    order = VideoOrder(
        prompt=settings.given.needed_text("prompt"),
        seconds=_seconds(settings),
        width=width,
        height=height,
        aspect=settings.text("aspect"),
        resolution=resolution,
        image=images[0] if images else None,
        last_frame=last_frames[0] if last_frames else None,
        negative_prompt=settings.text("negative_prompt"),
        seed=settings.whole("seed"),
        has_sound=fields.flag(name),
        delivery=settings.delivery(),
        user=settings.text("user"),
        places=settings.places,
    )
    return msgspec.structs.replace(order, unread=settings.unread())


def write_job(job: VideoJob) -> bytes:
    """The video as a file; without any as long as it is not there."""
    videos: list[dict[str, Any]] = []
    if job.content is not None:
        videos.append({"type": "file", "data": base64.b64encode(job.content).decode(), "mimeType": "video/mp4"})
    elif job.address is not None:
        videos.append({"type": "url", "url": job.address, "mimeType": "video/mp4"})
    usage = {"inputTokens": 0, "outputTokens": 0, "modelCallId": job.id}
    return _encode({"videos": videos, "seconds": job.seconds, "usage": usage, **model_names(job.model)})


def _seconds(settings: Settings) -> int | None:
    """A number, or as text."""
    fields, name = settings.where("seconds")
    value, at = fields.any(name), fields.path(name)
    if value is None:
        return None
    text = str(value)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:5]) <= _MOST_SECONDS:
        raise BadRequest(f"The field {at} must be a whole number from 1 to {_MOST_SECONDS}.", param=at)
    return int(text)
