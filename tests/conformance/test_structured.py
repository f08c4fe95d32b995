"""Structured outputs: `parse()`, raw schemas, streams, and schemas that the provider refuses."""

from __future__ import annotations

import enum
import json

import openai
import pydantic
import pytest

from tests.conformance.doors import Door


class Mood(enum.Enum):
    calm = "calm"
    wild = "wild"


class Step(pydantic.BaseModel):
    explanation: str
    output: float


class Lesson(pydantic.BaseModel):
    steps: list[Step]
    mood: Mood
    final_answer: str | None


EXPECTED = Lesson(
    steps=[Step(explanation="explanation-é-0", output=2.5)], mood=Mood.calm, final_answer="final_answer-é-0"
)
ASK = [{"role": "user", "content": "teach me"}]


def test_parse_gives_an_object(door: Door, client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model=door.model("gpt-4o-mini"), messages=ASK, response_format=Lesson)

    assert answer.choices[0].message.parsed == EXPECTED
    sent = door.sent()["body"]["response_format"]
    assert sent["json_schema"]["strict"] is True
    assert list(sent["json_schema"]["schema"]["$defs"]) == ["Mood", "Step"]


async def test_parse_gives_an_object_asynchronously(door: Door, async_client: openai.AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.parse(
        model=door.model("gpt-4o-mini"), messages=ASK, response_format=Lesson
    )

    assert answer.choices[0].message.parsed == EXPECTED


def test_a_streamed_object_is_parsed_at_its_end(door: Door, client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=door.model("gpt-4o-mini"), messages=ASK, response_format=Lesson
    ) as stream:
        partial = [event for event in stream if event.type == "content.delta"]
        answer = stream.get_final_completion()

    assert len(partial) > 3
    assert answer.choices[0].message.parsed == EXPECTED


def test_json_mode_gives_json(door: Door, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=door.model("gpt-4o-mini"),
        messages=[{"role": "user", "content": "answer in json"}],
        response_format={"type": "json_object"},
    )

    assert json.loads(answer.choices[0].message.content or "") == {"answer": "json"}


def test_a_schema_that_the_provider_refuses_is_the_callers_error(door: Door, client: openai.OpenAI) -> None:
    schema = {"name": "open", "strict": True, "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
    with pytest.raises(openai.BadRequestError, match="additionalProperties") as caught:
        client.chat.completions.create(
            model=door.model("gpt-4o-mini"),
            messages=ASK,
            response_format={"type": "json_schema", "json_schema": schema},
        )

    assert caught.value.param == "response_format"
    assert caught.value.type == "invalid_request_error"
