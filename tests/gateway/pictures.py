"""A server of files for callers' URLs, in this process: what it gives, and how often it was asked."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n"


class Files:
    def __init__(self) -> None:
        self.root = ""
        self.asked: list[str] = []
        self.most_at_once = 0
        self._now = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await asyncio.sleep(0.05)
        self._now -= 1
        match request.path.split("/")[1].split("?")[0]:
            case "picture":
                return web.Response(body=PNG, content_type="image/png")
            case "unnamed":
                return web.Response(body=PNG, content_type="application/octet-stream")
            case "document":
                return web.Response(body=PDF, content_type="application/pdf")
            case "page":
                return web.Response(body=b"<html>Sign in</html>", content_type="text/html")
            case "inside":
                return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/"})
            case "failing":
                return web.Response(status=503)
            case "large":
                return web.Response(body=PNG + bytes(15_000_000), content_type="image/png")
            case _:
                return web.Response(status=404)


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    made = Files()
    app = web.Application()
    app.router.add_get("/{rest:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()
