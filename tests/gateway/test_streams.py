"""Streams: whatever a provider does to one, the client gets a clear end and the record what was produced."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

import httpx
import pytest

from tests.emulators.handle import Upstream
from tests.hubs import (
    CHAT,
    HELLO,
    HUB_KEY,
    TWELVE,
    RunningHub,
    described,
    events,
    quick,
    running_hub,
    said,
    seen,
    until,
)

pytestmark = pytest.mark.databases("sqlite")


def served(upstream: Upstream, upstream_model: str, **more: Any) -> dict[str, Any]:
    return described(upstream, models={"chat": f"one/{upstream_model}"}, **more)


def error_in(answer: httpx.Response) -> dict[str, Any]:
    return json.loads(events(answer.text)[-1])["error"]


@pytest.mark.parametrize("fault", ["fault-cut-after-5", "fault-reset-after-5"])
async def test_a_stream_that_breaks_ends_with_an_error_and_is_charged_for_what_came(
    hub_environ: dict[str, str], upstream: Upstream, fault: str
) -> None:
    async with running_hub(hub_environ, served(upstream, fault)) as hub:
        answer = await hub.stream()

        assert said(answer.text.rpartition("data: ")[0]) == "1 2 3 4"
        assert error_in(answer)["code"] == "provider_stream_broken"
        assert "[DONE]" not in answer.text
        call = await hub.last_call()
        assert (call.status, call.error_owner, call.http_status) == ("failed", "provider", 200)
        # "1 2 3 4" is seven characters, four of them a token.
        assert (call.usage_source, call.output) == ("estimated", 2)


async def test_a_stream_that_stalls_is_ended_by_the_idle_deadline(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The time for the first byte is long and has begun before: it must not lengthen the one between two bytes.
    quick(monkeypatch, first_byte=30.0, idle=0.3)
    async with running_hub(hub_environ, served(upstream, "fault-stall-after-4")) as hub:
        answer = await hub.stream()

        assert error_in(answer)["code"] == "provider_stalled"
        assert answer.elapsed.total_seconds() < 2
        call = await hub.last_call()
        assert (call.status, call.error_code, call.usage_source) == ("failed", "provider_stalled", "estimated")
        await seen(upstream, lambda entries: entries[0]["closed_early"], 1)


async def test_a_stream_that_never_ends_is_ended_by_the_total_deadline(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, total=0.5, idle=30.0)
    async with running_hub(hub_environ, served(upstream, "slow-100")) as hub:
        answer = await hub.stream()

        assert error_in(answer)["code"] == "call_timeout" and "1 2" in said(answer.text.rpartition("data: ")[0])


async def test_a_slow_stream_is_not_stalled(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, idle=0.4)
    async with running_hub(hub_environ, served(upstream, "slow-60")) as hub:
        assert said((await hub.stream()).text) == TWELVE


@pytest.mark.parametrize(
    "model",
    [
        "fault-one-byte-chunks",
        "fault-crlf",
        "fault-no-space",
        "fault-garbage",
        "fault-half-utf8",
        "fault-comment-flood",
    ],
)
async def test_odd_ways_of_sending_a_stream_change_nothing_of_it(
    hub_environ: dict[str, str], upstream: Upstream, model: str
) -> None:
    async with running_hub(hub_environ, served(upstream, model)) as hub:
        answer = await hub.stream()

        assert said(answer.text) == TWELVE and events(answer.text)[-1] == "[DONE]"
        call = await hub.last_call()
        assert (call.status, call.usage_source, call.input, call.output) == ("succeeded", "provider", 6, 12)


async def test_a_stream_that_drips_byte_by_byte_arrives(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, served(upstream, "fault-drip")) as hub:
        event = 'data: {"choices":[{"delta":{"content":"1"}}]}\n\n'
        upstream.script({"events": [event, "data: [DONE]\n\n"]})

        answer = await hub.stream()

        assert said(answer.text) == "1" and events(answer.text)[-1] == "[DONE]"


async def test_an_event_beyond_all_bounds_ends_the_stream_without_filling_the_memory(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, served(upstream, "fault-huge-line")) as hub:
        await hub.stream()
        before = rss_bytes()

        answers = [await hub.stream() for _ in range(4)]

        assert {error_in(answer)["code"] for answer in answers} == {"provider_stream_broken"}
        assert rss_bytes() - before < 8 * 1024 * 1024
        assert (await hub.last_call()).status == "failed"


@pytest.mark.parametrize(
    ("is_streamed", "fault"), [(False, "fault-gzip"), (True, "fault-gzip"), (False, "fault-gzip-bomb")]
)
async def test_a_compressed_answer_is_refused_and_never_unfolded(
    hub_environ: dict[str, str], upstream: Upstream, is_streamed: bool, fault: str
) -> None:
    async with running_hub(hub_environ, served(upstream, fault)) as hub:
        before = rss_bytes()
        answer = await hub.chat(stream=is_streamed)

        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_bad_answer")
        assert rss_bytes() - before < 16 * 1024 * 1024


async def test_a_stream_without_its_last_mark_is_complete_when_it_said_why_it_ended(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, served(upstream, "fault-no-done")) as hub:
        answer = await hub.stream()

        assert said(answer.text) == TWELVE
        assert (await hub.last_call()).status == "succeeded"


async def test_an_end_that_is_said_but_not_made_is_not_waited_for(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, served(upstream, "gpt-4o-mini")) as hub:
        chunk = 'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
        upstream.script({"fault": "stall-after-99", "events": None})
        upstream.script({"events": [chunk, "data: [DONE]\n\n", ": more\n\n" * 3]})

        began = time.monotonic()
        answer = await hub.stream()
        answer = await hub.stream()

        assert time.monotonic() - began < 3
        assert events(answer.text)[-1] == "[DONE]"
        assert {call.status for call in await hub.calls()} == {"succeeded"}


async def test_an_error_in_the_middle_is_passed_on_without_the_providers_words(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, served(upstream, "slow-20+fault-error-mid-stream-after-4")) as hub:
        answer = await hub.stream()

        assert said(answer.text.rpartition("data: ")[0]) == "1 2 3"
        error = error_in(answer)
        assert error["code"] == "provider_failed" and "org-" not in answer.text
        assert error["call_id"] == (await hub.last_call()).id


@pytest.mark.parametrize(
    ("fault", "source", "counts"),
    [
        ("fault-no-usage", "estimated", None),
        ("fault-usage-null", "estimated", None),
        ("fault-negative-usage", "estimated", None),
        ("fault-huge-usage", "estimated", None),
        ("fault-string-usage", "estimated", None),
        ("fault-zero-usage", "provider", (0, 0)),
        ("fault-usage-twice", "provider", (6, 12)),
        ("fault-usage-every-chunk", "provider", (6, 12)),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_usage_is_believed_only_where_it_can_be_true(
    hub_environ: dict[str, str],
    upstream: Upstream,
    fault: str,
    source: str,
    counts: tuple[int, int] | None,
    is_streamed: bool,
) -> None:
    async with running_hub(hub_environ, served(upstream, f"gpt-4o-mini+{fault}")) as hub:
        answer = await hub.chat(stream=is_streamed)

        assert answer.status_code == 200
        call = await hub.last_call()
        assert (call.status, call.usage_source, call.requests) == ("succeeded", source, 1)
        if counts is not None:
            assert (call.input, call.output) == counts
        else:
            assert 1 <= call.input < 200 and 1 <= call.output < 400


async def test_the_usage_chunk_reaches_only_a_client_that_asked(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, served(upstream, "gpt-4o-mini")) as hub:
        without = events((await hub.stream()).text)
        asked = events((await hub.stream(stream_options={"include_usage": True})).text)

        assert len(asked) == len(without) + 1 and json.loads(asked[-2])["usage"]["completion_tokens"] == 12
        assert all(entry["body"]["stream_options"] == {"include_usage": True} for entry in upstream.calls())


@pytest.mark.parametrize("when", [0, 1, 6])
async def test_a_client_that_leaves_takes_the_provider_with_it(
    hub_environ: dict[str, str], upstream: Upstream, when: int
) -> None:
    # So slow that a busy machine, too, notices long before the answer's own end.
    async with running_hub(hub_environ, served(upstream, "slow-250")) as hub:
        await read_and_leave(hub, when)

        entry = (await seen(upstream, lambda entries: bool(entries) and entries[0]["finished_at"] is not None, 3))[0]
        assert entry["closed_early"] and entry["chunks_sent"] < 14
        call = await hub.last_call()
        assert (call.status, call.error_owner, call.attempts) == ("client_gone", "you", 1)
        assert call.usage_source == ("estimated" if when else call.usage_source)


async def test_where_the_provider_bills_it_anyway_the_answer_is_read_on(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, on_disconnect="drain")
    async with running_hub(hub_environ, served(upstream, "slow-20")) as hub:
        await read_and_leave(hub, 3)

        call = await hub.last_call()
        assert (call.status, call.usage_source, call.output) == ("client_gone", "provider", 12)
        assert not upstream.last()["closed_early"]
        await until(lambda: hub.gateway.shared.draining == 0)


async def test_an_answer_in_one_piece_is_read_to_its_end_after_the_client_left(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, served(upstream, "slow-300")) as hub:
        _, writer = await raw_request(hub, {"model": "chat", "messages": HELLO})
        await seen(upstream, lambda entries: len(entries) == 1)
        writer.transport.abort()

        call = await hub.last_call()
        assert (call.status, call.usage_source, call.output) == ("client_gone", "provider", 12)


async def test_a_client_that_left_is_not_tried_for_elsewhere(hub_environ: dict[str, str], upstream: Upstream) -> None:
    file = described(
        upstream,
        providers={"one": ["sk-one-0123456789abcdef"], "two": ["sk-two-0123456789abcdef"]},
        models={"chat": ["one/gpt-4o-mini", "two/gpt-4o-mini"]},
    )
    async with running_hub(hub_environ, file) as hub:
        upstream.script({"status": 500, "body": {"error": {"message": "no"}}, "delay_ms": 300})
        _, writer = await raw_request(hub, {"model": "chat", "messages": HELLO})
        await seen(upstream, lambda entries: len(entries) == 1)
        writer.transport.abort()

        assert (await hub.last_call()).attempts == 1 and len(upstream.calls()) == 1


async def test_a_client_that_takes_nothing_holds_the_provider_back_and_is_left_in_the_end(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gateway.deadline.CLIENT_STALL_SECONDS", 0.6)
    monkeypatch.setattr("app.gateway.call.CLIENT_STALL_SECONDS", 0.6)
    async with running_hub(hub_environ, served(upstream, "gpt-4o-mini")) as hub:
        line = 'data: {"choices":[{"index":0,"delta":{"content":"' + "x" * 60_000 + '"}}]}\n\n'
        upstream.script({"events": [line] * 400})
        reader, writer = await raw_request(hub, {"model": "chat", "messages": HELLO, "stream": True})
        before = rss_bytes()
        await reader.readexactly(1000)
        writer.transport.pause_reading()  # type: ignore[attr-defined]

        call = (await hub.calls())[0]
        assert call.status == "client_gone"
        # 24 MB were to come; the hub took in little more than the sockets hold.
        assert rss_bytes() - before < 12 * 1024 * 1024
        await until(lambda: not hub.gateway._running, seconds=2)
        writer.transport.abort()


async def test_a_file_that_breaks_off_ends_the_connection_and_not_the_file(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(
        hub_environ, described(upstream, models={"speech": "one/gpt-4o-mini-tts+fault-cut-after-2"})
    ) as hub:
        body = {"model": "speech", "input": "hello there " * 100, "voice": "alloy"}
        with pytest.raises(httpx.RemoteProtocolError):
            await hub.http.post("/v1/audio/speech", json=body, timeout=5)

        call = await hub.last_call()
        assert (call.status, call.characters, call.error_code) == ("failed", 1200, "provider_stream_broken")
        await until(lambda: not hub.gateway._running, seconds=2)


async def test_one_hostile_provider_does_not_hold_up_the_streams_of_others(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = described(
        upstream,
        providers={"one": ["sk-one-0123456789abcdef"], "bad": ["sk-bad-0123456789abcdef"]},
        models={
            "chat": "one/slow-30",
            "flood": "bad/fault-comment-flood",
            "huge": "bad/fault-huge-line",
            "bytes": "bad/fault-one-byte-chunks",
        },
    )
    async with running_hub(hub_environ, file) as hub:

        async def longest_gap() -> float:
            gaps, last = [], time.monotonic()
            body = {"model": "chat", "stream": True, "messages": HELLO}
            async with hub.http.stream("POST", CHAT, json=body) as answer:
                async for _ in answer.aiter_raw():
                    now = time.monotonic()
                    gaps.append(now - last)
                    last = now
            return max(gaps)

        good = [asyncio.create_task(longest_gap()) for _ in range(10)]
        await asyncio.gather(*(hub.stream(model) for model in ("flood", "huge", "bytes") * 2))

        # The clients, the hub and this test share one thread; a stall would be seconds long.
        assert max(await asyncio.gather(*good)) < 1.0


async def raw_request(hub: RunningHub, body: dict[str, Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose connection the test holds in its own hands."""
    content = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port, limit=2**12)
    head = f"POST {CHAT} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {HUB_KEY}\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    await writer.drain()
    return reader, writer


async def read_and_leave(hub: RunningHub, count: int) -> None:
    """Read so many events of a stream, then cut the connection."""
    reader, writer = await raw_request(hub, {"model": "chat", "messages": HELLO, "stream": True})
    if count:
        for _ in range(count):
            await reader.readuntil(b"\n\n")
    else:
        await reader.readuntil(b"\r\n")
    writer.transport.abort()


def rss_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
