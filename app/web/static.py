"""Static files: read once, served under an address that changes with their content, so that browsers may keep them.

One hash stands for all of them, so what a stylesheet names beside itself has the right address too.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from msgspec import Struct

from app.base.errors import NotFound
from app.base.paths import STATIC

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_FOR_EVER = "public, max-age=31536000, immutable"


class StaticFile(Struct, frozen=True):
    media_type: str
    content: bytes
    compressed: bytes | None
    """By gzip; None where that gains nothing."""


class StaticFiles(Struct, frozen=True):
    version: str
    """Changes when any of the files does."""
    files: Mapping[str, StaticFile]
    """By the path below `static/`."""


@cache
def shipped() -> StaticFiles:
    """The files that came with this version. Licences and notes beside them are not served."""
    files: dict[str, StaticFile] = {}
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.suffix not in _TYPES:
            continue
        name, content = path.relative_to(STATIC).as_posix(), path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
        is_text = path.suffix != ".woff2"
        files[name] = StaticFile(_TYPES[path.suffix], content, gzip.compress(content, 9, mtime=0) if is_text else None)
    return StaticFiles(digest.hexdigest()[:16], files)


@get("/static/{version:str}/{name:path}", sync_to_thread=False)
def static_file(request: Request[Any, Any, Any], version: str, name: Path) -> Response[bytes]:
    """A stylesheet, script, picture or font; to everybody."""
    static = shipped()
    file = static.files.get(name.as_posix().lstrip("/"))
    if file is None:
        raise NotFound("There is no such file.")
    # Another version's address is answered as well, while processes of both run, but nobody may keep the answer.
    headers = {
        "Cache-Control": _FOR_EVER if version == static.version else "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept-Encoding",
    }
    if file.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.compressed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)
