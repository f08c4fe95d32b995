"""Limits on real calls: each kind tripped through a running hub, and given back when a call ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from app.gateway.desk import explaining
from tests.emulators.handle import Upstream
from tests.hubs import HELLO, Json, RunningHub, apply_file, client, running_hub, seen, until
from tests.limited_hubs import OTHER_KEY, Standstill, limited

AS_OTHER = {"authorization": f"Bearer {OTHER_KEY}"}


async def _statuses(hub: RunningHub, count: int, **more: Any) -> list[int]:
    return [(await hub.chat(**more)).status_code for _ in range(count)]


@pytest.mark.parametrize(
    ("limit", "binds_other", "whose"),
    [
        ({"scope": "hub"}, True, "this hub"),
        ({"scope": "team", "of": "acme"}, True, "team acme"),
        ({"scope": "team", "each": True}, True, "team acme"),
        ({"scope": "key", "of": "acme/ci"}, False, "the API key ci"),
        ({"scope": "key", "each": True}, False, "the API key ci"),
        ({"scope": "model", "of": "chat"}, True, "chat"),
        ({"scope": "model", "each": True}, True, "chat"),
        ({"scope": "hub", "per": "day"}, True, "this hub"),
    ],
)
async def test_a_limit_of_requests_refuses_the_next_one_of_whom_it_binds(
    hub_environ: dict[str, str],
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    limit: Json,
    binds_other: bool,
    whose: str,
) -> None:
    time = Standstill(monkeypatch, second=20.5)
    async with running_hub(hub_environ, limited(upstream, limit)) as hub:
        assert await _statuses(hub, 3) == [200, 200, 200]

        refused = await hub.chat()
        other = await hub.chat(headers=AS_OTHER)

        assert refused.status_code == 429
        error = refused.json()["error"]
        assert (error["code"], error["owner"], error["call_id"]) == ("rate_limit_exceeded", "you", None)
        is_day = limit.get("per") == "day"
        assert f"The limit of {whose}, 3 requests a {'day' if is_day else 'minute'}, is reached." in error["message"]
        assert refused.headers["retry-after"] == ("43180" if is_day else "40")
        assert other.status_code == (429 if binds_other else 200)
        assert len(upstream.calls()) == (3 if binds_other else 4)

        time.go(43180 if is_day else 40)
        assert (await hub.chat()).status_code == 200


async def test_a_persons_limit_counts_the_calls_of_their_keys_alone(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    Standstill(monkeypatch)
    async with running_hub(hub_environ, limited(upstream, {"scope": "user", "of": "ada@example.com"})) as hub:
        assert await _statuses(hub, 4) == [200] * 4
        assert await _statuses(hub, 4, headers=AS_OTHER) == [200] * 3 + [429]


async def test_a_limit_of_ones_own_takes_the_place_of_that_for_each(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    Standstill(monkeypatch)
    file = limited(upstream, {"scope": "key", "each": True, "amount": 1}, {"scope": "key", "of": "acme/ci"})
    async with running_hub(hub_environ, file) as hub:
        assert await _statuses(hub, 4) == [200, 200, 200, 429]
        assert await _statuses(hub, 2, headers=AS_OTHER) == [200, 429]


async def test_of_64_calls_at_once_exactly_as_many_pass_as_the_limit_has(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    Standstill(monkeypatch)
    async with running_hub(hub_environ, limited(upstream, {"scope": "key", "each": True, "amount": 10})) as hub:
        answers = await asyncio.gather(*(hub.chat() for _ in range(64)))

        assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 54
        assert len(upstream.calls()) == 10


async def test_tokens_are_reserved_at_first_and_counted_as_they_were_used_at_the_end(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Standstill(monkeypatch)
    file = limited(upstream, {"scope": "team", "of": "acme", "unit": "tokens", "amount": 300})
    async with running_hub(hub_environ, file) as hub:
        first = await hub.chat(max_tokens=200)
        used = first.json()["usage"]["total_tokens"]
        second = await hub.chat(max_tokens=200)

        # Of the first, what it was let in with; of the second, what the first has used and what it was let in with.
        left = [int(one.headers["x-ratelimit-remaining-tokens"]) for one in (first, second)]
        assert first.status_code == second.status_code == 200
        assert left[1] == left[0] - used
        assert second.headers["x-ratelimit-limit-tokens"] == "300"

        answers = await asyncio.gather(*(hub.chat(max_tokens=200) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200, 429}
        time.go(60)
        assert (await hub.chat(max_tokens=200)).status_code == 200


async def test_what_alone_is_more_than_the_limit_is_refused_for_good(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = limited(upstream, {"scope": "key", "each": True, "unit": "tokens", "amount": 100})
    async with running_hub(hub_environ, file) as hub:
        refused = await hub.chat(messages=[{"role": "user", "content": "a long story. " * 200}])

        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "request_over_limit"
        assert "retry-after" not in refused.headers
        assert (await hub.chat(max_tokens=1000)).status_code == 200


@pytest.mark.parametrize("model", ["one/slow-60", "one/slow-60+fault-cut-after-5"])
async def test_calls_under_way_are_limited_and_free_their_place_however_they_end(
    hub_environ: dict[str, str], upstream: Upstream, model: str
) -> None:
    file = limited(upstream, {"scope": "key", "each": True, "unit": "streams", "amount": 2}, models={"chat": model})
    async with running_hub(hub_environ, file) as hub:
        running = [asyncio.create_task(hub.stream()) for _ in range(2)]
        await seen(upstream, lambda journal: len(journal) >= 2)

        refused = await hub.stream()
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert "2 calls at once" in refused.json()["error"]["message"]

        await asyncio.gather(*running, return_exceptions=True)
        await hub.calls()
        assert (await hub.http.post("/v1/chat/completions", json={"model": "chat", "messages": HELLO})).status_code in (
            200,
            502,
        )


async def test_a_client_that_leaves_frees_its_place(hub_environ: dict[str, str], upstream: Upstream) -> None:
    file = limited(
        upstream, {"scope": "team", "of": "acme", "unit": "streams", "amount": 1}, models={"chat": "one/slow-200"}
    )
    async with running_hub(hub_environ, file) as hub:
        async with (
            client(hub.root) as leaving,
            leaving.stream(
                "POST", "/v1/chat/completions", json={"model": "chat", "messages": HELLO, "stream": True}
            ) as answer,
        ):
            await anext(answer.aiter_bytes())
            assert (await hub.stream()).status_code == 429

        await until(lambda: not hub.gateway.running())
        assert (await hub.stream(max_tokens=1)).status_code == 200


async def test_a_call_that_crashes_in_the_hub_frees_its_place(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError("a bug")

    file = limited(upstream, {"scope": "hub", "unit": "streams", "amount": 1})
    async with running_hub(hub_environ, file) as hub:
        with monkeypatch.context() as broken:
            broken.setattr("app.gateway.attempt.ask", crash)
            assert (await hub.chat()).status_code == 500
        assert (await hub.chat()).status_code == 200


async def test_what_a_budget_refuses_does_not_count(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    Standstill(monkeypatch)
    file = limited(upstream, {"scope": "key", "each": True})
    file["budgets"] = [{"scope": "hub", "amount": 1, "unit": "calls", "window": "total", "block": True}]
    async with running_hub(hub_environ, file) as hub:
        answers = [await hub.chat() for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200, 402, 402, 402, 402]
        assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["2", "1", "1", "1", "1"]


async def test_a_repeated_answer_does_not_count(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    Standstill(monkeypatch)
    async with running_hub(hub_environ, limited(upstream, {"scope": "key", "each": True, "amount": 2})) as hub:
        same = {"idempotency-key": "order-7"}
        assert await _statuses(hub, 5, headers=same) == [200] * 5
        assert await _statuses(hub, 2) == [200, 429]


async def test_a_credential_at_its_limit_is_passed_over_and_only_the_last_one_refuses(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Standstill(monkeypatch, second=45)
    file = limited(
        upstream,
        {"scope": "credential", "of": "one/c0", "amount": 2},
        {"scope": "credential", "of": "one/c1", "amount": 1},
        providers={"one": ["sk-one-0123456789abcdef", "sk-two-0123456789abcdef"]},
    )
    async with running_hub(hub_environ, file) as hub:
        answers = [await hub.chat() for _ in range(4)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        refused = answers[-1]
        assert refused.json()["error"]["code"] == "provider_rate_limited"
        assert refused.headers["retry-after"] == "15"
        used = [call.credential_id for call in (await hub.calls())[:3]]
        assert sorted(used.count(id_) for id_ in set(used)) == [1, 2]
        time.go(15)
        assert (await hub.chat()).status_code == 200


async def test_a_credential_for_so_many_calls_at_once_leaves_the_others_to_the_next(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = limited(
        upstream,
        {"scope": "credential", "each": True, "unit": "streams", "amount": 1},
        providers={"one": ["sk-one-0123456789abcdef", "sk-two-0123456789abcdef"]},
        models={"chat": "one/slow-40"},
    )
    async with running_hub(hub_environ, file) as hub:
        answers = await asyncio.gather(*(hub.stream() for _ in range(3)))

        assert sorted(answer.status_code for answer in answers) == [200, 200, 429]
        assert len({call.credential_id for call in await hub.calls() if call.status == "succeeded"}) == 2
        assert (await hub.stream()).status_code == 200


async def test_every_answer_tells_what_is_left_in_the_words_of_its_door(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    Standstill(monkeypatch, second=30)
    file = limited(upstream, {"scope": "key", "each": True, "amount": 5}, {"scope": "team", "of": "acme", "per": "day"})
    async with running_hub(hub_environ, file) as hub:
        streamed = await hub.stream()
        message = await hub.http.post("/v1/messages", json={"model": "chat", "max_tokens": 50, "messages": HELLO})

        assert [streamed.headers[f"x-ratelimit-{what}-requests"] for what in ("limit", "remaining", "reset")] == [
            "3",
            "2",
            "11h59m30s",
        ]
        told = [message.headers[f"anthropic-ratelimit-requests-{what}"] for what in ("limit", "remaining", "reset")]
        assert told == ["3", "1", "2026-11-21T00:00:00Z"]
        assert not [name for name in message.headers if name.startswith("x-ratelimit")]


async def test_what_others_use_of_the_hub_and_of_a_model_is_not_told(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, limited(upstream, {"scope": "hub"}, {"scope": "model", "of": "chat"})) as hub:
        assert not [name for name in (await hub.chat()).headers if "ratelimit" in name]


_ASKS: Sequence[tuple[str, Json, Sequence[str]]] = [
    ("/v1/chat/completions", {"model": "chat", "messages": HELLO}, ("error", "type", "rate_limit_error")),
    ("/v1/responses", {"model": "chat", "input": "hi"}, ("error", "code", "rate_limit_exceeded")),
    (
        "/v1/messages",
        {"model": "chat", "max_tokens": 9, "messages": HELLO},
        ("error", "type", "rate_limit_error"),
    ),
    (
        "/v1beta/models/chat:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        ("error", "status", "RESOURCE_EXHAUSTED"),
    ),
    ("/api/v2/chat/completions", {"model": "chat", "messages": HELLO}, ("error", "type", "rate_limit_exceeded")),
]


@pytest.mark.parametrize(("path", "body", "said"), _ASKS, ids=[path for path, _, _ in _ASKS])
async def test_each_format_says_429_as_its_clients_know_it(
    hub_environ: dict[str, str],
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: Json,
    said: Sequence[str],
) -> None:
    Standstill(monkeypatch, second=12)
    async with running_hub(hub_environ, limited(upstream, {"scope": "key", "each": True, "amount": 1})) as hub:
        assert (await hub.http.post(path, json=body)).status_code == 200

        refused = await hub.http.post(path, json=body)

        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "48"
        outer, field, word = said
        told = refused.json()[outer]
        assert told[field] == word
        assert "The limit of the API key ci, 1 request a minute, is reached. Try again in 48 s." in json.dumps(told)


async def test_explaining_a_call_shows_its_limits_with_what_is_left(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = limited(upstream, {"scope": "key", "each": True, "per": "day"}, {"scope": "hub", "per": "day", "amount": 9})
    async with running_hub(hub_environ, file) as hub:
        assert await _statuses(hub, 3) == [200] * 3
        await hub.calls()
        async with hub.db.reading() as session:
            key = await explaining.find_key(session, "acme/ci")
            found = await explaining.explain(session, hub.gateway.snapshots.current, key, "chat")

        assert sorted((one.of, one.used.left) for one in found.limits) == [("each key", 0), ("hub", 6)]
        assert any("The limit of the API key ci, 3 requests a day, is reached." in one for one in found.refusals)


async def test_a_limit_binds_running_hubs_within_a_second_and_a_changed_one_goes_on_counting(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    Standstill(monkeypatch)
    file = limited(upstream, {"scope": "key", "each": True, "amount": 2})
    async with running_hub(hub_environ, file) as hub:
        assert await _statuses(hub, 3) == [200, 200, 429]
        await apply_file(hub.settings, limited(upstream, {"scope": "key", "each": True, "amount": 3}))
        await until(lambda: [one.amount for one in hub.gateway.snapshots.current.limits.rules] == [3], 1.0)

        assert await _statuses(hub, 2) == [200, 429]
