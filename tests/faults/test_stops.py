"""How a hub ends: killed, stopped with time, stopped without; and a second one beside it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter

import httpx
import pytest

from tests.emulators.handle import Upstream
from tests.faults.server import Server, StreamClient, open_stream, serving
from tests.hubs import CHAT, HELLO, client, described


async def running_streams(server: Server, count: int) -> list[StreamClient]:
    """So many streams that have begun."""
    streams = await asyncio.gather(*(open_stream(server) for _ in range(count)))

    async def begin(stream: StreamClient) -> None:
        assert await stream.read_head() == 200
        await stream.read_events(1)

    async with asyncio.timeout(20):
        await asyncio.gather(*(begin(stream) for stream in streams))
    return list(streams)


async def test_after_kill_9_during_200_streams_no_call_is_without_an_end(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with serving(hub_environ, described(upstream, models={"chat": "one/slow-500"})) as server:
        streams = await running_streams(server, 200)
        await server.kill()
        assert Counter(call.status for call in await server.calls()) == {"running": 200}
        await asyncio.gather(*(stream.read_all() for stream in streams))

        await server.start()

        calls = await server.calls()
        assert Counter(call.status for call in calls) == {"interrupted": 200}
        assert {(call.error_code, call.error_owner) for call in calls} == {("hub_stopped", "hub")}
        async with client(server.root) as http:
            answer = await http.post(CHAT, json={"model": "chat", "messages": HELLO})
            assert answer.status_code == 200
        assert Counter(call.status for call in await server.ended_calls(201))["succeeded"] == 1


async def test_an_idempotency_key_is_free_again_after_a_crash(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with serving(hub_environ, described(upstream)) as server, client(server.root) as http:
        upstream.script({"delay_ms": 60_000, "body": {}})
        asked = asyncio.create_task(
            http.post(CHAT, json={"model": "chat", "messages": HELLO}, headers={"idempotency-key": "k"})
        )
        await asyncio.to_thread(upstream.wait_for, lambda entries: len(entries) == 1)
        await server.kill()
        with pytest.raises(httpx.TransportError):
            await asked
        await server.start()

        again = await http.post(CHAT, json={"model": "chat", "messages": HELLO}, headers={"idempotency-key": "k"})

        assert again.status_code == 200 and "x-hub-idempotent-replay" not in again.headers


async def test_on_sigterm_running_streams_finish_and_new_calls_are_sent_away(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with serving(hub_environ, described(upstream, models={"chat": "one/slow-100"})) as server:
        streams = await running_streams(server, 20)
        async with client(server.root) as http:
            # A connection that is open already still gets an answer, or is closed; nobody new is let in.
            await http.get("/healthz")
            server.signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            with contextlib.suppress(httpx.TransportError):
                assert (await http.get("/readyz")).status_code == 503
            with contextlib.suppress(httpx.TransportError):
                answer = await http.post(CHAT, json={"model": "chat", "messages": HELLO})
                assert answer.status_code == 503 and "retry-after" in answer.headers

        texts = await asyncio.gather(*(stream.read_all() for stream in streams))

        assert all(text.rstrip().endswith(b"0") and b"data: [DONE]" in text for text in texts)
        assert await server.ended() == 0
        assert Counter(call.status for call in await server.calls()) == {"succeeded": 20}
        assert "unrecorded" not in server.log.read_text()


async def test_streams_that_outlast_the_grace_are_ended_with_an_error_they_understand(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    environ = hub_environ | {"HUB_SHUTDOWN_GRACE_SECONDS": "1"}
    async with serving(environ, described(upstream, models={"chat": "one/slow-700"})) as server:
        streams = await running_streams(server, 50)
        server.signal(signal.SIGTERM)
        began = time.monotonic()

        texts = await asyncio.gather(*(stream.read_all() for stream in streams))

        assert await server.ended() == 0
        assert time.monotonic() - began < 3
        assert all(b'"code":"server_restarting"' in text and b"[DONE]" not in text for text in texts)
        calls = await server.calls()
        assert Counter(call.status for call in calls) == {"interrupted": 50}
        assert {(call.usage_source, call.error_owner) for call in calls} == {("estimated", "hub")}


async def test_sigint_leaves_time_to_settle_before_blocklet_server_kills(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    environ = hub_environ | {"HUB_INTERRUPT_GRACE_SECONDS": "1.4"}
    async with serving(environ, described(upstream, models={"chat": "one/slow-700"})) as server:
        streams = await running_streams(server, 100)
        server.signal(signal.SIGINT)
        began = time.monotonic()

        assert await server.ended() == 0
        took = time.monotonic() - began

        assert Counter(call.status for call in await server.calls()) == {"interrupted": 100}
        # Killed is what has not gone 1.6 s after the signal; by then at least all is settled (checked above, exactly).
        assert took < 1.6
        for stream in streams:
            stream.leave()


async def test_an_idle_hub_stops_at_once(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with serving(hub_environ, described(upstream)) as server, client(server.root) as http:
        assert (await http.post(CHAT, json={"model": "chat", "messages": HELLO})).status_code == 200
        began = time.monotonic()
        server.signal(signal.SIGTERM)

        assert await server.ended() == 0
        assert time.monotonic() - began < 1.5


async def test_a_second_process_on_the_same_database_disturbs_nobody(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with serving(hub_environ, described(upstream, models={"chat": "one/slow-100"})) as first:
        streams = await running_streams(first, 10)
        async with serving(hub_environ, None) as second:
            streams += await running_streams(second, 10)
            texts = await asyncio.gather(*(stream.read_all() for stream in streams))
            assert all(b"data: [DONE]" in text for text in texts)
            await asyncio.gather(*(stream.read_all() for stream in await running_streams(first, 1)))
            # The first one dies; the second does not: only a start or the job of the living ends what is left.
            left = await running_streams(first, 5)
            kept = await running_streams(second, 5)
            await first.kill()
            await asyncio.gather(*(stream.read_all() for stream in left))
            await first.start()
            texts = await asyncio.gather(*(stream.read_all() for stream in kept))
            assert all(b"data: [DONE]" in text for text in texts)

            calls = await first.ended_calls(31)
            assert Counter(call.status for call in calls) == {"succeeded": 26, "interrupted": 5}
            assert len({call.boot_id for call in calls}) == 2
