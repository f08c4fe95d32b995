"""`/api/v2/image` and `/api/v2/image/generations`: pictures in two forms.

    {"input": {"prompt", "image"?, "n"?, "size"?, …, "modelOptions", "outputFileType"?}}   → {"images": [file, …], …}
    {"prompt", "image"?, "n"?, "size"?, …, "response_format"?}      → {"images", "data": [{"b64_json", "url", …}], …}

The framework's client always asks for `url` and takes whatever comes, so that is a wish; the other form gives base64
unless a URL is asked for.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.base.errors import BadRequest
from app.base.usage import Usage
from app.wire import pictures
from app.wire.aigne.answers import model_names, usage_entry
from app.wire.aigne.client import PLAIN
from app.wire.aigne.orders import Settings
from app.wire.neutral import Source
from app.wire.neutral_answer import Reply
from app.wire.orders import ImageOrder, Order, Pictures, Result
from app.wire.request import Request

_encode = msgspec.json.Encoder().encode

_FORMATS = {"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "webp": "image/webp"}
_PLACES = {
    "n": ("n",),
    "width": ("size", "imageSize"),
    "aspect": ("aspectRatio",),
    "resolution": ("resolution",),
    "quality": ("quality",),
    "style": ("style",),
    "background": ("background",),
    "media_type": ("outputFormat", "outputMimeType"),
    "compression": ("outputCompression", "outputCompressionQuality"),
    "moderation": ("moderation",),
    "negative_prompt": ("negativePrompt",),
    "seed": ("seed",),
    "images": ("image", "images"),
    "mask": ("mask",),
    "delivery": ("outputFileType", "responseFormat"),
    "user": ("user",),
}


def read_order(request: Request) -> ImageOrder:
    """
    Raises:
        BadRequest: `param` names the field.
    """
    is_plain = request.form == PLAIN
    settings = Settings(request, _PLACES, is_plain=is_plain)
    size, resolution = settings.text("width"), settings.text("resolution")
    if size is not None and pictures.is_fineness(size):
        size, resolution = None, resolution or size
    width, height = pictures.size_of(size, settings.at("width")) if size is not None else (None, None)
    n = settings.whole("n", 1) or 1
    if n > pictures.MOST_PICTURES:
        raise BadRequest(
            f"The field {settings.at('n')} must be at most {pictures.MOST_PICTURES}.", param=settings.at("n")
        )
    delivery, masks = settings.delivery(), settings.files("mask")
    order = ImageOrder(
        prompt=settings.given.needed_text("prompt"),
        n=n,
        width=width,
        height=height,
        aspect=settings.text("aspect"),
        resolution=resolution,
        quality=settings.text("quality"),
        style=settings.text("style"),
        background=settings.text("background"),
        media_type=_media_type(settings.text("media_type")),
        compression=settings.whole("compression", 0),
        moderation=settings.text("moderation"),
        negative_prompt=settings.text("negative_prompt"),
        seed=settings.whole("seed"),
        images=settings.files("images"),
        mask=masks[0] if masks else None,
        delivery=delivery if delivery is not None or not is_plain else "inline",
        user=settings.text("user"),
        places=settings.places,
    )
    return msgspec.structs.replace(order, unread=settings.unread())


def write_result(result: Result, order: Order, reply: Reply, usage: Usage | None) -> bytes:
    assert isinstance(result, Pictures)
    names = model_names(reply.model)
    whole: dict[str, Any]
    if reply.form == PLAIN:
        entries = [_entry(picture.source) for picture in result.pictures]
        whole = {"images": entries, "data": entries, "model": names["model"], "created": reply.created}
    else:
        files = [_file(picture.source) for picture in result.pictures]
        whole = {"images": files, **names}
    if usage is not None:
        whole["usage"] = usage_entry(usage, reply.id)
    return _encode(whole)


def _media_type(text: str | None) -> str | None:
    if text is None or "/" in text:
        return text
    return _FORMATS.get(text.lower(), f"image/{text.lower()}")


def _entry(source: Source) -> dict[str, Any]:
    """Three names for the same bytes: each is read by somebody."""
    if source.data is None:
        return {"url": source.url}
    return {"base64": source.data, "b64_json": source.data, "b64Json": source.data}


def _file(source: Source) -> dict[str, Any]:
    typed = {"mimeType": source.media_type or "image/png"}
    if source.data is None:
        return {"type": "url", "url": source.url, **typed}
    return {"type": "file", "data": source.data, **typed}
