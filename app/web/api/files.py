"""`GET /files/{id}`: a file that a model made, for whoever has a signed link to it.

A link is shown to people by applications of all kinds, so nothing in a file can run or look like a page of the hub.
https://developer.mozilla.org/docs/Web/HTTP/Guides/Range_requests, RFC 9110 §14
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from app.adapters.files.store import StoreFailed
from app.base.errors import Busy, NotFound
from app.domain.media.files import FileFacts
from app.web.api.visit import Visit

_SHOWN = frozenset(
    {
        *("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"),
        *("video/mp4", "video/webm", "video/quicktime", "audio/mpeg", "audio/wav", "audio/mp4", "audio/ogg"),
    }
)
"""What a browser may show by itself; anything else, SVG above all, is downloaded."""
_ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "video/mp4": "mp4",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
}
_RANGE = re.compile(rb"bytes=(\d{0,15})-(\d{0,15})")


async def answer(visit: Visit) -> None:
    """
    Raises:
        NotFound: not our link, or its time or that of its file is over; which of them, nobody is told.
    """
    asked = parse_qs(visit.query)
    expires, signature = (asked.get(name, [""])[0] for name in ("expires", "signature"))
    file = await visit.gateway.shared.media.linked(visit.variables["file_id"], expires, signature)
    if file is None:
        raise NotFound("There is no such file, or the link to it has expired.", code="file_not_found")
    await send(visit, file)


async def send(visit: Visit, file: FileFacts) -> None:
    """The file, or the part of it that is asked for.

    Raises:
        Busy: the store does not give it.
    """
    status, start, end = _part(visit.headers.get(b"range"), file.size)
    headers = _headers(file)
    if status == 416:
        headers.append((b"content-range", b"bytes */%d" % file.size))
        await visit.door.answer(416, headers, b"")
        return
    if status == 206:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, file.size)))
    headers.append((b"content-length", b"%d" % (end - start)))
    if visit.method == "HEAD" or start == end:
        await visit.door.start(status, headers)
        await visit.door.end()
        return
    try:
        async for piece in visit.gateway.shared.media.pieces(file, start, end):
            if not visit.door.has_started:
                await visit.door.start(status, headers)
            await visit.door.write(piece)
        await visit.door.end()
    except StoreFailed:
        if visit.door.has_started:
            # The connection is closed before the file is whole, and the client notices.
            return
        raise Busy("The hub's file store does not answer. Try again in a moment.", code="file_store_failed") from None


def _headers(file: FileFacts) -> list[tuple[bytes, bytes]]:
    is_shown = file.media_type in _SHOWN
    name = f"{file.id}.{_ENDINGS.get(file.media_type, 'bin')}"
    place = "inline" if is_shown else "attachment"
    return [
        (b"content-type", file.media_type.encode() if is_shown else b"application/octet-stream"),
        (b"content-disposition", f'{place}; filename="{name}"'.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"referrer-policy", b"no-referrer"),
        (b"accept-ranges", b"bytes"),
        (b"etag", f'"{file.sha256}"'.encode()),
        (b"cache-control", b"private, max-age=3600"),
    ]


def _part(asked: bytes | None, size: int) -> tuple[int, int, int]:
    """Status, first byte, and the one after the last. What is no range of bytes, or several, gives the whole file."""
    found = _RANGE.fullmatch(asked.strip()) if asked is not None else None
    if found is None or not (found[1] or found[2]):
        return 200, 0, size
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    return (206, start, end) if start < end else (416, 0, 0)
