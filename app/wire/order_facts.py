"""What an order says that its price depends on, read from the client's own request: how many, how large, how good, how
long.

It is read before anybody has checked the order, for holds and for the conditions of rates. What cannot be read is as
good as absent: whoever serves the order refuses it, or makes of it what it makes by default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from app.wire import bounds
from app.wire.aigne.spelling import snake
from app.wire.endpoint import Endpoint
from app.wire.request import Document, Request

MOST_PIECES = 100
MOST_SECONDS = 3_600

_SIZE = re.compile(r"(\d{2,5})\s*[x×*]\s*(\d{2,5})")
_WORD = re.compile(r"[a-z0-9._:-]{1,40}")
_DIGITS = re.compile(r"\d{1,18}(?:\.0+)?s?")
_LINES: Mapping[int, str] = {480: "480p", 720: "720p", 1080: "1080p", 2160: "4k"}
_OPTIONS = ("modelOptions", "model_options")


class OrderFacts(Struct, frozen=True, kw_only=True):
    pieces: int = 1
    """Pictures or videos, or answers of a conversation."""
    size: str | None = None
    """In small letters. Of a picture `1024x1536`, or `2k`; of a video `720p`, else its pixels. None: what the model
    does by default."""
    quality: str | None = None
    """In small letters."""
    seconds: int | None = None
    """Of each video."""


_NOTHING = OrderFacts()

Say = Callable[..., Any]
"""The value of the first of the names that has one."""


def order_facts(request: Request, endpoint: Endpoint) -> OrderFacts:
    """Never fails."""
    read = _READERS.get(endpoint.name)
    return _NOTHING if read is None else read(request)


def _picture(request: Request) -> OrderFacts:
    say = _sayer(request)
    return OrderFacts(
        pieces=_count(say("n")),
        size=_size(say("size")) or _size(say("resolution")),
        quality=_word(say("quality")),
    )


def _video(request: Request) -> OrderFacts:
    say = _sayer(request)
    return OrderFacts(size=_film(say("resolution")) or _film(say("size")), seconds=_seconds(say("seconds")))


def _aigne_picture(request: Request) -> OrderFacts:
    say = _aigne(request)
    return OrderFacts(
        pieces=_count(say("n")),
        size=_size(say("size", "imageSize")) or _size(say("resolution")),
        quality=_word(say("quality")),
    )


def _aigne_video(request: Request) -> OrderFacts:
    say = _aigne(request)
    return OrderFacts(
        size=_film(say("resolution")) or _film(say("size")),
        seconds=_seconds(say("seconds", "durationSeconds", "duration")),
    )


def _gemini(request: Request) -> OrderFacts:
    """Some of its models draw inside a conversation: `generationConfig.imageConfig.imageSize`."""
    document = request.document or {}
    config = bounds.inside(document, bounds.first(document, ("generationConfig", "generation_config")))
    drawn = bounds.inside(config, bounds.first(config, ("imageConfig", "image_config")))
    say = _among(config, drawn)
    return OrderFacts(pieces=_count(say("candidateCount")), size=_size(say("imageSize")))


def _chat(request: Request) -> OrderFacts:
    if request.document is not None and "n" not in request.document:
        return _NOTHING
    return OrderFacts(pieces=_count(_sayer(request)("n")))


_READERS: Mapping[str, Callable[[Request], OrderFacts]] = {
    "images.generations": _picture,
    "images.edits": _picture,
    "videos": _video,
    "aigne.image": _aigne_picture,
    "aigne.video": _aigne_video,
    "generate_content": _gemini,
    "chat.completions": _chat,
    "completions": _chat,
}


def _sayer(request: Request) -> Say:
    """Of a document, or of a form."""
    if request.document is not None:
        return _among(request.document)
    texts = {part.name: part.content for part in request.parts if not part.is_file and len(part.content) <= 200}
    return lambda *names: next((texts[name].decode("utf-8", "replace") for name in names if name in texts), None)


def _aigne(request: Request) -> Say:
    """Settings stand in `input`, or without one at the top, and among the options of the model there."""
    document = request.document or {}
    given = bounds.inside(document, "input") or document
    return _among(given, bounds.inside(given, bounds.first(given, _OPTIONS)))


def _among(*documents: Document) -> Say:
    """Names in both spellings."""

    def values(names: tuple[str, ...]) -> Iterator[Any]:
        for document in documents:
            for name in names:
                for spelling in (name, snake(name)):
                    yield bounds.value_of(document.get(spelling))

    return lambda *names: next((value for value in values(names) if value is not None), None)


def _whole(value: Any) -> int | None:
    """A number, or one as text: `8`, `"8"`, `"8s"`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value).strip().lower()
    return int(text.rstrip("s").partition(".")[0]) if _DIGITS.fullmatch(text) else None


def _count(value: Any) -> int:
    return min(max(1, _whole(value) or 1), MOST_PIECES)


def _seconds(value: Any) -> int | None:
    found = _whole(value)
    return None if not found else min(found, MOST_SECONDS)


def _word(value: Any) -> str | None:
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if text != "auto" and _WORD.fullmatch(text) else None


def _size(value: Any) -> str | None:
    found = _SIZE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    return f"{int(found[1])}x{int(found[2])}" if found is not None else _word(value)


def _film(value: Any) -> str | None:
    """Videos are priced by their lines."""
    size = _size(value)
    found = _SIZE.fullmatch(size) if size is not None else None
    return size if found is None else _LINES.get(min(int(found[1]), int(found[2])), size)
