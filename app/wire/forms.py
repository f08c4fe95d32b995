"""Multipart forms that the hub writes itself: fields of text, and files."""

from __future__ import annotations

import os
from collections.abc import Sequence

from msgspec import Struct

from app.wire.request import Outgoing

_ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "video/mp4": "mp4",
}


class FileField(Struct, frozen=True):
    name: str
    media_type: str
    content: bytes


def write_form(fields: Sequence[tuple[str, str]], files: Sequence[FileField] = (), path: str | None = None) -> Outgoing:
    """`multipart/form-data` (RFC 7578); files are named by their field and their media type."""
    boundary = f"hub-{os.urandom(16).hex()}"
    start = f"--{boundary}\r\n".encode()
    pieces: list[bytes] = []
    for name, value in fields:
        head = f'Content-Disposition: form-data; name="{name}"\r\n\r\n'
        pieces += [start, head.encode(), value.encode(), b"\r\n"]
    for file in files:
        named = f"{file.name.removesuffix('[]')}.{_ENDINGS.get(file.media_type, 'bin')}"
        head = (
            f'Content-Disposition: form-data; name="{file.name}"; filename="{named}"\r\n'
            f"Content-Type: {file.media_type}\r\n\r\n"
        )
        pieces += [start, head.encode(), file.content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return Outgoing(f"multipart/form-data; boundary={boundary}", b"".join(pieces), path)
