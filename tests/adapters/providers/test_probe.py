from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.adapters.providers import probe
from app.adapters.providers.registry import KINDS
from app.base.secret import Secret
from tests.emulators.openai_upstream import build_app

PREFIXES = {
    "openai": "/openai/v1",
    "deepseek": "/deepseek",
    "ollama": "/ollama",
    "xai": "/xai/v1",
    "doubao": "/doubao/api/v3",
    "custom": "/custom/v1",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def upstream() -> AsyncIterator[str]:
    server = TestServer(build_app())
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


async def served(handler: Handler) -> TestServer:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    server = TestServer(app)
    await server.start_server()
    return server


async def check_against(handler: Handler, kind: str = "openai") -> probe.ProbeResult:
    server = await served(handler)
    try:
        return await probe.check(KINDS[kind], str(server.make_url("/v1")), {"secret": Secret("sk-anything-0123456789")})
    finally:
        await server.close()


@pytest.mark.parametrize("kind", PREFIXES)
async def test_a_good_key_is_accepted_and_the_models_are_listed(kind: str, upstream: str) -> None:
    parts = {"secret": Secret(f"sk-{kind}-emulated-0123456789abcdef")}
    result = await probe.check(KINDS[kind], upstream + PREFIXES[kind], parts)
    assert (result.is_ok, result.status) == (True, 200)
    assert result.models


async def test_a_wrong_key_is_told_without_showing_it(upstream: str) -> None:
    secret = "sk-openai-wrong-0123456789abcdef"
    result = await probe.check(KINDS["openai"], upstream + "/openai/v1", {"secret": Secret(secret)})
    assert (result.is_ok, result.status) == (False, 401)
    assert "refused the key" in result.sentence
    assert secret[:8] not in result.sentence
    assert "cdef" not in result.sentence


async def test_a_redirect_is_not_followed() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        raise web.HTTPFound("/elsewhere")

    result = await check_against(handler)
    assert not result.is_ok
    assert "redirect" in result.sentence
    assert set(seen) == {"/v1/models"}


async def test_an_endless_list_is_not_read_to_its_end() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(b" " * 65_536)
        return response

    result = await check_against(handler)
    assert not result.is_ok
    assert "2 MB" in result.sentence


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1", b'{"data":7}', b"3"])
async def test_what_is_no_list_of_models_is_said_to_be_none(body: bytes) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    result = await check_against(handler)
    assert not result.is_ok
    assert "list of models" in result.sentence


async def test_a_wrong_path_is_told_as_one_and_a_custom_server_may_lack_a_list() -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "nothing here"}, status=404)

    result = await check_against(handler)
    assert "Check the base URL" in result.sentence
    assert not result.is_ok
    assert (await check_against(handler, "custom")).is_ok


async def test_an_ollama_without_models_is_fine() -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": None})

    result = await check_against(handler, "ollama")
    assert (result.is_ok, result.models) == (True, [])


@pytest.mark.parametrize(
    ("kind", "base_url", "words"),
    [
        ("openai", "http://127.0.0.1:9/v1", "could not be reached"),
        ("openai", "nowhere", "is not an address"),
        ("openai", "http://[::1", "is not an address"),
        ("openai", "ftp://host/v1", "is not an address"),
        ("custom", None, "needs a base_url"),
        ("bedrock", None, "needs a region"),
    ],
)
async def test_no_fault_of_an_address_raises(kind: str, base_url: str | None, words: str) -> None:
    result = await probe.check(KINDS[kind], base_url, {"secret": Secret("x"), "api_key": Secret("x")})
    assert not result.is_ok
    assert words in result.sentence


async def test_the_demo_is_always_ready() -> None:
    result = await probe.check(KINDS["demo"], None, {})
    assert result.is_ok
    assert "chat" in result.models


@pytest.mark.parametrize(
    ("model", "type_"),
    [
        ("gpt-6.1-sol", "chat"),
        ("grok-4.6", "chat"),
        ("meta-llama/llama-3.3-70b-instruct", "chat"),
        ("text-embedding-3-small", "embedding"),
        ("nomic-embed-text:latest", "embedding"),
        ("BAAI/bge-m3", "embedding"),
        ("omni-moderation-latest", "moderation"),
        ("gpt-4o-mini-transcribe", "transcription"),
        ("whisper-1", "transcription"),
        ("gpt-4o-mini-tts", "speech"),
        ("tts-1-hd", "speech"),
        ("gpt-image-2.5-flare", "image"),
        ("dall-e-3", "image"),
        ("grok-imagine-image", "image"),
        ("doubao-seedream-4-0-250828", "image"),
        ("sora-2", "video"),
        ("grok-imagine-video", "video"),
        ("doubao-seedance-1-0", "video"),
    ],
)
def test_a_type_is_guessed_from_a_name(model: str, type_: str) -> None:
    assert probe.guess_type(model) == type_
