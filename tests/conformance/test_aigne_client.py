"""`@aigne/aigne-hub` with the AIGNE framework around it, unmodified: `node_aigne/` tells what it saw."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance import node_clients
from tests.conformance.doors import Door

Json = dict[str, Any]

NUMBERS = " ".join(map(str, range(1, 21)))
CALLS = [("get-weather", {"city": f"city-é-{n}", "days": 7 + n}) for n in range(2)]


@pytest.fixture(scope="session")
def aigne() -> None:
    missing = node_clients.what_is_missing(node_clients.AIGNE_FOLDER)
    if missing and node_clients.IS_CI:
        pytest.fail(missing)
    if missing:
        pytest.skip(f"not run: {missing}")


@pytest.fixture(scope="session")
def session_door(hub: Any, upstream: Any) -> Door:
    return Door(upstream, hub)


@pytest.fixture(scope="session")
def saw(aigne: None, session_door: Door) -> Json:
    return node_clients.run("aigne_client.mjs", session_door, node_clients.AIGNE_FOLDER)


def calls_of(seen: Json) -> list[tuple[str, Json]]:
    return [(call["function"]["name"], call["function"]["arguments"]) for call in seen["toolCalls"]]


def test_it_chats_with_usage_and_the_names_of_the_model(saw: Json) -> None:
    chat = saw["chat"]

    assert chat["text"] == "You said: good morning"
    assert (chat["usage"]["inputTokens"], chat["usage"]["outputTokens"]) == (5, 4)
    assert (chat["model"], chat["modelWithProvider"]) == ("gpt-4o-mini", "openai/gpt-4o-mini")


def test_it_streams_text_in_pieces_and_the_usage_at_the_end(saw: Json) -> None:
    stream = saw["stream"]

    assert (stream["text"], stream["last"]["text"]) == (NUMBERS, NUMBERS)
    assert stream["pieces"] > 20
    assert stream["last"]["usage"]["outputTokens"] == 20


def test_it_sees_what_a_model_thinks_apart_from_what_it_says(saw: Json) -> None:
    assert (saw["thoughts"]["text"], saw["thoughts"]["thoughts"]) == ("1 2 3", "The user asks politely.")


def test_it_calls_tools_under_their_own_names(saw: Json) -> None:
    assert calls_of(saw["tools"]) == CALLS
    assert calls_of(saw["streamedTools"]["last"]) == CALLS
    assert [name for name, _ in calls_of(saw["chosenTool"])] == ["get-weather"]


def test_it_gives_results_of_tools_back(saw: Json) -> None:
    assert saw["toolRound"]["text"] == "The tools said: sunny"


def test_it_gets_objects_by_a_schema(saw: Json) -> None:
    assert saw["json"]["json"] == {"stars": 7}


def test_it_shows_pictures(saw: Json) -> None:
    assert saw["picture"]["text"].startswith("You said: look [image/png 8:")


def test_agents_of_the_framework_talk_shape_their_answers_and_run_tools(saw: Json) -> None:
    assert saw["agent"] == {
        "said": {"message": "You said: good morning"},
        "shaped": {"title": "title-é-0", "stars": 7},
    }
    assert saw["agentWithTool"] == {
        "answer": {"message": "The tools said: sky: sunny"},
        "asked": [{"city": "city-é-0", "days": 7}],
    }


def test_it_draws(saw: Json) -> None:
    images = saw["image"]["images"]

    assert len(images) == 2
    # A file that came inline is put into a folder of the client's own.
    assert all(image["mimeType"] == "image/png" and image["type"] in ("local", "url") for image in images)


def test_it_lists_models_by_names_that_can_be_called(saw: Json) -> None:
    assert "openai/gpt-4o-mini" in saw["models"] and "openrouter/deepseek/deepseek-r1-reasoner" in saw["models"]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("unknownModel", "Did you mean openai/gpt-4o-mini"),
        ("wrongKey", "not known here"),
        ("wrongKeyStreamed", "not known here"),
        ("brokenStream", "broke off in the middle of its answer"),
        ("providerDown", "failed with status 500"),
    ],
)
def test_it_throws_what_went_wrong_in_words(saw: Json, case: str, words: str) -> None:
    assert words in saw[case]["threw"]["message"]
