"""What a fetched file is."""

from __future__ import annotations

import pytest

from app.adapters.fetching.media import media_type

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


@pytest.mark.parametrize(
    ("content", "said", "is_"),
    [
        (_PNG, "image/png", "image/png"),
        (_PNG, "application/octet-stream", "image/png"),
        (_PNG, "", "image/png"),
        (_PNG, "image/jpeg; charset=binary", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpg", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "binary/octet-stream", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/x-wav", "audio/wav"),
        (b"%PDF-1.7", "application/octet-stream", "application/pdf"),
        (b"\0\0\0 ftypmp42", "application/octet-stream", "video/mp4"),
        (b"\0\0\0 ftypM4A ", "audio/mp4", "audio/mp4"),
        (b"plain words", "application/octet-stream", "text/plain"),
        (b"<html>", "text/html; charset=utf-8", "text/html"),
        (_PNG, "text/html", "text/html"),
        (b"\xfe\xed\xfa\xce", "application/octet-stream", None),
    ],
)
def test_a_file_is_what_its_bytes_show_within_what_its_server_says(content: bytes, said: str, is_: str | None) -> None:
    assert media_type(content, said) == is_
