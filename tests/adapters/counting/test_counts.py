"""What is counted for limits, in one process and by several together."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.adapters.counting import shared_counts
from app.adapters.counting.counts import Addition, CountsUnavailable, LocalCounts
from app.adapters.counting.shared_counts import SharedCounts
from app.base.clock import MICROSECONDS, now_us
from app.base.secret import Secret
from tests.throwaway_redis import SERVER, ThrowawayRedis, running_redis, silent_redis

MINUTE_US = 60 * MICROSECONDS
needs_redis = pytest.mark.skipif(SERVER is None, reason="there is no redis-server or valkey-server here")


def _in_minute(amount: int, minute: int = 0, counter: str = "key/k/requests/minute") -> Addition:
    begins_us = (now_us() // MINUTE_US + minute) * MINUTE_US
    return Addition(counter, begins_us, begins_us + MINUTE_US, amount)


def _under_way(amount: int) -> Addition:
    return Addition("key/k/streams/once", 0, None, amount)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayRedis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


@asynccontextmanager
async def _shared(url: str, boot_id: str = "a", **more: object) -> AsyncIterator[SharedCounts]:
    counts = SharedCounts(Secret(url), boot_id, **more)  # type: ignore[arg-type]
    try:
        yield counts
    finally:
        await counts.close()


async def test_windows_that_are_over_are_forgotten() -> None:
    counts = LocalCounts()
    for minute in range(100):
        assert counts.add_now([_in_minute(2, minute)]) == [2]

    assert len(counts._windows) == 1  # pyright: ignore[reportPrivateUsage]
    assert counts.add_now([_in_minute(-2, 3)]) == [0]
    assert counts.add_now([_in_minute(1, 99)]) == [3]


async def test_what_is_under_way_leaves_nothing_behind() -> None:
    counts = LocalCounts()
    assert counts.add_now([_under_way(1), _under_way(1)]) == [1, 2]
    counts.add_now([_under_way(-1), _under_way(-1)])
    assert not counts._under_way  # pyright: ignore[reportPrivateUsage]


@needs_redis
async def test_processes_count_together(redis: ThrowawayRedis, tmp_path: Path) -> None:
    counter = f"{tmp_path}"
    async with _shared(redis.url) as one, _shared(redis.url, "b") as other:
        totals = await asyncio.gather(
            *(counts.add([_in_minute(1, counter=counter)]) for counts in (one, other) for _ in range(32))
        )
        assert sorted(total for (total,) in totals) == list(range(1, 65))
        assert await one.add([_in_minute(-60, counter=counter), _in_minute(7, counter=counter + "2")]) == [4, 7]


@needs_redis
async def test_calls_under_way_of_a_process_that_died_are_forgotten(
    redis: ThrowawayRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_counts, "LIFE_SECONDS", 1)
    async with _shared(redis.url, "alive") as one, _shared(redis.url, "dying") as other:
        assert await one.add([_under_way(1)]) == [1]
        assert await other.add([_under_way(1)]) == [2]
        assert await other.add([_under_way(1)]) == [3]
        # As after kill -9: it gives nothing back and shows no sign of life.
        other._beating.cancel()  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(1.5)

        assert await one.add([_under_way(1)]) == [2]
        assert await one.add([_under_way(-2)]) == [0]


async def test_a_server_that_never_answers_costs_one_call_50_ms_and_the_next_ones_nothing() -> None:
    async with silent_redis() as url, _shared(url) as counts:
        took: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            with pytest.raises(CountsUnavailable):
                await counts.add([_in_minute(1), _in_minute(1, counter="another"), _under_way(1)])
            took.append((time.perf_counter() - began) * 1000)

        # Its deadline is 45 ms; the rest is for the loop of a busy machine.
        assert 40 <= took[0] < 75
        assert max(took[1:]) < 5


async def test_after_its_rest_one_call_asks_again_and_the_others_do_not_wait_for_it() -> None:
    moment = [0.0]
    async with silent_redis() as url, _shared(url, clock=lambda: moment[0]) as counts:
        with pytest.raises(CountsUnavailable):
            await counts.add([_in_minute(1)])
        moment[0] += shared_counts.REST_SECONDS
        began = time.perf_counter()

        failures = await asyncio.gather(*(counts.add([_in_minute(1)]) for _ in range(10)), return_exceptions=True)

        assert [str(one) for one in failures].count("it rests") == 9
        assert time.perf_counter() - began < 0.1


@needs_redis
async def test_a_server_that_comes_back_is_asked_again_and_told_what_is_under_way(redis: ThrowawayRedis) -> None:
    moment = [0.0]
    async with _shared(redis.url, "back", clock=lambda: moment[0]) as counts:
        assert await counts.add([_under_way(1)]) == [1]
        redis.stall()
        try:
            with pytest.raises(CountsUnavailable):
                await counts.add([_under_way(1)])
            with pytest.raises(CountsUnavailable):
                await counts.add([_under_way(-1)])
        finally:
            redis.go_on()
        moment[0] += shared_counts.REST_SECONDS

        # The one call under way has ended meanwhile, and the one that failed was never counted here.
        assert await counts.add([_under_way(1)]) == [1]


async def test_an_address_that_nobody_listens_at_is_a_failure_like_any_other() -> None:
    async with _shared("redis://127.0.0.1:1/0") as counts:
        with pytest.raises(CountsUnavailable):
            await counts.add([_in_minute(1)])


@needs_redis
async def test_valkeys_scheme_is_understood(redis: ThrowawayRedis) -> None:
    async with _shared(redis.url.replace("redis", "valkey")) as counts:
        assert await counts.add([_in_minute(1, counter="of valkey")]) == [1]


def test_a_hub_without_redis_does_not_load_its_client() -> None:
    code = "import sys, app.asgi; print([name for name in ('redis', 'limits') if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"
