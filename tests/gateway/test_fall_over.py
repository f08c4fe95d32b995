"""Fall-over: what goes wrong at one provider is tried at the next, and what is the caller's is not."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.catalog.models import Credential
from app.domain.identity import audit_reading
from app.domain.identity.audit_reading import Filters
from tests.emulators.handle import Upstream
from tests.hubs import TWELVE, RunningHub, described, quick, running_hub, said, seen, until_given

pytestmark = pytest.mark.databases("sqlite")

TWO = {"first": ["sk-first-0123456789abcdef"], "second": ["sk-second-0123456789abcdef"]}


def two_routes(fault: str) -> dict[str, Any]:
    return {"providers": TWO, "models": {"chat": [f"first/{fault}", "second/gpt-4o-mini"]}}


async def attempts_of(hub: RunningHub) -> list[tuple[str, int | None, str | None]]:
    call = await hub.last_call()
    tried = await hub.attempts(call)
    assert call.attempts == len(tried)
    return [(attempt.provider, attempt.http_status, attempt.error_code) for attempt in tried]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("fault-429", 429, "provider_rate_limited"),
        ("fault-429-quota", 429, "provider_out_of_credit"),
        ("fault-500", 500, "provider_failed"),
        ("fault-503", 503, "provider_overloaded"),
        ("fault-401", 401, "provider_credential_refused"),
        ("fault-403", 403, "provider_model_not_found"),
        ("fault-404", 404, "provider_model_not_found"),
        ("fault-html-502", 502, "provider_failed"),
        ("fault-redirect", 307, "provider_redirected"),
        ("fault-close-before-answer", None, "provider_connection_lost"),
        ("fault-empty-200", 200, "provider_bad_answer"),
        ("fault-wrong-type", 200, "provider_bad_answer"),
        ("fault-gzip", None, "provider_bad_answer"),
        ("fault-garbage", 200, "provider_bad_answer"),
        ("fault-cut", 200, "provider_bad_answer"),
        ("fault-reset", 200, "provider_bad_answer"),
    ],
)
async def test_a_provider_that_fails_before_the_answer_is_followed_by_the_next(
    hub_environ: dict[str, str], upstream: Upstream, fault: str, status: int | None, code: str
) -> None:
    async with running_hub(hub_environ, described(upstream, **two_routes(fault))) as hub:
        answer = await hub.chat()

        assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == TWELVE
        assert (answer.headers["x-hub-attempts"], answer.headers["x-hub-provider"]) == ("2", "second")
        assert await attempts_of(hub) == [("first", status, code), ("second", 200, None)]
        call = await hub.last_call()
        assert (call.status, call.provider, call.usage_source) == ("succeeded", "second", "provider")


@pytest.mark.parametrize("fault", ["fault-429", "fault-500", "fault-never-answers", "fault-error-mid-stream-after-0"])
async def test_a_stream_falls_over_before_its_first_byte(
    hub_environ: dict[str, str], upstream: Upstream, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, first_byte=0.3)
    async with running_hub(hub_environ, described(upstream, **two_routes(fault))) as hub:
        answer = await hub.stream()

        assert said(answer.text) == TWELVE
        assert [provider for provider, _, _ in await attempts_of(hub)] == ["first", "second"]


async def test_comments_alone_are_no_first_byte(hub_environ: dict[str, str], upstream: Upstream) -> None:
    file = described(upstream, **two_routes("gpt-4o-mini"))
    async with running_hub(hub_environ, file) as hub:
        error = 'data: {"error":{"code":502,"message":"no host is there"}}\n\n'
        upstream.script({"key": TWO["first"][0], "events": [": PROCESSING\n\n", ": PROCESSING\n\n", error]})

        answer = await hub.stream()

        assert said(answer.text) == TWELVE and "PROCESSING" not in answer.text
        assert [provider for provider, _, _ in await attempts_of(hub)] == ["first", "second"]


async def test_comments_before_the_beginning_reach_the_client(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(
        hub_environ, described(upstream, kind="openrouter", models={"chat": "one/meta-llama/llama-3.3-70b-instruct"})
    ) as hub:
        answer = await hub.stream()

        assert answer.text.startswith(": OPENROUTER PROCESSING\n\n") and said(answer.text) == TWELVE


async def test_the_next_credential_comes_before_the_next_route(hub_environ: dict[str, str], upstream: Upstream) -> None:
    keys = ["sk-limited-0123456789abcdef", "sk-good-0123456789abcdef"]
    file = described(
        upstream,
        providers={"first": keys, "second": TWO["second"]},
        models={"chat": ["first/gpt-4o-mini", "second/gpt-4o-mini"]},
    )
    upstream.set_keys({keys[0]: "fault-429-after-60"})
    async with running_hub(hub_environ, file) as hub:
        for _ in range(4):
            assert (await hub.chat()).status_code == 200

        used = [entry["headers"]["authorization"].removeprefix("Bearer ") for entry in upstream.calls()]
        # The first call may begin with the good key; as soon as the limited one has said 429 it rests.
        assert used.count(keys[0]) == 1 and used.count(keys[1]) == 4
        assert {call.provider for call in await hub.calls()} == {"first"}


async def test_a_provider_that_cannot_be_reached_is_followed_by_the_next(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        file = described(upstream, base_urls={"first": nobody}, **two_routes("gpt-4o-mini"))
        async with running_hub(hub_environ, file) as hub:
            assert (await hub.chat()).status_code == 200
            assert (await attempts_of(hub))[0] == ("first", None, "provider_unreachable")


async def test_a_provider_that_does_not_answer_in_time_is_followed_by_the_next(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, whole=0.3)
    async with running_hub(hub_environ, described(upstream, **two_routes("fault-never-answers"))) as hub:
        answer = await hub.chat()

        assert answer.status_code == 200
        assert (await attempts_of(hub))[0] == ("first", None, "provider_timeout")
        await seen(upstream, lambda entries: entries[0]["closed_early"], 1)


async def test_when_everyone_fails_the_last_failure_is_the_answer(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = described(upstream, providers=TWO, models={"chat": ["first/fault-500", "second/fault-503"]})
    async with running_hub(hub_environ, file) as hub:
        answer = await hub.chat()

        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["owner"]) == (503, "provider_overloaded", "provider")
        call = await hub.last_call()
        assert error["call_id"] == call.id == answer.headers["x-hub-call-id"]
        assert call.id in error["message"]
        assert (call.status, call.attempts, call.http_status, call.usage_source) == ("failed", 2, 503, "none")


@pytest.mark.parametrize(
    ("fault", "status"), [("fault-400", 400), ("fault-422", 422), ("fault-413", 413), ("fault-content-policy", 400)]
)
async def test_what_is_the_callers_fault_is_not_tried_again(
    hub_environ: dict[str, str], upstream: Upstream, fault: str, status: int
) -> None:
    async with running_hub(hub_environ, described(upstream, **two_routes(fault))) as hub:
        answer = await hub.chat()

        assert answer.status_code == status and answer.json()["error"]["owner"] == "you"
        assert len(upstream.calls()) == 1
        assert (await hub.last_call()).status == "refused"


async def test_a_content_policy_refusal_stays_what_it_is(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream, models={"chat": "one/fault-content-policy"})) as hub:
        answer = await hub.chat()

        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_policy_violation")


async def test_a_rate_limit_is_passed_on_with_its_wait(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream, models={"chat": "one/fault-429-after-9"})) as hub:
        answer = await hub.chat()
        again = await hub.chat()

        assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
        # The second one is not even asked: the credential rests for as long as the provider said.
        assert again.status_code == 429 and 1 <= int(again.headers["retry-after"]) <= 9
        assert len(upstream.calls()) == 1
        assert [call.attempts for call in await hub.calls()] == [1, 0]


async def test_a_refused_credential_is_disabled_and_an_admin_sees_why(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = described(upstream, models={"chat": "one/gpt-4o-mini"})
    upstream.set_keys({"sk-one-0123456789abcdef": None})
    async with running_hub(hub_environ, file) as hub:
        answer = await hub.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_credential_refused")

        async def row() -> Credential | None:
            async with hub.db.reading() as session:
                return await session.scalar(select(Credential).where(Credential.disabled_at.is_not(None)))

        found = await until_given(row)
        assert found.disabled_reason and "refused the key" in found.disabled_reason
        assert "sk-one" not in found.disabled_reason
        async with hub.db.reading() as session:
            (event,) = await audit_reading.page(session, Filters(action="credential.disable"))
        told = audit_reading.told(event)
        assert (told.actor_kind, told.object_id, told.after) == ("hub", found.id, {"disabled": found.disabled_reason})

        await hub.chat()
        assert len(upstream.calls()) == 1


async def test_failures_in_a_row_open_the_breaker(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream, models={"chat": "one/fault-500"})) as hub:
        statuses = [(await hub.chat()).status_code for _ in range(7)]

        assert statuses == [502] * 5 + [503] * 2
        assert len(upstream.calls()) == 5
        last = await hub.chat()
        assert last.json()["error"]["code"] == "no_provider_available" and int(last.headers["retry-after"]) <= 16


async def test_no_call_is_tried_more_often_than_six_times(hub_environ: dict[str, str], upstream: Upstream) -> None:
    keys = [f"sk-many-{n}-0123456789abcdef" for n in range(9)]
    file = described(upstream, providers={"one": keys}, models={"chat": "one/fault-500"})
    async with running_hub(hub_environ, file) as hub:
        assert (await hub.chat()).status_code == 502

        assert len(upstream.calls()) == 6 and (await hub.last_call()).attempts == 6


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_the_callers_own_deadline_ends_the_call(
    hub_environ: dict[str, str], upstream: Upstream, is_streamed: bool
) -> None:
    async with running_hub(hub_environ, described(upstream, **two_routes("fault-never-answers"))) as hub:
        answer = await hub.chat(headers={"x-hub-timeout-ms": "300"}, stream=is_streamed)

        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "call_timeout")
        assert answer.elapsed.total_seconds() < 1.5
        # Its time is over: nobody else is asked.
        assert [entry["headers"]["authorization"] for entry in upstream.calls()] == [f"Bearer {TWO['first'][0]}"]
        call = await hub.last_call()
        assert (call.status, call.error_code, call.attempts) == ("failed", "call_timeout", 1)


@pytest.mark.parametrize("value", ["0", "-1", "abc", "1.5", "3600001", "00000000010000000", ""])
async def test_a_deadline_that_is_no_number_of_milliseconds_is_refused(
    hub_environ: dict[str, str], upstream: Upstream, value: str
) -> None:
    async with running_hub(hub_environ, described(upstream)) as hub:
        answer = await hub.chat(headers={"x-hub-timeout-ms": value})

        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x-hub-timeout-ms")


async def test_weights_share_the_calls_out_evenly(hub_environ: dict[str, str], upstream: Upstream) -> None:
    file = described(upstream, providers=TWO, models={"chat": ["first/gpt-4o-mini", "second=gpt-4o-mini"]})
    file["models"][0]["routes"][0]["weight"], file["models"][0]["routes"][1]["weight"] = 3, 1
    async with running_hub(hub_environ, file) as hub:
        used = [(await hub.chat()).headers["x-hub-provider"] for _ in range(8)]

        assert used == ["first", "first", "second", "first"] * 2


async def test_a_client_that_asks_for_json_of_a_streaming_provider_is_not_given_html(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream, models={"chat": "one/fault-wrong-type"})) as hub:
        answer = await hub.chat()

        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_bad_answer")


async def test_a_redirect_is_never_followed(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream, models={"chat": "one/fault-redirect"})) as hub:
        for is_streamed in (False, True):
            answer = await hub.chat(stream=is_streamed)
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_redirected")

        assert [entry["kind"] for entry in upstream.calls()] == ["openai", "openai"]


async def test_a_model_that_cannot_stream_sound_answers_whole(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream, models={"transcribe": "one/whisper-1"})) as hub:
        answer = await hub.http.post(
            "/v1/audio/transcriptions",
            data={"model": "transcribe", "stream": "true"},
            files={"file": ("a.wav", b"RIFF....", "audio/wav")},
        )

        assert answer.status_code == 200 and answer.json()["text"]


async def test_sound_can_be_streamed_as_events(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with running_hub(hub_environ, described(upstream, models={"speech": "one/gpt-4o-mini-tts"})) as hub:
        body = {"model": "speech", "input": "hello", "voice": "alloy", "stream_format": "sse"}
        answer = await hub.http.post("/v1/audio/speech", json=body)

        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        call = await hub.last_call()
        assert (call.status, call.is_streamed, call.usage_source) == ("succeeded", True, "provider")
        assert call.output + call.audio_out > 0
