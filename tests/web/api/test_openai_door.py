"""The door for OpenAI's clients: what it refuses, in which words, and that nothing refused costs anything."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import zstandard

from app.domain.identity import api_keys
from tests.emulators.handle import Upstream
from tests.hubs import CHAT, HELLO, HUB_KEY, TWELVE, client, described, running_hub, said, until_given

pytestmark = pytest.mark.databases("sqlite")

MODELS = {
    "chat": "one/gpt-4o-mini",
    "acme/embed/small": "one/text-embedding-3-small",
    "image": "one/gpt-image-1",
    "speech": "one/gpt-4o-mini-tts",
}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": HELLO, **fields}


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error, once its shape is OpenAI's."""
    assert answer.headers["content-type"] == "application/json", answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "owner", "call_id"}
    assert error["message"] and error["code"]
    return error


WRONG: list[tuple[bytes, str | None]] = [
    (b"", None),
    (b"[]", None),
    (b"null", None),
    (b"{", None),
    (b'{"model":"chat"}', "messages"),
    (b'{"messages":[]}', "model"),
    (b'{"model":1,"messages":[1]}', "model"),
    (b'{"model":"","messages":[1]}', "model"),
    (b'{"model":"chat","messages":{}}', "messages"),
    (b'{"model":"chat","messages":[]}', "messages"),
    (b'{"model":"chat","messages":[1],"stream":"yes"}', "stream"),
    (b'{"model":"chat","messages":[1],"stream":true,"stream_options":[]}', "stream_options"),
    (b'{"model":"chat","messages":[1],"stream_options":{"include_usage":1}}', "stream_options.include_usage"),
    (b'{"model":"chat","messages":["\xff"]}', None),
    (b'{"model":"chat","messages":[1]} x', None),
    (b'{"model":"chat","messages":' + b"[" * 70 + b"]" * 70 + b"}", None),
    (b"\xef\xbb\xbf{}", None),
]


