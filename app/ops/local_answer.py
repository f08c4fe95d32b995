"""Who listens on a port of this machine, by the beginning of an HTTP answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress

_MOST_BYTES = 2000


async def of(host: str, port: int, path: str, seconds: float) -> bytes:
    """The beginning of the answer to `GET path` when its status is 200, else nothing; waits `seconds` at most."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
                answer = await reader.read(_MOST_BYTES)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return b""
    return answer if b" 200 " in answer.split(b"\r\n", 1)[0] else b""
