"""Pictures in orders: sizes and shapes, and where their bytes are, as several formats need it.

Providers say the size of a picture in one of three ways: in pixels, as a shape (`16:9`), or as a shape and a fineness
(`2K`). What a client says in another way becomes the nearest that the provider has, with a note.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Sequence
from math import gcd, log

from app.base.errors import BadRequest
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.orders import ImageOrder

MOST_PICTURES = 10
"""As many as one order may ask for, at the provider that makes most."""

_SIZE = re.compile(r"(\d{2,5})\s?[xX*×]\s?(\d{2,5})")
_SHAPE = re.compile(r"(\d{1,4}(?:\.\d{1,2})?)[:x](\d{1,4}(?:\.\d{1,2})?)")
_FINENESS = re.compile(r"([124])[kK]")

_FIRST_BYTES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def size_of(text: str, at: str) -> tuple[int, int]:
    """Width and height of `1024x1536`.

    Raises:
        BadRequest: `at` names the field.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise BadRequest(f"The field {at} must be a width and a height, such as 1024x1536, or auto.", param=at)
    return int(found[1]), int(found[2])


def is_fineness(text: str) -> bool:
    """Whether it is `1K`, `2K` or `4K`."""
    return _FINENESS.fullmatch(text) is not None


def shape_of(width: int, height: int) -> str:
    """`16:9` of 1920 and 1080."""
    common = gcd(width, height) or 1
    return f"{width // common}:{height // common}"


def ratio_of(shape: str) -> float | None:
    """Width by height; None where it is no shape."""
    found = _SHAPE.fullmatch(shape)
    if found is None or not float(found[2]) or not float(found[1]):
        return None
    return float(found[1]) / float(found[2])


def nearest_shape(wanted: str, offered: Collection[str]) -> str:
    """The offered shape that is most like the wanted one, by the logarithm of width by height."""
    if wanted in offered:
        return wanted
    ratio = ratio_of(wanted) or 1.0
    return min(offered, key=lambda shape: abs(log((ratio_of(shape) or 1.0) / ratio)))


def shape_for(order: ImageOrder, offered: Collection[str], notes: Notes) -> str | None:
    """The shape to ask for, where a provider knows shapes alone; None: the client says nothing of it."""
    if order.aspect is not None:
        found, path = nearest_shape(order.aspect, offered), order.at("aspect")
        if found != order.aspect:
            notes.emulated(path, f"the nearest shape is {found}")
        return found
    if order.width is None or order.height is None:
        return None
    found = nearest_shape(shape_of(order.width, order.height), offered)
    notes.emulated(order.at("width"), f"asked for as the shape {found}")
    return found


def fineness_for(order: ImageOrder, offered: Sequence[str], notes: Notes) -> str | None:
    """`1K`, `2K` or `4K`, whichever of the offered is enough for the size that was asked for."""
    if order.resolution is not None:
        wanted = order.resolution.upper()
        if wanted in offered:
            return wanted
        notes.dropped(order.at("resolution"), f"it makes {', '.join(offered)}")
        return None
    if order.width is None or order.height is None:
        return None
    longest = max(order.width, order.height)
    # 1536 on its longer side is still what these models call 1K.
    rank = 0 if longest <= 1536 else 1 if longest <= 3072 else 2
    return offered[min(rank, len(offered) - 1)]


def pixels_for(order: ImageOrder, longest: int) -> tuple[int, int] | None:
    """Width and height, also where the client says a shape: `longest` pixels on the longer side, a multiple of 16."""
    if order.width is not None and order.height is not None:
        return order.width, order.height
    ratio = ratio_of(order.aspect) if order.aspect is not None else None
    if ratio is None:
        return None
    short = max(16, round(longest * min(ratio, 1 / ratio) / 16) * 16)
    return (longest, short) if ratio >= 1 else (short, longest)


def drop(order: ImageOrder, notes: Notes, why: str, *settings: str) -> None:
    """Note those settings that the client made and the provider has no word for."""
    for setting in settings:
        value = getattr(order, setting)
        if value not in (None, ()):
            notes.dropped(order.at(setting), why)


def source_of(text: str) -> Source:
    """A picture that a provider or client gives as one string: a URL, a data URL, or base64 alone."""
    if text.startswith("data:"):
        head, _, data = text[5:].partition(",")
        return Source(data=data, media_type=head.partition(";")[0] or "image/png")
    if text.startswith(("http://", "https://")):
        return Source(url=text)
    return Source(data=text, media_type=media_type_of(text))


def text_of(source: Source) -> str:
    """The opposite of `source_of`: a URL or a data URL."""
    if source.url is not None:
        return source.url
    return f"data:{source.media_type or 'image/png'};base64,{source.data}"


def bytes_of(source: Source, at: str) -> bytes:
    """
    Raises:
        BadRequest: they are not here, or no base64; `at` names the field.
    """
    if source.data is None:
        raise BadRequest(f"The field {at} must hold the picture itself here, not where it is.", param=at)
    try:
        return base64.b64decode(source.data, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"The field {at} is not base64.", param=at) from None


def media_type_of(data: str) -> str:
    """Of base64, by its first bytes; PNG where they say nothing."""
    try:
        return media_type_of_bytes(base64.b64decode(data[:64] + "=" * (-len(data[:64]) % 4)))
    except (binascii.Error, ValueError):
        return "image/png"


def media_type_of_bytes(content: bytes) -> str:
    """The same of the bytes themselves."""
    for first, media_type in _FIRST_BYTES:
        if content.startswith(first):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "image/png"