async def test_a_body_that_is_wrong_is_told_so_by_its_field(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        for content, param in WRONG:
            answer = await hub.http.post(CHAT, content=content, headers={"content-type": "application/json"})

            error = error_of(answer)
            assert (answer.status_code, error["param"], error["owner"]) == (400, param, "you"), content
        assert not upstream.calls() and not await hub.calls()


async def test_a_content_type_that_is_not_the_endpoints_is_refused(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        for content_type in (None, "text/plain", "multipart/form-data; boundary=x", "application/jsonp"):
            headers = {} if content_type is None else {"content-type": content_type}
            answer = await hub.http.post(CHAT, content=json.dumps(body()).encode(), headers=headers)

            assert (answer.status_code, error_of(answer)["code"]) == (415, "unsupported_media_type")


async def test_a_method_that_an_endpoint_does_not_have_is_refused(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = await hub.http.request(method, CHAT)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
            assert error_of(answer)["code"] == "method_not_allowed"
        posted = await hub.http.post("/v1/models")
        assert (posted.status_code, posted.headers["allow"]) == (405, "GET")


async def test_a_path_that_leads_nowhere_is_answered_in_json(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        for path in ("/v1", "/v1/", "/v1/nothing", "/v1/chat", "/v1/chat/completions/x"):
            for method in ("GET", "POST"):
                answer = await hub.http.request(method, path)
                assert (path, answer.status_code, error_of(answer)["code"]) == (path, 404, "unknown_path")


NO_KEYS = [
    ({}, "missing_api_key"),
    ({"authorization": "Bearer"}, "missing_api_key"),
    ({"authorization": "Basic abc"}, "missing_api_key"),
    ({"authorization": f"Bearer {HUB_KEY}x"}, "invalid_api_key"),
    ({"x-api-key": "hk-nobody"}, "invalid_api_key"),
    ({"authorization": "Bearer " + "x" * 600}, "missing_api_key"),
]


async def test_without_a_key_that_opens_nothing_is_done(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub, client(hub.root, None) as stranger:
        for headers, code in NO_KEYS:
            posted = await stranger.post(CHAT, json=body(), headers=headers)
            for answer in (posted, await stranger.get("/v1/models", headers=headers)):
                assert (answer.status_code, error_of(answer)["code"]) == (401, code)
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert HUB_KEY not in answer.text
        assert not upstream.calls()


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
async def test_a_key_opens_in_either_header(hub_environ: dict[str, str], upstream: Upstream, name: str) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub, client(hub.root, None) as other:
        value = HUB_KEY if name == "x-api-key" else f"bearer  {HUB_KEY}"
        assert (await other.post(CHAT, json=body(), headers={name: value})).status_code == 200


async def test_a_revoked_key_is_refused_within_a_second(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        assert (await hub.chat()).status_code == 200
        caller = next(iter(hub.gateway.snapshots.current.callers.values()))
        async with hub.db.writing() as session:
            await api_keys.revoke(session, caller.team_id, caller.key_id)
        revoked_at = time.monotonic()

        async def is_refused() -> bool:
            return (await hub.chat()).status_code == 401

        await until_given(is_refused, 2)
        assert time.monotonic() - revoked_at < 1.0


async def test_a_key_that_has_expired_is_refused(hub_environ: dict[str, str], upstream: Upstream) -> None:
    old = "hk-old-0123456789abcdef0123456789abcdef"
    keys = [{"name": "ci", "secret": HUB_KEY}, {"name": "old", "secret": old, "expires": "2020-01-31"}]
    async with running_hub(hub_environ, described(upstream, keys=keys)) as hub:
        answer = await hub.chat(headers={"authorization": f"Bearer {old}"})

        assert (answer.status_code, error_of(answer)["code"]) == (401, "api_key_expired")


async def test_a_key_calls_only_what_it_may(hub_environ: dict[str, str], upstream: Upstream) -> None:
    keys = [{"name": "ci", "secret": HUB_KEY, "models": ["acme/*"]}]
    async with running_hub(hub_environ, described(upstream, models=MODELS, keys=keys)) as hub:
        refused = await hub.chat()
        assert (refused.status_code, error_of(refused)["code"]) == (403, "model_not_allowed")
        assert (
            await hub.http.post("/v1/embeddings", json={"model": "acme/embed/small", "input": "x"})
        ).status_code == 200
        assert [model["id"] for model in (await hub.http.get("/v1/models")).json()["data"]] == ["acme/embed/small"]
        assert (await hub.http.get("/v1/models/chat")).status_code == 403
        # Names that the key may not call are not suggested either.
        missing = await hub.chat("chad")
        assert "chat" not in error_of(missing)["message"].replace("chad", "")


async def test_a_model_that_is_not_there_is_told_with_near_names(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream, models=MODELS)) as hub:
        answer = await hub.chat("chatt")

        error = error_of(answer)
        assert (answer.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
        assert "Did you mean chat?" in error["message"]
        long = error_of(await hub.chat("x" * 150))
        assert len(long["message"]) < 200


async def test_names_can_carry_the_prefix_of_aigne_applications(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream, models=MODELS)) as hub:
        assert (await hub.chat("aignehub/chat")).status_code == 200
        assert (await hub.http.get("/v1/models/acme/embed/small")).json()["id"] == "acme/embed/small"
        assert (await hub.http.get("/v1/models/acme%2Fembed%2Fsmall")).json()["id"] == "acme/embed/small"


async def test_a_model_of_another_type_is_not_called_here(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream, models=MODELS)) as hub:
        answer = await hub.chat("acme/embed/small")

        assert (answer.status_code, error_of(answer)["code"]) == (400, "wrong_model_type")


SMALL = {"HUB_MAX_BODY_BYTES": "65536"}


async def too_much() -> AsyncIterator[bytes]:
    for _ in range(64):
        yield b" " * 4096


@pytest.mark.parametrize("how", ["announced", "in chunks", "gzip", "zstd"])
async def test_a_body_beyond_the_limit_is_refused(hub_environ: dict[str, str], upstream: Upstream, how: str) -> None:
    plain = json.dumps(body(padding="x" * 200_000)).encode()
    packed = {"gzip": gzip.compress(plain), "zstd": zstandard.compress(plain)}
    async with running_hub(hub_environ | SMALL, described(upstream)) as hub:
        headers = {"content-type": "application/json", **({"content-encoding": how} if how in packed else {})}
        content: Any = packed.get(how, too_much() if how == "in chunks" else plain)
        answer = await hub.http.post(CHAT, content=content, headers=headers)

        assert (answer.status_code, error_of(answer)["code"]) == (413, "request_too_large")
        # The hub is as well as before.
        assert (await hub.chat()).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "zstd", "GZIP", "identity"])
async def test_a_compressed_body_is_read(hub_environ: dict[str, str], upstream: Upstream, encoding: str) -> None:
    plain = json.dumps(body()).encode()
    packed = (
        plain if encoding == "identity" else zstandard.compress(plain) if encoding == "zstd" else gzip.compress(plain)
    )
    async with running_hub(hub_environ, described(upstream)) as hub:
        headers = {"content-type": "application/json", "content-encoding": encoding}
        answer = await hub.http.post(CHAT, content=packed, headers=headers)

        assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == TWELVE
        assert "content-encoding" not in upstream.last()["headers"]


def a_bomb(encoding: str) -> bytes:
    if encoding == "gzip":
        packer = zlib.compressobj(9, wbits=31)
        return b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()
    writer = zstandard.ZstdCompressor(level=3).compressobj()
    return b"".join(writer.compress(bytes(1 << 20)) for _ in range(512)) + writer.flush()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_a_bomb_is_unfolded_no_further_than_the_limit(
    hub_environ: dict[str, str], upstream: Upstream, encoding: str
) -> None:
    bomb = a_bomb(encoding)
    async with running_hub(hub_environ, described(upstream)) as hub:
        headers = {"content-type": "application/json", "content-encoding": encoding}
        before = peak_rss_bytes()
        answers = [await hub.http.post(CHAT, content=bomb, headers=headers) for _ in range(3)]

        assert {answer.status_code for answer in answers} == {413}
        assert peak_rss_bytes() - before < 160 * 1024 * 1024


# A frame that would take 128 MiB of memory before its first byte.
_LARGE_WINDOW = bytes.fromhex("28b52ffd") + b"\x00" + bytes([17 << 3]) + b"\x01\x00\x00"

UNREADABLE = [
    ("gzip", b"no gzip at all", 400),
    ("gzip", gzip.compress(b'{"model":"chat"}')[:-12], 400),
    ("gzip", gzip.compress(b'{"model":"chat"}') * 2, 400),
    ("zstd", b"no zstd at all", 400),
    ("zstd", _LARGE_WINDOW, 400),
    ("br", b"x", 415),
    ("gzip, gzip", b"x", 415),
]


async def test_a_compressed_body_that_cannot_be_read_is_refused(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        for encoding, content, status in UNREADABLE:
            headers = {"content-type": "application/json", "content-encoding": encoding}
            answer = await hub.http.post(CHAT, content=content, headers=headers)

            assert answer.status_code == status and error_of(answer)["owner"] == "you"


async def test_a_body_that_does_not_arrive_is_given_up(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.api.request_body.BODY_SECONDS", 0.3)
    async with running_hub(hub_environ, described(upstream)) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        head = f"POST {CHAT} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {HUB_KEY}\r\n"
        writer.write(f'{head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"model"'.encode())
        async with asyncio.timeout(3):
            answered = await reader.read()

        assert answered.startswith(b"HTTP/1.1 408 ") and b"request_timeout" in answered
        writer.close()


AMBIGUOUS = [
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdefg",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nabcde",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\nabcde",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-a: b\nx-c: d\r\ncontent-length: 0\x00\r\n\r\n",
    "GET /v1/models HTTP/1.1\r\nhost : x\r\n\r\n",
]


async def test_a_request_that_could_be_read_in_two_ways_is_not_read(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        for request in AMBIGUOUS:
            reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
            key = f"\r\nhost: x\r\nauthorization: Bearer {HUB_KEY}\r\ncontent-type: application/json\r\n"
            writer.write(request.replace("\r\nhost: x\r\n", key, 1).encode())
            async with asyncio.timeout(3):
                answered = await reader.read()

            assert answered.count(b"HTTP/1.1 ") <= 1 and b" 200 " not in answered[:20], request
            writer.close()
        assert not upstream.calls()


@pytest.mark.parametrize("prefix", ["/hub", "/a/b"])
async def test_all_of_it_is_there_under_a_mount_prefix_too(
    hub_environ: dict[str, str], upstream: Upstream, prefix: str
) -> None:
    async with running_hub(hub_environ | {"HUB_MOUNT_PREFIX": prefix}, described(upstream, models=MODELS)) as hub:
        for start in ("", prefix):
            assert said((await hub.http.post(f"{start}{CHAT}", json=body(stream=True))).text) == TWELVE
            assert (await hub.http.get(f"{start}/v1/models/acme/embed/small")).status_code == 200
            assert (await hub.http.get(f"{start}/healthz")).json() == {"status": "ok"}
            assert (await hub.http.get(f"{start}/readyz")).status_code == 200
            nothing = await hub.http.get(f"{start}/v1/nothing")
            assert nothing.status_code == 404 and error_of(nothing)["code"] == "unknown_path"
            wrong = await hub.http.get(f"{start}{CHAT}")
            assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert (await hub.http.get(f"{prefix}x/healthz")).status_code == 404


async def test_more_calls_than_the_hub_carries_are_told_to_come_back(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(
        hub_environ | {"HUB_MAX_IN_FLIGHT": "2"}, described(upstream, models={"chat": "one/slow-300"})
    ) as hub:
        answers = await asyncio.gather(*(hub.chat() for _ in range(4)))

        assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503]
        for answer in answers:
            if answer.status_code == 503:
                assert (answer.headers["retry-after"], error_of(answer)["code"]) == ("1", "hub_busy")
        assert len(upstream.calls()) == 2


async def test_a_hub_that_is_stopping_is_not_ready_and_takes_no_call(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        assert (await hub.http.get("/readyz")).json()["checks"]["draining"] == "ok"
        hub.gateway.is_draining = True

        ready, answer = await hub.http.get("/readyz"), await hub.chat()

        assert (ready.status_code, ready.json()["checks"]["draining"]) == (503, "failing")
        assert (answer.status_code, error_of(answer)["code"]) == (503, "hub_restarting")
        assert answer.headers["retry-after"] == "2" and (await hub.http.get("/healthz")).status_code == 200
        assert not upstream.calls()


async def test_a_call_can_name_its_project(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        for name in ("x-hub-project", "x-aigne-hub-client-did"):
            assert (await hub.chat(headers={name: "Search & Co"})).status_code == 200
            assert (await hub.last_call()).project == "Search & Co"
        refused = await hub.chat(headers={"x-hub-project": "x" * 201})
        assert (refused.status_code, error_of(refused)["param"]) == (400, "x-hub-project")


async def test_every_answer_says_which_call_it_was(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        for ask in (hub.chat, hub.stream):
            answer = await ask()
            assert answer.headers["x-hub-call-id"] == (await hub.last_call()).id
            assert (answer.headers["x-hub-provider"], answer.headers["x-hub-attempts"]) == ("one", "1")
            assert "provider;dur=" in answer.headers["server-timing"]
            # Nothing of the provider's own headers comes through.
            assert answer.headers["x-request-id"] == answer.headers["request-id"] == answer.headers["x-hub-call-id"]
            assert not {"openai-organization", "set-cookie"} & set(answer.headers)


def peak_rss_bytes() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
