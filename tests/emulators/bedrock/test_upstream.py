"""The emulator against Amazon's own library: what botocore sends is taken, what it gets it can read."""

from __future__ import annotations

import base64
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.emulators.bedrock import checks, oracle, signatures
from tests.emulators.bedrock.handle import Bedrock, running_bedrock

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
HELLO = [{"role": "user", "content": [{"text": "count to 5"}]}]
TOOLS = {
    "tools": [
        {
            "toolSpec": {
                "name": "weather",
                "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
            }
        }
    ]
}


@pytest.fixture(scope="module")
def bedrock() -> Iterator[Bedrock]:
    with running_bedrock() as started:
        yield started


@contextmanager
def _client(bedrock: Bedrock, **changes: Any) -> Generator[Any]:
    given: dict[str, Any] = {
        "region_name": signatures.REGION,
        "endpoint_url": bedrock.root,
        "aws_access_key_id": signatures.ACCESS_KEY_ID,
        "aws_secret_access_key": signatures.SECRET_ACCESS_KEY,
        "aws_session_token": signatures.SESSION_TOKEN,
        "config": oracle.config.Config(retries={"total_max_attempts": 1}, proxies={}),
    }
    made = oracle.session.Session().create_client("bedrock-runtime", **(given | changes))
    yield made
    made.close()


@pytest.mark.parametrize("model", [SONNET, PROFILE])
def test_botocore_gets_an_answer(bedrock: Bedrock, model: str) -> None:
    with _client(bedrock) as client:
        answer = client.converse(modelId=model, messages=HELLO)
    assert answer["output"]["message"]["content"] == [{"text": "1 2 3 4 5"}]
    assert answer["usage"]["outputTokens"] == 5


def test_botocore_reads_the_stream(bedrock: Bedrock) -> None:
    ask = [{"role": "user", "content": [{"text": "call weather"}]}]
    thinks = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    with _client(bedrock) as client:
        answer = client.converse_stream(
            modelId=SONNET, messages=ask, toolConfig=TOOLS, additionalModelRequestFields=thinks
        )
        events = list(answer["stream"])
    assert [next(iter(event)) for event in events][:2] == ["messageStart", "contentBlockDelta"]
    assert {"contentBlockStart", "contentBlockStop", "messageStop", "metadata"} <= {next(iter(one)) for one in events}


def test_botocore_understands_an_exception_within_a_stream(bedrock: Bedrock) -> None:
    with _client(bedrock) as client:
        answer = client.converse_stream(modelId=f"{SONNET}+fault-throttlingException", messages=HELLO)
        with pytest.raises(oracle.exceptions.EventStreamError, match="throttlingException"):
            list(answer["stream"])
        answer["stream"].close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"aws_access_key_id": "AKIAWRONG"}, "UnrecognizedClientException"),
        ({"aws_session_token": "old"}, "ExpiredTokenException"),
        ({"region_name": "eu-west-1"}, "InvalidSignatureException"),
    ],
)
def test_a_caller_who_is_not_known_is_refused_by_type(bedrock: Bedrock, changes: dict[str, str], code: str) -> None:
    with _client(bedrock, **changes) as client, pytest.raises(oracle.exceptions.ClientError) as refused:
        client.converse(modelId=SONNET, messages=HELLO)
    assert refused.value.response["Error"]["Code"] == code


def test_an_unsigned_change_of_the_body_is_noticed(bedrock: Bedrock) -> None:
    headers = {"host": bedrock.root.removeprefix("http://"), "X-Amz-Date": "20261120T190000Z"}
    answer = httpx.post(f"{bedrock.root}/model/x/converse", content=b"{}", headers=headers, trust_env=False)
    assert answer.status_code == 403
    assert answer.headers["x-amzn-errortype"].startswith("MissingAuthenticationTokenException")


_USE = {"toolUse": {"toolUseId": "t", "name": "weather", "input": {}}}
_RESULT = {"toolResult": {"toolUseId": "t", "content": [{"text": "rain"}]}}
_DOCUMENT = {"document": {"format": "pdf", "name": "a", "source": {"bytes": base64.b64encode(b"x").decode()}}}


def _user(*blocks: Any) -> Any:
    return {"role": "user", "content": list(blocks)}


def _assistant(*blocks: Any) -> Any:
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": [_assistant({"text": "hi"})]},
        {"messages": [_user({"text": "a"}), _user({"text": "b"})]},
        {"messages": [_user({"text": " "})]},
        {"messages": [_user()]},
        {"messages": [_user({"text": "a", "image": {}})]},
        {"messages": HELLO, "max_tokens": 5},
        {"messages": HELLO, "inferenceConfig": {"temperature": 1.5}},
        {"messages": HELLO, "inferenceConfig": {"temperature": 0.5, "topP": 0.5}},
        {"messages": HELLO, "system": "be brief"},
        {"messages": [_user(_DOCUMENT)]},
        {"messages": [_user({"text": "a"}, _DOCUMENT, _DOCUMENT)]},
        {"messages": [_user({"text": "a"}), _assistant(_DOCUMENT)]},
        {"messages": [_user({"text": "a"}), _assistant(_USE)], "toolConfig": TOOLS},
        {"messages": [_user({"text": "a"}), _assistant(_USE), _user({"text": "b"})], "toolConfig": TOOLS},
        {"messages": [_user({"text": "a"}), _assistant(_USE), _user({"text": "b"}, _RESULT)], "toolConfig": TOOLS},
        {"messages": [_user({"text": "a"}), _assistant(_USE), _user(_RESULT)]},
        {"messages": [_user(_RESULT)], "toolConfig": TOOLS},
        {
            "messages": [
                _user({"text": "a"}),
                _assistant({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "forged"}}}),
                _user({"text": "b"}),
            ]
        },
        {"messages": HELLO, "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 5}}},
        {"messages": [_user({"text": "a"}, *[{"cachePoint": {"type": "default"}}] * 5)]},
    ],
)
def test_a_request_that_the_service_refuses_is_refused(body: Any) -> None:
    with pytest.raises(checks.Refused):
        checks.converse(body, "Converse", SONNET)
