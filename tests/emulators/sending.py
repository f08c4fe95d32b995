"""Puts an answer on the wire, whole or in pieces, and breaks it off the way a fault asks."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import zlib
from typing import Any

from aiohttp import web

from tests.emulators.checks import Refusal
from tests.emulators.faults import Faults, spoil_events
from tests.emulators.journal import Entry
from tests.emulators.kinds import Kind, error_body

_DRIP_SECONDS = 0.02
_PIECE = 1024


class Ended(Exception):
    """We broke the connection ourselves; nothing more can be sent."""


async def before_answer(request: web.Request, faults: Faults) -> web.StreamResponse | None:
    """Faults that leave no answer, or a wrong one; None where the usual answer may follow."""
    if "never-answers" in faults:
        await asyncio.sleep(3600)
    if "close-before-answer" in faults:
        _reset(request)
        raise Ended
    if "redirect" in faults:
        return web.Response(status=307, headers={"location": "/_redirected"})
    if "empty-200" in faults:
        return web.Response(status=200, body=b"", content_type="application/json")
    if "wrong-type" in faults:
        return web.Response(status=200, text="<html>Welcome to the hotel network</html>", content_type="text/html")
    if "html-502" in faults:
        return web.Response(status=502, text="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
    return None


def refused(kind: Kind, problem: Refusal) -> web.Response:
    body = error_body(
        kind, problem.status, problem.message, type_=problem.type_, param=problem.param, code=problem.code
    )
    return web.json_response(body, status=problem.status, headers=problem.headers)


async def send_whole(
    request: web.Request, entry: Entry, faults: Faults, body: bytes, content_type: str, headers: dict[str, str]
) -> web.StreamResponse:
    """A complete body with its length; faults may cut, slow or mangle it."""
    if "garbage" in faults:
        body = b'{"choices": [{' + b"\xff\xfe" + body[: len(body) // 2]
    if "gzip-bomb" in faults:
        body = b'{"choices": [], "filler": "' + b" " * (256 << 20) + b'"}'
    if "gzip" in faults or "gzip-bomb" in faults:
        body, headers = _gzipped(body), headers | {"content-encoding": "gzip"}
    await asyncio.sleep((faults.after("slow", 0) or 0) / 1000)
    response = web.StreamResponse(headers=headers | {"content-type": content_type, "content-length": str(len(body))})
    entry.status = 200
    await response.prepare(request)
    breaks = [name for name in ("cut", "reset", "stall") if name in faults]
    if breaks:
        await response.write(body[: len(body) // 2])
        await _break(request, entry, breaks[0])
    elif "drip" in faults or "one-byte-chunks" in faults:
        await _write(response, body, faults)
    else:
        for at in range(0, len(body), 256 << 10):
            await response.write(body[at : at + (256 << 10)])
            entry.chunks_sent += 1
    await response.write_eof()
    return response


async def send_events(
    request: web.Request,
    entry: Entry,
    faults: Faults,
    events: list[bytes],
    headers: dict[str, str],
    *,
    content_type: str,
) -> web.StreamResponse:
    """A body in pieces, each handed to the socket by itself; SSE, or sound."""
    events = spoil_events(faults, events)
    if "gzip" in faults:
        events, headers = [_gzipped(b"".join(events))], headers | {"content-encoding": "gzip"}
    response = web.StreamResponse(headers=headers | {"content-type": content_type, "cache-control": "no-cache"})
    entry.status = 200
    await response.prepare(request)
    pause = (faults.after("slow", 0) or 0) / 1000
    strikes = {name: faults.after(name, 3) for name in ("cut", "reset", "stall") if name in faults}
    for at in range(len(events) + 1):
        for name, after in strikes.items():
            if after is not None and at == min(after, len(events)):
                await _break(request, entry, name)
        if at == len(events):
            break
        # Even without a pause: the loop must get the chance to notice that the caller left.
        await asyncio.sleep(pause)
        await _write(response, events[at], faults)
        entry.chunks_sent += 1
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, piece: bytes, faults: Faults) -> None:
    if "one-byte-chunks" in faults or "drip" in faults:
        for at in range(len(piece)):
            await response.write(piece[at : at + 1])
            await asyncio.sleep(_DRIP_SECONDS if "drip" in faults else 0)
    else:
        await response.write(piece)


async def _break(request: web.Request, entry: Entry, how: str) -> None:
    """Stalls until the caller leaves, or ends the connection within the body."""
    # What was written before must have left this process; closing at once could overtake it.
    await asyncio.sleep(0.05)
    if how == "stall":
        await asyncio.sleep(3600)
    elif how == "reset":
        _reset(request)
    elif request.transport is not None:
        request.transport.close()
    raise Ended


def _reset(request: web.Request) -> None:
    if request.transport is None:
        return
    raw = request.transport.get_extra_info("socket")
    # Linger 0: closing sends RST instead of FIN.
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


def _gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()


def as_json(answer: Any) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode()


def in_pieces(body: bytes) -> list[bytes]:
    return [body[at : at + _PIECE] for at in range(0, len(body), _PIECE)]
