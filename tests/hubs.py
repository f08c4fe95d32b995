"""A whole hub in this process, behind uvicorn on a port of 127.0.0.1, with the emulator as its providers.

The parts can be looked into (`hub.gateway`, `hub.db`), and everything a client does goes over real HTTP. What the hub
knows (providers, models, teams, keys) comes through `hub apply`, as from an operator.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from msgspec import structs

from app.adapters.providers.kinds import Deadlines
from app.adapters.providers.registry import KINDS
from app.asgi import create_app
from app.base.config import Settings, read_settings
from app.base.db import Database
from app.domain.calls import reports
from app.domain.calls.models import Attempt, Call
from app.gateway.gateway import Gateway
from app.ops import apply, house
from tests.emulators.handle import Upstream, running_upstream

Json = dict[str, Any]

HUB_KEY = "hk-test-0123456789abcdef0123456789abcdef"
CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "count to 12"}]


class RunningHub:
    """Where it is, what it is made of, and what it wrote down."""

    def __init__(self, port: int, settings: Settings, gateway: Gateway, db: Database) -> None:
        self.port, self.settings, self.gateway, self.db = port, settings, gateway, db
        self.root = f"http://127.0.0.1:{port}"
        self.http = client(self.root)

    async def chat(
        self, model: str = "chat", *, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """One chat that does not stream."""
        return await self.http.post(CHAT, json={"model": model, "messages": HELLO, **fields}, headers=headers)

    async def stream(
        self, model: str = "chat", *, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """One streamed chat, read to its end; a connection that was cut raises `httpx.RemoteProtocolError`."""
        return await self.chat(model, headers=headers, stream=True, **fields)

    async def calls(self) -> list[Call]:
        """All that were recorded, oldest first, each waited for until it has ended."""
        return await until_given(self._ended_calls)

    async def last_call(self) -> Call:
        return (await self.calls())[-1]

    async def attempts(self, call: Call) -> list[Attempt]:
        async with self.db.reading() as session:
            return list(await reports.attempts(session, call.id))

    async def _ended_calls(self) -> list[Call] | None:
        async with self.db.reading() as session:
            calls = list(await reports.latest(session, None, 1000))
        return calls if all(call.status != "running" for call in calls) else None


def client(root: str, key: str | None = HUB_KEY) -> httpx.AsyncClient:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=root, headers=headers, timeout=20, trust_env=False)


async def until(fact: Callable[[], Any], seconds: float = 5.0) -> Any:
    """What `fact` gives, as soon as it is true.

    Raises:
        AssertionError: it was not within `seconds`.
    """

    async def looked() -> Any:
        return fact()

    return await until_given(looked, seconds)


async def until_given(look: Callable[[], Any], seconds: float = 5.0) -> Any:
    """The same for something that has to be awaited; None and False are not it."""
    ends_at = time.monotonic() + seconds
    while (found := await look()) is None or found is False:
        assert time.monotonic() < ends_at, f"not within {seconds} s: {look}"
        await asyncio.sleep(0.01)
    return found


async def seen(upstream: Upstream, fact: Callable[[list[Json]], bool], seconds: float = 3) -> list[Json]:
    """The emulator's journal as soon as `fact` holds for it; the hub goes on meanwhile."""
    return await asyncio.to_thread(upstream.wait_for, fact, seconds)


def described(
    upstream: Upstream,
    *,
    providers: Mapping[str, Sequence[str]] | None = None,
    models: Mapping[str, Sequence[str] | str] | None = None,
    kind: str = "openai",
    base_urls: Mapping[str, str] | None = None,
    team: Json | None = None,
    keys: Sequence[Json] | None = None,
) -> Json:
    """A hub.yaml: providers of one kind with their secrets, models with `provider/upstream model` in order of priority.

    The secrets are made known to the emulator. Upstream models that are written with `=` in place of the first slash
    share the priority of the one before.
    """
    given = providers if providers is not None else {"one": ["sk-one-0123456789abcdef"]}
    upstream.set_keys({secret: "" for secrets in given.values() for secret in secrets})
    urls = base_urls or {}
    return {
        "providers": [
            {
                "name": name,
                "kind": kind,
                "base_url": urls.get(name, upstream.base_url(kind)),
                "credentials": [{"label": f"c{n}", "secret": secret} for n, secret in enumerate(secrets)],
            }
            for name, secrets in given.items()
        ],
        "models": [
            _model(name, [routes] if isinstance(routes, str) else routes)
            for name, routes in (models or {"chat": "one/gpt-4o-mini"}).items()
        ],
        "teams": [{"name": "acme", "keys": list(keys or [{"name": "ci", "secret": HUB_KEY}]), **(team or {})}],
    }


