"""Pictures, sounds, documents and videos as blocks of Converse, and what a document may be called.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from __future__ import annotations

import re
from typing import Any

from app.base.errors import BadRequest
from app.wire.neutral import Audio, File, Image, Source

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_SOUNDS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/opus": "opus",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/aac": "aac",
    "audio/mp4": "mp4",
    "audio/x-m4a": "m4a",
    "audio/m4a": "m4a",
    "audio/webm": "webm",
    "audio/l16": "pcm",
}
_VIDEOS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
    "text/x-markdown": "md",
    "application/json": "txt",
    "application/xml": "txt",
}
_MOST_NAME = 200
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9\-()\[\]]+")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")


class DocumentNames:
    """The names of one request's documents, which must differ from each other."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def legal(self, name: str | None) -> str:
        """Letters, digits, hyphens, brackets and single spaces: what else stands in a file's name becomes a space."""
        clean = _NOT_IN_A_NAME.sub(" ", _ENDING.sub("", name or "")).strip()[: _MOST_NAME - 8].strip() or "document"
        one, n = clean, 1
        while one in self._given:
            n += 1
            one = f"{clean} {n}"
        self._given.add(one)
        return one


def image(part: Image) -> dict[str, Any]:
    return {
        "image": {"format": _format(part.source, part.at, _IMAGES, "picture"), "source": _bytes(part.source, part.at)}
    }


def sound(part: Audio) -> dict[str, Any]:
    return {
        "audio": {"format": _format(part.source, part.at, _SOUNDS, "sound"), "source": _bytes(part.source, part.at)}
    }


def file(part: File, names: DocumentNames) -> dict[str, Any]:
    media_type = _media_type(part.source)
    if media_type.startswith("video/"):
        format_ = _format(part.source, part.at, _VIDEOS, "video")
        return {"video": {"format": format_, "source": _bytes(part.source, part.at)}}
    if media_type.startswith("text/") and media_type not in _DOCUMENTS:
        format_ = "txt"
    else:
        format_ = _format(part.source, part.at, _DOCUMENTS, "document")
    return {"document": {"format": format_, "name": names.legal(part.name), "source": _bytes(part.source, part.at)}}


def _format(source: Source, at: str, formats: dict[str, str], what: str) -> str:
    found = formats.get(_media_type(source))
    if found is None and source.data is not None:
        raise BadRequest(
            f"The {what} at {at} is of the type {source.media_type or 'unknown'}, which Amazon Bedrock does not take.",
            param=at,
        )
    return found or ""


def _media_type(source: Source) -> str:
    return (source.media_type or "").partition(";")[0].strip().lower()


def _bytes(source: Source, at: str) -> dict[str, Any]:
    """Converse takes bytes alone; what was given as a URL has been fetched before."""
    if source.data is not None:
        return {"bytes": source.data}
    if source.url is not None:
        raise BadRequest(f"Amazon Bedrock does not fetch what is at {at}; send it as base64.", param=at)
    raise BadRequest(f"The file at {at} is known to another provider only.", param=at)
