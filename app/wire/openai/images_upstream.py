"""Pictures, upstream face: OpenAI's `/images/generations`, and in what others who have that path differ from it.

    openai, custom, …   JSON; with pictures to start from a form for `/images/edits`
    xai                 shape and fineness in place of a size; pictures as JSON, to `/images/edits`
    doubao              more pixels than OpenAI's sizes have, `sequential_image_generation` in place of `n`, pictures
                        and all else as JSON to the same path

https://developers.openai.com/api/reference/resources/images/methods/generate,
https://docs.x.ai/developers/model-capabilities/images/generation,
https://www.volcengine.com/docs/82379/1541523 (Seedream and Seededit)
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.wire import pictures
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.forms import FileField, write_form
from app.wire.notes import Notes
from app.wire.orders import ImageOrder, Order, Picture, Pictures
from app.wire.request import Outgoing, raw_of, write_document

_EDITS = "/images/edits"
_STANDARD_SIZES = {"1:1": "1024x1024", "3:2": "1536x1024", "2:3": "1024x1536"}
"""Taken by every GPT image model."""
_XAI_SHAPES = (*("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1"),)
_XAI_QUALITIES = ("low", "medium", "high")
_XAI_MOST_IMAGES = 3
_OWN_OF_OPENAI = frozenset(
    {
        *("input_fidelity", "partial_images", "complexity", "frame_count", "frame_duration_ms", "svg"),
        "prompt_rewriter",
    }
)
"""Fields of OpenAI alone, of those that the neutral order has no word for."""


def write_order(order: Order, target: Target, notes: Notes) -> Outgoing:
    assert isinstance(order, ImageOrder)
    match target.origin:
        case "xai":
            fields, path = _xai(order, notes)
        case "doubao":
            fields, path = _doubao(order, target.model, notes), None
        case _:
            fields, path = _openai(order, target, notes), None
    fields = {"model": target.model, "prompt": order.prompt, **fields, **_extras(order, target, notes)}
    fields = {name: value for name, value in fields.items() if value is not None}
    if order.images and target.origin not in ("xai", "doubao"):
        return _form(order, fields)
    document = {name: raw_of(value) for name, value in fields.items()}
    outgoing = Outgoing("application/json", write_document(document, target.deviations), path)
    return outgoing


def _openai(order: ImageOrder, target: Target, notes: Notes) -> dict[str, Any]:
    pictures.drop(order, notes, "OpenAI's images have no such field", "negative_prompt", "seed", "resolution")
    size = f"{order.width}x{order.height}" if order.width is not None else None
    if size is None and order.aspect is not None:
        shape = pictures.nearest_shape(order.aspect, _STANDARD_SIZES)
        size = _STANDARD_SIZES[shape]
        notes.emulated(order.at("aspect"), f"asked for as {size}")
    # GPT image models always answer with the picture itself and refuse to be asked how.
    may_ask = order.delivery is not None and "gpt-image" not in target.model and target.origin != "demo"
    return {
        "n": order.n,
        "size": size,
        "quality": order.quality,
        "style": order.style,
        "background": order.background,
        "output_format": _ending(order),
        "output_compression": order.compression,
        "moderation": order.moderation,
        "response_format": _asked(order) if may_ask else None,
        "user": order.user,
    }


def _xai(order: ImageOrder, notes: Notes) -> tuple[dict[str, Any], str | None]:
    pictures.drop(
        order,
        notes,
        "xAI has no such field",
        *("style", "background", "media_type", "compression", "moderation", "negative_prompt", "seed", "mask"),
    )
    quality = order.quality if order.quality in _XAI_QUALITIES else None
    if quality != order.quality:
        notes.dropped(order.at("quality"), "xAI knows low, medium and high")
    fineness = pictures.fineness_for(order, ("1K", "2K"), notes)
    fields: dict[str, Any] = {
        "n": order.n,
        "aspect_ratio": pictures.shape_for(order, _XAI_SHAPES, notes),
        "resolution": fineness.lower() if fineness is not None else None,
        "quality": quality,
        "response_format": _asked(order),
        "user": order.user,
    }
    if not order.images:
        return fields, None
    if len(order.images) > _XAI_MOST_IMAGES:
        at = order.at("images")
        raise BadRequest(f"xAI takes at most {_XAI_MOST_IMAGES} pictures to start from.", param=at)
    images = [{"url": pictures.text_of(source), "type": "image_url"} for source in order.images]
    # https://docs.x.ai/developers/model-capabilities/images/editing: one as `image`, several as `images`.
    fields["image"] = images[0] if len(images) == 1 else None
    fields["images"] = images if len(images) > 1 else None
    return fields, _EDITS


def _doubao(order: ImageOrder, model: str, notes: Notes) -> dict[str, Any]:
    pictures.drop(
        order,
        notes,
        "Doubao has no such field",
        *("quality", "style", "background", "compression", "moderation", "negative_prompt", "mask", "user"),
    )
    fields: dict[str, Any] = {
        "size": _doubao_size(order, model, notes),
        "seed": order.seed,
        "response_format": _asked(order),
        "output_format": _ending(order),
        # On where nothing is said; nobody of this hub's callers asked for one.
        "watermark": False,
    }
    if order.images:
        texts = [pictures.text_of(source) for source in order.images]
        fields["image"] = texts[0] if len(texts) == 1 else texts
    if order.n > 1:
        if "seedream-3" in model or "seededit" in model:
            raise BadRequest(f"{model} draws one picture at a time.", param=order.at("n"))
        notes.emulated(order.at("n"), "a series of at most so many, of which the model decides")
        fields["sequential_image_generation"] = "auto"
        fields["sequential_image_generation_options"] = {"max_images": order.n}
    return fields


def _doubao_size(order: ImageOrder, model: str, notes: Notes) -> str | None:
    """In pixels: since Seedream 4.5 no fewer than 2560×1440 in all, 4.0 from 1280×720, the others from 512×512."""
    if "seededit" in model:
        pictures.drop(order, notes, "Seededit keeps the size of the picture", "width", "aspect", "resolution")
        return "adaptive"
    if order.width is None and order.aspect is None:
        return order.resolution
    least = 512 * 512 if "seedream-3" in model else 1280 * 720 if "seedream-4-0" in model else 2560 * 1440
    longest = 4096 if order.resolution == "4K" else 1024 if "seedream-3" in model else 2048
    asked = pictures.pixels_for(order, longest)
    if asked is None:
        notes.dropped(order.at("aspect"), "no width and height follow from it")
        return order.resolution
    width, height = asked
    if width * height < least:
        scale = sqrt(least / (width * height))
        # Rounded up to what pictures are made of.
        width, height = (-(-round(side * scale) // 16) * 16 for side in (width, height))
        notes.emulated(order.at("width" if order.width is not None else "aspect"), f"drawn as {width}x{height}")
    elif order.width is None:
        notes.emulated(order.at("aspect"), f"drawn as {width}x{height}")
    return f"{width}x{height}"


def _extras(order: ImageOrder, target: Target, notes: Notes) -> dict[str, Any]:
    is_openai = target.origin in ("openai", "custom", "ollama", "demo")
    taken = {name: raw for name, raw in order.extras.items() if is_openai or name not in _OWN_OF_OPENAI}
    for path in order.unread:
        if path not in taken:
            notes.dropped(path, "not translated")
    return taken


def _form(order: ImageOrder, fields: dict[str, Any]) -> Outgoing:
    name = "image" if len(order.images) == 1 else "image[]"
    files = [
        FileField(name, source.media_type or "image/png", pictures.bytes_of(source, order.at("images")))
        for source in order.images
    ]
    if order.mask is not None:
        content = pictures.bytes_of(order.mask, order.at("mask"))
        files.append(FileField("mask", order.mask.media_type or "image/png", content))
    texts = [(field, _form_text(value)) for field, value in fields.items()]
    return write_form(texts, files, _EDITS)


def _form_text(value: Any) -> str:
    if isinstance(value, Raw):
        value = msgspec.json.decode(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _ending(order: ImageOrder) -> str | None:
    return None if order.media_type is None else order.media_type.rpartition("/")[2]


def _asked(order: ImageOrder) -> str | None:
    return None if order.delivery is None else "url" if order.delivery == "url" else "b64_json"


class _Made(Struct):
    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str | None = None
    mime_type: str | None = None
    error: Raw = Raw(b"null")
    """Of one picture of a series, at Doubao."""


class _Answer(Struct):
    data: list[_Made] | None = None
    usage: Raw = Raw(b"null")
    error: Raw = Raw(b"null")
    id: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


def read_result(content: bytes, target: Target) -> Pictures:
    """
    Raises:
        BrokenStream, ErrorInside
    """
    try:
        answer = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no list of pictures ({failure})") from None
    if _is_there(answer.error) and not answer.data:
        raise ErrorInside(answer.error.copy())
    made = [entry for entry in answer.data or () if entry.b64_json or entry.url]
    if not made:
        refused = next((entry.error for entry in answer.data or () if _is_there(entry.error)), None)
        if refused is not None:
            raise ErrorInside(refused.copy())
        raise BrokenStream("an answer without pictures")
    return Pictures(
        pictures=tuple(_picture(entry) for entry in made),
        usage=answer.usage.copy() if _is_there(answer.usage) else None,
        upstream_id=answer.id if isinstance(answer.id, str) else None,
    )


def _picture(entry: _Made) -> Picture:
    source = pictures.source_of(entry.b64_json or entry.url or "")
    return Picture(source=source, revised_prompt=entry.revised_prompt or None)


def _is_there(raw: Raw) -> bool:
    return bytes(raw) != b"null"
