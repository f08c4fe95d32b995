"""A hub that charges credits, and a database that fails it: calls are refused before they cost anything."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import pytest

from tests.credit_hubs import TOKEN, priced
from tests.emulators.handle import Upstream
from tests.faults.books import right_books
from tests.faults.server import Server, open_stream, serving
from tests.faults.test_databases import a_stall
from tests.hubs import CHAT, HELLO, client

STALL_SECONDS = 7.5
"""A call waits for five before it is refused."""
CHARGE = 12 * TOKEN + 6 * 1000


@asynccontextmanager
async def _locked(server: Server) -> AsyncIterator[None]:
    """Somebody else writes and does not come to an end."""
    async with a_stall(server, STALL_SECONDS):
        yield


@asynccontextmanager
async def _full(server: Server) -> AsyncIterator[None]:
    """No file of the hub's may grow beyond a few pages, which is what a full disk is to it."""
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (16_384, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@asynccontextmanager
async def _read_only(server: Server) -> AsyncIterator[None]:
    """As a standby is, or a server that its administrator has told so."""
    assert server.settings.database_url is not None
    url = server.settings.database_url.reveal()
    await _tell(url, "on")
    yield
    await _tell(url, "off")


async def _tell(url: str, is_read_only: str) -> None:
    admin = await asyncpg.connect(url, server_settings={"default_transaction_read_only": "off"})
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {is_read_only}')
    await _end_backends(admin)
    await admin.close()


async def _end_backends(admin: asyncpg.Connection) -> None:
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def test_while_the_database_is_locked_nobody_is_asked_and_afterwards_nothing_is_held(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    await _refused_while(hub_environ, upstream, _locked)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of another process")
@pytest.mark.databases("sqlite")
async def test_while_the_disk_is_full_nobody_is_asked_and_afterwards_nothing_is_held(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    # Its log is a file, too, and must stay below the limit.
    await _refused_while(hub_environ | {"HUB_LOG_LEVEL": "error"}, upstream, _full)


@pytest.mark.databases("postgresql")
async def test_while_the_database_is_read_only_nobody_is_asked_and_afterwards_nothing_is_held(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    await _refused_while(hub_environ, upstream, _read_only)


async def _refused_while(
    environ: dict[str, str], upstream: Upstream, spoilt: Callable[[Server], AbstractAsyncContextManager[None]]
) -> None:
    file = priced(upstream, "1000", models={"chat": "one/slow-100", "quick": "one/gpt-4o-mini"})
    file["budgets"] = [{"scope": "team", "of": "acme", "amount": 10**9, "unit": "calls", "window": "total"}]
    async with serving(environ, file) as server, client(server.root) as http:
        quick = {"model": "quick", "messages": HELLO}
        for _ in range(5):
            assert (await http.post(CHAT, json=quick)).status_code == 200
        streams = [await open_stream(server) for _ in range(10)]
        for stream in streams:
            assert await stream.read_head() == 200
        asked = len(upstream.calls())

        async with spoilt(server):
            answers = await asyncio.gather(*(http.post(CHAT, json=quick, timeout=30) for _ in range(20)))
            refused = Counter(answer.status_code for answer in answers)
            assert refused == {503: 20}, [answer.text for answer in answers][:2]
            assert len(upstream.calls()) == asked
            # What had begun is delivered; its charge waits.
            texts = await asyncio.gather(*(stream.read_all() for stream in streams))
            assert all(b"data: [DONE]" in text for text in texts)

        began = time.monotonic()
        async with asyncio.timeout(10):
            while (await http.post(CHAT, json=quick)).status_code != 200:
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 10
        await server.ended_calls(16)
        await _settled(server)
        books = await right_books(server.db, server.settings)
        by_status = Counter(call.status for call in books.calls.values())
        assert by_status["succeeded"] == 16 and set(by_status) <= {"succeeded", "failed"}
        assert list(books.charged.values()) == [CHARGE] * 16


@pytest.mark.databases("postgresql")
async def test_connections_that_are_cut_again_and_again_charge_nothing_twice(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with serving(hub_environ, priced(upstream, "1000")) as server, client(server.root) as http:
        assert server.settings.database_url is not None
        admin = await asyncpg.connect(server.settings.database_url.reveal())
        served = 0
        is_over = False

        async def call() -> None:
            nonlocal served
            while not is_over:
                answer = await http.post(CHAT, json={"model": "chat", "messages": HELLO})
                assert answer.status_code in (200, 503)
                served += answer.status_code == 200

        calling = [asyncio.create_task(call()) for _ in range(8)]
        for _ in range(10):
            await asyncio.sleep(0.3)
            await _end_backends(admin)
        is_over = True
        await asyncio.gather(*calling)
        await admin.close()

        await _settled(server)
        books = await right_books(server.db, server.settings)
        assert served and list(books.charged.values()) == [CHARGE] * served


async def _settled(server: Server) -> None:
    """Until the last charge is in the books, too."""
    async with asyncio.timeout(10):
        while any(call.status == "running" for call in await server.calls()):
            await asyncio.sleep(0.05)
