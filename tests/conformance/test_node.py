"""The JavaScript clients: scripts in `node/` tell what they saw, the expectations stand here."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.conformance import node_clients
from tests.conformance.doors import Door

NUMBERS = " ".join(map(str, range(1, 21)))
CALLS = [["weather", {"city": f"city-é-{n}", "days": 7 + n}] for n in range(2)]


@pytest.fixture(scope="session")
def node() -> None:
    missing = node_clients.what_is_missing()
    if missing and node_clients.IS_CI:
        pytest.fail(missing)
    if missing:
        pytest.skip(f"not run: {missing}")


@pytest.fixture(scope="module")
def openai_saw(node: None, door: Door) -> dict[str, Any]:
    return node_clients.run("openai_client.mjs", door)


@pytest.fixture(scope="module")
def ai_sdk_saw(node: None, door: Door) -> dict[str, Any]:
    return node_clients.run("ai_sdk.mjs", door)


def test_openai_chats(openai_saw: dict[str, Any]) -> None:
    chat = openai_saw["chat"]

    assert chat["texts"] == ["You said: good morning", "You said: good morning (choice 1)"]
    assert "".join(chat["tokens"]) == "You said: good morning"
    assert chat["usage"]["total_tokens"] == 15
    assert chat["type"].startswith("application/json")


def test_openai_streams_without_and_with_usage(openai_saw: dict[str, Any]) -> None:
    silent, counted = openai_saw["stream"], openai_saw["streamWithUsage"]

    assert (silent["text"], silent["usages"], silent["withoutChoices"]) == (NUMBERS, [], 0)
    assert (counted["text"], len(counted["usages"]), counted["withoutChoices"]) == (NUMBERS, 1, 1)
    assert counted["usages"][0]["completion_tokens"] == 20
    assert silent["finish"] == counted["finish"] == ["stop"]


def test_openai_calls_tools_in_pieces_and_runs_them(openai_saw: dict[str, Any]) -> None:
    assert openai_saw["streamHelper"] == CALLS
    assert openai_saw["runTools"] == {
        "answer": "The tools said: sunny in city-é-0",
        "called": [{"city": "city-é-0", "days": 7}],
    }


def test_openai_parses_objects(openai_saw: dict[str, Any]) -> None:
    assert openai_saw["parse"] == {"title": "title-é-0", "stars": 7}


def test_openai_embeds(openai_saw: dict[str, Any]) -> None:
    embedded = openai_saw["embeddings"]

    assert embedded["lengths"] == [16, 16]
    assert math.isclose(embedded["gap"], 0, abs_tol=1e-6)
    assert embedded["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_openai_draws_speaks_and_listens(openai_saw: dict[str, Any]) -> None:
    assert openai_saw["image"] == "PNG"
    assert openai_saw["speech"] == 44 + 5 * 80
    assert openai_saw["transcription"]["text"].startswith("Heard note.wav 100:")


def test_openai_lists_and_finds_models(openai_saw: dict[str, Any], door: Door) -> None:
    assert door.model("gpt-4o-mini") in openai_saw["models"]["names"]
    assert openai_saw["models"]["one"] == door.model("gpt-4o-mini")


@pytest.mark.parametrize("seen", ["openai_saw", "ai_sdk_saw"])
def test_errors_have_their_status(request: pytest.FixtureRequest, door: Door, seen: str) -> None:
    saw = request.getfixturevalue(seen)

    assert saw["unknownModel"]["threw"]["status"] == 404
    assert saw["wrongKey"]["threw"]["status"] == 401
    if door.is_hub:
        assert "openai/gpt-4o-mini" in saw["unknownModel"]["threw"]["message"]


def test_openai_error_codes_are_openais(openai_saw: dict[str, Any]) -> None:
    assert openai_saw["unknownModel"]["threw"]["code"] == "model_not_found"
    assert openai_saw["wrongKey"]["threw"]["code"] == "invalid_api_key"


def test_openai_leaves_when_it_has_enough(openai_saw: dict[str, Any]) -> None:
    assert openai_saw["abort"] == 5


def test_ai_sdk_generates_and_streams(ai_sdk_saw: dict[str, Any]) -> None:
    assert ai_sdk_saw["text"] == {
        "text": "You said: good morning",
        "finishReason": "stop",
        "usage": {"inputTokens": 5, "outputTokens": 4},
    }
    stream = ai_sdk_saw["stream"]
    assert (stream["text"], stream["finishReason"]) == (NUMBERS, "stop")
    assert stream["usage"] == {"inputTokens": 6, "outputTokens": 20}
    assert stream["pieces"] > 5
    assert ai_sdk_saw["streamWithoutUsage"] == {"text": NUMBERS, "usage": {}}


def test_ai_sdk_calls_tools_and_answers_with_them(ai_sdk_saw: dict[str, Any]) -> None:
    assert ai_sdk_saw["tools"]["calls"] == CALLS
    assert ai_sdk_saw["tools"]["text"] == "The tools said: sunny in city-é-0; sunny in city-é-1"


def test_ai_sdk_makes_objects_and_looks_at_pictures(ai_sdk_saw: dict[str, Any]) -> None:
    assert ai_sdk_saw["object"] == {"title": "title-é-0", "stars": 7}
    assert ai_sdk_saw["picture"].startswith("You said: look [image/png 11:")


def test_ai_sdk_embeds_and_draws(ai_sdk_saw: dict[str, Any]) -> None:
    assert ai_sdk_saw["embeddings"] == {"lengths": [1536, 1536], "usage": {"tokens": 2}}
    assert ai_sdk_saw["image"]["mediaType"] == "image/png"


def test_ai_sdk_shows_the_chain_of_thought(ai_sdk_saw: dict[str, Any], door: Door) -> None:
    assert ai_sdk_saw["reasoning"]["text"] == "1 2 3"
    # Straight it is OpenAI's model, which keeps its thoughts to itself.
    assert ai_sdk_saw["reasoning"].get("reasoning") == ("The user asks politely." if door.is_hub else None)
