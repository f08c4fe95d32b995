"""Ideogram's pictures: a form goes there, temporary addresses of pictures come back.

https://developer.ideogram.ai/api-reference/api-reference/generate-v3 and …/remix-v3
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.wire import pictures
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.forms import FileField, write_form
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.orders import ImageOrder, Order, Picture, Pictures
from app.wire.request import Outgoing

_REMIX = "/v1/ideogram-v3/remix"
_MOST = 8
_SHAPES = (
    *("1:3", "3:1", "1:2", "2:1", "9:16", "16:9", "10:16", "16:10", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "1:1"),
)
_SPEEDS = {
    "low": "TURBO",
    "medium": "DEFAULT",
    "standard": "DEFAULT",
    "high": "QUALITY",
    "hd": "QUALITY",
    "xhigh": "QUALITY",
    "max": "QUALITY",
}
_OWN_SPEEDS = ("FLASH", "TURBO", "DEFAULT", "QUALITY")
_STYLES = ("AUTO", "GENERAL", "REALISTIC", "DESIGN", "FICTION")


def write_order(order: Order, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: a mask (Ideogram's is black where OpenAI's is transparent), or more than eight pictures.
    """
    assert isinstance(order, ImageOrder)
    if order.mask is not None:
        raise BadRequest("Ideogram cannot be given this kind of mask.", param=order.at("mask"))
    if order.n > _MOST:
        raise BadRequest(f"Ideogram draws at most {_MOST} pictures at once.", param=order.at("n"))
    pictures.drop(
        order,
        notes,
        "Ideogram has no such field",
        *("background", "media_type", "compression", "moderation", "resolution", "user"),
    )
    shape = pictures.shape_for(order, _SHAPES, notes)
    fields = {
        "prompt": order.prompt,
        "num_images": str(order.n),
        "aspect_ratio": shape.replace(":", "x") if shape is not None else None,
        "rendering_speed": _speed(order, notes),
        "style_type": _style(order, notes),
        "negative_prompt": order.negative_prompt,
        "seed": str(order.seed) if order.seed is not None else None,
    }
    texts = [(name, value) for name, value in fields.items() if value is not None]
    if not order.images:
        return write_form(texts)
    if len(order.images) > 1:
        notes.dropped(order.at("images"), "all but the first: Ideogram starts from one picture")
    source = next(iter(order.images))
    content = pictures.bytes_of(source, order.at("images"))
    return write_form(texts, [FileField("image", source.media_type or "image/png", content)], _REMIX)


def _speed(order: ImageOrder, notes: Notes) -> str | None:
    if order.quality is None:
        return None
    if order.quality.upper() in _OWN_SPEEDS:
        return order.quality.upper()
    speed = _SPEEDS.get(order.quality)
    if speed is None:
        notes.dropped(order.at("quality"), "not one that Ideogram has a speed for")
        return None
    notes.emulated(order.at("quality"), f"as the rendering speed {speed}")
    return speed


def _style(order: ImageOrder, notes: Notes) -> str | None:
    if order.style is None:
        return None
    if order.style.upper() in _STYLES:
        return order.style.upper()
    if order.style == "natural":
        notes.emulated(order.at("style"), "as the style REALISTIC")
        return "REALISTIC"
    notes.dropped(order.at("style"), f"Ideogram's are {', '.join(_STYLES)}")
    return None


class _Made(Struct):
    url: str | None = None
    prompt: str | None = None
    is_image_safe: bool = True


class _Answer(Struct):
    data: list[_Made] = []
    error: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


def read_result(content: bytes, target: Target) -> Pictures:
    """
    Raises:
        BrokenStream, ErrorInside: also where every picture failed the safety check.
    """
    try:
        answer = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no list of pictures ({failure})") from None
    made = [entry for entry in answer.data if entry.url]
    if not made:
        if answer.error is not None:
            raise ErrorInside(Raw(msgspec.json.encode(answer.error)))
        if any(not entry.is_image_safe for entry in answer.data):
            error = {"message": "The picture did not pass the safety check.", "code": "content_policy_violation"}
            raise ErrorInside(Raw(msgspec.json.encode(error)))
        raise BrokenStream("an answer without pictures")
    return Pictures(
        pictures=tuple(Picture(source=Source(url=entry.url), revised_prompt=entry.prompt) for entry in made)
    )
