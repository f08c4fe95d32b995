"""The one lock that all writes of a process go through on SQLite."""

from __future__ import annotations

import asyncio

import pytest

from app.base.config import read_settings
from app.base.db import Database


@pytest.mark.databases("sqlite")
async def test_a_writer_that_gives_up_waiting_leaves_the_lock_to_the_next(hub_environ: dict[str, str]) -> None:
    db = Database(read_settings(hub_environ))

    async def write() -> None:
        async with db.writing():
            pass

    try:
        async with db.writing():
            waiting = asyncio.create_task(write())
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        await asyncio.wait_for(write(), 5)
    finally:
        await db.close()
