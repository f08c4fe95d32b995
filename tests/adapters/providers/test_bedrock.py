"""Amazon Bedrock's row: its errors, its lists of models, and which of its credentials can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from app.adapters.providers import failures, probe
from app.adapters.providers.addresses import lists_url
from app.adapters.providers.registry import KINDS
from app.base.secret import Secret
from app.ops import file_values
from tests.emulators.bedrock import signatures
from tests.emulators.bedrock.handle import Bedrock, running_bedrock
from tests.wire.bedrock.conversing import GPT, LLAMA, MISTRAL, NOVA, OLD, PROFILE, SONNET

KIND = KINDS["bedrock"]


def _failure(status: int, type_: str | None, message: str = "Sorry.", *, name: str = "message") -> failures.Failure:
    headers = {} if type_ is None else {"x-amzn-ErrorType": f"{type_}:http://internal.amazon.com/coral/x/"}
    return failures.from_answer(KIND, status, headers, msgspec.json.encode({name: message}))


@pytest.mark.parametrize(
    ("status", "type_", "code", "is_retryable", "cools"),
    [
        (403, "AccessDeniedException", "provider_permission_denied", True, "credential_model"),
        (403, "UnrecognizedClientException", "provider_credential_refused", True, "disable"),
        (403, "InvalidSignatureException", "provider_credential_refused", True, "disable"),
        (403, "ExpiredTokenException", "provider_credential_refused", True, "disable"),
        (404, "ResourceNotFoundException", "provider_model_not_found", True, "credential_model"),
        (429, "ThrottlingException", "provider_rate_limited", True, "credential_model"),
        (400, "ServiceQuotaExceededException", "provider_rate_limited", True, "credential_model"),
        (429, "ModelNotReadyException", "provider_overloaded", True, "nothing"),
        (503, "ServiceUnavailableException", "provider_overloaded", True, "nothing"),
        (424, "ModelErrorException", "provider_failed", True, "nothing"),
        (408, "ModelTimeoutException", "provider_timeout", True, "nothing"),
        (500, "InternalServerException", "provider_failed", True, "nothing"),
        (400, "ValidationException", "provider_refused", False, "nothing"),
    ],
)
def test_each_documented_error_is_told_by_its_type_in_the_header(
    status: int, type_: str, code: str, is_retryable: bool, cools: str
) -> None:
    failure = _failure(status, type_)
    assert (failure.code, failure.is_retryable, failure.cools) == (code, is_retryable, cools)
    assert failure.provider_text == "Sorry."


@pytest.mark.parametrize(
    ("status", "type_", "message", "code"),
    [
        (
            403,
            None,
            "Authentication failed: Please make sure your API Key is valid.",
            "provider_credential_refused",
        ),
        (
            403,
            "InvalidSignatureException",
            "Signature expired: 20261120T1 is now earlier than",
            "provider_permission_denied",
        ),
        (400, "ValidationException", "The provided model identifier is invalid.", "provider_model_not_found"),
        (
            400,
            "ValidationException",
            "Invocation of model ID x with on-demand throughput isn\u2019t supported.",
            "provider_model_not_found",
        ),
    ],
)
def test_one_type_for_different_faults_is_told_apart_by_its_sentence(
    status: int, type_: str | None, message: str, code: str
) -> None:
    assert _failure(status, type_, message, name="Message").code == code


def test_an_exception_of_a_stream_means_what_it_means_in_front_of_one() -> None:
    limited = failures.from_error_inside(KIND, b'{"type":"ThrottlingException","message":"Slow down."}')
    assert limited.code == "provider_rate_limited"
    assert failures.from_error_inside(KIND, b'{"type":"ModelStreamErrorException","message":"x"}').is_retryable
    refused = failures.from_error_inside(KIND, b'{"type":"ValidationException","message":"x"}')
    assert refused.code == "provider_refused"


def test_an_arn_in_a_sentence_stays_with_the_hub() -> None:
    said = "User: arn:aws:iam::123456789012:user/hub is not authorized to perform: bedrock:InvokeModel"
    assert "123456789012" not in _failure(403, "AccessDeniedException", said).provider_text


def test_a_session_token_that_amazon_repeats_stays_with_the_hub() -> None:
    """A refused signature is explained with what should have been signed, the token in it."""
    token = "IQoJb3JpZ2luX2VjEmulated//token+0123456789=="
    said = f"The Canonical String should have been 'POST /model host:x x-amz-security-token:{token}'"
    headers = {"x-amzn-ErrorType": "InvalidSignatureException"}
    body = msgspec.json.encode({"message": said})
    assert token not in failures.from_answer(KIND, 403, headers, body, (Secret(token),)).provider_text


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        (None, "https://bedrock.{region}.amazonaws.com"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", "https://bedrock.eu-west-1.amazonaws.com"),
        ("https://proxy.example/aws", "https://proxy.example/aws"),
    ],
)
def test_lists_are_on_a_host_beside_that_of_calls(base_url: str | None, expected: str) -> None:
    assert lists_url(KIND, base_url) == expected
    assert lists_url(KINDS["openai"], None) is None


@pytest.fixture(scope="module")
def bedrock() -> Iterator[Bedrock]:
    with running_bedrock() as started:
        yield started


def _parts(given: dict[str, str]) -> dict[str, Secret]:
    return {name: Secret(text) for name, text in given.items()}


@pytest.mark.parametrize("way", ["access_key", "api_key"])
async def test_a_good_credential_lists_what_it_can_call(bedrock: Bedrock, way: str) -> None:
    parts = _parts(bedrock.access_key if way == "access_key" else bedrock.api_key)
    result = await probe.check(KIND, bedrock.root, parts, region=signatures.REGION)
    assert result.is_ok, result.sentence
    # On demand, and of these what the hub knows how to ask; the rest through its profile.
    assert result.models == [
        "amazon.nova-lite-v1:0",
        "amazon.titan-embed-text-v2:0",
        "amazon.nova-canvas-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ]
    assert [probe.guess_type(name) for name in result.models] == ["chat", "embedding", "image", "chat"]


@pytest.mark.parametrize(
    "parts",
    [
        {"api_key": "ABSKwrong"},
        {"access_key_id": signatures.ACCESS_KEY_ID, "secret_access_key": "wrong"},
        {"access_key_id": "AKIAWRONG", "secret_access_key": signatures.SECRET_ACCESS_KEY},
    ],
)
async def test_a_wrong_credential_is_refused_by_the_check(bedrock: Bedrock, parts: dict[str, str]) -> None:
    result = await probe.check(KIND, bedrock.root, _parts(parts), region=signatures.REGION)
    assert not result.is_ok
    assert result.status == 403
    assert not any(text in result.sentence for text in parts.values())


async def test_a_credential_that_may_not_list_is_still_a_good_one(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any) -> Any:
        headers = {"x-amzn-errortype": "AccessDeniedException"}
        return probe._Answer(403, headers, b'{"message":"not authorized to perform: bedrock:List"}', False)

    monkeypatch.setattr(probe, "_get", refused)
    result = await probe.check(KIND, bedrock.root, _parts(bedrock.api_key), region=signatures.REGION)
    assert (result.is_ok, result.models) == (True, [])


@pytest.mark.parametrize(
    ("names", "is_taken"),
    [
        (("api_key",), True),
        (("access_key_id", "secret_access_key"), True),
        (("access_key_id", "secret_access_key", "session_token"), True),
        (("access_key_id",), False),
        (("api_key", "access_key_id", "secret_access_key"), False),
        (("secret",), False),
    ],
)
def test_a_credential_is_an_api_key_or_an_access_key(names: tuple[str, ...], is_taken: bool) -> None:
    assert any(shape.takes(names) for shape in file_values.shapes(KIND)) == is_taken


@pytest.mark.parametrize(
    ("model", "way"),
    [
        (SONNET, "native"),
        (OLD, "forced_tool"),
        (NOVA, "forced_tool"),
        (MISTRAL, "forced_tool"),
        (GPT, "native"),
        (LLAMA, "prompt"),
        (PROFILE, "prompt"),
        ("deepseek.r1-v1:0", "prompt"),
        ("deepseek.v3-v1:0", "native"),
        ("mistral.mistral-large-3-675b-instruct", "native"),
        ("google.gemma-3-4b-it", "prompt"),
        ("anthropic.claude-v2:1", "prompt"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5", "native"),
    ],
)
def test_a_schema_is_followed_in_the_best_way_that_a_model_has(model: str, way: str) -> None:
    assert KIND.structured(model) == way
