"""Streams of the Responses API that fail: before anything was said the next provider is asked, after it nobody is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.emulators.handle import Upstream
from tests.hubs import RunningHub, described, running_hub

PROVIDERS = {"one": ["sk-one-0123456789abcdef"], "two": ["sk-two-0123456789abcdef"]}


async def _ask(hub: RunningHub, **more: Any) -> httpx.Response:
    return await hub.http.post("/v1/responses", json={"model": "chat", "input": "count to 3", **more})


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("fault", ["failed-after-2", "error-mid-stream-after-2", "cut-after-2"])
async def test_a_failure_before_anything_was_said_is_tried_elsewhere(
    hub_environ: dict[str, str], upstream: Upstream, fault: str
) -> None:
    models = {"chat": [f"one/gpt-4o-mini+fault-{fault}", "two/gpt-4o-mini"]}
    async with running_hub(hub_environ, described(upstream, providers=PROVIDERS, models=models)) as hub:
        answer = await _ask(hub, stream=True)
        call = await hub.last_call()

    assert answer.text.count("event: response.created") == 1
    assert "event: response.completed" in answer.text and "event: error" not in answer.text
    assert (call.status, call.provider, call.attempts) == ("succeeded", "two", 2)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("fault", ["failed-after-6", "no-end"])
async def test_a_failure_in_the_middle_ends_the_stream_with_it(
    hub_environ: dict[str, str], upstream: Upstream, fault: str
) -> None:
    models = {"chat": [f"one/slow-20+fault-{fault}", "two/gpt-4o-mini"]}
    async with running_hub(hub_environ, described(upstream, providers=PROVIDERS, models=models)) as hub:
        answer = await _ask(hub, stream=True)
        call = await hub.last_call()

    assert answer.text.rstrip().rpartition("\n\n")[2].startswith("event: response.failed")
    assert "response.completed" not in answer.text and "org-Emulated" not in answer.text
    assert (call.status, call.attempts) == ("failed", 1)
    # What a failed response has used is reported with it and billed; else it is estimated.
    assert call.usage_source == ("provider" if fault.startswith("failed") else "estimated")


@pytest.mark.databases("sqlite")
async def test_a_response_that_says_that_it_failed_is_no_answer(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    models = {"chat": ["one/gpt-4o-mini+fault-failed", "two/gpt-4o-mini"]}
    async with running_hub(hub_environ, described(upstream, providers=PROVIDERS, models=models)) as hub:
        answer = await _ask(hub)

    assert answer.json()["output"][0]["content"][0]["text"] == "1 2 3"
    assert answer.headers["x-hub-provider"] == "two"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("fault", ["no-usage", "huge-usage", "string-usage", "negative-usage"])
async def test_a_usage_that_cannot_be_true_is_estimated(
    hub_environ: dict[str, str], upstream: Upstream, fault: str
) -> None:
    async with running_hub(hub_environ, described(upstream, models={"chat": f"one/gpt-4o-mini+fault-{fault}"})) as hub:
        for is_streamed in (False, True):
            assert (await _ask(hub, stream=is_streamed)).status_code == 200
            assert (await hub.last_call()).usage_source == "estimated"
