"""What only its provider understands of a turn is put back when the client has dropped it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from app.base.clock import now_us
from app.domain.calls.models import TurnState
from app.gateway import signatures
from app.ops import jobs
from tests.emulators.handle import Upstream
from tests.hubs import HUB_KEY, Json, RunningHub, described, events, running_hub, streamed_message

OTHER_KEY = "hk-test-of-another-team-0123456789abcdef"
MODEL = "deepseek-reasoner"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASKED: Json = {"role": "user", "content": "use get_weather for Oslo"}


def thinking_hub(upstream: Upstream, **more: Any) -> Json:
    file = described(upstream, kind="deepseek", models={"chat": f"one/{MODEL}"}, **more)
    file["teams"].append({"name": "globex", "keys": [{"name": "ci", "secret": OTHER_KEY}]})
    return file


async def respond(
    hub: RunningHub, *items: Json, model: str = "chat", key: str = HUB_KEY, stream: bool = False
) -> httpx.Response:
    """A call of the Responses API; the provider is asked in another format."""
    return await hub.http.post(
        "/v1/responses",
        json={"model": model, "input": list(items), "tools": [TOOL], "store": False, "stream": stream},
        headers={"authorization": f"Bearer {key}"},
    )


def calls_in(answer: httpx.Response) -> list[Json]:
    """The function calls of an answer, as a client gives them back that knows nothing of thoughts."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        ended = [json.loads(data) for data in events(answer.text)]
        [output] = [event["response"]["output"] for event in ended if event.get("type") == "response.completed"]
    else:
        output = answer.json()["output"]
    return [
        {"type": "function_call", **{name: item[name] for name in ("call_id", "name", "arguments")}}
        for item in output
        if item["type"] == "function_call"
    ]


def results_of(calls: list[Json]) -> list[Json]:
    return [{"type": "function_call_output", "call_id": call["call_id"], "output": "cold"} for call in calls]


def thought_sent(upstream: Upstream) -> str | None:
    """What the provider was given back of its own thoughts with the tool calls."""
    [turn] = [message for message in upstream.last()["body"]["messages"] if message["role"] == "assistant"]
    return turn.get("reasoning_content")


@pytest.mark.parametrize("stream", [False, True])
async def test_thoughts_that_a_client_drops_in_a_tool_loop_are_put_back(
    hub_environ: dict[str, str], upstream: Upstream, stream: bool
) -> None:
    async with running_hub(hub_environ, thinking_hub(upstream)) as hub:
        calls = calls_in(await respond(hub, ASKED, stream=stream))

        answer = await respond(hub, ASKED, *calls, *results_of(calls), stream=stream)

        assert answer.status_code == 200, answer.text
        assert thought_sent(upstream)
        assert "dropped" not in answer.headers.get("x-hub-fidelity", "")


