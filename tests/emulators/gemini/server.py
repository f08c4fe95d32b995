"""A strict Gemini over real HTTP: generateContent, its streams, countTokens, embeddings, models.

    python -m tests.emulators.gemini.server --port 0          prints {"port": 41234}

Faults by the model's name as in `tests/emulators/faults.py`: fault-429-after-7 (with RetryInfo), fault-500, fault-cut …
Steering: GET and DELETE /_journal, POST /_keys, POST /_reset.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import sys
import time
from typing import Any

from aiohttp import web

from tests.emulators import faults, sending
from tests.emulators.faults import Faults
from tests.emulators.gemini import checks, speech
from tests.emulators.gemini.checks import Refusal
from tests.emulators.journal import Entry, Memory

KEY = "AIzaSyEmulated0123456789abcdef012345678"
MODELS = {
    "gemini-3.8-flash": ("generateContent", "countTokens"),
    "gemini-3.5-flash": ("generateContent", "countTokens"),
    "gemini-3.1-pro-preview": ("generateContent", "countTokens"),
    "gemini-3.1-flash-image": ("generateContent", "countTokens"),
    "gemini-2.5-flash": ("generateContent", "countTokens"),
    "gemini-2.5-pro": ("generateContent", "countTokens"),
    "gemini-embedding-001": ("embedContent", "batchEmbedContents"),
}
MEMORY = web.AppKey("memory", Memory)
Json = dict[str, Any]
_RPC = "type.googleapis.com/google.rpc."
_PATH = re.compile(r"/(?:v1|v1beta)/(?P<kind>models|tunedModels)(?:/(?P<model>[^/:]+)(?::(?P<action>\w+))?)?")
_PROJECT = "projects/emulated-7f3a"


class Exchange:
    """One request on its way to an answer."""

    def __init__(self, request: web.Request, entry: Entry) -> None:
        self.request, self.entry = request, entry
        self.memory = request.app[MEMORY]
        self.faults = Faults([])
        self.headers = {"server-timing": "gfet4t7; dur=12", "x-goog-project": _PROJECT}

    async def body(self) -> Json:
        raw = await self.request.read()
        self.entry.keep_body(raw)
        try:
            self.entry.body = json.loads(raw)
        except ValueError:
            raise Refusal("Invalid JSON payload received. Unexpected token.") from None
        if not isinstance(self.entry.body, dict):
            raise Refusal("Invalid JSON payload received. Expected an object.")
        return self.entry.body

    def admit(self, model: str) -> None:
        """
        Raises:
            Refusal: no key, a wrong one, an unknown model, or a fault that refuses.
        """
        key = self.request.headers.get("x-goog-api-key") or self.request.query.get("key")
        if not key:
            raise Refusal(
                "Method doesn't allow unregistered callers (callers without established identity).",
                code=403,
                status="PERMISSION_DENIED",
            )
        if key not in self.memory.keys:
            info = {"@type": f"{_RPC}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
            raise Refusal("API key not valid. Please pass a valid API key.", details=[info])
        self.faults = faults.wanted(self.memory, model, self.memory.keys.get(key))
        self.entry.fault = str(self.faults) or None
        if (refusing := self.faults.refusing) is not None:
            raise _refusal(refusing, key)
        plain = faults.plain_model(model)
        if plain and plain not in MODELS:
            said = f"models/{plain} is not found for API version v1beta, or is not supported for this method."
            raise Refusal(said, code=404, status="NOT_FOUND")

    async def send(self, answer: Any) -> web.StreamResponse:
        content = sending.as_json(answer)
        if "garbage" in self.faults:
            content = b'{"candidates": [{' + b"\xff\xfe"
        return await sending.send_whole(
            self.request, self.entry, _others(self.faults), content, "application/json; charset=UTF-8", self.headers
        )

    async def send_stream(self, chunks: list[Json]) -> web.StreamResponse:
        is_sse = self.request.query.get("alt") == "sse"
        pieces = _events(chunks) if is_sse else _elements(chunks)
        media = "text/event-stream" if is_sse else "application/json; charset=UTF-8"
        if (at := self.faults.after("error-mid-stream", 3)) is not None:
            pieces = [*pieces[:at], *_events([{"error": _INTERNAL}])]
        if "garbage" in self.faults:
            pieces = [*pieces[:2], b"data: {not json\r\n\r\n", b"data: \xff\xfe\r\n\r\n", *pieces[2:]]
        return await sending.send_events(
            self.request, self.entry, _others(self.faults), pieces, self.headers, content_type=media
        )


_INTERNAL = {"code": 503, "message": f"The model is overloaded ({_PROJECT}).", "status": "UNAVAILABLE"}


def _others(found: Faults) -> Faults:
    """Those that are the same for every format."""
    own = ("error-mid-stream", "garbage", "no-done")
    return Faults([fault for name, fault in found._found.items() if name not in own])


def _events(chunks: list[Json]) -> list[bytes]:
    return [b"data: " + sending.as_json(chunk) + b"\r\n\r\n" for chunk in chunks]


def _elements(chunks: list[Json]) -> list[bytes]:
    pieces = [(b",\r\n" if n else b"[") + sending.as_json(chunk) for n, chunk in enumerate(chunks)]
    return [*pieces, b"]"]


def _refusal(fault: faults.Fault, key: str) -> Refusal:
    if fault.name.startswith("429"):
        seconds = 7 if fault.after is None else fault.after
        details = [
            {"@type": f"{_RPC}QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]},
            {"@type": f"{_RPC}RetryInfo", "retryDelay": f"{seconds}.5s"},
        ]
        said = f"You exceeded your current quota for {_PROJECT}. Please retry in {seconds}.5s."
        return Refusal(said, code=429, status="RESOURCE_EXHAUSTED", details=details)
    if fault.name.startswith("leaky-error"):
        said = f"{_PROJECT} refused key {key} at http://10.1.2.3:8080/internal"
        return Refusal(said)
    code = int(fault.name[:3]) if fault.name[:3].isdigit() else 400
    words = {
        400: ("INVALID_ARGUMENT", "Something in the request is wrong."),
        401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403: ("PERMISSION_DENIED", f"{_PROJECT} has been denied access."),
        404: ("NOT_FOUND", "The model is not found."),
        500: ("INTERNAL", "An internal error has occurred."),
        503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504: ("DEADLINE_EXCEEDED", "The service is unable to finish processing within the deadline."),
    }
    status, said = words.get(code, ("UNKNOWN", "It failed."))
    return Refusal(said, code=code, status=status)


async def _answer(x: Exchange, model: str, action: str) -> web.StreamResponse:
    if x.request.method != "POST":
        raise Refusal("Not allowed.", code=404, status="NOT_FOUND")
    body = await x.body()
    x.admit(model)
    if (early := await sending.before_answer(x.request, x.faults)) is not None:
        return early
    plain = faults.plain_model(model) or "gemini-3.8-flash"
    match action:
        case "generateContent" | "streamGenerateContent":
            if "embedding" in plain:
                raise Refusal(f"models/{plain} does not support {action}.", code=404, status="NOT_FOUND")
            said = speech.say(checks.generate(body, plain), plain)
            if action == "generateContent":
                return await x.send(_whole(said, plain, x))
            return await x.send_stream(_chunks(said, plain, x))
        case "countTokens":
            asked = checks.read(body, checks.COUNT)
            inner = asked.get("generateContentRequest")
            if inner is not None and inner.get("model") != f"models/{plain}":
                raise Refusal("The model in generate_content_request must be that of the request.")
            total, _, _ = speech.tokens_of(inner or asked)
            details = [{"modality": "TEXT", "tokenCount": total}]
            return await x.send({"totalTokens": total, "promptTokensDetails": details})
        case "embedContent":
            return await x.send({"embedding": _vector(checks.read(body, checks.EMBED), plain)})
        case "batchEmbedContents":
            requests = checks.read(body, checks.BATCH).get("requests") or []
            if not requests or len(requests) > 100:
                raise Refusal("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch")
            for n, one in enumerate(requests):
                if one.get("model") != f"models/{plain}":
                    raise Refusal(f"* BatchEmbedContentsRequest.requests[{n}].model: model does not match the path")
            return await x.send({"embeddings": [_vector(one, plain) for one in requests]})
        case _:
            raise Refusal("Not found.", code=404, status="NOT_FOUND")


def _vector(asked: Json, model: str) -> Json:
    if MODELS[model][0] != "embedContent":
        raise Refusal(f"models/{model} does not support embedContent.", code=404, status="NOT_FOUND")
    text = " ".join(part.get("text", "") for part in asked["content"]["parts"])
    if not text:
        raise Refusal("* EmbedContentRequest.content: content is empty")
    chance = random.Random(text)
    return {"values": [round(chance.uniform(-1, 1), 6) for _ in range(asked.get("outputDimensionality") or 3072)]}


def _usage(said: speech.Said, x: Exchange) -> Json:
    usage = said.usage
    if "no-usage" in x.faults:
        return {}
    for name, value in (("negative-usage", -1000), ("huge-usage", 10**17), ("string-usage", "12")):
        if name in x.faults:
            usage = usage | {"promptTokenCount": value, "candidatesTokenCount": value}
    return {"usageMetadata": usage}


def _head(plain: str, x: Exchange) -> Json:
    return {"modelVersion": plain, "responseId": f"resp_emulated_{x.entry.seq}"}


def _whole(said: speech.Said, plain: str, x: Exchange) -> Json:
    if said.block is not None:
        return {"promptFeedback": {"blockReason": said.block}, **_usage(said, x), **_head(plain, x)}
    candidate: Json = {"content": {"parts": _joined(said.pieces), "role": "model"}, "index": 0}
    candidate["finishReason"] = said.finish
    if said.grounding is not None:
        candidate["groundingMetadata"] = said.grounding
    return {"candidates": [candidate], **_usage(said, x), **_head(plain, x)}


def _joined(pieces: list[Json]) -> list[Json]:
    """Pieces of one text as one part; a signature that came alone belongs to the text before it."""
    parts: list[Json] = []
    for piece in pieces:
        last = parts[-1] if parts else {}
        alike = "text" in piece and "text" in last and piece.get("thought") == last.get("thought")
        if alike:
            last["text"] += piece["text"]
            if "thoughtSignature" in piece:
                last["thoughtSignature"] = piece["thoughtSignature"]
        else:
            parts.append(dict(piece))
    return parts


def _chunks(said: speech.Said, plain: str, x: Exchange) -> list[Json]:
    if said.block is not None:
        return [_whole(said, plain, x)]
    chunks: list[Json] = []
    pieces = said.pieces or [{"text": ""}]
    for n, piece in enumerate(pieces):
        candidate: Json = {"content": {"parts": [piece], "role": "model"}, "index": 0}
        usage = {"usageMetadata": {**said.usage, "candidatesTokenCount": n, "totalTokenCount": 0}}
        if n == len(pieces) - 1:
            candidate["finishReason"] = said.finish
            if said.grounding is not None:
                candidate["groundingMetadata"] = said.grounding
            usage = _usage(said, x)
        elif "no-usage" in x.faults:
            usage = {}
        chunks.append({"candidates": [candidate], **usage, **_head(plain, x)})
    return chunks


def _models(name: str | None) -> Json:
    rows = [
        {
            "name": f"models/{model}",
            "version": "001",
            "displayName": model,
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": list(methods),
        }
        for model, methods in MODELS.items()
    ]
    if name is None:
        return {"models": rows}
    for row in rows:
        if row["name"] == f"models/{name}":
            return row
    raise Refusal(f"models/{name} is not found.", code=404, status="NOT_FOUND")


async def _door(request: web.Request) -> web.StreamResponse:
    headers = {name.lower(): value for name, value in request.headers.items()}
    memory = request.app[MEMORY]
    entry = memory.note(
        kind="google", method=request.method, path=request.path, query=request.query_string, headers=headers
    )
    x = Exchange(request, entry)
    try:
        found = _PATH.fullmatch(request.path)
        if found is None:
            raise Refusal("Not found.", code=404, status="NOT_FOUND")
        if found["action"] is None:
            x.admit("")
            return await x.send(_models(found["model"]))
        return await _answer(x, found["model"], found["action"])
    except Refusal as problem:
        entry.status = problem.code
        error: Any = {"error": problem.body}
        if found is not None and found["action"] == "streamGenerateContent" and request.query.get("alt") != "sse":
            error = [error]
        return web.json_response(error, status=problem.code, headers=x.headers)
    except sending.Ended:
        return web.Response()
    except (ConnectionError, asyncio.CancelledError):
        entry.closed_early = True
        raise
    finally:
        entry.finished_at = time.time()


async def _journal(request: web.Request) -> web.Response:
    memory = request.app[MEMORY]
    if request.method == "DELETE":
        memory.entries.clear()
    return web.json_response({"entries": memory.as_json(request.query.get("kind"), 0)})


async def _keys(request: web.Request) -> web.Response:
    for key, fault in (await request.json()).items():
        if fault is None:
            request.app[MEMORY].keys.pop(key, None)
        else:
            request.app[MEMORY].keys[key] = fault or None
    return web.json_response({})


async def _reset(request: web.Request) -> web.Response:
    request.app[MEMORY].reset()
    return web.json_response({})


def build_app() -> web.Application:
    app = web.Application(client_max_size=64 << 20)
    app[MEMORY] = Memory({KEY: None})
    app.router.add_route("*", "/_journal", _journal)
    app.router.add_post("/_keys", _keys)
    app.router.add_post("/_reset", _reset)
    app.router.add_route("*", "/{rest:.*}", _door)
    return app


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
    parser = argparse.ArgumentParser(description="A strict stand-in for the Gemini API.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end with the process that started this one")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, until_stdin_ends=options.until_stdin_ends))


if __name__ == "__main__":
    main()
