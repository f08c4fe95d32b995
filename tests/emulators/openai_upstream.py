"""A strict provider over real HTTP, standing in for all OpenAI-compatible ones at once.

    python -m tests.emulators.openai_upstream --port 0          prints {"port": 41234}

Base URLs: /openai/v1 (also /v1), /deepseek, /ollama/v1, /openrouter/api/v1, /xai/v1, /doubao/api/v3, /poe/v1,
/custom/v1.
Steering (see journal.py and faults.py): GET and DELETE /_journal, POST /_script, POST /_keys, POST /_reset.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from tests.emulators import ark, chat, checks, faults, kind_rules, media, response_checks, responses, sending
from tests.emulators.checks import Body, Refusal
from tests.emulators.faults import Faults
from tests.emulators.journal import Entry, Memory, Scripted
from tests.emulators.kinds import BY_NAME, KINDS, Kind

MEMORY = web.AppKey("memory", Memory)
_JSON = "application/json"
_SSE = "text/event-stream"


class Exchange:
    """One request on its way to an answer."""

    def __init__(self, request: web.Request, kind: Kind, entry: Entry) -> None:
        self.request, self.kind, self.entry = request, kind, entry
        self.memory = request.app[MEMORY]
        self.key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.faults = Faults([])
        self.headers = {
            "x-request-id": f"req_emulated{entry.seq:08d}",
            "openai-organization": faults.ORGANISATION,
            "openai-processing-ms": "12",
            "x-ratelimit-remaining-requests": "499",
        }

    async def json_body(self) -> Any:
        raw = await self.request.read()
        self.entry.keep_body(raw)
        if self.request.content_type != _JSON:
            said = f"Unsupported content type: '{self.request.content_type}'. This API method only accepts '{_JSON}'."
            raise Refusal(said, code="unsupported_content_type")
        try:
            self.entry.body = json.loads(raw)
        except ValueError as error:
            raise Refusal(f"We could not parse the JSON body of your request. ({type(error).__name__})") from None
        return self.entry.body

    async def form_body(self) -> Body:
        """The fields of a multipart body; files as facts. Repeated and `[]` names become lists."""
        if not self.request.content_type.startswith("multipart/"):
            raise Refusal(f"Unsupported content type: '{self.request.content_type}'.", code="unsupported_content_type")
        fields: Body = {}
        async for part in await self.request.multipart():
            assert isinstance(part, BodyPartReader) and part.name is not None
            content = bytes(await part.read())
            if part.filename is None:
                value: Any = content.decode()
            else:
                value = {"filename": part.filename, "content_type": part.headers.get("Content-Type")}
                value |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            if part.name.endswith("[]") or part.name in fields:
                held = fields.get(part.name, [])
                value = [*(held if isinstance(held, list) else [held]), value]
            fields[part.name] = value
        self.entry.body = fields
        return fields

    def admit(self, body: Any) -> Scripted | None:
        """Decides who may call and what befalls the call, in the order of the real service: key, then model.

        Raises:
            Refusal: unknown key or model, or a refusing fault.
        """
        if self.kind.needs_key and self.key not in self.memory.keys:
            masked = f"{self.key[:8]}{'*' * 8}{self.key[-4:]}" if self.key else "(none)"
            said = f"Incorrect API key provided: {masked}. You can find your API key in the dashboard."
            # xAI documents a wrong key as 400, told apart by the sentence alone.
            raise Refusal(said, status=400 if self.kind.name == "xai" else 401, code="invalid_api_key")
        model = body.get("model") if isinstance(body, dict) else None
        model = model if isinstance(model, str) else ""
        scripted = self.memory.next_scripted(self.request.path, model, self.key)
        extra = f"fault-{scripted.fault}" if scripted and scripted.fault else None
        self.faults = faults.wanted(self.memory, model, self.memory.keys.get(self.key), extra)
        self.entry.fault = str(self.faults) or None
        if (refusing := self.faults.refusing) is not None:
            raise faults.refusal(refusing, self.key)
        plain = faults.plain_model(model)
        if plain and plain not in self.kind.models:
            said = f"The model `{plain}` does not exist or you do not have access to it."
            raise Refusal(said, status=404, code="model_not_found")
        return scripted if scripted and not scripted.fault else None

    def spoil(self, usage: dict[str, Any]) -> dict[str, Any] | None:
        return faults.spoil_usage(self.faults, usage)

    async def send(self, answer: Any) -> web.StreamResponse:
        body = sending.as_json(answer)
        return await sending.send_whole(self.request, self.entry, self.faults, body, _JSON, self.headers)

    async def send_events(self, events: list[bytes], content_type: str = _SSE) -> web.StreamResponse:
        return await sending.send_events(
            self.request, self.entry, self.faults, events, self.headers, content_type=content_type
        )


Maker = Callable[[Exchange, Body], Awaitable[web.StreamResponse]]


async def _chat(x: Exchange, body: Body) -> web.StreamResponse:
    checked = checks.chat(body, is_strict=x.kind.is_strict)
    kind_rules.of_kind(x.kind.name, checked)
    if x.kind.name in ("deepseek", "ollama"):
        # Documented there is `max_tokens` only; what is not documented is ignored.
        checked.pop("max_completion_tokens", None)
    if x.kind.name == "poe":
        # Its chat completions know no structured outputs.
        checked.pop("response_format", None)
    if not checked.get("stream"):
        return await x.send(chat.whole(x.kind, checked, x.entry.seq, x.spoil))
    everywhere, twice = "usage-every-chunk" in x.faults, "usage-twice" in x.faults
    return await x.send_events(
        chat.stream(x.kind, checked, x.entry.seq, x.spoil, usage_everywhere=everywhere, usage_twice=twice)
    )


async def _response(x: Exchange, body: Body) -> web.StreamResponse:
    checked = response_checks.check(x.kind, body)
    if not checked.get("stream"):
        return await x.send(responses.whole(x.kind, checked, x.entry.seq, x.spoil, x.faults))
    events = responses.stream(x.kind, checked, x.entry.seq, x.spoil, x.faults)
    # Its errors in the middle have a shape of their own.
    x.faults = x.faults.without("error-mid-stream")
    return await x.send_events(events)


async def _completion(x: Exchange, body: Body) -> web.StreamResponse:
    checked = checks.completion(body, is_strict=x.kind.is_strict)
    if checked.get("stream"):
        return await x.send_events(chat.stream_completion(x.kind, checked, x.entry.seq, x.spoil))
    return await x.send(chat.whole_completion(x.kind, checked, x.entry.seq, x.spoil))


async def _embedding(x: Exchange, body: Body) -> web.StreamResponse:
    if x.request.path.endswith("/multimodal"):
        answer = ark.multimodal(body, x.entry.seq)
    else:
        answer = media.embeddings(x.kind, checks.fields(body, checks.EMBEDDING, ("input",), is_strict=x.kind.is_strict))
    usage = x.spoil(answer.pop("usage"))
    return await x.send(answer if usage is None else answer | {"usage": usage})


async def _image(x: Exchange, body: Body) -> web.StreamResponse:
    checked = checks.fields(body, checks.IMAGE, ("prompt",), is_strict=x.kind.is_strict)
    return await x.send(media.images(x.kind, checked))


async def _speech(x: Exchange, body: Body) -> web.StreamResponse:
    checked = checks.fields(body, checks.SPEECH, ("input", "voice"), is_strict=x.kind.is_strict)
    if checked.get("stream_format") == "sse":
        return await x.send_events(media.speech_events(checked))
    content_type = media.SPEECH_TYPES[checked.get("response_format") or "mp3"]
    return await x.send_events(sending.in_pieces(media.speech(checked)), content_type)


async def _moderation(x: Exchange, body: Body) -> web.StreamResponse:
    checked = checks.fields(body, checks.MODERATION, ("input",), is_strict=x.kind.is_strict)
    return await x.send(media.moderation(checked, x.entry.seq))


def _need(form: Body, *names: str) -> None:
    for name in names:
        if name not in form:
            raise Refusal(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


async def _edit(x: Exchange, form: Body) -> web.StreamResponse:
    _need(form, "prompt", "model")
    given = form.get("image[]") or form.get("image")
    if not given:
        raise Refusal("Missing required parameter: 'image'.", param="image", code="missing_required_parameter")
    return await x.send(media.images(x.kind, form, given if isinstance(given, list) else [given]))


async def _transcription(x: Exchange, form: Body) -> web.StreamResponse:
    is_translation = x.request.path.endswith("/translations")
    _need(form, "file", "model")
    if form.get("stream") == "true" and str(form["model"]).startswith("gpt-4o"):
        return await x.send_events(media.transcript_events(form))
    answer = media.transcript(form, is_translation=is_translation)
    if isinstance(answer, dict):
        return await x.send(answer)
    return await sending.send_whole(
        x.request, x.entry, x.faults, answer.encode(), "text/plain; charset=utf-8", x.headers
    )


_JSON_MAKERS: dict[str, Maker] = {
    "/chat/completions": _chat,
    "/responses": _response,
    "/completions": _completion,
    "/beta/completions": _completion,
    "/embeddings": _embedding,
    "/embeddings/multimodal": _embedding,
    "/images/generations": _image,
    "/audio/speech": _speech,
    "/moderations": _moderation,
}
_FORM_MAKERS: dict[str, Maker] = {
    "/images/edits": _edit,
    "/audio/transcriptions": _transcription,
    "/audio/translations": _transcription,
}


async def _answer(x: Exchange, path: str) -> web.StreamResponse:
    if path == x.kind.key_path:
        x.admit({})
        return await x.send({"data": {"label": "emulated", "usage": 0}})
    if path == "/models" or path.startswith("/models/"):
        if x.kind.name not in ("openrouter", "poe"):
            x.admit({})
        return await x.send(_models(x.kind, path.removeprefix("/models").removeprefix("/")))
    if path not in x.kind.paths:
        raise Refusal(f"Invalid URL ({x.request.method} {x.request.path})", status=404)
    if x.request.method != "POST":
        raise Refusal(f"Not allowed to {x.request.method} on {path}.", status=405)
    maker = _JSON_MAKERS.get(path) or _FORM_MAKERS[path]
    body = await (x.json_body() if path in _JSON_MAKERS else x.form_body())
    scripted = x.admit(body)
    if (early := await sending.before_answer(x.request, x.faults)) is not None:
        return early
    return await (maker(x, body) if scripted is None else _play(x, scripted))


def _models(kind: Kind, wanted: str) -> Any:
    rows = [{"id": name, "object": "model", "created": 1_720_000_000, "owned_by": kind.name} for name in kind.models]
    if not wanted:
        return {"object": "list", "data": rows}
    for row in rows:
        if row["id"] == wanted:
            return row
    raise Refusal(f"The model '{wanted}' does not exist", status=404, param="model", code="model_not_found")


async def _play(x: Exchange, scripted: Scripted) -> web.StreamResponse:
    await asyncio.sleep(scripted.delay_ms / 1000)
    if scripted.events is not None:
        pieces = [one.encode() for one in scripted.events]
        return await sending.send_events(
            x.request, x.entry, x.faults, pieces, x.headers | scripted.headers, content_type=_SSE
        )
    body = scripted.body.encode() if isinstance(scripted.body, str) else sending.as_json(scripted.body)
    # Content-type goes in by the headers, so that a script can send a wrong one.
    headers = {"content-type": _JSON} | x.headers | scripted.headers
    return web.Response(status=scripted.status, body=body, headers=headers)


def _door(kind: Kind, prefix: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        entry = request.app[MEMORY].note(
            kind=kind.name,
            method=request.method,
            path=request.path,
            query=request.query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        x = Exchange(request, kind, entry)
        try:
            response = await _answer(x, request.path.removeprefix(prefix))
            entry.status = response.status
        except Refusal as problem:
            entry.status = problem.status
            return sending.refused(kind, problem)
        except sending.Ended:
            # The connection is gone; aiohttp only needs something to return.
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
    after = int(request.query.get("after", "0"))
    return web.json_response({"entries": memory.as_json(request.query.get("kind"), after)})


async def _script(request: web.Request) -> web.Response:
    given = await request.json()
    memory = request.app[MEMORY]
    memory.script.extend(Scripted(**one) for one in given["answers"])
    return web.json_response({"queued": len(memory.script)})


async def _keys(request: web.Request) -> web.Response:
    """Body {key: fault}: a fault's full name, "" for a good key, null to forget the key."""
    memory = request.app[MEMORY]
    for key, fault in (await request.json()).items():
        if fault is None:
            memory.keys.pop(key, None)
        else:
            memory.keys[key] = fault or None
    return web.json_response({"keys": len(memory.keys)})


