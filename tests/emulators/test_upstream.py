"""The stand-in itself: it refuses what the real service refuses, breaks as asked, and remembers what it saw."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.emulators.handle import Upstream, running_upstream

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "count to 9"}]}


@pytest.fixture(scope="module")
def started() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(started: Upstream) -> Upstream:
    started.reset()
    return started


@pytest.fixture
def web(upstream: Upstream) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {upstream.key()}"}
    with httpx.Client(base_url=upstream.base_url(), headers=headers, trust_env=False, timeout=10) as opened:
        yield opened


def _chat(web: httpx.Client, model: str = "gpt-4o-mini", **more: Any) -> httpx.Response:
    return web.post("/chat/completions", json=ASK | {"model": model} | more)


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tune"}]}]},
            "messages[0].content[0].type",
            "invalid_value",
        ),
        ({"temperature": 2.5}, "temperature", "decimal_above_max_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"top_k": 4}, "top_k", "unknown_parameter"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"stream": True, "stream_options": {"usage": 1}}, "stream_options.usage", "unknown_parameter"),
        ({"top_logprobs": 2}, "top_logprobs", None),
        ({"tool_choice": "auto"}, "tool_choice", None),
        ({"response_format": {"type": "json_object"}}, "messages", None),
    ],
)
def test_a_wrong_request_is_refused_by_name(web: httpx.Client, change: Any, param: str, code: str | None) -> None:
    answer = _chat(web, **change)

    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_kinds_other_than_openai_take_parameters_of_their_own(upstream: Upstream, web: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {upstream.key('custom')}"}
    answer = web.post(upstream.base_url("custom") + "/chat/completions", json=ASK | {"top_k": 4}, headers=headers)

    assert answer.status_code == 200


def test_keys_can_be_taken_added_and_made_faulty(upstream: Upstream, web: httpx.Client) -> None:
    upstream.set_keys({upstream.key(): None, "sk-new": "", "sk-tired": "fault-429-after-30"})

    statuses = [
        web.post("/chat/completions", json=ASK, headers={"authorization": f"Bearer {key}"}).status_code
        for key in (upstream.key(), "sk-new", "sk-tired")
    ]
    assert statuses == [401, 200, 429]


def test_an_unknown_model_and_path_are_not_found(web: httpx.Client) -> None:
    assert _chat(web, "gpt-9").json()["error"]["code"] == "model_not_found"
    assert web.post("/nothing", json={}).status_code == 404
    assert web.get("/chat/completions").status_code == 405
    assert web.post("/chat/completions", content="{}", headers={"content-type": "text/plain"}).status_code == 400


def test_a_counted_fault_strikes_as_often_as_said(web: httpx.Client) -> None:
    assert [_chat(web, "fault-500-once").status_code for _ in range(3)] == [500, 200, 200]
    assert [_chat(web, "gpt-4o-mini+fault-503-times-2").status_code for _ in range(3)] == [503, 503, 200]


def test_a_rate_limit_says_how_long_to_wait(web: httpx.Client) -> None:
    assert _chat(web, "fault-429").headers["retry-after"] == "7"
    assert _chat(web, "fault-429-after-30").headers["retry-after"] == "30"
    assert _chat(web, "fault-429-date").headers["retry-after"].endswith("GMT")
    assert "retry-after" not in _chat(web, "fault-429-quota").headers


def test_a_talkative_error_holds_all_that_must_not_pass(upstream: Upstream, web: httpx.Client) -> None:
    told = _chat(web, "fault-leaky-error")

    assert upstream.key() in told.text
    assert "org-Emulated" in told.text and "proj_Emulated" in told.text and "10.1.2.3" in told.text


def _events_until_broken(web: httpx.Client, model: str, timeout: float = 10) -> tuple[list[str], str | None]:
    events: list[str] = []
    try:
        with web.stream(
            "POST", "/chat/completions", json=ASK | {"model": model, "stream": True}, timeout=timeout
        ) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    events.append(line)
    except httpx.TransportError as error:
        return events, type(error).__name__
    return events, None


@pytest.mark.parametrize(
    ("model", "count", "broken"),
    [
        ("fault-cut-after-5", 5, "RemoteProtocolError"),
        ("fault-cut-after-0", 0, "RemoteProtocolError"),
        ("fault-reset-after-5", 5, "ReadError"),
        ("fault-no-done", 11, None),
        ("fault-error-mid-stream-after-2", 3, None),
        ("fault-one-byte-chunks", 12, None),
        ("fault-comment-flood", 12, None),
    ],
)
def test_a_stream_breaks_where_asked(web: httpx.Client, model: str, count: int, broken: str | None) -> None:
    events, error = _events_until_broken(web, model)

    assert (len(events), error) == (count, broken)


def test_a_stalled_stream_waits_and_the_journal_sees_the_client_go(upstream: Upstream, web: httpx.Client) -> None:
    events, error = _events_until_broken(web, "fault-stall-after-5", timeout=0.5)

    assert (len(events), error) == (5, "ReadTimeout")
    web.close()
    entry = upstream.wait_for(lambda entries: entries[-1]["closed_early"])[-1]
    assert (entry["chunks_sent"], entry["fault"]) == (5, "stall")


def test_an_upstream_that_never_answers_gives_no_byte(web: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        web.post("/chat/completions", json=ASK | {"model": "fault-never-answers"}, timeout=0.4)


def test_a_cut_body_is_shorter_than_it_said(web: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        _chat(web, "fault-cut")


def test_gzip_is_sent_even_to_those_who_did_not_ask(upstream: Upstream) -> None:
    host, port = upstream.root.removeprefix("http://").split(":")
    body = b'{"model": "fault-gzip", "messages": [{"role": "user", "content": "hi"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {upstream.key()}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: raw.recv(65536), b""))

    headers, _, packed = answer.partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in headers.lower()
    assert b"You said: hi" in gzip.decompress(packed)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("fault-negative-usage", -1000),
        ("fault-huge-usage", 10**17),
        ("fault-string-usage", "12"),
        ("fault-zero-usage", 0),
    ],
)
def test_usage_is_falsified_as_asked(web: httpx.Client, model: str, tokens: Any) -> None:
    assert _chat(web, model).json()["usage"]["completion_tokens"] == tokens
    assert "usage" not in _chat(web, "fault-no-usage").json()


def test_scripted_answers_come_first_and_once(upstream: Upstream, web: httpx.Client) -> None:
    upstream.script(
        {"model": "gpt-4o-mini", "status": 418, "body": {"error": {"message": "teapot"}}, "headers": {"x-a": "b"}},
        {"path": "/chat/completions", "events": ['data: {"choices":[]}\n\n', "data: [DONE]\n\n"]},
        {"fault": "503"},
    )

    first, second, third, fourth = (_chat(web) for _ in range(4))
    assert (first.status_code, first.headers["x-a"], first.json()["error"]["message"]) == (418, "b", "teapot")
    assert second.text == 'data: {"choices":[]}\n\ndata: [DONE]\n\n'
    assert (third.status_code, fourth.status_code) == (503, 200)


def test_the_journal_tells_body_headers_and_chunks(upstream: Upstream, web: httpx.Client) -> None:
    _chat(web, stream=True)
    entry = upstream.last("openai")

    assert entry["body"] == ASK | {"stream": True}
    assert entry["headers"]["authorization"] == f"Bearer {upstream.key()}"
    assert (entry["status"], entry["chunks_sent"], entry["closed_early"]) == (200, 12, False)
    upstream.clear()
    assert upstream.calls() == []


def test_slow_streams_take_their_time(web: httpx.Client) -> None:
    started = time.monotonic()
    events, _ = _events_until_broken(web, "slow-30")

    assert len(events) == 12
    assert time.monotonic() - started > 0.3


def test_xai_counts_reasoning_beside_and_openrouter_bills(upstream: Upstream, web: httpx.Client) -> None:
    def usage(kind: str, model: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {upstream.key(kind)}"}
        url = upstream.base_url(kind) + "/chat/completions"
        return web.post(url, json=ASK | {"model": model}, headers=headers).json()["usage"]

    xai = usage("xai", "grok-4-reasoner")
    assert xai["total_tokens"] == xai["prompt_tokens"] + xai["completion_tokens"] + 4
    assert xai["cost_in_usd_ticks"] == 6 * 2_000 + 13 * 5_000
    assert usage("openrouter", "meta-llama/llama-3.3-70b-instruct")["cost"] == pytest.approx(6.3e-6)
