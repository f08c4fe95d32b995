"""Google's errors: the word counts, not the status, and what stands in the details."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.adapters.providers import failures
from app.adapters.providers.failures import Failure
from app.adapters.providers.registry import KINDS
from app.base import errors

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "transcripts" / "google"
GOOGLE = KINDS["google"]


def _of(status: int, word: str, message: str = "It failed.", details: Any = None) -> Failure:
    error = {"code": status, "message": message, "status": word}
    if details is not None:
        error["details"] = details
    return failures.from_answer(GOOGLE, status, {}, json.dumps({"error": error}).encode())


def test_a_wrong_key_is_one_although_its_status_is_that_of_a_wrong_request() -> None:
    failure = failures.from_answer(GOOGLE, 400, {}, (TRANSCRIPTS / "error_key.json").read_bytes())

    assert (failure.cools, failure.error.http_status) == ("disable", 502)
    assert isinstance(failure.error, errors.CredentialRefused)


def test_a_used_up_quota_rests_as_long_as_the_details_say() -> None:
    failure = failures.from_answer(GOOGLE, 429, {}, (TRANSCRIPTS / "error_quota.json").read_bytes())

    assert (failure.cools, failure.cool_seconds, failure.error.http_status) == ("credential_model", 35, 429)
    assert failure.error.retry_after_seconds == 35


@pytest.mark.parametrize("delay", ["0.2s", "7s", "99999s", "soon", "", None, 5, "-3s", "1e9s"])
def test_a_strange_wait_is_bounded_or_passed_over(delay: Any) -> None:
    failure = _of(429, "RESOURCE_EXHAUSTED", details=[{"retryDelay": delay}, None, "x"])

    assert 1 <= failure.cool_seconds <= failures.MAX_COOL_SECONDS


def test_the_header_goes_before_the_details() -> None:
    body = json.dumps({"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "30s"}]}}).encode()

    assert failures.from_answer(GOOGLE, 429, {"Retry-After": "3"}, body).cool_seconds == 3


@pytest.mark.parametrize(
    ("status", "word", "message", "cools", "http_status", "is_retryable"),
    [
        (400, "INVALID_ARGUMENT", "Unknown name", "nothing", 400, False),
        (400, "FAILED_PRECONDITION", "User location is not supported", "credential_model", 502, True),
        (401, "UNAUTHENTICATED", "", "disable", 502, True),
        (403, "PERMISSION_DENIED", "no", "credential_model", 502, True),
        (403, "PERMISSION_DENIED", "Your API key was reported as leaked.", "disable", 502, True),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", "disable", 502, True),
        (404, "NOT_FOUND", "models/x is not found", "credential_model", 502, True),
        (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", "credential", 429, True),
        (500, "INTERNAL", "An internal error has occurred.", "nothing", 502, True),
        (503, "UNAVAILABLE", "The model is overloaded.", "nothing", 503, True),
        (504, "DEADLINE_EXCEEDED", "", "nothing", 504, True),
    ],
)
def test_what_its_words_mean(
    status: int, word: str, message: str, cools: str, http_status: int, is_retryable: bool
) -> None:
    failure = _of(status, word, message)

    assert (failure.cools, failure.error.http_status, failure.is_retryable) == (cools, http_status, is_retryable)


def test_the_field_that_is_wrong_and_the_word_reach_the_caller() -> None:
    details = [{"@type": "…BadRequest", "fieldViolations": [{"field": "generation_config.top_p", "description": "x"}]}]

    error = _of(400, "INVALID_ARGUMENT", "Invalid value", details).error

    assert (error.param, error.code) == ("generation_config.top_p", "INVALID_ARGUMENT")


def test_an_error_wrapped_in_an_array_is_read() -> None:
    body = json.dumps([{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}]).encode()

    assert failures.from_answer(GOOGLE, 503, {}, body).error.http_status == 503


def test_an_error_inside_a_stream_has_the_status_that_it_names() -> None:
    failure = failures.from_error_inside(GOOGLE, b'{"code":429,"status":"RESOURCE_EXHAUSTED","message":"slow down"}')

    assert isinstance(failure.error, errors.ProviderLimited)


def test_whose_project_it_is_stays_here() -> None:
    failure = _of(403, "PERMISSION_DENIED", "Consumer projects/my-secret-project has been suspended.")

    assert "my-secret-project" not in failure.provider_text


@pytest.mark.parametrize("base_url", ["https://x.test", "https://x.test/", "https://x.test/v1beta", None])
def test_a_base_url_is_taken_with_and_without_the_version(base_url: str | None) -> None:
    from app.adapters.providers.addresses import call_url

    url = call_url(GOOGLE, base_url, GOOGLE.paths["generate_content.stream"], model="gemini-x", region=None)

    host = "https://x.test" if base_url else "https://generativelanguage.googleapis.com"
    assert url == f"{host}/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
