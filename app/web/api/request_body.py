"""A request's body, read whole within bounds: of size, of time, and of what a compressed one may unfold to."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Mapping

import zstandard
from litestar.types import Receive

from app.base.errors import AppError, BadRequest, BodyTooLarge, MediaTypeRefused

BODY_SECONDS = 60.0
"""For a body that comes in several pieces, all of them."""
_SWALLOW_SECONDS = 3.0
_MAX_ZSTD_WINDOW = 8 * 1024 * 1024
"""What RFC 9659 allows; a larger one takes memory before a byte is unfolded."""


class BodyTooSlow(AppError):
    status, code, owner = 408, "request_timeout", "you"


class ClientLeft(AppError):
    """The client left before its request was complete; nobody hears this."""

    status, code, owner = 400, "client_gone", "you"


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The body, decompressed.

    Raises:
        BodyTooLarge: more than `limit` bytes, as announced, as received or as unfolded.
        BodyTooSlow, ClientLeft, MediaTypeRefused, BadRequest
    """
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > limit:
        await _swallow(receive, limit)
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientLeft("The client left.")
    body = message.get("body", b"")  # pyright: ignore[reportUnknownMemberType]
    if message.get("more_body"):  # pyright: ignore[reportUnknownMemberType]
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _rest(body, receive, limit)
        except TimeoutError:
            raise BodyTooSlow(f"The request body did not arrive within {BODY_SECONDS:.0f} s.") from None
    if len(body) > limit:
        raise _too_large(limit)
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    return body if encoding in (b"identity", b"") else _unfold(encoding, body, limit)


async def _rest(first: bytes, receive: Receive, limit: int) -> bytes:
    pieces, size = [first], len(first)
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft("The client left.")
        piece: bytes = message.get("body", b"")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAssignmentType]
        more = bool(message.get("more_body"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            pieces.clear()
            if more:
                await _swallow(receive, limit)
            raise _too_large(limit)
    return b"".join(pieces)


async def _swallow(receive: Receive, limit: int) -> None:
    """Take in some of what is too much: a client that is still sending does not hear an answer, it sees a reset."""
    size, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SWALLOW_SECONDS):
            while more and size < 4 * limit:
                message = await receive()
                more = message["type"] != "http.disconnect" and bool(message.get("more_body"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
                size += len(message.get("body", b""))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportArgumentType]


def _unfold(encoding: bytes, body: bytes, limit: int) -> bytes:
    """One byte more than the limit is enough to know; no more is ever unfolded."""
    try:
        match encoding:
            case b"gzip" | b"x-gzip":
                unfolder = zlib.decompressobj(wbits=31)
                unfolded = unfolder.decompress(body, limit + 1)
                is_whole = unfolder.eof and not unfolder.unused_data
            case b"zstd":
                with zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW).stream_reader(body) as reader:
                    unfolded = reader.read(limit + 1)
                is_whole = True
            case _:
                raise MediaTypeRefused(
                    f"The Content-Encoding {encoding.decode('latin-1')[:40]} is not understood. "
                    "Use gzip, zstd or none.",
                    param="Content-Encoding",
                )
    except (zlib.error, zstandard.ZstdError):
        raise BadRequest("The compressed body cannot be unfolded.", param="Content-Encoding") from None
    if len(unfolded) > limit:
        raise _too_large(limit)
    if not is_whole:
        raise BadRequest("The compressed body is cut off, or something follows it.", param="Content-Encoding")
    return unfolded


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than the {limit // (1024 * 1024)} MiB that this hub takes.")
