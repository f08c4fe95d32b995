"""Pictures at Google: Gemini's image models draw in `generateContent`; Imagen's have a `predict` of their own.

Which of both a model is, its name says. https://ai.google.dev/gemini-api/docs/image-generation
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.errors import BadRequest
from app.wire import pictures
from app.wire.answers import BrokenStream, ErrorInside
from app.wire.faces import Target
from app.wire.gemini import imagen
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.orders import ImageOrder, Order, Picture, Pictures
from app.wire.request import Outgoing

_SHAPES = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_FINENESSES = ("1K", "2K", "4K")
_ONE_SIZE = ("gemini-2.",)
"""Models that know no `imageSize`."""
_POLICY = frozenset(
    {"SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII"}
    | {"IMAGE_RECITATION"}
)
"""https://ai.google.dev/api/generate-content#FinishReason and #BlockReason"""


def write_order(order: Order, target: Target, notes: Notes) -> Outgoing:
    """
    Raises:
        BadRequest: a mask.
    """
    assert isinstance(order, ImageOrder)
    if imagen.is_imagen(target.model):
        return imagen.write_order(order, target, notes)
    if order.mask is not None:
        raise BadRequest("Gemini takes no mask: say in the prompt what is to be changed.", param=order.at("mask"))
    why = "Gemini has no such field"
    pictures.drop(order, notes, why, "quality", "style", "background", "media_type", "compression", "moderation")
    pictures.drop(order, notes, why, "negative_prompt", "user")
    if order.n > 1:
        notes.dropped(order.at("n"), "Gemini draws one picture at a time")
    image_config: dict[str, Any] = {"aspectRatio": pictures.shape_for(order, _SHAPES, notes)}
    if target.model.startswith(_ONE_SIZE):
        pictures.drop(order, notes, "the model makes one size", "resolution")
    else:
        image_config["imageSize"] = pictures.fineness_for(order, _FINENESSES, notes)
    image_config = {name: value for name, value in image_config.items() if value is not None}
    generation: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if image_config:
        generation["imageConfig"] = image_config
    if order.seed is not None:
        generation["seed"] = order.seed
    parts = [*(_part(source) for source in order.images), {"text": order.prompt}]
    body = {"contents": [{"role": "user", "parts": parts}], "generationConfig": generation}
    return Outgoing("application/json", msgspec.json.encode(body))


def _part(source: Source) -> dict[str, Any]:
    if source.data is None:
        return {"fileData": {"fileUri": source.url, "mimeType": source.media_type or "image/png"}}
    return {"inlineData": {"mimeType": source.media_type or "image/png", "data": source.data}}


class _Blob(Struct, rename="camel"):
    mime_type: str = "image/png"
    data: str = ""


class _Part(Struct, rename="camel"):
    text: str = ""
    thought: bool = False
    inline_data: _Blob | None = None


class _Content(Struct):
    parts: list[_Part] = []


class _Candidate(Struct, rename="camel"):
    content: _Content = msgspec.field(default_factory=_Content)
    finish_reason: str | None = None
    finish_message: str | None = None


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None


class _Answer(Struct, rename="camel"):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: Raw = Raw(b"null")
    response_id: str | None = None
    error: Raw = Raw(b"null")


_decode = msgspec.json.Decoder(_Answer).decode


def read_result(content: bytes, target: Target) -> Pictures:
    """
    Raises:
        BrokenStream
        ErrorInside: an error, a refusal, or words in place of a picture.
    """
    if imagen.is_imagen(target.model):
        return imagen.read_result(content)
    try:
        answer = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise BrokenStream(f"an answer that is no generated content ({failure})") from None
    if bytes(answer.error) != b"null":
        raise ErrorInside(answer.error.copy())
    parts = [part for candidate in answer.candidates for part in candidate.content.parts if not part.thought]
    made = [part.inline_data for part in parts if part.inline_data is not None]
    if not made:
        raise ErrorInside(_why_none(answer, "".join(part.text for part in parts)))
    usage = answer.usage_metadata
    return Pictures(
        pictures=tuple(Picture(source=Source(data=blob.data, media_type=blob.mime_type)) for blob in made),
        usage=usage.copy() if bytes(usage) != b"null" else None,
        upstream_id=answer.response_id,
    )


def _why_none(answer: _Answer, said: str) -> Raw:
    first = answer.candidates[0] if answer.candidates else _Candidate()
    reason = (answer.prompt_feedback.block_reason if answer.prompt_feedback else None) or first.finish_reason
    if reason in _POLICY:
        sentence = first.finish_message or f"Google refused to draw this ({reason})."
        return Raw(msgspec.json.encode({"message": sentence, "code": "content_policy_violation"}))
    sentence = f"The model did not draw. It said: {said[:300]}" if said else "The model did not draw."
    return Raw(msgspec.json.encode({"message": sentence, "type": "invalid_request_error", "code": "no_picture"}))