async def _reset(request: web.Request) -> web.Response:
    request.app[MEMORY].reset()
    return web.json_response({})


async def _redirected(request: web.Request) -> web.Response:
    """Nobody should come here: a gateway that follows redirects carries its secret to another place."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    request.app[MEMORY].note(kind="redirected", method=request.method, path=request.path, query="", headers=headers)
    return web.json_response({"error": {"message": "followed a redirect"}})


async def _ollama_tags(request: web.Request) -> web.Response:
    rows = [{"name": name, "model": name, "size": 1, "digest": "0" * 64} for name in BY_NAME["ollama"].models]
    return web.json_response({"models": rows})


def build_app(keys: dict[str, str | None] | None = None) -> web.Application:
    """The upstream as an aiohttp application; `keys` replaces the keys that are good from the start."""
    app = web.Application(client_max_size=64 << 20)
    app[MEMORY] = Memory(keys if keys is not None else {kind.key: None for kind in KINDS})
    app.router.add_route("*", "/_journal", _journal)
    app.router.add_post("/_script", _script)
    app.router.add_post("/_keys", _keys)
    app.router.add_post("/_reset", _reset)
    app.router.add_route("*", "/_redirected", _redirected)
    app.router.add_get("/ollama/api/tags", _ollama_tags)
    app.router.add_get("/ollama/", lambda _: _running())
    # Poe keeps this one beside its OpenAI-compatible base, not below it.
    app.router.add_get("/poe/usage/current_balance", _door(BY_NAME["poe"], "/poe"))
    doors = [(kind, kind.prefix) for kind in KINDS]
    doors += [(BY_NAME["openai"], "/v1"), (BY_NAME["deepseek"], "/deepseek/v1")]
    for kind, prefix in sorted(doors, key=lambda door: -len(door[1])):
        app.router.add_route("*", re.sub(r"/$", "", prefix) + "/{rest:.*}", _door(kind, prefix))
    return app


async def _running() -> web.Response:
    return web.Response(text="Ollama is running")


async def serve(port: int, *, until_stdin_ends: bool) -> None:
    """Serves on 127.0.0.1 and prints `{"port": …}` once it does."""
    runner = web.AppRunner(build_app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=2048)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    try:
        if until_stdin_ends:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        else:
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description="A strict stand-in for OpenAI-compatible providers.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end with the process that started this one")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, until_stdin_ends=options.until_stdin_ends))


if __name__ == "__main__":
    main()