_TYPES = {
    "embed": "embedding",
    "image": "image",
    "speech": "speech",
    "transcri": "transcription",
    "moderat": "moderation",
}


def _model(name: str, routes: Sequence[str]) -> Json:
    written: list[Json] = []
    priority = -1
    for route in routes:
        is_beside = "=" in route.partition("/")[0]
        provider, _, upstream_model = route.partition("=" if is_beside else "/")
        priority += 0 if is_beside else 1
        written.append({"provider": provider, "upstream_model": upstream_model, "priority": priority})
    return {
        "model": name,
        "type": next((type_ for part, type_ in _TYPES.items() if part in name), "chat"),
        "routes": written,
    }


async def apply_file(settings: Settings, file: Json) -> None:
    """What `hub apply` does."""
    async with house.opened(settings) as opened:
        draft = await apply.prepare(
            opened, json.dumps(file).encode(), "hub.json", environ={}, kinds=KINDS, is_pruning=False
        )
        await apply.carry_out(opened, draft)


@asynccontextmanager
async def running_hub(environ: Mapping[str, str], file: Json) -> AsyncIterator[RunningHub]:
    """A hub with that file applied. Its stop is the orderly one: it drains, settles and closes its database."""
    settings = read_settings(environ)
    await apply_file(settings, file)
    app = create_app(settings)
    # asyncio sends small pieces at once (TCP_NODELAY) only where the socket names its protocol; else each waits 40 ms.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    assert server.started, "the hub did not start; its log says why"
    hub = RunningHub(listening.getsockname()[1], settings, app.app.state.gateway, app.app.state.db)
    try:
        yield hub
    finally:
        await hub.http.aclose()
        await server.shutdown(sockets=[listening])


def quick(monkeypatch: pytest.MonkeyPatch, kind: str = "openai", **changes: Any) -> None:
    """The kind of provider with other deadlines (in seconds), or with other `Kind` fields, for hubs started after."""
    deadlines = {name: changes.pop(name) for name in list(changes) if name in Deadlines.__struct_fields__}
    row = KINDS[kind]
    changed = structs.replace(row, deadlines=structs.replace(row.deadlines, **deadlines), **changes)
    monkeypatch.setitem(KINDS, kind, changed)  # type: ignore[arg-type]


def events(text: str) -> list[str]:
    """The data of each event of a stream."""
    return [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]


def said(text: str) -> str:
    """What the model said in a stream, up to its end."""
    pieces = [json.loads(data) for data in events(text) if data != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for piece in pieces for choice in piece.get("choices", ()))


def streamed_message(text: str) -> Json:
    """A streamed chat as the message that it would have been, as far as OpenAI's format has names for it."""
    message: Json = {"role": "assistant", "content": "", "tool_calls": []}
    for data in events(text):
        for choice in [] if data == "[DONE]" else json.loads(data)["choices"]:
            message["content"] += choice["delta"].get("content") or ""
            for piece in choice["delta"].get("tool_calls") or ():
                if piece["index"] == len(message["tool_calls"]):
                    empty = {"id": piece["id"], "type": "function", "function": {"name": "", "arguments": ""}}
                    message["tool_calls"].append(empty)
                function = message["tool_calls"][piece["index"]]["function"]
                for name in ("name", "arguments"):
                    function[name] += piece["function"].get(name) or ""
    return message


TWELVE = " ".join(map(str, range(1, 13)))
"""What the emulator answers to `HELLO`."""


@pytest.fixture(scope="session")
def emulator() -> Iterator[Upstream]:
    """One process for all tests of this one."""
    with running_upstream() as started:
        yield started


@pytest.fixture
def upstream(emulator: Upstream) -> Upstream:
    """The emulator as at its start."""
    emulator.reset()
    return emulator
