"""Idempotency-Key: a repeat within a day gets the first answer, and one call is recorded."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select, update

from app.base.clock import now_us
from app.domain.calls.models import IdempotentAnswer
from tests.emulators.handle import Upstream
from tests.hubs import HUB_KEY, described, running_hub, seen

KEY = {"idempotency-key": "order-1"}


async def test_a_repeat_gets_the_first_answer_and_leaves_one_record(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        first = await hub.chat(headers=KEY)
        second = await hub.chat(headers=KEY)

        assert first.status_code == second.status_code == 200
        assert second.content == first.content
        assert second.headers["content-type"] == first.headers["content-type"]
        assert second.headers["x-hub-idempotent-replay"] == "true" and "x-hub-idempotent-replay" not in first.headers
        assert second.headers["x-hub-call-id"] == first.headers["x-hub-call-id"]
        assert len(upstream.calls()) == 1 and len(await hub.calls()) == 1


async def test_the_same_key_with_another_request_is_refused(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(
        hub_environ, described(upstream, models={"chat": "one/gpt-4o-mini", "embed": "one/text-embedding-3-small"})
    ) as hub:
        await hub.chat(headers=KEY)
        other = await hub.chat(headers=KEY, temperature=0)
        elsewhere = await hub.http.post("/v1/embeddings", json={"model": "embed", "input": "x"}, headers=KEY)

        for answer in (other, elsewhere):
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (
                422,
                "idempotency_key_reused",
                "Idempotency-Key",
            )
        assert len(upstream.calls()) == 1 and len(await hub.calls()) == 1


@pytest.mark.databases("sqlite")
async def test_keys_of_two_api_keys_do_not_meet(hub_environ: dict[str, str], upstream: Upstream) -> None:
    other = "hk-other-0123456789abcdef0123456789abcdef"
    keys = [{"name": "ci", "secret": HUB_KEY}, {"name": "other", "secret": other}]
    async with running_hub(hub_environ, described(upstream, keys=keys)) as hub:
        await hub.chat(headers=KEY)
        answer = await hub.chat(headers={**KEY, "authorization": f"Bearer {other}"}, temperature=0)

        assert answer.status_code == 200 and len(await hub.calls()) == 2


async def test_while_the_first_one_runs_a_repeat_is_told_to_wait(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream, models={"chat": "one/slow-400"})) as hub:
        first = asyncio.create_task(hub.chat(headers=KEY))
        await seen(upstream, lambda entries: len(entries) == 1)
        second = await hub.chat(headers=KEY)

        assert (second.status_code, second.json()["error"]["code"]) == (409, "idempotency_key_in_use")
        assert (await first).status_code == 200
        assert (await hub.chat(headers=KEY)).headers["x-hub-idempotent-replay"] == "true"
        assert len(await hub.calls()) == 1


async def test_of_many_at_once_one_is_made(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream, models={"chat": "one/slow-500"})) as hub:
        answers = await asyncio.gather(*(hub.chat(headers=KEY) for _ in range(12)))

        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
        assert len(upstream.calls()) == 1 and len(await hub.calls()) == 1


@pytest.mark.parametrize("fault", ["500", "400", "429"])
async def test_a_call_that_failed_leaves_its_key_free(
    hub_environ: dict[str, str], upstream: Upstream, fault: str
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        upstream.script({"fault": fault, **({} if fault != "429" else {"fault": "429-after-1"})})
        failed = await hub.chat(headers=KEY)
        if fault == "429":
            await asyncio.sleep(1.1)
        again = await hub.chat(headers=KEY)

        assert failed.status_code >= 400 and again.status_code == 200
        assert "x-hub-idempotent-replay" not in again.headers
        assert len(await hub.calls()) == 2


@pytest.mark.databases("sqlite")
async def test_streams_have_nothing_to_repeat(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        for _ in range(2):
            assert (await hub.stream(headers=KEY)).status_code == 200

        assert len(upstream.calls()) == 2 and len(await hub.calls()) == 2


async def test_after_a_day_the_key_is_free_again(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        await hub.chat(headers=KEY)
        async with hub.db.writing() as session:
            row = (await session.scalars(select(IdempotentAnswer))).one()
            assert abs(row.expires_us - now_us() - 24 * 3600 * 1_000_000) < 60_000_000
            await session.execute(update(IdempotentAnswer).values(expires_us=now_us() - 1))

        answer = await hub.chat(headers=KEY, temperature=0)

        assert answer.status_code == 200 and len(await hub.calls()) == 2


async def test_a_stored_answer_is_sealed(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        await hub.chat(headers=KEY)

        async with hub.db.reading() as session:
            row = (await session.scalars(select(IdempotentAnswer))).one()
        assert row.sealed_answer is not None and row.sealed_answer.startswith("v1.")
        assert "assistant" not in row.sealed_answer and b"order-1" not in row.digest


@pytest.mark.databases("sqlite")
async def test_a_binary_answer_is_repeated_byte_for_byte(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream, models={"embed": "one/text-embedding-3-small"})) as hub:
        body: dict[str, Any] = {"model": "embed", "input": ["schön", "x"], "encoding_format": "base64"}
        first, second = [await hub.http.post("/v1/embeddings", json=body, headers=KEY) for _ in range(2)]

        assert second.headers["x-hub-idempotent-replay"] == "true"
        assert first.content == second.content and len(json.loads(second.content)["data"]) == 2


async def test_the_longest_content_type_does_not_lose_the_record(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    """PostgreSQL refuses what is longer than its column; with the answer the call's end would be lost."""
    async with running_hub(hub_environ, described(upstream)) as hub:
        content_type = f"application/json; note={'x' * 400}"
        upstream.script({"body": {"choices": [], "id": "a\u0000b" * 100}, "headers": {"content-type": content_type}})
        answer = await hub.chat(headers=KEY)
        again = await hub.chat(headers=KEY)

        assert answer.status_code == 200 and (await hub.last_call()).status == "succeeded"
        assert again.headers["x-hub-idempotent-replay"] == "true" and again.content == answer.content


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("value", ["", "x" * 256, "with space", "schön".encode().decode("latin-1")])
async def test_a_key_that_is_none_is_refused(hub_environ: dict[str, str], upstream: Upstream, value: str) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        answer = await hub.http.post(
            "/v1/chat/completions",
            json={"model": "chat", "messages": [{"role": "user", "content": "x"}]},
            headers=[(b"idempotency-key", value.encode("latin-1"))],
        )

        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")
        assert not upstream.calls()
