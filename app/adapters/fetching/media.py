"""What a file is, by its first bytes: servers say `application/octet-stream`, or something that is not true.

Signatures: https://mimesniff.spec.whatwg.org/ and https://www.iana.org/assignments/media-types
"""

from __future__ import annotations

_GENERIC = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "application/binary", "application/x-download"}
)
_SAME = {"image/jpg": "image/jpeg", "audio/mp3": "audio/mpeg", "audio/x-wav": "audio/wav", "audio/wave": "audio/wav"}

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"avif": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"M4A ": "audio/mp4",
    b"qt  ": "video/quicktime",
}


def media_type(content: bytes, said: str) -> str | None:
    """The media type of a file of which its server says `said`; None when neither tells.

    Where the bytes show another type of the same sort (a JPEG called `image/png`), they are right: providers compare.
    """
    told = said.partition(";")[0].strip().lower()
    told = _SAME.get(told, told)
    seen = _seen(content)
    if told in _GENERIC:
        return seen or _text(content)
    if seen is not None and seen.partition("/")[0] == told.partition("/")[0]:
        return seen
    return told


def _seen(content: bytes) -> str | None:
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12])
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "video/mp4")
    return next((type_ for beginning, type_ in _BEGINNINGS if content.startswith(beginning)), None)


def _text(content: bytes) -> str | None:
    try:
        content.decode()
    except UnicodeDecodeError:
        return None
    return "text/plain" if content and b"\0" not in content else None
