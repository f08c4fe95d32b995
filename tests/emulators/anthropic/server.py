"""A strict Anthropic over real HTTP: `/v1/messages`, `/v1/messages/count_tokens`, `/v1/models`.

    python -m tests.emulators.anthropic.server --port 0          prints {"port": 41234}

Steering as in `tests/emulators/openai_upstream.py`: GET and DELETE /_journal, POST /_script, /_keys, /_reset; faults by
the model's name (`tests/emulators/faults.py`). A word of the last message moves it too: a tool's name calls it,
`count to 5`, `redact`, `please refuse`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from typing import Any

from aiohttp import web

from tests.emulators import faults as general
from tests.emulators import sending
from tests.emulators.anthropic import answers, checks, faults
from tests.emulators.anthropic.models import MODELS, NEWEST, Model
from tests.emulators.checks import Refusal
from tests.emulators.faults import Faults
from tests.emulators.journal import Entry, Memory, Scripted

KEY = "sk-ant-emulated-0123456789abcdef"
MEMORY = web.AppKey("memory", Memory)
CACHE = web.AppKey("cache", set)
_VERSIONS = ("2023-06-01", "2026-10-21")
"""https://platform.claude.com/docs/en/api/versioning"""
_CREATED = "2026-02-04T00:00:00Z"


class Exchange:
    """One request on its way to an answer."""

    def __init__(self, request: web.Request, entry: Entry) -> None:
        self.request, self.entry = request, entry
        self.memory = request.app[MEMORY]
        self.key = request.headers.get("x-api-key", "")
        self.version = request.headers.get("anthropic-version", "(none)")
        self.faults = Faults([])
        self.headers = {"request-id": f"req_emu{entry.seq:08d}", "anthropic-organization-id": "org-Emulated"}

    def authenticate(self) -> None:
        if self.key not in self.memory.keys:
            raise Refusal("invalid x-api-key", status=401)
        if self.version not in _VERSIONS:
            raise Refusal(f"anthropic-version: {self.version} is not a valid version")

    async def body(self) -> Any:
        raw = await self.request.read()
        self.entry.keep_body(raw)
        try:
            self.entry.body = json.loads(raw)
        except ValueError as error:
            raise Refusal(f"The request body is not valid JSON: {error}") from None
        return self.entry.body

    def admit(self, body: Any) -> tuple[Model, Scripted | None]:
        """
        Raises:
            Refusal: a refusing fault, or a model that does not exist.
        """
        name = body.get("model") if isinstance(body, dict) else None
        if not isinstance(name, str):
            raise Refusal("model: Field required")
        scripted = self.memory.next_scripted(self.request.path, name, self.key)
        extra = f"fault-{scripted.fault}" if scripted and scripted.fault else None
        self.faults = general.wanted(self.memory, name, self.memory.keys.get(self.key), extra)
        self.entry.fault = str(self.faults) or None
        if (refusing := self.faults.refusing) is not None:
            raise faults.refused(refusing, self.key)
        plain = general.plain_model(name)
        if plain is not None and plain not in MODELS:
            raise Refusal(f"model: {plain}", status=404)
        return MODELS[plain] if plain else NEWEST, scripted if scripted and not scripted.fault else None


async def _messages(x: Exchange) -> web.StreamResponse:
    x.authenticate()
    body = await x.body()
    model, scripted = x.admit(body)
    if (early := await sending.before_answer(x.request, x.faults)) is not None:
        return early
    if scripted is not None:
        return await _play(x, scripted)
    checked = checks.message(body, model, x.request.headers.get("anthropic-beta", ""), x.version)
    said = answers.answer(checked, model, x.entry.seq)
    report = faults.spoil_usage(x.faults, answers.usage(checked, said, x.request.app[CACHE]))
    if not checked.get("stream"):
        content = sending.as_json(answers.message(checked, said, x.entry.seq, report))
        return await sending.send_whole(x.request, x.entry, x.faults, content, "application/json", x.headers)
    left, events = faults.spoil_events(x.faults, answers.events(checked, said, x.entry.seq, report))
    return await sending.send_events(
        x.request, x.entry, left, events, x.headers, content_type="text/event-stream; charset=utf-8"
    )


