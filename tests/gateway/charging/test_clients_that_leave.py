"""Clients that leave a stream, at every event of it, in each format and before each provider: one settlement each."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from msgspec import Struct

from tests.conformance.matrix.providers import STANDS, Provider
from tests.credit_hubs import PRICES
from tests.faults.books import right_books
from tests.hubs import HUB_KEY, Json, RunningHub, running_hub

NUMBERS = 6
EVENTS = 9
"""What most formats send for them: a beginning, each number, its end. Who waits for more has read all."""
_COUNT = f"count to {NUMBERS}"
_ASKED = [{"role": "user", "content": _COUNT}]


class Format(Struct, frozen=True):
    path: str
    body: Json
    said: re.Pattern[bytes]
    """The pieces of the answer's text in what goes over the wire."""


FORMATS: Mapping[str, Format] = {
    "chat.completions": Format(
        "/v1/chat/completions", {"messages": _ASKED, "stream": True}, re.compile(rb'"content":"([^"]+)"')
    ),
    "responses": Format("/v1/responses", {"input": _COUNT, "stream": True}, re.compile(rb'"delta":"([^"]+)"')),
    "messages": Format(
        "/v1/messages",
        {"messages": _ASKED, "stream": True, "max_tokens": 500},
        re.compile(rb'"text_delta","text":"([^"]+)"'),
    ),
    "generate_content": Format(
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": _COUNT}]}]},
        re.compile(rb'"text":"([^"]+)"'),
    ),
    "aigne": Format(
        "/api/v2/chat",
        {"input": {"messages": _ASKED, "modelOptions": {"model": "{model}"}}, "options": {"streaming": True}},
        re.compile(rb'"text":"([^"]+)"'),
    ),
}


@pytest.fixture(scope="module")
def stands() -> Iterator[list[tuple[Provider, Any]]]:
    with contextlib.ExitStack() as stack:
        handles = [(stand, stack.enter_context(stand.run())) for stand in STANDS]
        yield [(provider, handle) for stand, handle in handles for provider in stand.providers]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", FORMATS)
async def test_whoever_leaves_whenever_is_charged_once_and_for_what_came(
    hub_environ: dict[str, str], stands: list[tuple[Provider, Any]], name: str
) -> None:
    async with running_hub(hub_environ, _file(stands)) as hub:
        # More at once, and nobody would hear in time that a client has left.
        few = asyncio.Semaphore(12)
        leaving = [
            (provider.kind, after, asyncio.create_task(_leave_after(hub, few, FORMATS[name], provider.kind, after)))
            for provider, _ in stands
            for after in range(-1, EVENTS + 1)
        ]
        heard = {id_: (kind, after, said) for kind, after, task in leaving for id_, said in [await task] if id_}

        calls = {call.id: call for call in await hub.calls()}
        assert len(calls) <= len(leaving)
        books = await right_books(hub.db, hub.settings)
        for id_, (kind, after, said) in heard.items():
            call = calls[id_]
            assert call.status in ("client_gone", "succeeded"), (kind, after, call.error_text)
            assert call.usage_source in ("provider", "estimated"), (kind, after)
            # Of an estimate: four characters a token. More than all that there was is nobody's answer.
            assert (said + 3) // 4 <= call.output <= 60, (kind, after, said, call.output)
            assert id_ in books.charged or not said, (kind, after)
        gone = [call for call in calls.values() if call.status == "client_gone"]
        assert {call.charged_as for call in gone} <= {"client_gone.some charge", "client_gone.none charge"}
        assert len(gone) > len(leaving) // 4


async def _leave_after(
    hub: RunningHub, few: asyncio.Semaphore, format_: Format, model: str, events: int
) -> tuple[str, int]:
    """The call's id, if it was heard of, and how many characters of the answer were; -1 waits for no answer at all."""
    body = {"model": model, **format_.body}
    if "input" in body and isinstance(body["input"], dict):
        body["input"] = {**body["input"], "modelOptions": {"model": model}}
    path = format_.path.format(model=model)
    headers = {"authorization": f"Bearer {HUB_KEY}"}
    async with few, httpx.AsyncClient(base_url=hub.root, headers=headers, timeout=20, trust_env=False) as http:
        if events < 0:
            with contextlib.suppress(httpx.TimeoutException):
                await http.post(path, json=body, timeout=0.05)
            return "", 0
        async with http.stream("POST", path, json=body) as answer:
            assert answer.status_code == 200, await answer.aread()
            read = b""
            if events:
                async for piece in answer.aiter_raw():
                    read += piece
                    if len(re.findall(rb"\r?\n\r?\n", read)) >= events:
                        break
            return answer.headers["x-hub-call-id"], sum(map(len, format_.said.findall(read)))


def _file(stands: list[tuple[Provider, Any]]) -> Json:
    providers: list[Json] = []
    models: list[Json] = []
    for provider, handle in stands:
        credential = provider.credential(handle)
        credentials = [] if credential is None else [{"label": "c", **credential}]
        base_url = provider.base_url(handle)
        row = {"name": provider.kind, "kind": provider.kind, "base_url": base_url, "credentials": credentials}
        providers.append(row | provider.extra)
        route = {"provider": provider.kind, "upstream_model": f"{provider.model}+slow-25"}
        models.append({"model": provider.kind, "type": "chat", "routes": [route], **PRICES})
    team = {"name": "acme", "credits": "1000", "keys": [{"name": "ci", "secret": HUB_KEY}]}
    return {"billing": "credits", "providers": providers, "models": models, "teams": [team]}
