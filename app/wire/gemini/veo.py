"""Veo: `predictLongRunning` gives an operation, which is asked until it is done.

https://ai.google.dev/gemini-api/docs/video and https://ai.google.dev/api/models#method:-models.predictlongrunning
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.wire import pictures, videos
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.request import Outgoing
from app.wire.videos import Progress, VideoOrder

_LENGTHS = (4, 6, 8)
_SHAPES = ("16:9", "9:16")
_FINENESSES = ("720p", "1080p", "4k")

default_seconds = 8


def write_video(order: VideoOrder, target: Target, notes: Notes) -> Outgoing:
    videos.drop(order, notes, "Veo has no such field", "has_sound", "user")
    instance: dict[str, Any] = {"prompt": order.prompt}
    if order.image is not None:
        instance["image"] = _picture(order.image, order.at("image"))
    if order.last_frame is not None:
        instance["lastFrame"] = _picture(order.last_frame, order.at("last_frame"))
    resolution = videos.resolution_for(order, _FINENESSES, notes)
    seconds = videos.seconds_for(order, _LENGTHS, notes)
    if resolution in ("1080p", "4k") and seconds not in (None, 8):
        # https://ai.google.dev/gemini-api/docs/video: above 720p all are eight seconds long.
        notes.emulated(order.at("seconds"), f"8 seconds are what it makes at {resolution}")
        seconds = 8
    parameters = {
        "aspectRatio": videos.shape_for(order, _SHAPES, notes),
        "durationSeconds": seconds,
        "resolution": resolution,
        "negativePrompt": order.negative_prompt,
        "seed": order.seed,
    }
    body = {
        "instances": [instance],
        "parameters": {name: value for name, value in parameters.items() if value is not None},
    }
    return Outgoing("application/json", msgspec.json.encode(body))


def _picture(source: Source, at: str) -> dict[str, Any]:
    pictures.bytes_of(source, at)
    return {"bytesBase64Encoded": source.data, "mimeType": source.media_type or "image/png"}


class _Video(Struct):
    uri: str | None = None


class _Sample(Struct):
    video: _Video | None = None


class _Made(Struct, rename="camel"):
    generated_samples: list[_Sample] = []
    rai_media_filtered_reasons: list[str] = []


class _Response(Struct, rename="camel"):
    generate_video_response: _Made = msgspec.field(default_factory=_Made)


class _Operation(Struct):
    name: str | None = None
    done: bool = False
    error: Raw = Raw(b"null")
    response: _Response | None = None


_decode = msgspec.json.Decoder(_Operation).decode


def read_started(content: bytes) -> str:
    operation = _read(content)
    if operation.name is None:
        if bytes(operation.error) != b"null":
            raise ErrorInside(operation.error.copy())
        raise BrokenStream("an operation without a name")
    return operation.name


def progress_path(job_id: str) -> str | None:
    return f"/v1beta/{job_id}"


def read_progress(content: bytes, job_id: str) -> Progress:
    operation = _read(content)
    if bytes(operation.error) != b"null":
        return Progress(state="failed", error=operation.error.copy())
    if not operation.done:
        return Progress(state="in_progress")
    made = operation.response.generate_video_response if operation.response is not None else _Made()
    uri = next((sample.video.uri for sample in made.generated_samples if sample.video and sample.video.uri), None)
    if uri is None:
        said = " ".join(made.rai_media_filtered_reasons) or "Google refused to film this."
        error = {"message": said, "code": "content_policy_violation"}
        return Progress(state="failed", error=Raw(msgspec.json.encode(error)))
    # Only with the key, which goes to Google's own server alone.
    return Progress(state="completed", percent=100, path=uri)


def _read(content: bytes) -> _Operation:
    try:
        return _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no operation ({failure})") from None
