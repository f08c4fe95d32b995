"""Errors as the client sees them: whose fault it is decides the status, and nothing of ours leaks."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.conformance.doors import Door

ASK: list[Any] = [{"role": "user", "content": "count to 9"}]
JSON = {"content-type": "application/json"}
SECRETS = ("sk-", "org-Emulated", "proj_Emulated", "10.1.2.3", "emulated-cookie", "hk-conformance")


def _chat(client: openai.OpenAI, model: str, **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=ASK, **more)


def _assert_no_secrets(error: openai.APIStatusError) -> None:
    told = f"{error.response.text} {dict(error.response.headers)}"
    assert [secret for secret in SECRETS if secret in told] == []


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_limited_provider_is_a_rate_limit_with_its_wait(
    hub_door: Door, hub_client: openai.OpenAI, is_streamed: bool
) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        _chat(hub_client, "fault/429-after-9", stream=is_streamed)

    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 9
    assert caught.value.type == "rate_limit_error"
    _assert_no_secrets(caught.value)
    hub_door.expect_record(http_status=429, input=0, output=0)


@pytest.mark.parametrize(
    "fault", ["500", "503", "html-502", "close-before-answer", "wrong-type", "empty-200", "redirect"]
)
def test_a_broken_provider_is_a_bad_gateway_with_the_calls_id(
    hub_door: Door, hub_client: openai.OpenAI, fault: str
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        _chat(hub_client, f"fault/{fault}")

    error = caught.value
    assert error.status_code in (502, 503)
    assert error.response.headers["x-hub-call-id"] in error.message
    assert error.response.headers["content-type"].startswith("application/json")
    assert "<html" not in error.response.text
    _assert_no_secrets(error)
    assert not [call for call in hub_door.upstream.calls() if call["kind"] == "redirected"]
    hub_door.expect_record(status="failed", http_status=error.status_code, error_owner="provider", output=0)


@pytest.mark.parametrize("fault", ["401", "403"])
def test_the_hubs_own_refused_credential_is_never_the_callers_401(
    hub_door: Door, hub_client: openai.OpenAI, fault: str
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        _chat(hub_client, f"fault/{fault}")

    assert caught.value.status_code in (502, 503)
    _assert_no_secrets(caught.value)
    hub_door.expect_record(status="failed", error_owner="admin")


def test_a_credential_that_was_refused_is_not_tried_again(hub_door: Door, hub_client: openai.OpenAI) -> None:
    for _ in range(3):
        with pytest.raises(openai.InternalServerError):
            _chat(hub_client, "fault/401")

    assert len(hub_door.upstream.calls()) <= 1


def test_a_wrong_key_of_the_hub_is_an_authentication_error(hub_door: Door) -> None:
    for key in ("hk-wrong", "sk-openai-emulated-0123456789abcdef", "x" * 5_000):
        with hub_door.client(api_key=key) as client, pytest.raises(openai.AuthenticationError) as caught:
            _chat(client, "openai/gpt-4o-mini")

        assert caught.value.code in ("invalid_api_key", "missing_api_key")
        assert key not in caught.value.response.text
    assert hub_door.upstream.calls() == []


def test_no_key_at_all_is_refused_before_the_body_is_read(hub_door: Door) -> None:
    with hub_door.raw() as raw:
        answer = raw.post("/chat/completions", content=b"{broken", headers=JSON | {"authorization": ""})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "missing_api_key"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_unknown_model_names_the_nearest(hub_door: Door, hub_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        _chat(hub_client, "openai/gpt-4o-mni")

    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "openai/gpt-4o-mini" in caught.value.message
    assert hub_door.upstream.calls() == []


def test_a_missing_field_is_named(hub_door: Door) -> None:
    with hub_door.raw() as raw:
        no_messages = raw.post("/chat/completions", json={"model": "openai/gpt-4o-mini"})
        no_model = raw.post("/chat/completions", json={"messages": ASK})
        no_input = raw.post("/embeddings", json={"model": "openai/text-embedding-3-small"})

    assert [answer.status_code for answer in (no_messages, no_model, no_input)] == [400, 400, 400]
    assert no_messages.json()["error"]["param"] == "messages"
    assert "model" in no_model.json()["error"]["message"]
    assert no_input.json()["error"]["param"] == "input"


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", 5), ("model", None), ("model", ""), ("messages", "hi"), ("stream", "yes"), ("temperature", "warm")],
)
def test_a_wrong_type_is_named(hub_door: Door, field: str, value: Any) -> None:
    body: dict[str, Any] = {"model": "openai/gpt-4o-mini", "messages": ASK}
    with hub_door.raw() as raw:
        answer = raw.post("/chat/completions", json=body | {field: value})

    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert field in (error["param"] or "") or field in error["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"model": "openai/gpt-4o-mini",}', b"[]", b"null", b'"x"', b"\xff\xfe", b'{"a": NaN}']
)
def test_a_body_that_is_not_a_json_object_is_refused(hub_door: Door, body: bytes) -> None:
    with hub_door.raw() as raw:
        answer = raw.post("/chat/completions", content=body, headers=JSON)

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]
    assert hub_door.upstream.calls() == []


def test_a_body_nested_too_deep_is_refused(hub_door: Door) -> None:
    with hub_door.raw() as raw:
        deep = b'{"model":"openai/gpt-4o-mini","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        answer = raw.post("/chat/completions", content=deep, headers=JSON)

    assert answer.status_code == 400
    assert hub_door.upstream.calls() == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_a_wrong_content_type_is_refused(hub_door: Door, content_type: str) -> None:
    body = b'{"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]}'
    with hub_door.raw() as raw:
        answer = raw.post("/chat/completions", content=body, headers={"content-type": content_type})

    assert answer.status_code in (400, 415)
    assert "application/json" in answer.json()["error"]["message"]


def test_unknown_paths_and_wrong_methods_are_told_in_json(hub_door: Door) -> None:
    with hub_door.raw() as raw:
        nowhere = raw.post("/nothing/here", json={})
        wrong = raw.get("/chat/completions")
        wrong_too = raw.delete("/models")

    assert (nowhere.status_code, wrong.status_code, wrong_too.status_code) == (404, 405, 405)
    for answer in (nowhere, wrong, wrong_too):
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json()["error"]["message"]
    assert "POST" in wrong.headers["allow"]


def test_a_refusal_for_content_keeps_the_providers_code(hub_door: Door, hub_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        _chat(hub_client, "fault/content-policy")

    assert caught.value.code == "content_policy_violation"
    hub_door.expect_record(status="refused", http_status=400)


@pytest.mark.parametrize("fault", ["leaky-error", "leaky-error-500"])
def test_a_talkative_providers_error_is_cleaned(hub_door: Door, hub_client: openai.OpenAI, fault: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        _chat(hub_client, f"fault/{fault}")

    assert caught.value.status_code == 400 if fault == "leaky-error" else caught.value.status_code in (502, 503)
    _assert_no_secrets(caught.value)


def test_the_providers_own_400_comes_through_with_its_parameter(hub_door: Door, hub_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="above maximum value") as caught:
        _chat(hub_client, "openai/gpt-4o-mini", temperature=3)

    assert (caught.value.param, caught.value.code) == ("temperature", "decimal_above_max_value")
    assert len(hub_door.upstream.calls()) == 1


@pytest.mark.parametrize("fault", ["cut-after-4", "reset-after-4", "error-mid-stream-after-4"])
def test_a_stream_that_breaks_is_an_error_and_not_an_end(hub_door: Door, hub_client: openai.OpenAI, fault: str) -> None:
    seen: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in _chat(hub_client, f"fault/{fault}", stream=True):
            seen.append(chunk.choices[0].delta.content or "")

    assert "".join(seen) == "1 2 3"
    assert [secret for secret in SECRETS if secret in str(caught.value)] == []
    hub_door.expect_record(status="failed", error_owner="provider", usage_source="estimated")
    assert 1 <= hub_door.record()["output"] <= 6


@pytest.mark.parametrize(
    ("fault", "source"),
    [
        ("no-usage", "estimated"),
        ("negative-usage", "estimated"),
        ("huge-usage", "estimated"),
        ("string-usage", "estimated"),
        ("zero-usage", "provider"),
        ("usage-twice", "provider"),
    ],
)
def test_a_false_report_of_usage_is_not_believed(
    hub_door: Door, hub_client: openai.OpenAI, fault: str, source: str
) -> None:
    text = "".join(
        c.choices[0].delta.content or "" for c in _chat(hub_client, f"fault/{fault}", stream=True) if c.choices
    )

    assert text == "1 2 3 4 5 6 7 8 9"
    record = hub_door.record()
    assert (record["status"], record["usage_source"]) == ("succeeded", source)
    if fault == "zero-usage":
        assert (record["input"], record["output"]) == (0, 0)
    elif fault == "usage-twice":
        assert (record["input"], record["output"]) == (6, 9)
    else:
        assert 1 <= record["output"] <= 40
        assert 1 <= record["input"] <= 60


def test_a_stream_that_ends_without_done_is_flagged(hub_door: Door, hub_client: openai.OpenAI) -> None:
    with hub_door.raw() as raw:
        body = {"model": "fault/no-done", "messages": ASK, "stream": True}
        answer = raw.post("/chat/completions", json=body)
        hub_door.last_headers = dict(answer.headers)

    assert '"content":" 9"' in answer.text
    record = hub_door.record()
    assert record["output"] == 9
