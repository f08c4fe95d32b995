"""The requests of the real AIGNE client, byte for byte as it was recorded, and answers in the recorded shapes.

tests/transcripts/aigne/exchanges.json: one of each distinct request of `@aigne/aigne-hub` 0.10.16 and of the CLI's
`hub status`, recorded against a server of our own on 2026-11-20. What that server answered is what the client accepted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.hub import Hub
from tests.emulators.handle import Upstream
from tests.wire.aigne.frames import check_answer, check_file, check_usage, merged

Json = dict[str, Any]

EXCHANGES: list[Json] = json.loads((Path(__file__).parents[1] / "transcripts/aigne/exchanges.json").read_text())
CHATS = [one for one in EXCHANGES if one["path"] == "/api/v2/chat"]
IMAGES = [one for one in EXCHANGES if one["path"] == "/api/v2/image"]


def named(scenario: str, method: str = "POST") -> Json:
    return next(one for one in EXCHANGES if one["scenario"] == scenario and one["method"] == method)


def replay(hub: Hub, recorded: Json) -> httpx.Response:
    """The recorded request, with this hub's key where there was one."""
    headers = dict(recorded["headers"])
    if "authorization" in headers:
        headers["authorization"] = f"Bearer {hub.key}"
    body = recorded["body"]
    content = None if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    with httpx.Client(trust_env=False, timeout=20) as client:
        return client.request(recorded["method"], f"{hub.root}{recorded['path']}", headers=headers, content=content)


def is_streamed(recorded: Json) -> bool:
    return recorded["body"]["options"].get("streaming") is True


def scenario(recorded: Json) -> str:
    return recorded["scenario"]


def test_the_hub_is_found_where_clients_look_for_it(hub: Hub) -> None:
    recorded = named("chat.nonstream", "GET")

    site = replay(hub, recorded).json()

    wanted = recorded["response"]["body"]["componentMountPoints"]
    assert site["componentMountPoints"] == wanted


@pytest.mark.parametrize("recorded", [one for one in CHATS if not is_streamed(one)], ids=scenario)
def test_a_recorded_chat_is_answered_in_the_recorded_shape(hub: Hub, recorded: Json) -> None:
    response = replay(hub, recorded)

    answer = response.json()
    assert response.status_code == 200 and response.headers["content-type"] == "application/json", answer
    check_answer(answer)
    assert (answer["model"], answer["modelWithProvider"]) == ("gpt-4o-mini", "openai/gpt-4o-mini")
    assert answer["usage"]["inputTokens"] > 0
    assert answer.keys() & {"text", "json", "toolCalls"}


@pytest.mark.parametrize("recorded", [one for one in CHATS if is_streamed(one)], ids=scenario)
def test_a_recorded_stream_is_frames_that_the_client_reads(hub: Hub, recorded: Json) -> None:
    response = replay(hub, recorded)

    assert response.status_code == 200 and response.headers["content-type"] == "text/event-stream"
    answer = merged(response.text)
    check_answer(answer)
    assert answer["usage"]["outputTokens"] > 0 and answer["modelWithProvider"] == "openai/gpt-4o-mini"


def test_what_the_client_says_reaches_the_provider(hub: Hub, upstream: Upstream) -> None:
    replay(hub, named("chat.nonstream.modelOptions"))
    options = upstream.last("openai")["body"]
    assert {name: options[name] for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
    }
    assert 100 in (options.get("max_tokens"), options.get("max_completion_tokens"))

    replay(hub, named("chat.toolRound"))
    tools = upstream.last("openai")["body"]
    # The choice came by the tool's original name, the tool by its changed one.
    assert tools["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    called, result = tools["messages"][-2:]
    assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}
    assert (result["role"], result["tool_call_id"]) == ("tool", called["tool_calls"][0]["id"])

    replay(hub, named("chat.vision.urlPreferred"))
    [picture] = upstream.last("openai")["body"]["messages"][-1]["content"]
    assert picture["image_url"]["url"] == "http://127.0.0.1:9/none.png"


def test_an_answer_by_a_schema_is_a_value(hub: Hub) -> None:
    answer = replay(hub, named("chat.jsonSchema")).json()

    assert isinstance(answer["json"]["a"], int | float) and "text" not in answer


@pytest.mark.parametrize("recorded", IMAGES, ids=scenario)
def test_a_recorded_order_for_pictures_gives_pictures(hub: Hub, recorded: Json) -> None:
    response = replay(hub, recorded)

    answer = response.json()
    assert response.status_code == 200, answer
    assert len(answer["images"]) == recorded["body"]["input"].get("n", 1)
    for image in answer["images"]:
        check_file(image)
        assert image["mimeType"] == "image/png"
    check_usage(answer.get("usage"))
    assert answer["model"] == "gpt-image-1"


@pytest.mark.parametrize(("asked", "type_"), [("models.static", "chat"), ("models.image", "image_generation")])
def test_the_list_of_models_passes_the_clients_check_without_a_key(hub: Hub, asked: str, type_: str) -> None:
    entries = replay(hub, named(asked, "GET")).json()

    assert entries
    for entry in entries:
        assert entry["type"] == type_
        assert {type(entry[name]) for name in ("input_credits_per_token", "output_credits_per_token")} == {str}
        assert isinstance(entry["status"]["available"], bool)
        assert entry["providerDisplayName"] and entry["provider"] and entry["model"]


def test_the_cli_shows_who_it_is_connected_as(hub: Hub) -> None:
    recorded = named("cli.status", "GET")

    told = replay(hub, recorded).json()

    assert recorded["response"]["body"].keys() <= told.keys()
    assert told["user"].keys() >= {"did", "fullName", "email"} and told["user"]["fullName"] == "acme"
    assert (told["enableCredit"], told["creditBalance"]) == (False, None)
