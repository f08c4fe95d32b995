"""A database that stands still or drops its connections: calls are told to come back, and no record is lost."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import asyncpg
import httpx
import pytest

from tests.emulators.handle import Upstream
from tests.faults.server import Server, open_stream, serving
from tests.hubs import CHAT, HELLO, HUB_KEY, TWELVE, client, described, said

STALL_SECONDS = float(os.environ.get("STALL_SECONDS", "8"))
"""30 shows the same, and takes longer."""


@asynccontextmanager
async def a_stall(server: Server, seconds: float) -> AsyncIterator[asyncio.Event]:
    """Nobody can write for so long; the event tells when that is over."""
    over = asyncio.Event()
    if server.settings.database_url is None:
        taken = threading.Event()
        path = server.settings.sqlite_path

        def hold() -> None:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                taken.set()
                time.sleep(seconds)
                connection.execute("ROLLBACK")

        holding = asyncio.create_task(asyncio.to_thread(hold))
        await asyncio.to_thread(taken.wait)
    else:
        connection = await asyncpg.connect(server.settings.database_url.reveal())
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("LOCK TABLE call IN ACCESS EXCLUSIVE MODE")

        async def hold_table() -> None:
            await asyncio.sleep(seconds)
            await transaction.rollback()
            await connection.close()

        holding = asyncio.create_task(hold_table())
    holding.add_done_callback(lambda _: over.set())
    yield over
    await holding


async def test_a_database_that_stands_still_loses_no_record_and_fills_no_memory(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with serving(
        hub_environ, described(upstream, models={"chat": "one/slow-100", "quick": "one/gpt-4o-mini"})
    ) as server:
        limits = httpx.Limits(max_connections=None)
        headers = {"authorization": f"Bearer {HUB_KEY}"}
        async with httpx.AsyncClient(
            base_url=server.root, headers=headers, timeout=60, trust_env=False, limits=limits
        ) as http:
            quick = {"model": "quick", "messages": HELLO}
            for _ in range(20):
                assert (await http.post(CHAT, json=quick)).status_code == 200
            streams = [await open_stream(server) for _ in range(20)]
            for stream in streams:
                await stream.read_head()
            before = server.rss_bytes()

            async with a_stall(server, STALL_SECONDS) as over:
                refused: list[httpx.Response] = []
                began = time.monotonic()

                async def knock() -> None:
                    while not over.is_set() and time.monotonic() - began < STALL_SECONDS - 6:
                        refused.append(await http.post(CHAT, json=quick))

                knocking = [asyncio.create_task(knock()) for _ in range(100)]
                # Streams that had begun are delivered to their last byte; their records wait.
                texts = await asyncio.gather(*(stream.read_all() for stream in streams))
                assert all(b"data: [DONE]" in text for text in texts)
                assert time.monotonic() - began < STALL_SECONDS
                assert (await http.get("/healthz")).status_code == 200
                await asyncio.gather(*knocking)
                grown = server.rss_bytes() - before

            assert Counter(answer.status_code for answer in refused) == {503: len(refused)} and len(refused) >= 100
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
            assert {answer.json()["error"]["code"] for answer in refused} == {"database_busy"}
            assert grown < 48 * 1024 * 1024

            # As soon as it moves again, so does the hub.
            async with asyncio.timeout(5):
                while (await http.post(CHAT, json=quick)).status_code != 200:
                    await asyncio.sleep(0.05)
        calls = await server.ended_calls(41)
        by_status = Counter(call.status for call in calls)
        assert by_status["succeeded"] == 41
        # A refused call may have been written in the last moment; then it says so.
        assert set(by_status) <= {"succeeded", "failed"}
        assert not any(call.status == "failed" and call.error_code != "database_busy" for call in calls)


@pytest.mark.databases("postgresql")
async def test_backends_that_are_killed_under_load_lose_no_record(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with serving(hub_environ, described(upstream)) as server, client(server.root) as http:
        assert server.settings.database_url is not None
        admin = await asyncpg.connect(server.settings.database_url.reveal())
        ids: list[str] = []
        statuses: Counter[int | str] = Counter()
        is_over = False

        async def call() -> None:
            n = 0
            while not is_over:
                n += 1
                answer = await http.post(CHAT, json={"model": "chat", "messages": HELLO, "stream": n % 2 == 0})
                statuses[answer.status_code if answer.status_code == 200 else answer.text] += 1
                if answer.status_code == 200:
                    ids.append(answer.headers["x-hub-call-id"])
                    if n % 2 == 0:
                        assert said(answer.text) == TWELVE

        calling = [asyncio.create_task(call()) for _ in range(8)]
        for _ in range(8):
            await asyncio.sleep(0.4)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        is_over = True
        await asyncio.gather(*calling)
        await admin.close()

        assert set(statuses) == {200}, statuses
        calls = await server.ended_calls(len(ids))
        assert sorted(call.id for call in calls) == sorted(ids)
        assert {(call.status, call.output, call.attempts) for call in calls} == {("succeeded", 12, 1)}
        assert await server.attempts_by_call() == dict.fromkeys(ids, 1)
