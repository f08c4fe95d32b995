"""A client that is killed, at whatever point: one record, and the provider is let go or read to its end."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.emulators.handle import Upstream
from tests.faults.server import open_stream, serving
from tests.hubs import described, seen

EVENTS = 15
"""What the emulator sends for "count to 12": a beginning, twelve numbers, why it ended, and `[DONE]`."""


@pytest.mark.parametrize("kind", ["openai", "doubao"])
async def test_a_client_killed_at_any_chunk_leaves_exactly_one_record(
    hub_environ: dict[str, str], upstream: Upstream, kind: str
) -> None:
    is_drained = kind == "doubao"
    model = "one/slow-60" if kind == "openai" else "one/slow-40"
    async with serving(hub_environ, described(upstream, kind=kind, models={"chat": model})) as server:
        left_at: list[float] = []

        async def read_and_leave(chunks: int) -> None:
            # -1: before any answer, -2: at once.
            stream = await open_stream(server)
            if chunks >= 0:
                assert await stream.read_head() == 200
                await stream.read_events(chunks)
            elif chunks == -1:
                await seen(upstream, lambda entries: len(entries) > 0)
            stream.leave()
            left_at.append(time.time())

        await asyncio.gather(*(read_and_leave(chunks) for chunks in range(-2, EVENTS + 1)))

        count = EVENTS + 3
        calls = await server.ended_calls(count)
        assert len(calls) == count
        assert {call.status for call in calls} <= {"client_gone", "succeeded"}
        # Whoever has read all of it, or all but the end, may count as having had it.
        assert sum(call.status == "client_gone" for call in calls) >= count - 3
        by_call = await server.attempts_by_call()
        assert all(by_call.get(call.id, 0) == call.attempts <= 1 for call in calls)
        entries = await seen(upstream, lambda entries: all(entry["finished_at"] for entry in entries), seconds=2)
        if is_drained:
            # Whoever left before the provider was asked has cost nothing; all others are read to their end.
            asked = [call for call in calls if call.provider is not None and call.usage_source != "none"]
            assert len(asked) >= count - 2
            assert {(call.usage_source, call.output) for call in asked} == {("provider", 12)}
            assert sum(not entry["closed_early"] for entry in entries) >= count - 2
        else:
            assert max(entry["finished_at"] for entry in entries) - max(left_at) < 1.0
            assert sum(entry["closed_early"] for entry in entries) >= EVENTS - 3
            for call in calls:
                assert call.output <= 12


async def test_clients_killed_while_an_answer_is_made_leave_one_record_each(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with serving(hub_environ, described(upstream, models={"chat": "one/slow-300"})) as server:
        streams = [await open_stream(server, stream=False) for _ in range(20)]
        await seen(upstream, lambda entries: len(entries) == 20)
        for stream in streams:
            stream.leave()

        calls = await server.ended_calls(20)

        assert [(call.status, call.usage_source, call.output) for call in calls] == [
            ("client_gone", "provider", 12)
        ] * 20