async def test_they_are_put_back_by_a_hub_that_was_started_again(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = thinking_hub(upstream)
    async with running_hub(hub_environ, file) as hub:
        calls = calls_in(await respond(hub, ASKED))
        await hub.calls()

    async with running_hub(hub_environ, file) as hub:
        answer = await respond(hub, ASKED, *calls, *results_of(calls))

        assert answer.status_code == 200, answer.text
        assert thought_sent(upstream)


async def test_what_is_kept_is_sealed_and_forgotten_after_its_time(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = thinking_hub(upstream)
    async with running_hub(hub_environ, file) as hub:
        calls = calls_in(await respond(hub, ASKED))
        await respond(hub, ASKED, *calls, *results_of(calls))
        thought = thought_sent(upstream)
        assert thought
        async with hub.db.reading() as session:
            [sealed] = (await session.scalars(select(TurnState.sealed))).all()
            assert sealed is not None and sealed.startswith("v1.") and thought[:10] not in sealed
        async with hub.db.writing() as session:
            await session.execute(update(TurnState).values(expires_us=now_us() - 1))

    async with running_hub(hub_environ, file) as hub:
        await respond(hub, ASKED, *calls, *results_of(calls))
        assert not thought_sent(upstream)

        # The hub's own job may have been quicker.
        await jobs.forget_turns(hub.db, hub.settings)
        async with hub.db.reading() as session:
            assert await session.scalar(select(func.count()).select_from(TurnState)) == 0


@pytest.mark.databases("sqlite")
async def test_another_team_with_the_same_history_is_given_nothing(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, thinking_hub(upstream)) as hub:
        calls = calls_in(await respond(hub, ASKED))

        await respond(hub, ASKED, *calls, *results_of(calls), key=OTHER_KEY)

        assert not thought_sent(upstream)


@pytest.mark.databases("sqlite")
async def test_a_call_with_the_same_id_and_other_arguments_is_another_one(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    # Some providers number the calls of every conversation from 0.
    async with running_hub(hub_environ, thinking_hub(upstream)) as hub:
        calls = calls_in(await respond(hub, ASKED))
        other = [{**call, "arguments": '{"city": "elsewhere"}'} for call in calls]

        await respond(hub, ASKED, *other, *results_of(other))
        assert not thought_sent(upstream)

        spaced = [{**call, "arguments": json.dumps(json.loads(call["arguments"]), indent=3)} for call in calls]
        await respond(hub, ASKED, *spaced, *results_of(spaced))
        assert thought_sent(upstream)


@pytest.mark.databases("sqlite")
async def test_another_kind_of_provider_is_not_given_them(hub_environ: dict[str, str], upstream: Upstream) -> None:
    file = thinking_hub(upstream)
    file["providers"].append(
        {
            "name": "two",
            "kind": "doubao",
            "base_url": upstream.base_url("doubao"),
            "credentials": [{"label": "c", "secret": "sk-two-0123456789abcdef"}],
        }
    )
    file["models"].append(
        {
            "model": "other-chat",
            "type": "chat",
            "routes": [{"provider": "two", "upstream_model": "doubao-seed-1-6-250615"}],
        }
    )
    upstream.set_keys({"sk-two-0123456789abcdef": ""})
    async with running_hub(hub_environ, file) as hub:
        calls = calls_in(await respond(hub, ASKED))

        await respond(hub, ASKED, *calls, *results_of(calls), model="other-chat")

        assert upstream.last()["kind"] == "doubao"
        assert not thought_sent(upstream)


@pytest.mark.databases("sqlite")
async def test_a_conversation_stays_with_the_credential_that_made_its_thoughts(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    secrets = [f"sk-one-{n}-0123456789abcdef" for n in range(3)]
    async with running_hub(hub_environ, thinking_hub(upstream, providers={"one": secrets})) as hub:
        calls = calls_in(await respond(hub, ASKED))
        first = (await hub.last_call()).credential_id

        for _ in range(6):
            await respond(hub, ASKED, *calls, *results_of(calls))

        assert {call.credential_id for call in await hub.calls()} == {first}
        for _ in range(3):
            await respond(hub, ASKED)
        assert len({call.credential_id for call in await hub.calls()}) == 3


@pytest.mark.databases("sqlite")
async def test_a_credential_that_rests_is_not_waited_for(hub_environ: dict[str, str], upstream: Upstream) -> None:
    secrets = ["sk-one-a-0123456789abcdef", "sk-one-b-0123456789abcdef"]
    async with running_hub(hub_environ, thinking_hub(upstream, providers={"one": secrets})) as hub:
        calls = calls_in(await respond(hub, ASKED))
        first = (await hub.last_call()).credential_id
        assert first is not None
        hub.gateway.shared.health.rest(first, "", 60, is_limited=True)

        answer = await respond(hub, ASKED, *calls, *results_of(calls))

        assert answer.status_code == 200, answer.text
        assert (await hub.last_call()).credential_id != first


@pytest.mark.databases("sqlite")
async def test_a_call_that_fails_keeps_nothing(hub_environ: dict[str, str], upstream: Upstream) -> None:
    file = thinking_hub(upstream)
    file["models"][0]["routes"][0]["upstream_model"] = f"{MODEL}+fault-cut-after-9"
    async with running_hub(hub_environ, file) as hub:
        with contextlib.suppress(httpx.RemoteProtocolError):
            await respond(hub, ASKED, stream=True)
        call = await hub.last_call()

        assert (call.status, call.error_code) == ("failed", "provider_stream_broken")
        async with hub.db.reading() as session:
            assert await session.scalar(select(func.count()).select_from(TurnState)) == 0


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("stream", [False, True])
async def test_sealed_items_that_are_passed_on_go_back_to_the_credential_that_made_them(
    hub_environ: dict[str, str], upstream: Upstream, stream: bool
) -> None:
    # Another organisation cannot open them and refuses the whole request.
    secrets = [f"sk-one-{n}-0123456789abcdef" for n in range(3)]
    file = described(upstream, providers={"one": secrets}, models={"chat": "one/o3-mini"})
    async with running_hub(hub_environ, file) as hub:
        answer = await respond(hub, ASKED, stream=stream)
        assert answer.status_code == 200, answer.text
        if stream:
            last = [json.loads(data) for data in events(answer.text)][-1]
            output = last["response"]["output"]
        else:
            output = answer.json()["output"]
        assert any(item.get("encrypted_content") for item in output)
        first = (await hub.last_call()).credential_id
        calls = [item for item in output if item["type"] == "function_call"]

        for _ in range(5):
            again = await respond(hub, ASKED, *output, *results_of(calls))
            assert again.status_code == 200, again.text

        assert {call.credential_id for call in await hub.calls()} == {first}


@pytest.mark.databases("sqlite")
async def test_a_turn_that_cannot_be_kept_is_settled_all_the_same(
    hub_environ: dict[str, str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_given: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(signatures, "keep", fails)
    async with running_hub(hub_environ, thinking_hub(upstream)) as hub:
        answer = await respond(hub, ASKED)

        call = await hub.last_call()
        assert (answer.status_code, call.status, call.usage_source) == (200, "succeeded", "provider")


CHAT_TOOL = {"type": "function", "function": {name: TOOL[name] for name in ("name", "parameters")}}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_of_the_providers_own_format_may_drop_them_too(
    hub_environ: dict[str, str], upstream: Upstream, stream: bool
) -> None:
    async with running_hub(hub_environ, thinking_hub(upstream)) as hub:
        first = await hub.chat(messages=[ASKED], tools=[CHAT_TOOL], stream=stream)
        assert first.status_code == 200, first.text
        calls = _chat_calls(first)
        history = [
            ASKED,
            {"role": "assistant", "tool_calls": calls},
            *({"role": "tool", "tool_call_id": call["id"], "content": "cold"} for call in calls),
        ]

        answer = await hub.chat(messages=history, tools=[CHAT_TOOL], stream=stream)

        assert answer.status_code == 200, answer.text
        assert thought_sent(upstream)
        assert "x-hub-fidelity" not in answer.headers


@pytest.mark.databases("sqlite")
async def test_a_client_that_gives_them_back_is_passed_on_as_it_is(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, thinking_hub(upstream)) as hub:
        first = await hub.chat(messages=[ASKED], tools=[CHAT_TOOL])
        message = first.json()["choices"][0]["message"]
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in message["tool_calls"]]

        answer = await hub.chat(messages=[ASKED, message, *results], tools=[CHAT_TOOL], logprobs=True)

        assert answer.status_code == 200, answer.text
        assert upstream.last()["body"]["messages"][1] == message
        assert upstream.last()["body"]["logprobs"] is True


def _chat_calls(answer: httpx.Response) -> list[Json]:
    if answer.headers["content-type"].startswith("text/event-stream"):
        return streamed_message(answer.text)["tool_calls"]
    return answer.json()["choices"][0]["message"]["tool_calls"]
