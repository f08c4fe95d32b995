"""Amazon's event stream (`application/vnd.amazon.eventstream`), cut into messages whatever the pieces that arrive.

A message is its total length, the length of its headers and a CRC-32 of these two (each 4 bytes, big-endian), the
headers, the payload, and a CRC-32 of everything before:
https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from app.wire.answers import MAX_MEDIA_EVENT_BYTES, BrokenStream

HeaderValue = bool | int | bytes | str | datetime | UUID

_PRELUDE = struct.Struct("!III")
_CRC = struct.Struct("!I")
_LENGTH = struct.Struct("!H")
_LEAST = _PRELUDE.size + _CRC.size
_MOST_HEADERS = 128 * 1024
"""https://smithy.io/2.0/aws/amazon-eventstream.html"""

_TRUE, _FALSE, _BYTES, _STRING, _MOMENT, _UUID = 0, 1, 6, 7, 8, 9
_INTEGERS = {2: struct.Struct("!b"), 3: struct.Struct("!h"), 4: struct.Struct("!i"), 5: struct.Struct("!q")}
_LONG = _INTEGERS[5]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Message(NamedTuple):
    headers: dict[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str:
        """A header's text; empty where it is absent or no text."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class EventStreamReader:
    def __init__(self, max_message: int = MAX_MEDIA_EVENT_BYTES) -> None:
        self._held = bytearray()
        self._wanted: int | None = None
        """The length of the message that has begun, once its prelude is here."""
        self._max_message = max_message

    @property
    def is_within(self) -> bool:
        """Whether a message has begun that is not complete."""
        return bool(self._held)

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that are complete with this piece.

        Raises:
            BrokenStream: a checksum is wrong, a length cannot be, or headers are not as documented.
        """
        self._held += chunk
        found: list[Message] = []
        while True:
            if self._wanted is None and len(self._held) >= _PRELUDE.size:
                self._wanted = self._checked_length()
            if self._wanted is None or len(self._held) < self._wanted:
                return found
            whole = bytes(self._held[: self._wanted])
            del self._held[: self._wanted]
            self._wanted = None
            found.append(_message(whole))

    def _checked_length(self) -> int:
        """Before anything is gathered: a length that is garbage would be waited for."""
        total, headers, checksum = _PRELUDE.unpack_from(self._held)
        if zlib.crc32(self._held[: _PRELUDE.size - _CRC.size]) != checksum:
            raise BrokenStream("a message whose prelude has a wrong checksum")
        if total > self._max_message:
            raise BrokenStream(f"a message of more than {self._max_message} bytes")
        if total < _LEAST or headers > min(total - _LEAST, _MOST_HEADERS):
            raise BrokenStream("a message whose lengths cannot be")
        return total


def _message(whole: bytes) -> Message:
    if zlib.crc32(whole[: -_CRC.size]) != _CRC.unpack_from(whole, len(whole) - _CRC.size)[0]:
        raise BrokenStream("a message with a wrong checksum")
    payload_at = _PRELUDE.size + _PRELUDE.unpack_from(whole)[1]
    try:
        headers = _headers(whole[_PRELUDE.size : payload_at])
    except (struct.error, IndexError, UnicodeDecodeError, OverflowError) as failure:
        raise BrokenStream(f"a message whose headers cannot be read ({type(failure).__name__})") from None
    return Message(headers, whole[payload_at : -_CRC.size])


def _headers(block: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    while at < len(block):
        name_ends = at + 1 + block[at]
        name = block[at + 1 : name_ends].decode()
        headers[name], at = _value(block, block[name_ends], name_ends + 1)
    return headers


def _value(block: bytes, kind: int, at: int) -> tuple[HeaderValue, int]:
    """A value and where the next header begins."""
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if (integer := _INTEGERS.get(kind)) is not None:
        return integer.unpack_from(block, at)[0], at + integer.size
    if kind == _MOMENT:
        return _EPOCH + timedelta(milliseconds=_LONG.unpack_from(block, at)[0]), at + _LONG.size
    if kind == _UUID:
        return UUID(bytes=_cut(block, at, 16)), at + 16
    if kind in (_BYTES, _STRING):
        length = _LENGTH.unpack_from(block, at)[0]
        value = _cut(block, at + _LENGTH.size, length)
        return value.decode() if kind == _STRING else value, at + _LENGTH.size + length
    raise BrokenStream(f"a header of the unknown type {kind}")


def _cut(block: bytes, at: int, length: int) -> bytes:
    piece = block[at : at + length]
    if len(piece) < length:
        raise IndexError
    return piece
