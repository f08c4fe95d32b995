"""Imagen: `predict` with one instance, pictures in base64 back.

Google announced the end of its Imagen 4 models in the Gemini API for 2026-08-17
(https://ai.google.dev/gemini-api/docs/deprecations); whoever still has the method, under a base URL of their own, is
served. https://ai.google.dev/gemini-api/docs/imagen
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.wire import pictures
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.orders import ImageOrder, Picture, Pictures
from app.wire.request import Outgoing

_PATH = "/v1beta/models/{model}:predict"
_SHAPES = ("1:1", "3:4", "4:3", "9:16", "16:9")
_MOST = 4
_MEDIA_TYPES = ("image/png", "image/jpeg")


def is_imagen(model: str) -> bool:
    return model.startswith("imagen") or "/imagen" in model


def write_order(order: ImageOrder, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: more than four pictures, or pictures to start from.
    """
    if order.n > _MOST:
        raise BadRequest(f"Imagen draws at most {_MOST} pictures at once.", param=order.at("n"))
    if order.images or order.mask is not None:
        raise BadRequest("Imagen does not change pictures, it only draws.", param=order.at("images"))
    why = "Imagen has no such field"
    pictures.drop(order, notes, why, "quality", "style", "background", "moderation", "negative_prompt", "seed", "user")
    parameters: dict[str, Any] = {
        "sampleCount": order.n,
        "aspectRatio": pictures.shape_for(order, _SHAPES, notes),
    }
    if "fast" in target.model:
        pictures.drop(order, notes, "the model makes one size", "resolution")
    else:
        parameters["sampleImageSize"] = pictures.fineness_for(order, ("1K", "2K"), notes)
    output: dict[str, Any] = {}
    if order.media_type in _MEDIA_TYPES:
        output["mimeType"] = order.media_type
        if order.compression is not None:
            output["compressionQuality"] = order.compression
    else:
        pictures.drop(order, notes, "Imagen makes PNG and JPEG", "media_type", "compression")
    parameters["outputOptions"] = output or None
    body = {
        "instances": [{"prompt": order.prompt}],
        "parameters": {name: value for name, value in parameters.items() if value is not None},
    }
    return Outgoing("application/json", msgspec.json.encode(body), _PATH)


class _Prediction(Struct, rename="camel"):
    bytes_base64_encoded: str = ""
    mime_type: str = "image/png"
    prompt: str | None = None
    rai_filtered_reason: str | None = None


class _Answer(Struct):
    predictions: list[_Prediction] = []
    error: Raw = Raw(b"null")


_decode = msgspec.json.Decoder(_Answer).decode


def read_result(content: bytes) -> Pictures:
    """
    Raises:
        BrokenStream, ErrorInside
    """
    try:
        answer = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no prediction ({failure})") from None
    if bytes(answer.error) != b"null":
        raise ErrorInside(answer.error.copy())
    made = [one for one in answer.predictions if one.bytes_base64_encoded]
    if not made:
        # Without a reason too: what the filter takes out is left out of the list.
        reason = next((one.rai_filtered_reason for one in answer.predictions if one.rai_filtered_reason), None)
        error = {"message": reason or "Google refused to draw this.", "code": "content_policy_violation"}
        raise ErrorInside(Raw(msgspec.json.encode(error)))
    return Pictures(
        pictures=tuple(
            Picture(source=Source(data=one.bytes_base64_encoded, media_type=one.mime_type), revised_prompt=one.prompt)
            for one in made
        )
    )
