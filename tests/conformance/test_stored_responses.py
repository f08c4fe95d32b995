"""Responses that the hub keeps: continued, read, listed, deleted, whichever provider made them."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.conformance.doors import Door
from tests.conformance.response_asks import MODELS, PASSED, THINKING, THINKING_PASSED, TOOLS, TRANSLATED, sent


@pytest.fixture
def client(hub_client: openai.OpenAI) -> openai.OpenAI:
    return hub_client


@MODELS
def test_a_stored_response_is_continued_read_listed_and_deleted(
    hub_door: Door, client: openai.OpenAI, model: str
) -> None:
    first = client.responses.create(model=model, input="weather please", tools=TOOLS)
    (call,) = first.output
    assert call.type == "function_call"
    second = client.responses.create(
        model=model,
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sun"}],
        tools=TOOLS,
    )
    third = client.responses.create(model=model, previous_response_id=second.id, input="count to 2")

    assert second.output_text == "The tools said: sun"
    assert third.output_text == "1 2"
    body = sent(hub_door, model)
    assert "previous_response_id" not in body and body.get("store", False) is False
    assert len(body.get("input") or body["messages"]) == 5
    assert client.responses.retrieve(third.id).output_text == "1 2"
    listed = list(client.responses.input_items.list(third.id, order="asc", limit=2))
    assert [item.type for item in listed] == [
        *("message", "function_call", "function_call_output", "message", "message"),
    ]
    client.responses.delete(third.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(third.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(third.id)
    assert client.responses.retrieve(second.id).id == second.id


def test_streamed_responses_are_stored_too(client: openai.OpenAI) -> None:
    for model in (PASSED, TRANSLATED):
        with client.responses.stream(model=model, input="count to 3") as stream:
            first = stream.get_final_response()
        second = client.responses.create(model=model, previous_response_id=first.id, input="count to 4")

        assert client.responses.retrieve(first.id).output_text == "1 2 3"
        assert second.output_text == "1 2 3 4"


@pytest.mark.parametrize(("before", "after"), [(THINKING_PASSED, TRANSLATED), (THINKING, THINKING_PASSED)])
def test_a_conversation_goes_on_at_another_provider(
    hub_door: Door, client: openai.OpenAI, before: str, after: str
) -> None:
    first = client.responses.create(model=before, input="weather", tools=TOOLS)
    call = next(item for item in first.output if item.type == "function_call")
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}

    second = client.responses.create(model=after, previous_response_id=first.id, input=[result], tools=TOOLS)

    assert second.output_text == "The tools said: rain"


def test_thoughts_are_recalled_from_the_store_at_the_provider_that_sealed_them(
    hub_door: Door, client: openai.OpenAI
) -> None:
    first = client.responses.create(model=THINKING_PASSED, input="hello")
    client.responses.create(model=THINKING_PASSED, previous_response_id=first.id, input="again")

    items = sent(hub_door, THINKING_PASSED)["input"]
    assert [item["type"] for item in items] == ["message", "reasoning", "message", "message"]
    assert items[1]["encrypted_content"].startswith("gAAAA")


@MODELS
def test_an_item_can_be_named_in_place_of_beingsent(client: openai.OpenAI, model: str) -> None:
    first = client.responses.create(model=model, input="weather", tools=TOOLS)
    (call,) = first.output
    assert call.type == "function_call" and call.id is not None
    items: list[Any] = [
        {"role": "user", "content": "weather"},
        {"type": "item_reference", "id": call.id},
        {"type": "function_call_output", "call_id": call.call_id, "output": "snow"},
    ]

    assert client.responses.create(model=model, input=items, tools=TOOLS).output_text == "The tools said: snow"
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=model, input=[{"type": "item_reference", "id": "msg_unknown"}])
    assert (refused.value.code, refused.value.param) == ("item_not_found", "input[0]")


def test_what_is_not_stored_is_not_found(client: openai.OpenAI) -> None:
    unstored = client.responses.create(model=PASSED, input="hello", store=False)

    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(unstored.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=PASSED, previous_response_id=unstored.id, input="hello")
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ],
)
def test_what_the_hub_cannot_do_is_refused_by_its_path(client: openai.OpenAI, given: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=PASSED, input="hello", **given)

    assert (refused.value.code, refused.value.param) == ("not_supported", param)


def test_a_stored_response_is_not_streamed_again(client: openai.OpenAI) -> None:
    answer = client.responses.create(model=PASSED, input="hello")

    with pytest.raises(openai.BadRequestError) as refused:
        list(client.responses.retrieve(answer.id, stream=True))
    assert refused.value.param == "stream"
