"""The Responses API through OpenAI's own client: passed on to a provider that has it, translated for one without it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pydantic
import pytest

from tests.conformance.doors import Door
from tests.conformance.hub import Hub
from tests.conformance.response_asks import (
    MODELS,
    PASSED,
    PATCH,
    PIXEL,
    THINKING,
    THINKING_PASSED,
    TOOLS,
    TRANSLATED,
    sent,
)
from tests.emulators.handle import Upstream


class Weather(pydantic.BaseModel):
    city: str
    days: int


@pytest.fixture
def client(hub_client: openai.OpenAI) -> openai.OpenAI:
    return hub_client


def test_the_emulator_itself_is_understood_by_the_client(upstream: Upstream) -> None:
    with Door(upstream, None).client() as client:
        answer = client.responses.create(model="gpt-4o-mini", input="count to 3")

    assert (answer.output_text, answer.status) == ("1 2 3", "completed")


@MODELS
def test_a_text_is_answered_with_its_usage(hub_door: Door, client: openai.OpenAI, model: str) -> None:
    answer = client.responses.create(model=model, input="count to 5", instructions="Be brief.", metadata={"a": "b"})

    assert answer.output_text == "1 2 3 4 5"
    assert (answer.status, answer.object, answer.metadata) == ("completed", "response", {"a": "b"})
    assert answer.usage is not None and answer.usage.output_tokens == 5
    assert answer.usage.total_tokens == answer.usage.input_tokens + 5
    hub_door.expect_record(status="succeeded", endpoint="responses", output=5, usage_source="provider")


async def test_the_async_client_streams(hub_door: Door) -> None:
    async with hub_door.async_client() as client:
        for model in (PASSED, TRANSLATED):
            async with client.responses.stream(model=model, input="count to 12") as stream:
                deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
                answer = await stream.get_final_response()
            assert "".join(deltas) == answer.output_text == " ".join(map(str, range(1, 13)))
            assert len(deltas) == 12
            hub_door.expect_record(status="succeeded", is_streamed=True, output=12, usage_source="provider")


@MODELS
def test_the_events_come_in_order_and_numbered(client: openai.OpenAI, model: str) -> None:
    events = list(client.responses.create(model=model, input="count to 2", stream=True))

    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(10))


@MODELS
def test_parallel_calls_and_their_results_with_the_callers_own_history(
    hub_door: Door, client: openai.OpenAI, model: str
) -> None:
    ask: list[Any] = [{"role": "user", "content": "call weather and time and weather please"}]
    first = client.responses.create(model=model, input=ask, tools=TOOLS, store=False)
    calls = [item for item in first.output if item.type == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": c.call_id, "output": f"it is {n} ☀"} for n, c in enumerate(calls)
    ]
    second = client.responses.create(
        model=model, input=[*ask, *(item.to_dict() for item in first.output), *results], tools=TOOLS, store=False
    )

    assert [call.name for call in calls] == ["weather", "time", "weather"]
    assert [json.loads(call.arguments)["days"] for call in calls] == [7, 8, 9]
    assert second.output_text == "The tools said: it is 0 ☀; it is 1 ☀; it is 2 ☀"
    hub_door.expect_record(status="succeeded")


@MODELS
def test_calls_stream_in_pieces(client: openai.OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input="weather and time", tools=TOOLS) as stream:
        pieces = [event for event in stream if event.type == "response.function_call_arguments.delta"]
        answer = stream.get_final_response()

    calls = [item for item in answer.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == [{"city": f"city-é-{n}", "days": 7 + n} for n in range(2)]
    assert len(pieces) > 6


@MODELS
@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("required", ["weather"]),
        ("none", []),
        ({"type": "function", "name": "time"}, ["time"]),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "time"}]}, ["time"]),
    ],
)
def test_the_choice_of_the_tool_arrives(client: openai.OpenAI, model: str, choice: Any, called: list[str]) -> None:
    answer = client.responses.create(model=model, input="just talk", tools=TOOLS, tool_choice=choice)

    assert [item.name for item in answer.output if item.type == "function_call"] == called


@MODELS
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_custom_tool_is_called_with_plain_text(client: openai.OpenAI, model: str, is_streamed: bool) -> None:
    ask: list[Any] = [{"role": "user", "content": "apply_patch now"}]
    if is_streamed:
        with client.responses.stream(model=model, input=ask, tools=[PATCH]) as stream:
            types = [event.type for event in stream]
            answer = stream.get_final_response()
        assert "response.custom_tool_call_input.done" in types
    else:
        answer = client.responses.create(model=model, input=ask, tools=[PATCH])
    (call,) = answer.output
    assert call.type == "custom_tool_call"

    result: Any = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "patched"}
    second = client.responses.create(model=model, input=[*ask, call.to_dict(), result], tools=[PATCH])

    assert call.name == "apply_patch" and call.input and not call.input.startswith("{")
    assert second.output_text == "The tools said: patched"


def test_a_custom_tool_is_a_function_elsewhere_and_that_is_said(hub_door: Door, client: openai.OpenAI) -> None:
    client.responses.create(model=TRANSLATED, input="hello", tools=[PATCH, {"type": "web_search"}])

    (tool,) = sent(hub_door, TRANSLATED)["tools"]
    assert tool["function"]["name"] == "apply_patch"
    assert tool["function"]["parameters"]["required"] == ["input"]
    assert "start: /.+/s" in tool["function"]["description"]
    assert "tools[0]" in hub_door.last_headers["x-hub-fidelity"]
    assert "tools[1]" in hub_door.last_headers["x-hub-fidelity"]


def test_functions_of_a_namespace_keep_their_two_names(client: openai.OpenAI) -> None:
    space: Any = {"type": "namespace", "name": "crm", "description": "Customers.", "tools": TOOLS[:1]}
    ask: list[Any] = [{"role": "user", "content": "crm__weather please"}]
    first = client.responses.create(model=TRANSLATED, input=ask, tools=[space])
    (call,) = first.output
    assert call.type == "function_call"
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
    second = client.responses.create(model=TRANSLATED, input=[*ask, call.to_dict(), result], tools=[space])

    assert (call.name, call.namespace) == ("weather", "crm")
    assert second.output_text == "The tools said: sun"


@MODELS
def test_structured_output_is_parsed(client: openai.OpenAI, model: str) -> None:
    answer = client.responses.parse(model=model, input="weather?", text_format=Weather)
    with client.responses.stream(model=model, input="weather?", text_format=Weather) as stream:
        streamed = stream.get_final_response()

    assert answer.output_parsed == streamed.output_parsed == Weather(city="city-é-0", days=7)


@MODELS
def test_a_picture_arrives(client: openai.OpenAI, model: str) -> None:
    parts: list[Any] = [
        {"type": "input_text", "text": "what is it?"},
        {"type": "input_image", "image_url": PIXEL, "detail": "low"},
    ]
    answer = client.responses.create(model=model, input=[{"role": "user", "content": parts}])

    assert "what is it? [image/png 70:" in answer.output_text


@MODELS
def test_an_answer_that_is_cut_off_is_incomplete(client: openai.OpenAI, model: str) -> None:
    answer = client.responses.create(model=model, input="count to 40", max_output_tokens=16)
    with client.responses.stream(model=model, input="count to 40", max_output_tokens=16) as stream:
        last = list(stream)[-1]

    assert (answer.status, answer.output_text) == ("incomplete", " ".join(map(str, range(1, 17))))
    assert answer.incomplete_details is not None and answer.incomplete_details.reason == "max_output_tokens"
    assert last.type == "response.incomplete" and last.response.status == "incomplete"


def test_a_refusal_is_one(client: openai.OpenAI) -> None:
    with client.responses.stream(model=PASSED, input="please refuse") as stream:
        said = [event.delta for event in stream if event.type == "response.refusal.delta"]

    assert said == ["I will not do that."]


# --- thoughts


def test_thoughts_of_a_provider_without_the_api_are_shown(hub_door: Door, client: openai.OpenAI) -> None:
    with client.responses.stream(model=THINKING, input="hello", reasoning={"summary": "auto"}) as stream:
        thought = "".join(event.delta for event in stream if event.type == "response.reasoning_summary_text.delta")
        answer = stream.get_final_response()

    assert thought == "The user asks politely."
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.usage is not None and answer.usage.output_tokens_details.reasoning_tokens == 4
    hub_door.expect_record(reasoning=4)


def test_sealed_thoughts_go_back_to_who_sealed_them(hub_door: Door, client: openai.OpenAI) -> None:
    ask: list[Any] = [{"role": "user", "content": "weather"}]
    asked: Any = {"model": THINKING_PASSED, "tools": TOOLS, "store": False, "include": ["reasoning.encrypted_content"]}
    first = client.responses.create(input=ask, **asked)
    thought, call = first.output
    assert thought.type == "reasoning" and thought.encrypted_content and call.type == "function_call"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}

    second = client.responses.create(input=[*ask, thought.to_dict(), call.to_dict(), result], **asked)

    assert second.output_text == "The tools said: sun"
    given = sent(hub_door, THINKING_PASSED)["input"][1]
    assert given["encrypted_content"] == thought.encrypted_content


def test_thoughts_of_another_provider_are_left_out_of_the_callers_own_history(
    hub_door: Door, client: openai.OpenAI
) -> None:
    ask: list[Any] = [{"role": "user", "content": "hello"}]
    first = client.responses.create(model=THINKING, input=ask, store=False)
    history = [*ask, *(item.to_dict() for item in first.output), {"role": "user", "content": "again"}]

    second = client.responses.create(model=THINKING_PASSED, input=history, store=False)

    assert [item.type for item in first.output] == ["reasoning", "message"]
    assert second.output_text == "You said: again"
    assert "input[1]" in hub_door.last_headers["x-hub-fidelity"]


# --- passing on


def test_a_request_and_its_answer_pass_unchanged_but_for_the_store(hub_door: Door, upstream: Upstream) -> None:
    body = {
        "model": PASSED,
        "input": [{"role": "user", "content": "count to 2"}],
        "temperature": 0.50,
        "truncation": "auto",
        "prompt_cache_key": "k",
        "tools": [{"type": "web_search"}],
        "stream": True,
        "store": False,
    }
    straight = Door(upstream, None)
    with straight.raw() as web:
        expected = web.post("/responses", json={**body, "model": "gpt-4o-mini"}).text
    with hub_door.raw() as web:
        passed = web.post("/responses", json=body).text

    assert sent(hub_door, PASSED) == {**body, "model": "gpt-4o-mini"}
    numbers = [json.loads(line[6:])["response"]["id"] for line in (expected.split("\n")[1], passed.split("\n")[1])]
    strip = str.maketrans("", "", "0123456789")
    assert numbers[0] != numbers[1]
    assert expected.translate(strip) == passed.translate(strip)


@pytest.mark.parametrize(
    ("model", "kind"), [("xai/grok-4-reasoner", "xai"), ("openrouter/meta-llama/llama-3.3-70b-instruct", "openrouter")]
)
def test_others_that_have_the_api_are_asked_by_it_and_their_bill_is_read(
    hub_door: Door, client: openai.OpenAI, model: str, kind: str
) -> None:
    with client.responses.stream(model=model, input="count to 5") as stream:
        answer = stream.get_final_response()

    assert answer.output_text == "1 2 3 4 5"
    assert hub_door.sent(kind)["path"].endswith("/responses")
    assert hub_door.sent(kind)["body"]["include"] == ["reasoning.encrypted_content"]
    record = hub_door.record()
    assert (record["usage_source"], record["output"]) == ("provider", 5 + record["reasoning"])
    assert record["provider_cost_nano"] > 0


# --- errors


@MODELS
def test_a_field_of_the_wrong_type_is_refused_by_its_path(client: openai.OpenAI, model: str) -> None:
    wrong: Any = [{"role": "user", "content": [{"type": "tune"}]}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=model, input=wrong)

    assert refused.value.param == "input[0].content[0].type"


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("429-after-9", 429, "provider_rate_limited"),
        ("500", 502, "provider_failed"),
        ("leaky-error", 400, "leaky"),
        ("empty-200", 502, "provider_bad_answer"),
    ],
)
def test_errors_before_the_answer_have_openais_shape(
    hub_door: Door, client: openai.OpenAI, fault: str, status: int, code: str
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.responses.create(model=hub_door.fault(fault), input="hello")

    assert (refused.value.status_code, refused.value.code) == (status, code)
    assert "org-Emulated" not in str(refused.value.body) and "10.1.2.3" not in str(refused.value.body)


@pytest.mark.parametrize("fault", ["cut-after-4", "reset-after-4", "error-mid-stream-after-4"])
def test_an_error_in_the_middle_is_raised_by_the_client(hub_door: Door, client: openai.OpenAI, fault: str) -> None:
    seen: list[str] = []
    with pytest.raises(openai.APIError) as raised:
        for event in client.responses.create(model=hub_door.fault(fault), input="count to 9", stream=True):
            seen.append(event.type)

    assert seen[:2] == ["response.created", "response.in_progress"]
    assert "org-Emulated" not in str(raised.value.body)
    record = hub_door.record()
    assert (record["status"], record["error_code"] is not None) == ("failed", True)


def test_a_broken_stream_ends_with_a_failed_response(hub_door: Door) -> None:
    body = {"model": hub_door.fault("error-mid-stream-after-4"), "input": "count to 9", "stream": True}
    with hub_door.raw() as web:
        events = [line[6:] for line in web.post("/responses", json=body).text.split("\n") if line.startswith("data: ")]

    error, failed = (json.loads(one) for one in events[-2:])
    assert (error["type"], failed["type"]) == ("error", "response.failed")
    assert failed["response"]["error"]["code"] == error["code"]


def test_errors_beside_the_api_have_its_shape(hub: Hub) -> None:
    with httpx.Client(base_url=hub.base_url, trust_env=False) as web:
        nobody = web.get("/responses/resp_1")
        wrong = web.put("/responses/resp_1", headers={"authorization": f"Bearer {hub.key}"})

    assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "missing_api_key")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
