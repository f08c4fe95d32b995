"""Amazon Bedrock over real HTTP, as strict as the service: signatures, documents, histories, binary streams.

    python -m tests.emulators.bedrock.upstream --port 0          prints {"port": 41234}

The model's name may ask for faults, as in `tests/emulators/faults.py`: `…+fault-429`, `…+fault-500`, `…+slow-20`,
`…+fault-no-usage`, `…+fault-cut-after-4`, `…+fault-garbage`, and `…+fault-throttlingException-after-4` for an
exception within a stream. Steering: GET and DELETE /_journal, POST /_reset.
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

from tests.emulators import faults, sending
from tests.emulators.bedrock import answers, checks, frames, invoke, shapes, signatures
from tests.emulators.bedrock.checks import Json, Refused, invalid
from tests.emulators.faults import Faults
from tests.emulators.journal import Entry, Memory

MEMORY = web.AppKey("memory", Memory)
_JSON, _STREAM = "application/json", "application/vnd.amazon.eventstream"
_OPERATIONS = {"converse": "Converse", "converse-stream": "ConverseStream"}
_EXCEPTIONS = (
    "internalServerException",
    "modelStreamErrorException",
    "validationException",
    "throttlingException",
    "serviceUnavailableException",
)
_REFUSALS: dict[str, tuple[int, str, str]] = {
    "400": (400, "ValidationException", "Something in the request is wrong."),
    "403": (403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
    "404": (404, "ResourceNotFoundException", "Model not found."),
    "408": (408, "ModelTimeoutException", "The model took too long."),
    "424": (424, "ModelErrorException", "The model failed."),
    "429": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "500": (500, "InternalServerException", "The system encountered an unexpected error during processing."),
    "503": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    "on-demand": (
        400,
        "ValidationException",
        "Invocation of model ID x with on-demand throughput isn\u2019t supported. Use an inference profile.",
    ),
    "not-ready": (429, "ModelNotReadyException", "Model is not ready for inference. Try again."),
    "quota": (400, "ServiceQuotaExceededException", "Your request exceeds the service quota for your account."),
}


async def _call(request: web.Request, entry: Entry) -> web.StreamResponse:
    content = await request.read()
    entry.keep_body(content)
    memory = request.app[MEMORY]
    key = signatures.caller(request, content, set(memory.keys))
    model, operation = signatures.model_of(request), request.match_info["operation"]
    wanted = faults.wanted(memory, model, memory.keys.get(key))
    entry.fault = str(wanted) or None
    for name, (status, type_, message) in _REFUSALS.items():
        if name in wanted:
            headers = {"retry-after": "7"} if type_ == "ThrottlingException" else {}
            raise Refused(status, type_, message, headers)
    if request.content_type != _JSON:
        raise invalid(f"The content type {request.content_type} is not {_JSON}.")
    try:
        entry.body = json.loads(content)
    except ValueError:
        raise invalid("The request body is not JSON.") from None
    if (early := await sending.before_answer(request, wanted)) is not None:
        return early
    headers = {"x-amzn-requestid": f"00000000-0000-4000-8000-{entry.seq:012d}"}
    if operation == "invoke":
        made = invoke.answer(model, entry.body)
        return await sending.send_whole(request, entry, wanted, sending.as_json(made), _JSON, headers)
    return await _converse(request, entry, wanted, model, operation, headers)


async def _converse(
    request: web.Request, entry: Entry, wanted: Faults, model: str, operation: str, headers: dict[str, str]
) -> web.StreamResponse:
    body = checks.converse(entry.body, _OPERATIONS[operation], model)
    said = answers.say(body)
    report = None if "no-usage" in wanted else answers.usage(body, said)
    if report is not None and "negative-usage" in wanted:
        report |= {"inputTokens": -5}
    if operation == "converse":
        made = answers.whole(body, said, report)
        _must_fit("ConverseResponse", made, wanted)
        return await sending.send_whole(request, entry, wanted, sending.as_json(made), _JSON, headers)
    events = answers.stream(body, said, report)
    for name in _EXCEPTIONS:
        if (at := wanted.after(name, 3)) is not None:
            events = [*events[:at], frames.exception(name, "Broken in the middle.")]
    if "no-stop" in wanted:
        events = events[:-2]
    return await sending.send_events(request, entry, wanted, events, headers, content_type=_STREAM)


def _must_fit(shape: str, made: Json, wanted: Faults) -> None:
    """An emulator that answers what the service never would is worth nothing."""
    found = [] if wanted else shapes.problems_of_output(shape, made)
    assert not found, found


async def _models(request: web.Request, _entry: Entry) -> web.StreamResponse:
    signatures.caller(request, b"", set(request.app[MEMORY].keys))
    rows: list[tuple[str, str, str]] = [
        ("amazon.nova-lite-v1:0", "TEXT", "ON_DEMAND"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "TEXT", "INFERENCE_PROFILE"),
        ("amazon.titan-embed-text-v2:0", "EMBEDDING", "ON_DEMAND"),
        ("amazon.nova-canvas-v1:0", "IMAGE", "ON_DEMAND"),
        ("amazon.nova-reel-v1:1", "VIDEO", "ON_DEMAND"),
        ("cohere.rerank-v3-5:0", "TEXT", "ON_DEMAND"),
    ]
    summaries = [
        {
            "modelArn": f"arn:aws:bedrock:{signatures.REGION}::foundation-model/{name}",
            "modelId": name,
            "outputModalities": [output],
            "inferenceTypesSupported": [inference],
            "modelLifecycle": {"status": "ACTIVE"},
        }
        for name, output, inference in rows
    ]
    return web.json_response({"modelSummaries": summaries})


async def _profiles(request: web.Request, _entry: Entry) -> web.StreamResponse:
    signatures.caller(request, b"", set(request.app[MEMORY].keys))
    if request.query.get("type") != "SYSTEM_DEFINED" or request.query.get("maxResults") != "1000":
        raise invalid("Unknown parameters.")
    name = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    profile = {"inferenceProfileId": name, "status": "ACTIVE", "type": "SYSTEM_DEFINED"}
    return web.json_response({"inferenceProfileSummaries": [profile]})


def _door(handle: Any) -> Any:
    async def answered(request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        entry = request.app[MEMORY].note(
            kind="bedrock", method=request.method, path=request.raw_path, query=request.query_string, headers=headers
        )
        try:
            response = await handle(request, entry)
            entry.status = response.status
        except Refused as problem:
            entry.status = problem.status
            return _refused(problem)
        except sending.Ended:
            return web.Response()
        except (asyncio.CancelledError, ConnectionError):
            entry.closed_early = True
            raise
        finally:
            entry.finished_at = time.time()
        return response

    return answered


def _refused(problem: Refused) -> web.Response:
    """The gateway in front writes `Message` and no type; the service behind it a type in a header."""
    if not problem.type_:
        return web.json_response({"Message": problem.message}, status=problem.status)
    type_ = f"{problem.type_}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    headers = problem.headers | {"x-amzn-ErrorType": type_}
    return web.json_response({"message": problem.message}, status=problem.status, headers=headers)


async def _journal(request: web.Request) -> web.Response:
    memory = request.app[MEMORY]
    if request.method == "DELETE":
        memory.entries.clear()
        return web.json_response({})
    return web.json_response({"entries": memory.as_json(None, 0)})


async def _reset(request: web.Request) -> web.Response:
    request.app[MEMORY].reset()
    return web.json_response({})


def build_app() -> web.Application:
    app = web.Application(client_max_size=64 << 20)
    app[MEMORY] = Memory({signatures.API_KEY: None})
    app.router.add_route("*", "/_journal", _journal)
    app.router.add_post("/_reset", _reset)
    app.router.add_get("/foundation-models", _door(_models))
    app.router.add_get("/inference-profiles", _door(_profiles))
    app.router.add_post("/model/{model}/{operation:converse|converse-stream|invoke}", _door(_call))
    return app


async def serve(port: int, *, until_stdin_ends: bool) -> None:
    """Serves on 127.0.0.1 and prints `{"port": …}` once it does."""
    runner = web.AppRunner(build_app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    try:
        if until_stdin_ends:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        else:
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description="A strict stand-in for Amazon Bedrock.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end with the process that started this one")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, until_stdin_ends=options.until_stdin_ends))


if __name__ == "__main__":
    main()
