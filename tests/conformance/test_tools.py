"""Function calls: one, several at once, in pieces, and back with their results."""

from __future__ import annotations

import json
from typing import Any

import openai
import pydantic
import pytest

from tests.conformance.doors import Door

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Looks up the {name}.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
    for name in ("weather", "time")
]
ASK: list[Any] = [{"role": "user", "content": "call weather and time and weather please"}]


class Weather(pydantic.BaseModel):
    city: str
    days: int


def test_parallel_calls_come_with_their_arguments(door: Door, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=door.model("gpt-4o-mini"), messages=ASK, tools=TOOLS)

    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    calls = choice.message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == ["weather", "time", "weather"]
    assert [json.loads(call.function.arguments) for call in calls if call.type == "function"] == [
        {"city": f"city-é-{n}", "days": 7 + n} for n in range(3)
    ]
    assert len({call.id for call in calls}) == 3
    assert door.sent()["body"]["tools"] == TOOLS
    door.expect_record(finish_reason="tool_calls", status="succeeded")


def test_parallel_calls_in_pieces_can_be_put_together(door: Door, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=door.model("gpt-4o-mini"), messages=ASK, tools=TOOLS, stream=True, stream_options={"include_usage": True}
    )
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    pieces = 0
    for chunk in stream:
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                pieces += 1
                names[call.index] = names.get(call.index, "") + (call.function.name or "")
                arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")

    assert names == {0: "weather", 1: "time", 2: "weather"}
    assert [json.loads(arguments[n]) for n in range(3)] == [{"city": f"city-é-{n}", "days": 7 + n} for n in range(3)]
    assert pieces > 15
    door.expect_record(finish_reason="tool_calls")


def test_the_stream_helper_parses_the_calls(door: Door, client: openai.OpenAI) -> None:
    tool = openai.pydantic_function_tool(Weather, name="weather")
    with client.chat.completions.stream(
        model=door.model("gpt-4o-mini"), messages=[{"role": "user", "content": "weather"}], tools=[tool]
    ) as stream:
        finished = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        answer = stream.get_final_completion()

    assert [event.name for event in finished] == ["weather"]
    calls = answer.choices[0].message.tool_calls or []
    assert calls[0].function.parsed_arguments == Weather(city="city-é-0", days=7)


def test_results_go_back_and_are_used(door: Door, client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model=door.model("gpt-4o-mini"), messages=ASK, tools=TOOLS)
    calls = first.choices[0].message.tool_calls or []
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"result {n} ☀"} for n, call in enumerate(calls)]

    second = client.chat.completions.create(
        model=door.model("gpt-4o-mini"),
        messages=[*ASK, first.choices[0].message.model_dump(exclude_none=True), *results],
        tools=TOOLS,
    )

    assert second.choices[0].message.content == "The tools said: result 0 ☀; result 1 ☀; result 2 ☀"
    assert [message["role"] for message in door.sent()["body"]["messages"]] == ["user", "assistant", *["tool"] * 3]


def test_one_at_a_time_when_parallel_calls_are_declined(door: Door, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=door.model("gpt-4o-mini"), messages=ASK, tools=TOOLS, parallel_tool_calls=False
    )

    assert len(answer.choices[0].message.tool_calls or []) == 1


@pytest.mark.parametrize(
    ("choice", "called"),
    [("required", ["weather"]), ({"type": "function", "function": {"name": "time"}}, ["time"]), ("none", [])],
)
def test_the_choice_of_the_tool_is_passed_on(door: Door, client: openai.OpenAI, choice: Any, called: list[str]) -> None:
    answer = client.chat.completions.create(
        model=door.model("gpt-4o-mini"),
        messages=[{"role": "user", "content": "just talk"}],
        tools=TOOLS,
        tool_choice=choice,
    )

    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == called
    assert door.sent()["body"]["tool_choice"] == choice


def test_whole_calls_of_xai_stream_through(door: Door) -> None:
    with door.client("xai") as client:
        stream = client.chat.completions.create(
            model=door.model("grok-4-fast-non-thinking", "xai"), messages=ASK, tools=TOOLS, stream=True
        )
        calls = [call for chunk in stream for choice in chunk.choices for call in choice.delta.tool_calls or []]

    assert [call.function.name for call in calls if call.function] == ["weather", "time", "weather"]
    assert [json.loads(c.function.arguments or "")["days"] for c in calls if c.function] == [7, 8, 9]
