"""Pictures out of chat completions: models that draw inside a conversation, asked for one picture as an image API is.

OpenRouter gives it under `message.images` when `modalities` asks for it, Poe's bots as a link in Markdown.

https://openrouter.ai/docs/features/multimodal/image-generation,
https://creator.poe.com/docs/external-applications/openai-compatible-api
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.wire import pictures
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.notes import Notes
from app.wire.orders import ImageOrder, Order, Picture, Pictures
from app.wire.request import Outgoing, raw_of, write_document

_SHAPES = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_ALSO_SPEAK = ("google/gemini", "openai/", "openrouter/")
"""Models at OpenRouter that answer with text as well; those that only draw refuse to be asked for it."""
_LINK = re.compile(r"!\[[^\]]*\]\((https?://[^\s)]+|data:image/[^\s)]+)\)")
_BARE = re.compile(r"https?://[^\s)\]]+\.(?:png|jpe?g|webp|gif)(?:\?[^\s)\]]*)?", re.IGNORECASE)


def write_order(order: Order, target: Target, notes: Notes) -> Outgoing:
    assert isinstance(order, ImageOrder)
    if order.mask is not None:
        raise BadRequest("A model that draws in a conversation takes no mask.", param=order.at("mask"))
    why = "a conversation has no such setting"
    pictures.drop(order, notes, why, "style", "background", "media_type", "compression", "moderation")
    pictures.drop(order, notes, why, "negative_prompt", "quality")
    if order.n > 1:
        notes.dropped(order.at("n"), "a conversation draws as many as its model likes")
    fields: dict[str, Any] = {
        "model": target.model,
        "messages": [{"role": "user", "content": _content(order)}],
        "user": order.user,
    }
    if target.origin == "openrouter":
        speaks = target.model.startswith(_ALSO_SPEAK)
        fields["modalities"] = ["image", "text"] if speaks else ["image"]
        fields["seed"] = order.seed
        config = {
            "aspect_ratio": pictures.shape_for(order, _SHAPES, notes),
            "image_size": pictures.fineness_for(order, ("1K", "2K", "4K"), notes),
        }
        fields["image_config"] = {name: value for name, value in config.items() if value is not None} or None
    else:
        pictures.drop(order, notes, why, "width", "aspect", "resolution", "seed")
    document = {name: raw_of(value) for name, value in fields.items() if value is not None}
    return Outgoing("application/json", write_document(document, target.deviations))


def _content(order: ImageOrder) -> str | list[dict[str, Any]]:
    if not order.images:
        return order.prompt
    parts: list[dict[str, Any]] = [{"type": "text", "text": order.prompt}]
    for source in order.images:
        parts.append({"type": "image_url", "image_url": {"url": pictures.text_of(source)}})
    return parts


class _Inner(Struct):
    url: str = ""


class _Image(Struct):
    image_url: _Inner | str = ""


class _Message(Struct):
    content: Any = None
    refusal: str | None = None
    images: list[_Image] | None = None


class _Choice(Struct):
    message: _Message = msgspec.field(default_factory=_Message)
    finish_reason: str | None = None


class _Answer(Struct):
    id: str | None = None
    choices: list[_Choice] | None = None
    usage: Raw = Raw(b"null")
    error: Raw = Raw(b"null")


_decode = msgspec.json.Decoder(_Answer).decode


def read_result(content: bytes, target: Target) -> Pictures:
    """
    Raises:
        BrokenStream, ErrorInside: also where the model spoke and did not draw.
    """
    try:
        answer = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no chat completion ({failure})") from None
    if not answer.choices:
        if _is_there(answer.error):
            raise ErrorInside(answer.error.copy())
        raise BrokenStream("an answer without choices")
    found: list[str] = []
    said = ""
    for choice in answer.choices:
        message = choice.message
        for image in message.images or ():
            url = image.image_url if isinstance(image.image_url, str) else image.image_url.url
            if url:
                found.append(url)
        text = message.content if isinstance(message.content, str) else ""
        if not message.images:
            found += _LINK.findall(text) or _BARE.findall(text)
        said = said or message.refusal or text
    if not found:
        is_filtered = answer.choices[0].finish_reason == "content_filter"
        sentence = f"The model did not draw. It said: {said[:300]}" if said else "The model did not draw."
        error = {
            "message": sentence,
            "type": "invalid_request_error",
            "code": "content_filter" if is_filtered else "no_picture",
        }
        raise ErrorInside(Raw(msgspec.json.encode(error)))
    # A bot may show the same picture twice, as a link and again below it.
    sources = [pictures.source_of(url) for url in dict.fromkeys(found)]
    return Pictures(
        pictures=tuple(Picture(source=source) for source in sources),
        usage=answer.usage.copy() if _is_there(answer.usage) else None,
        upstream_id=answer.id,
    )


def _is_there(raw: Raw) -> bool:
    return bytes(raw) != b"null"
