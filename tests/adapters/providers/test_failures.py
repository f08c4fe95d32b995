"""The table of failures: what a caller sees, what rests, and who is told."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest

from app.adapters.providers import failures
from app.adapters.providers.failures import Failure
from app.adapters.providers.registry import KINDS
from app.base import errors
from app.base.secret import Secret
from app.wire.answers import BrokenStream

KEY = Secret("sk-proj-4f9aQ2m8Zx7LtR1vB6nC3dE5")


def failure(
    kind: str, status: int, body: Any = None, headers: dict[str, str] | None = None, key: Secret = KEY
) -> Failure:
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    return failures.from_answer(KINDS[kind], status, headers or {}, content, [key])


def said(message: str = "It went wrong.", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": None, "param": None, "code": None, **fields}}


DISABLED = ("disable", 0)
RESTS_AN_HOUR = ("credential", 3600)
RESTS_FOR_MODEL = ("credential_model", 600)
LIMITED = ("credential_model", 10)
NOTHING = ("nothing", 0)

# kind, status, body, what the caller sees, our code, what rests, tried again, breaker, whose turn
TABLE: list[tuple[str, int, Any, int, str, tuple[str, int], bool, bool, str]] = [
    ("openai", 401, said(code="invalid_api_key"), 502, "provider_credential_refused", DISABLED, True, False, "admin"),
    ("openai", 401, None, 502, "provider_credential_refused", DISABLED, True, False, "admin"),
    (
        "xai",
        400,
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: sk***gA."},
        502,
        "provider_credential_refused",
        DISABLED,
        True,
        False,
        "admin",
    ),
    (
        "doubao",
        401,
        said(code="AuthenticationError"),
        502,
        "provider_credential_refused",
        DISABLED,
        True,
        False,
        "admin",
    ),
    ("deepseek", 402, said("Insufficient Balance"), 502, "provider_out_of_credit", RESTS_AN_HOUR, True, False, "admin"),
    ("openrouter", 402, said(code=402), 502, "provider_out_of_credit", RESTS_AN_HOUR, True, False, "admin"),
    (
        "openai",
        429,
        said(type="insufficient_quota", code="credit_balance_exhausted"),
        429,
        "provider_out_of_credit",
        RESTS_AN_HOUR,
        True,
        False,
        "admin",
    ),
    (
        "xai",
        429,
        {
            "code": "x",
            "error": "Your team 16f2151a has either used all available credits or reached its monthly spending limit.",
        },
        429,
        "provider_out_of_credit",
        RESTS_AN_HOUR,
        True,
        False,
        "admin",
    ),
    (
        "doubao",
        403,
        said(code="AccountOverdueError"),
        502,
        "provider_out_of_credit",
        RESTS_AN_HOUR,
        True,
        False,
        "admin",
    ),
    ("openai", 403, said(), 502, "provider_permission_denied", RESTS_FOR_MODEL, True, False, "admin"),
    (
        "openai",
        404,
        said(code="model_not_found"),
        502,
        "provider_model_not_found",
        RESTS_FOR_MODEL,
        True,
        False,
        "admin",
    ),
    # An item of a history that is not there: the model need not rest for it.
    ("openai", 404, said(param="input"), 400, "provider_refused", NOTHING, False, False, "you"),
    ("poe", 400, said(code="model_not_found"), 502, "provider_model_not_found", RESTS_FOR_MODEL, True, False, "admin"),
    ("doubao", 404, said(code="ModelNotOpen"), 502, "provider_model_not_found", RESTS_FOR_MODEL, True, False, "admin"),
    (
        "ollama",
        404,
        {"error": "model 'x' not found"},
        502,
        "provider_model_not_found",
        RESTS_FOR_MODEL,
        True,
        False,
        "admin",
    ),
    ("openai", 429, said(code="rate_limit_exceeded"), 429, "provider_rate_limited", LIMITED, True, False, "provider"),
    ("openai", 429, b"", 429, "provider_rate_limited", LIMITED, True, False, "provider"),
    (
        "doubao",
        429,
        said(code="RateLimitExceeded.EndpointRPMExceeded"),
        429,
        "provider_rate_limited",
        LIMITED,
        True,
        False,
        "provider",
    ),
    (
        "poe",
        429,
        said(type="rate_limit_error"),
        429,
        "provider_rate_limited",
        ("credential", 10),
        True,
        False,
        "provider",
    ),
    ("openai", 503, said(code="server_is_overloaded"), 503, "provider_overloaded", NOTHING, True, True, "provider"),
    ("openai", 529, None, 503, "provider_overloaded", NOTHING, True, True, "provider"),
    ("openai", 408, None, 504, "provider_timeout", NOTHING, True, True, "provider"),
    ("openai", 504, None, 504, "provider_timeout", NOTHING, True, True, "provider"),
    ("openai", 409, said(), 502, "provider_failed", NOTHING, True, True, "provider"),
    ("openai", 425, said(), 502, "provider_failed", NOTHING, True, True, "provider"),
    ("openai", 500, said(code="invalid_value"), 502, "provider_failed", NOTHING, True, True, "provider"),
    ("openai", 500, said(code="content_filter"), 502, "provider_failed", NOTHING, True, True, "provider"),
    ("openai", 502, b"<html>nginx</html>", 502, "provider_failed", NOTHING, True, True, "provider"),
    ("openai", 301, None, 502, "provider_redirected", NOTHING, True, True, "provider"),
    ("openai", 307, None, 502, "provider_redirected", NOTHING, True, True, "provider"),
    ("openai", 400, said(code="invalid_value"), 400, "provider_refused", NOTHING, False, False, "you"),
    ("openai", 400, said(code="content_policy_violation"), 400, "provider_refused", NOTHING, False, False, "you"),
    ("openai", 413, said(), 413, "provider_refused", NOTHING, False, False, "you"),
    ("deepseek", 422, said(), 422, "provider_refused", NOTHING, False, False, "you"),
    ("openai", 418, said(), 400, "provider_refused", NOTHING, False, False, "you"),
    (
        "openrouter",
        403,
        said(code=403, metadata={"reasons": ["x"]}),
        400,
        "provider_refused",
        NOTHING,
        False,
        False,
        "you",
    ),
    ("poe", 403, said(type="moderation_error"), 400, "provider_refused", NOTHING, False, False, "you"),
    ("doubao", 400, said(code="InputTextRiskDetection"), 400, "provider_refused", NOTHING, False, False, "you"),
    (
        "custom",
        400,
        {"object": "error", "message": "no", "code": 400},
        400,
        "provider_refused",
        NOTHING,
        False,
        False,
        "you",
    ),
    ("openrouter", 200, said(code=429), 429, "provider_rate_limited", LIMITED, True, False, "provider"),
    ("openrouter", 200, said(code=502), 502, "provider_failed", NOTHING, True, True, "provider"),
    ("openai", 200, said(type="server_error"), 502, "provider_failed", NOTHING, True, True, "provider"),
    ("openai", 200, said(type="invalid_request_error"), 400, "provider_refused", NOTHING, False, False, "you"),
    ("openai", 200, said(code="content_filter"), 400, "provider_refused", NOTHING, False, False, "you"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}-{row[1]}-{row[4]}")
def test_pain_P79_each_answer_says_what_the_caller_sees_and_whose_turn_it_is(row: Any) -> None:
    kind, status, body, seen, code, rests, is_retryable, breaks, owner = row
    found = failure(kind, status, body)
    assert (found.error.http_status, found.code, found.error.owner) == (seen, code, owner)
    assert (found.cools, found.cool_seconds) == rests
    assert (found.is_retryable, found.counts_for_breaker) == (is_retryable, breaks)
    assert found.http_status == (status if status >= 300 else found.http_status)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "0.2"}, 1),
        ({"RETRY-AFTER": "99999"}, 3600),
        ({"Retry-After": "soon"}, 10),
        ({"Retry-After": "-5"}, 10),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 2),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7.66s"}, 8),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 1),
        ({"x-ratelimit-remaining-tokens": "12", "x-ratelimit-reset-tokens": "90s"}, 10),
        ({}, 10),
    ],
)
def test_pain_P65_a_limit_is_waited_for_as_long_as_the_provider_says(headers: dict[str, str], seconds: int) -> None:
    found = failure("openai", 429, said(code="rate_limit_exceeded"), headers)
    assert found.cool_seconds == seconds
    assert found.error.retry_after_seconds == seconds


def test_pain_P65_a_date_and_a_moment_are_understood_too() -> None:
    dated = failure("openai", 429, None, {"Retry-After": formatdate(time.time() + 30, usegmt=True)})
    assert 28 <= dated.cool_seconds <= 31
    past = failure("openai", 429, None, {"Retry-After": formatdate(time.time() - 30, usegmt=True)})
    assert past.cool_seconds == 1
    moment = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int((time.time() + 20) * 1000))}
    assert 18 <= failure("openrouter", 429, None, moment).cool_seconds <= 21


def test_an_overloaded_provider_that_says_how_long_rests() -> None:
    found = failure("openai", 503, None, {"Retry-After": "4"})
    assert (found.cools, found.cool_seconds, found.counts_for_breaker) == ("credential_model", 4, True)
    assert found.error.retry_after_seconds == 4


def test_a_refusal_keeps_the_provider_s_words_code_and_field() -> None:
    body = said("Invalid value: 'x'.", code="invalid_value", param="messages[0].content")
    error = failure("openai", 400, body).error
    assert isinstance(error, errors.ProviderRefused)
    assert (error.sentence, error.code, error.param) == ("Invalid value: 'x'.", "invalid_value", "messages[0].content")


def test_a_refusal_without_words_gets_some() -> None:
    assert failure("openai", 400, b"").error.sentence == "OpenAI refused the request."


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429, 500, 503])
def test_no_failure_gives_away_the_key_or_the_account(status: int) -> None:
    text = (
        f"Project proj_Emulated1 of org-Acme7f3a refused {KEY.reveal()} (sk-proj********5dE5) at http://10.1.2.3:8080/x"
    )
    body = said(text, code=KEY.reveal(), type="org-Acme7f3a", param=KEY.reveal())
    found = failure("openai", status, body)
    shown = f"{found.error.sentence} {found.error.code} {found.error.param} {found.code} {found.provider_text}"
    for leak in (KEY.reveal(), "sk-proj", "5dE5", "org-Acme", "proj_Emulated", "10.1.2.3"):
        assert leak not in shown


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b'{"error":null}',
        b'{"error":[]}',
        b'{"error":{"code":[]}}',
        b"[" * 99_999,
    ],
)
def test_a_body_that_makes_no_sense_is_judged_by_its_status(body: bytes) -> None:
    assert failure("openai", 500, body).code == "provider_failed"
    assert failure("openai", 429, body).code == "provider_rate_limited"
    assert failure("openai", 400, body).code == "provider_refused"


@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        (TimeoutError(), 504, "provider_timeout"),
        (aiohttp.SocketTimeoutError(), 504, "provider_timeout"),
        (aiohttp.ConnectionTimeoutError(), 504, "provider_connect_timeout"),
        (aiohttp.ServerDisconnectedError(), 502, "provider_connection_lost"),
        (ConnectionResetError("to 10.0.0.7"), 502, "provider_connection_lost"),
        (aiohttp.ClientPayloadError("not all of it"), 502, "provider_bad_answer"),
        (BrokenStream("an event of 9 MB"), 502, "provider_bad_answer"),
        (aiohttp.InvalidURL("::"), 502, "provider_bad_address"),
        (OSError("no route"), 502, "provider_connection_lost"),
    ],
)
def test_no_answer_lets_another_try_and_counts_for_the_breaker(exception: Exception, status: int, code: str) -> None:
    found = failures.from_exception(KINDS["openai"], exception)
    assert (found.error.http_status, found.code, found.http_status) == (status, code, None)
    assert (found.is_retryable, found.counts_for_breaker, found.cools) == (True, True, "nothing")
    assert isinstance(exception, failures.EXCEPTIONS)
    assert "10.0.0.7" not in found.error.sentence + found.provider_text


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(failures.EXCEPTIONS) as caught:
            await session.get("http://127.0.0.1:9/")
    found = failures.from_exception(KINDS["openai"], caught.value)
    assert (found.code, found.error.sentence) == ("provider_unreachable", "OpenAI could not be reached.")
    assert "127.0.0.1" not in found.provider_text


def test_a_bug_is_not_a_provider_s_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        failures.from_exception(KINDS["openai"], ZeroDivisionError())


def test_an_error_inside_a_stream_is_judged_like_one_of_an_answer() -> None:
    whole = failures.from_error_inside(KINDS["openrouter"], b'{"code":429,"message":"Slow down"}')
    assert (whole.code, whole.is_retryable) == ("provider_rate_limited", True)
    text = failures.from_error_inside(KINDS["ollama"], b'"it broke"')
    assert (text.code, text.provider_text) == ("provider_failed", "it broke")
