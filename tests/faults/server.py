"""`hub serve` as a process of its own, to be signalled and killed, and clients that can leave at any byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from app.base.config import Settings, read_settings
from app.base.db import Database
from app.domain.calls.models import Attempt, Call
from tests.hubs import CHAT, HELLO, HUB_KEY, Json, apply_file, client, until_given

_ROOT = Path(__file__).resolve().parents[2]
HUB = (sys.executable, "-m", "app.ops.cli")
"""The command `hub`."""


class Server:
    """A serving hub. Its database is read beside it, as an operator's tools do."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.settings: Settings = read_settings(environ)
        self.port = _free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.log = self.settings.data_dir.parent / f"hub-{self.port}.log"
        self.db = Database(self.settings)
        self._environ = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Returns when it is ready."""
        command = [*HUB, "serve", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=_ROOT, env={"PATH": os.environ["PATH"], **self._environ}, stdout=log, stderr=log
            )
        async with client(self.root, None) as http:

            async def is_ready() -> bool:
                assert self.process.poll() is None, self.log.read_text()[-3000:]
                with contextlib.suppress(httpx.TransportError):
                    return (await http.get("/readyz")).status_code == 200
                return False

            await until_given(is_ready, 20)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = 40) -> int:
        """Its exit code, once it is gone."""
        return await asyncio.to_thread(self.process.wait, seconds)

    async def kill(self) -> None:
        """As the machine's end would."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def close(self) -> None:
        if self._process is not None and self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                await self.ended(15)
            except subprocess.TimeoutExpired:
                await self.kill()
        await self.db.close()

    def rss_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    async def calls(self) -> list[Call]:
        async with self.db.reading() as session:
            return list(await session.scalars(select(Call).order_by(Call.started_us)))

    async def ended_calls(self, count: int, seconds: float = 10) -> list[Call]:
        """All calls, as soon as there are so many and none is running."""

        async def look() -> list[Call] | None:
            calls = await self.calls()
            return calls if len(calls) >= count and all(call.status != "running" for call in calls) else None

        return await until_given(look, seconds)

    async def attempts_by_call(self) -> dict[str, int]:
        async with self.db.reading() as session:
            rows = await session.execute(select(Attempt.call_id, func.count()).group_by(Attempt.call_id))
            return dict(rows.tuples().all())


@asynccontextmanager
async def serving(environ: Mapping[str, str], file: Json | None) -> AsyncIterator[Server]:
    """A server with that file applied."""
    server = Server(environ)
    if file is not None:
        await apply_file(server.settings, file)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


class StreamClient:
    """One streamed call over a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.text = b""

    async def read_head(self) -> int:
        """The status."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        self.text += head
        return int(head.split(b" ", 2)[1])

    async def read_events(self, count: int) -> None:
        for _ in range(count):
            self.text += await self._reader.readuntil(b"\n\n")

    async def read_all(self) -> bytes:
        """Up to the end of the connection, however it ends."""
        with contextlib.suppress(ConnectionError):
            self.text += await self._reader.read()
        self._writer.close()
        return self.text

    async def pieces(self) -> AsyncIterator[bytes]:
        """What comes, as it comes, up to the end of the connection, however it ends."""
        with contextlib.suppress(ConnectionError):
            while piece := await self._reader.read(65536):
                yield piece
        self._writer.close()

    def leave(self) -> None:
        """Without a word: the connection is reset."""
        self._writer.transport.abort()


async def open_stream(server: Server, model: str = "chat", **fields: Any) -> StreamClient:
    """A stream that has been asked for."""
    content = json.dumps({"model": model, "messages": HELLO, "stream": True, **fields}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = (
        f"POST {CHAT} HTTP/1.1",
        "host: hub",
        f"authorization: Bearer {HUB_KEY}",
        "content-type: application/json",
        f"content-length: {len(content)}",
        "connection: close",
    )
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    await writer.drain()
    return StreamClient(reader, writer)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