async def _count(x: Exchange) -> web.StreamResponse:
    x.authenticate()
    body = await x.body()
    model, _ = x.admit(body)
    betas = x.request.headers.get("anthropic-beta", "")
    checked = checks.message(body, model, betas, x.version, is_counted=True)
    x.entry.status = 200
    return web.json_response({"input_tokens": answers.count(checked)}, headers=x.headers)


async def _models(x: Exchange) -> web.StreamResponse:
    x.authenticate()
    rows = [
        {"type": "model", "id": name, "display_name": name, "created_at": _CREATED, "lifecycle": "active"}
        for name in MODELS
    ]
    wanted = x.request.match_info.get("name")
    if wanted is None:
        page = rows[: int(x.request.query.get("limit", "20"))]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]}
        return web.json_response({"data": page, "has_more": len(page) < len(rows), **ends}, headers=x.headers)
    for row in rows:
        if row["id"] == wanted:
            return web.json_response(row, headers=x.headers)
    raise Refusal(f"model: {wanted}", status=404)


async def _play(x: Exchange, scripted: Scripted) -> web.StreamResponse:
    await asyncio.sleep(scripted.delay_ms / 1000)
    if scripted.events is not None:
        pieces = [one.encode() for one in scripted.events]
        headers = x.headers | scripted.headers
        return await sending.send_events(
            x.request, x.entry, x.faults, pieces, headers, content_type="text/event-stream"
        )
    body = scripted.body.encode() if isinstance(scripted.body, str) else sending.as_json(scripted.body)
    headers = {"content-type": "application/json"} | x.headers | scripted.headers
    return web.Response(status=scripted.status, body=body, headers=headers)


def _door(make: Any) -> Any:
    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        entry = request.app[MEMORY].note(
            kind="anthropic", method=request.method, path=request.path, query=request.query_string, headers=headers
        )
        x = Exchange(request, entry)
        try:
            response = await make(x)
            entry.status = response.status
        except Refusal as problem:
            entry.status = problem.status
            body = faults.error_body(problem.status, problem.message, x.headers["request-id"])
            return web.json_response(body, status=problem.status, headers=x.headers | problem.headers)
        except sending.Ended:
            return web.Response()
        except (asyncio.CancelledError, ConnectionError):
            entry.closed_early = True
            raise
        finally:
            entry.finished_at = time.time()
        return response

    return handle


async def _journal(request: web.Request) -> web.Response:
    memory = request.app[MEMORY]
    if request.method == "DELETE":
        memory.entries.clear()
        return web.json_response({})
    return web.json_response({"entries": memory.as_json(None, int(request.query.get("after", "0")))})


async def _script(request: web.Request) -> web.Response:
    memory = request.app[MEMORY]
    memory.script.extend(Scripted(**one) for one in (await request.json())["answers"])
    return web.json_response({"queued": len(memory.script)})


async def _keys(request: web.Request) -> web.Response:
    memory = request.app[MEMORY]
    for key, fault in (await request.json()).items():
        if fault is None:
            memory.keys.pop(key, None)
        else:
            memory.keys[key] = fault or None
    return web.json_response({"keys": len(memory.keys)})


async def _reset(request: web.Request) -> web.Response:
    request.app[MEMORY].reset()
    request.app[CACHE].clear()
    return web.json_response({})


def build_app() -> web.Application:
    app = web.Application(client_max_size=64 << 20)
    app[MEMORY] = Memory({KEY: None})
    app[CACHE] = set()
    app.router.add_route("*", "/_journal", _journal)
    app.router.add_post("/_script", _script)
    app.router.add_post("/_keys", _keys)
    app.router.add_post("/_reset", _reset)
    app.router.add_post("/v1/messages", _door(_messages))
    app.router.add_post("/v1/messages/count_tokens", _door(_count))
    app.router.add_get("/v1/models", _door(_models))
    app.router.add_get("/v1/models/{name}", _door(_models))
    return app


async def serve(port: int, *, until_stdin_ends: bool) -> None:
    """Serves on 127.0.0.1 and prints `{"port": …}` once it does."""
    runner = web.AppRunner(build_app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    try:
        if until_stdin_ends:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        else:
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description="A strict stand-in for Anthropic.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end with the process that started this one")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, until_stdin_ends=options.until_stdin_ends))


if __name__ == "__main__":
    main()
