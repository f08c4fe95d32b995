"""Limits that several processes count together, and what becomes of calls when the counts do not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.counting.test_counts import needs_redis
from tests.emulators.handle import Upstream
from tests.hubs import running_hub, until_given
from tests.limited_hubs import Standstill, limited
from tests.throwaway_redis import ThrowawayRedis, running_redis, silent_redis


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[ThrowawayRedis]:
    with running_redis(tmp_path) as started:
        yield started


@needs_redis
@pytest.mark.databases("postgresql")
async def test_two_processes_let_no_more_pass_together_than_the_limit_has(
    hub_environ: dict[str, str],
    upstream: Upstream,
    redis: ThrowawayRedis,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    Standstill(monkeypatch)
    file = limited(upstream, {"scope": "key", "each": True, "amount": 10})
    environ = hub_environ | {"HUB_REDIS_URL": redis.url}
    async with (
        running_hub(environ, file) as one,
        running_hub(environ, file) as other,
    ):
        answers = await asyncio.gather(*(hub.chat() for hub in (one, other) for _ in range(16)))

        assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 22
        assert int((await one.chat()).headers["x-ratelimit-remaining-requests"]) == 0


@needs_redis
@pytest.mark.databases("sqlite")
async def test_shared_tokens_are_corrected_and_places_are_freed(
    hub_environ: dict[str, str], upstream: Upstream, redis: ThrowawayRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    Standstill(monkeypatch)
    file = limited(
        upstream,
        {"scope": "key", "each": True, "unit": "tokens", "amount": 10_000},
        {"scope": "key", "each": True, "unit": "streams", "amount": 1},
    )
    async with running_hub(hub_environ | {"HUB_REDIS_URL": redis.url}, file) as hub:
        first = await hub.chat(max_tokens=500)
        used = first.json()["usage"]["total_tokens"]

        async def again() -> bool:
            # What is given back goes to the server beside the call.
            second = await hub.chat(max_tokens=500)
            left = [int(one.headers["x-ratelimit-remaining-tokens"]) for one in (first, second)]
            return second.status_code == 200 and left[0] - left[1] == used

        assert await until_given(again, 2)


@pytest.mark.databases("sqlite")
async def test_with_counts_that_never_answer_calls_pass_and_the_process_counts_for_itself(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    Standstill(monkeypatch)
    async with silent_redis() as url:
        file = limited(upstream, {"scope": "key", "each": True, "amount": 2})
        async with running_hub(hub_environ | {"HUB_REDIS_URL": url}, file) as hub:
            assert [(await hub.chat()).status_code for _ in range(3)] == [200, 200, 429]
            waited_ms = [(call.queue_us or 0) / 1000 for call in await hub.calls()]
            assert waited_ms[0] < 90
            assert waited_ms[1] < 20


@pytest.mark.databases("sqlite")
async def test_a_hub_set_to_refuse_then_says_so_to_those_whom_a_limit_binds(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with silent_redis() as url:
        environ = hub_environ | {"HUB_REDIS_URL": url, "HUB_LIMITS_ON_FAILURE": "closed"}
        file = limited(upstream, {"scope": "key", "of": "acme/other"})
        async with running_hub(environ, file) as hub:
            refused = await hub.chat(headers={"authorization": "Bearer hk-othr-0123456789abcdef0123456789abcdef"})

            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "limits_unavailable"
            assert refused.headers["retry-after"] == "5"
            assert (await hub.chat()).status_code == 200
