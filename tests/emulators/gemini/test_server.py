"""The emulator itself: it refuses what the real service refuses, and says what its rules say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.emulators.gemini.handle import GeminiUpstream, running_gemini
from tests.emulators.gemini.speech import signature

NEWEST, OLDER = "gemini-3.8-flash", "gemini-2.5-flash"
USER = {"role": "user", "parts": [{"text": "go"}]}
CALL: dict[str, Any] = {"functionCall": {"id": "a", "name": "f", "args": {}}}
SIGNED = {**CALL, "thoughtSignature": signature("a")}
RESULT = {"functionResponse": {"id": "a", "name": "f", "response": {"output": "x"}}}


@pytest.fixture(scope="module")
def gemini() -> Iterator[GeminiUpstream]:
    with running_gemini() as started:
        yield started


@pytest.fixture
def web(gemini: GeminiUpstream) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gemini.base_url(), headers={"x-goog-api-key": gemini.key()}, trust_env=False) as opened:
        yield opened


def _ask(web: httpx.Client, body: Any, model: str = NEWEST, action: str = "generateContent") -> httpx.Response:
    return web.post(f"/v1beta/models/{model}:{action}", json=body)


def _turns(*contents: Any, **more: Any) -> dict[str, Any]:
    return {"contents": list(contents), **more}


def _model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def _user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "contents is not specified"),
        (_turns(USER, unknown=1), 'Unknown name "unknown"'),
        (_turns(_user({"text": "x", "colour": "red"})), 'Unknown name "colour"'),
        (_turns({"role": "assistant", "parts": [{"text": "x"}]}), "valid role"),
        (_turns({"role": "user", "parts": []}), "must not be empty"),
        (_turns(_model({"text": "x"}), USER), "first turn"),
        (_turns(USER, _model({"text": "x"})), "ending with a model turn"),
        (_turns(USER, _model({"text": "x"}), _user(RESULT)), "immediately after a function call turn"),
        (_turns(USER, _model(SIGNED), USER), "followed immediately"),
        (_turns(USER, _model(SIGNED, CALL), _user(RESULT)), "number of function response parts"),
        (_turns(USER, _model(SIGNED), _user({"text": "x"}, RESULT)), "before anything else"),
        (_turns(USER, _model(CALL), _user(RESULT)), "missing a thought_signature"),
        (_turns(USER, _model({**CALL, "thoughtSignature": "bm9wZQ=="}), _user(RESULT)), "signature is not valid"),
        (_turns(_user({"inlineData": {"data": "AAAA"}})), "without a mimeType"),
        (_turns(_user({"inlineData": {"mimeType": "image/png", "data": "%"}})), "Base64"),
        (_turns(USER, generationConfig={"presencePenalty": 1}), "Penalty"),
        (_turns(USER, generationConfig={"thinkingConfig": {"thinkingLevel": "MINIMAL"}}), "MINIMAL"),
        (_turns(USER, generationConfig={"responseSchema": {}}), "response_mime_type"),
        (_turns(USER, tools=[{"functionDeclarations": [{"name": "1"}]}]), "Invalid function name"),
    ],
)
def test_it_refuses_what_the_real_one_refuses(web: httpx.Client, body: Any, said: str) -> None:
    answer = _ask(web, body)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT" and said in error["message"]


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (_turns(USER, _model(SIGNED), _user(RESULT)), NEWEST),
        (
            _turns(
                USER,
                _model({**CALL, "thoughtSignature": "skip_thought_signature_validator"}),
                _user(RESULT),
            ),
            NEWEST,
        ),
        # An earlier turn needs no signature, and older models never do.
        (_turns(USER, _model(CALL), _user(RESULT), _model({"text": "x"}), USER), NEWEST),
        (_turns(USER, _model(CALL), _user(RESULT)), OLDER),
        (_turns(USER, _model({"text": "x"})), OLDER),
        ({"contents": [{"parts": [{"text": "x"}]}], "generation_config": {"max_output_tokens": 3}}, NEWEST),
    ],
)
def test_it_takes_what_the_real_one_takes(web: httpx.Client, body: Any, model: str) -> None:
    assert _ask(web, body, model).status_code == 200


def test_a_wrong_key_and_none_are_told_apart(web: httpx.Client, gemini: GeminiUpstream) -> None:
    wrong = web.post(f"/v1beta/models/{NEWEST}:generateContent", json=_turns(USER), headers={"x-goog-api-key": "x"})
    none = httpx.post(f"{gemini.base_url()}/v1beta/models/{NEWEST}:generateContent", json=_turns(USER), trust_env=False)

    assert (wrong.status_code, wrong.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    assert (none.status_code, none.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_its_streams_are_events_or_an_array(web: httpx.Client, gemini: GeminiUpstream) -> None:
    body = _turns(_user({"text": "count to 3"}))

    events = _ask(web, body, action="streamGenerateContent?alt=sse").text
    array = _ask(web, body, action="streamGenerateContent").json()

    assert events.count("\r\n\r\n") == len(array) == 4
    assert array[-1]["usageMetadata"]["totalTokenCount"] == 6 + 3 + 4
    assert gemini.last()["query"] == ""


def test_faults_come_by_the_models_name(web: httpx.Client) -> None:
    limited = _ask(web, _turns(USER), f"{NEWEST}+fault-429-after-3")
    array = _ask(web, _turns(USER), f"{NEWEST}+fault-500", "streamGenerateContent")
    broken = _ask(web, _turns(USER), f"{NEWEST}+fault-error-mid-stream-after-1", "streamGenerateContent?alt=sse")

    assert limited.json()["error"]["details"][1]["retryDelay"] == "3.5s"
    assert array.json()[0]["error"]["status"] == "INTERNAL"
    assert broken.status_code == 200 and '"UNAVAILABLE"' in broken.text


def test_a_batch_must_name_the_model_of_the_path(web: httpx.Client) -> None:
    requests = [{"model": "models/other", "content": {"parts": [{"text": "x"}]}}]

    answer = _ask(web, {"requests": requests}, "gemini-embedding-001", "batchEmbedContents")

    assert answer.status_code == 400 and "does not match" in answer.json()["error"]["message"]
