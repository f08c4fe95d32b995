"""Pictures, client face: `/images/generations` and `/images/edits` as OpenAI's clients send them and expect the answer.

Beside OpenAI's own fields those are read that servers of its format share (`aspect_ratio`, `resolution`, `seed`,
`negative_prompt`, `image` in JSON); whatever else stands there is kept for a provider that may know it.

https://developers.openai.com/api/reference/resources/images/methods/generate and …/methods/edit
"""

from __future__ import annotations

import base64
import re
from typing import Any, Literal, cast

import msgspec
from msgspec import Raw

from app.base.errors import BadRequest
from app.base.usage import Usage
from app.wire import pictures
from app.wire.fields import Fields, wrong_type
from app.wire.neutral import Source
from app.wire.neutral_answer import Reply
from app.wire.orders import ImageOrder, Order, Pictures, Result
from app.wire.request import Part, Request, fields_of

_encode = msgspec.json.Encoder().encode

_FORMATS = {"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "webp": "image/webp"}
_DELIVERIES: dict[str, Literal["url", "inline"]] = {"url": "url", "b64_json": "inline"}
_FIELDS = {
    "n": "n",
    "width": "size",
    "aspect": "aspect_ratio",
    "resolution": "resolution",
    "quality": "quality",
    "style": "style",
    "background": "background",
    "media_type": "output_format",
    "compression": "output_compression",
    "moderation": "moderation",
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "images": "image",
    "mask": "mask",
    "delivery": "response_format",
    "user": "user",
}
_PART_TYPE = re.compile(rb"(?im)^content-type:\s*([A-Za-z0-9.+/-]+)")
_WHOLE = frozenset({"n", "output_compression", "seed", "partial_images"})
_FLAGS = frozenset({"stream", "watermark"})


def read_order(request: Request) -> ImageOrder:
    """
    Raises:
        BadRequest: `param` names the field.
    """
    fields = fields_of(request) if request.document is not None else _fields_of_form(request.parts)
    there = {ours: theirs for ours, theirs in _FIELDS.items() if fields.has(theirs)}
    fields.drop("model", "stream")
    prompt = fields.needed_text("prompt")
    n = fields.whole("n", least=1) or 1
    if n > pictures.MOST_PICTURES:
        raise BadRequest(f"The field n must be at most {pictures.MOST_PICTURES}.", param="n")
    images, mask = _given(request, fields)
    width, height, resolution = _size(fields)
    wanted = fields.word("output_format", (*_FORMATS, "gif", "svg"))
    delivery = fields.word("response_format", _DELIVERIES)
    user = fields.text("user")
    order = ImageOrder(
        prompt=prompt,
        n=n,
        width=width,
        height=height,
        aspect=_not_auto(fields.text("aspect_ratio")),
        resolution=resolution,
        quality=_not_auto(fields.text("quality")),
        style=fields.text("style"),
        background=_not_auto(fields.text("background")),
        media_type=None if wanted is None else _FORMATS.get(wanted, f"image/{wanted}"),
        compression=fields.whole("output_compression", least=0),
        moderation=_not_auto(fields.text("moderation")),
        negative_prompt=fields.text("negative_prompt"),
        seed=fields.whole("seed"),
        images=images,
        mask=mask,
        delivery="inline" if request.is_streamed else _DELIVERIES[delivery] if delivery is not None else None,
        is_streamed=request.is_streamed,
        user=fields.text("safety_identifier") or user,
        places=there,
        extras=_extras(fields, request),
        unread=tuple(fields.unread),
    )
    return order


def write_result(result: Result, order: Order, reply: Reply, usage: Usage | None) -> bytes:
    assert isinstance(result, Pictures) and isinstance(order, ImageOrder)
    if order.is_streamed:
        return _events(result, order, reply, usage)
    answer: dict[str, Any] = {"created": reply.created, "data": [_entry(picture) for picture in result.pictures]}
    told = _told(usage)
    if told is not None:
        answer["usage"] = told
    return _encode(answer)


def _events(result: Pictures, order: ImageOrder, reply: Reply, usage: Usage | None) -> bytes:
    """Each picture whole, as the one event that a stream without partial pictures consists of.

    https://developers.openai.com/api/reference/resources/images/generation-streaming-events
    """
    kind = "image_edit.completed" if order.images else "image_generation.completed"
    told = _told(usage) or {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
    }
    size = f"{order.width}x{order.height}" if order.width is not None else "auto"
    frames: list[bytes] = []
    for picture in result.pictures:
        event = {
            "type": kind,
            **_entry(picture),
            "created_at": reply.created,
            "background": order.background or "auto",
            "output_format": (picture.source.media_type or "image/png").rpartition("/")[2],
            "quality": order.quality or "auto",
            "size": size,
            "usage": told,
        }
        frames += [f"event: {kind}\ndata: ".encode(), _encode(event), b"\n\n"]
    return b"".join(frames)


def _entry(picture: Any) -> dict[str, Any]:
    source: Source = picture.source
    entry: dict[str, Any] = {"url": source.url} if source.data is None else {"b64_json": source.data}
    if picture.revised_prompt:
        entry["revised_prompt"] = picture.revised_prompt
    return entry


def _told(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None or not (usage.input_total or usage.output):
        return None
    return {
        "input_tokens": usage.input_total,
        "output_tokens": usage.output,
        "total_tokens": usage.input_total + usage.output,
        # What of it were pictures is not known across formats.
        "input_tokens_details": {"text_tokens": usage.input_total, "image_tokens": 0},
    }


def _size(fields: Fields) -> tuple[int | None, int | None, str | None]:
    size, resolution = _not_auto(fields.text("size")), _not_auto(fields.text("resolution"))
    if size is None:
        return None, None, resolution
    if pictures.is_fineness(size):
        return None, None, resolution or size
    width, height = pictures.size_of(size, "size")
    return width, height, resolution


def _not_auto(text: str | None) -> str | None:
    """`auto` leaves it to the model, as saying nothing does."""
    return None if text in (None, "", "auto") else text


def _given(request: Request, fields: Fields) -> tuple[tuple[Source, ...], Source | None]:
    """The pictures that came along: files of a form, or strings and objects with a URL in JSON."""
    if request.document is None:
        files = [part for part in request.parts if part.is_file]
        images = tuple(_source_of_part(part) for part in files if part.name.removesuffix("[]") == "image")
        masks = [_source_of_part(part) for part in files if part.name == "mask"]
        return images, masks[0] if masks else None
    value = fields.any("image") or fields.any("images")
    values: list[Any] = [*cast(list[Any], value)] if isinstance(value, list) else [] if value is None else [value]
    images = tuple(_source_of_value(one, f"image[{n}]") for n, one in enumerate(values))
    mask = fields.any("mask")
    return images, None if mask is None else _source_of_value(mask, "mask")


def _source_of_value(value: Any, at: str) -> Source:
    if isinstance(value, dict):
        held = cast(dict[str, Any], value)
        value = held.get("url") or held.get("image_url")
        if isinstance(value, dict):
            value = cast(dict[str, Any], value).get("url")
    if not isinstance(value, str):
        raise wrong_type(at, str)
    return pictures.source_of(value)


def _source_of_part(part: Part) -> Source:
    found = _PART_TYPE.search(part.head)
    media_type = found[1].decode("latin-1").lower() if found is not None else ""
    if not media_type.startswith("image/"):
        media_type = pictures.media_type_of_bytes(part.content)
    return Source(data=base64.b64encode(part.content).decode(), media_type=media_type)


def _fields_of_form(parts: tuple[Part, ...]) -> Fields:
    """The texts of a form, numbers and truth values read from what they are written as."""
    values: dict[str, Any] = {}
    for part in parts:
        if part.is_file:
            if part.name.removesuffix("[]") not in ("image", "mask"):
                values[part.name] = "a file"
            continue
        text = part.content.decode("utf-8", "replace")
        if part.name in _WHOLE:
            values[part.name] = int(text) if re.fullmatch(r"-?\d{1,18}", text) else text
        elif part.name in _FLAGS:
            values[part.name] = text.lower() == "true"
        else:
            values[part.name] = text
    return Fields(values)


def _extras(fields: Fields, request: Request) -> dict[str, Raw]:
    fields.done()
    if request.document is None:
        return {}
    return {name: request.document[name] for name in fields.unread if name in request.document}
