"""Pictures of Titan and Nova Canvas, upstream face: both take the same document through InvokeModel.

https://docs.aws.amazon.com/nova/latest/userguide/image-gen-req-resp-structure.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-image.html
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.wire import pictures
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.bedrock.families import model_of
from app.wire.faces import Target
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.orders import ImageOrder, Order, Picture, Pictures
from app.wire.request import Outgoing, raw_of, write_document

_HEADERS = {"Accept": "application/json"}
_MOST_PICTURES = 5
_LONGEST = 1024
_MOST_SEED = 858_993_459
_QUALITIES = {
    "standard": "standard",
    "low": "standard",
    "medium": "standard",
    "hd": "premium",
    "high": "premium",
    "premium": "premium",
}
_STYLES = frozenset(
    {
        "3D_ANIMATED_FAMILY_FILM",
        "DESIGN_SKETCH",
        "FLAT_VECTOR_ILLUSTRATION",
        "GRAPHIC_NOVEL_ILLUSTRATION",
        "MAXIMALISM",
        "MIDCENTURY_RETRO",
        "PHOTOREALISM",
        "SOFT_DIGITAL_PAINTING",
    }
)


def write_order(order: Order, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: more pictures than the model makes, a mask, or a model whose document the hub does not know.
    """
    assert isinstance(order, ImageOrder)
    model = model_of(target.model)
    is_canvas = model.name.startswith("nova-canvas")
    if not is_canvas and not model.name.startswith("titan-image-generator"):
        raise BadRequest(f"The hub does not know how {target.model} is asked for pictures.", param="model")
    if order.n > _MOST_PICTURES:
        at = order.at("n")
        raise BadRequest(f"This model makes at most {_MOST_PICTURES} pictures in one request.", param=at)
    if order.mask is not None:
        # Its masks are black where the picture may change, the client's are transparent.
        raise BadRequest("This model does not take a mask with transparent places.", param=order.at("mask"))
    document = {name: raw_of(value) for name, value in _task(order, notes, is_canvas=is_canvas).items()}
    document["imageGenerationConfig"] = raw_of(_config(order, notes))
    if order.media_type not in (None, "image/png"):
        notes.dropped(order.at("media_type"), "it makes PNG")
    pictures.drop(
        order, notes, "the model has no word for it", "resolution", "background", "compression", "moderation", "user"
    )
    return Outgoing("application/json", write_document(document, target.deviations), headers=_HEADERS)


def _task(order: ImageOrder, notes: Notes, *, is_canvas: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"text": order.prompt}
    if order.negative_prompt is not None:
        said["negativeText"] = order.negative_prompt
    if order.images:
        if order.style is not None:
            notes.dropped(order.at("style"), "variations have no style")
        notes.emulated(order.at("images"), "as variations of the pictures")
        said["images"] = [_data(source, order.at("images")) for source in order.images]
        return {"taskType": "IMAGE_VARIATION", "imageVariationParams": said}
    if order.style is not None and is_canvas and order.style.upper() in _STYLES:
        said["style"] = order.style.upper()
    elif order.style is not None:
        notes.dropped(order.at("style"), "the model has no such style")
    return {"taskType": "TEXT_IMAGE", "textToImageParams": said}


def _config(order: ImageOrder, notes: Notes) -> dict[str, Any]:
    config: dict[str, Any] = {"numberOfImages": order.n}
    size = pictures.pixels_for(order, _LONGEST)
    if size is not None:
        config["width"], config["height"] = size
        if order.width is None:
            notes.emulated(order.at("aspect"), f"as {size[0]} by {size[1]} pixels")
    if order.quality in _QUALITIES:
        config["quality"] = _QUALITIES[order.quality]
    elif order.quality not in (None, "auto"):
        notes.dropped(order.at("quality"), "the model has standard and premium")
    if order.seed is not None:
        config["seed"] = order.seed % (_MOST_SEED + 1)
        if config["seed"] != order.seed:
            notes.emulated(order.at("seed"), f"as {config['seed']}")
    return config


def _data(source: Source, at: str) -> str:
    if source.data is None:
        raise BadRequest("Amazon Bedrock does not fetch pictures; send them as base64.", param=at)
    return source.data


class _Answer(Struct):
    images: list[str] | None = None
    error: str | None = None
    """Also beside pictures, where some were held back."""


_decode = msgspec.json.Decoder(_Answer).decode


def read_result(content: bytes, target: Target) -> Pictures:
    """Pictures are counted, not reported: `usage` is None.

    Raises:
        BrokenStream: not as documented.
        ErrorInside: all pictures were held back.
    """
    try:
        found = _decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer without pictures ({failure})") from None
    if not found.images:
        if found.error is not None:
            raise ErrorInside(Raw(msgspec.json.encode({"code": "content_policy_violation", "message": found.error})))
        raise BrokenStream("an answer without pictures")
    return Pictures(pictures=tuple(Picture(source=Source(data=one, media_type="image/png")) for one in found.images))
