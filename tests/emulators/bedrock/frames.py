"""Writes messages of Amazon's event stream: https://smithy.io/2.0/aws/amazon-eventstream.html"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

Value = bool | int | bytes | str | datetime | UUID
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def message(headers: Mapping[str, Value], payload: bytes) -> bytes:
    block = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    whole = prelude + struct.pack("!I", zlib.crc32(prelude)) + block + payload
    return whole + struct.pack("!I", zlib.crc32(whole))


def event(name: str, payload: Any) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    # The real service pads its events with a member `p` of random length, against eavesdroppers who count bytes.
    return message(headers, json.dumps({**payload, "p": "abcdefghijk"[: len(name) % 11]}).encode())


def exception(name: str, text: str) -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, json.dumps({"message": text}).encode())


def _header(name: str, value: Value) -> bytes:
    head = bytes([len(name.encode())]) + name.encode()
    if isinstance(value, bool):
        return head + (b"\x00" if value else b"\x01")
    if isinstance(value, int):
        for kind, form, most in ((2, "!b", 1 << 7), (3, "!h", 1 << 15), (4, "!i", 1 << 31)):
            if -most <= value < most:
                return head + bytes([kind]) + struct.pack(form, value)
        return head + b"\x05" + struct.pack("!q", value)
    if isinstance(value, datetime):
        return head + b"\x08" + struct.pack("!q", round((value - _EPOCH).total_seconds() * 1000))
    if isinstance(value, UUID):
        return head + b"\x09" + value.bytes
    kind, raw = (6, value) if isinstance(value, bytes) else (7, value.encode())
    return head + bytes([kind]) + struct.pack("!H", len(raw)) + raw
