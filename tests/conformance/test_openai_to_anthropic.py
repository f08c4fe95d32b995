"""The official `openai` package through the hub to a strict Anthropic: every request is translated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest

from tests.conformance.claude import ClaudeDoor
from tests.conformance.test_anthropic_client import PDF, PNG

CLAUDE, NEWEST, BUDGET = "claude/claude-opus-4-6", "claude/claude-opus-5-5", "claude/claude-sonnet-4-5-20250929"
OLD = "claude/claude-3-5-haiku-20241022"
COUNT: list[Any] = [{"role": "user", "content": "count to 5"}]
EVERY = pytest.mark.parametrize("model", [OLD, BUDGET, CLAUDE, "claude/claude-opus-4-8", NEWEST])


def _tool(name: str) -> Any:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": f"Call {name}.", "parameters": schema}}


TOOLS = [_tool("get_weather"), _tool("get_time")]


@pytest.fixture
def door(claude_door: ClaudeDoor) -> ClaudeDoor:
    """The journals are empty at the start of each test."""
    claude_door.claude.clear()
    claude_door.others.clear()
    return claude_door


@pytest.fixture
def client(door: ClaudeDoor) -> Iterator[openai.OpenAI]:
    with door.openai_client() as opened:
        yield opened


def _asked(client: openai.OpenAI, *, is_streamed: bool, **ask: Any) -> Any:
    """The message, by either way."""
    if not is_streamed:
        return client.chat.completions.create(**ask).choices[0]
    with client.chat.completions.stream(**ask) as stream:
        return stream.get_final_completion().choices[0]


@EVERY
@pytest.mark.parametrize("is_streamed", [False, True])
def test_every_generation_answers(door: ClaudeDoor, client: openai.OpenAI, model: str, is_streamed: bool) -> None:
    messages = [{"role": "system", "content": "Be brief."}, *COUNT]
    choice = _asked(client, is_streamed=is_streamed, model=model, messages=messages)

    assert (choice.message.content, choice.finish_reason) == ("1 2 3 4 5", "stop")
    sent = door.claude.last()["body"]
    assert sent["system"] == "Be brief."
    assert sent["max_tokens"] == (8192 if model == OLD else 32_000)
    assert 'defaulted=("max_tokens")' in door.last_headers["x-hub-fidelity"]
    assert door.record()["output"] == 5 + (4 if model == NEWEST else 0)


def test_usage_tells_what_was_cached(door: ClaudeDoor, client: openai.OpenAI) -> None:
    part = {"type": "text", "text": "the rules " * 40, "cache_control": {"type": "ephemeral"}}
    messages: list[Any] = [{"role": "system", "content": [part]}, *COUNT]
    for _ in range(2):
        usage = client.chat.completions.create(model=CLAUDE, messages=messages, max_tokens=20).usage

    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 80
    assert usage.prompt_tokens == 80 + door.record()["input"]
    stream = client.chat.completions.create(
        model=CLAUDE, messages=messages, max_tokens=20, stream=True, stream_options={"include_usage": True}
    )
    last = list(stream)[-1]
    assert last.usage is not None
    assert last.usage.prompt_tokens == usage.prompt_tokens


@EVERY
@pytest.mark.parametrize("is_streamed", [False, True])
def test_parallel_tools_go_round_the_loop(
    door: ClaudeDoor, client: openai.OpenAI, model: str, is_streamed: bool
) -> None:
    messages: list[Any] = [{"role": "user", "content": "use get_weather and get_time"}]
    first = _asked(client, is_streamed=is_streamed, model=model, messages=messages, tools=TOOLS)
    calls = first.message.tool_calls
    assert first.finish_reason == "tool_calls"
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "city-é-0"}, {"city": "city-é-1"}]

    messages.append(first.message.to_dict() if not is_streamed else first.message.model_dump(exclude_none=True))
    # In another order than they were called, and the user goes on at once.
    messages += [{"role": "tool", "tool_call_id": call.id, "content": call.function.name} for call in reversed(calls)]
    messages.append({"role": "user", "content": "and then?"})
    second = _asked(client, is_streamed=is_streamed, model=model, messages=messages, tools=TOOLS)

    assert second.message.content == "The tools said: get_weather; get_time"
    assert second.finish_reason == "stop"


def test_a_conversation_of_another_vendor_is_made_legal(door: ClaudeDoor, client: openai.OpenAI) -> None:
    call = {"id": "functions.get_weather:0", "type": "function"}
    messages: list[Any] = [
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "weather?", "name": "ada"},
        {"role": "user", "content": " "},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "Hm.",
            "tool_calls": [{**call, "function": {"name": "get_weather", "arguments": "{broken"}}],
        },
        {"role": "tool", "tool_call_id": call["id"], "content": ""},
        {"role": "system", "content": "Speak German."},
        {"role": "user", "content": "go on"},
        {"role": "assistant", "tool_calls": [{**call, "id": "lost", "function": {"name": "x", "arguments": "{}"}}]},
        {"role": "user", "content": "never mind"},
        {"role": "tool", "tool_call_id": "nobody", "content": "unasked"},
        {"role": "user", "content": "count to 2"},
        {"role": "assistant", "content": "1 "},
    ]
    for model in (OLD, CLAUDE, NEWEST):
        answer = client.chat.completions.create(model=model, messages=messages, max_tokens=99)
        assert answer.choices[0].message.content
        assert "messages[3].reasoning_content" in door.last_headers["x-hub-fidelity"]


def test_pictures_and_documents_arrive(door: ClaudeDoor, client: openai.OpenAI) -> None:
    content: Any = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
    ]
    answer = client.chat.completions.create(model=CLAUDE, messages=[{"role": "user", "content": content}])

    said = answer.choices[0].message.content or ""
    assert "[image/png 48:" in said
    assert "https://example.com/a.png" in said
    assert "[application/pdf 49:" in said


@pytest.mark.parametrize("part", [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}])
def test_what_claude_does_not_take_is_refused_with_its_path(client: openai.OpenAI, part: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=CLAUDE, messages=[{"role": "user", "content": [part]}])

    assert caught.value.param == "messages[0].content[0]"


@pytest.mark.parametrize("model", [BUDGET, CLAUDE, "claude/claude-opus-4-8", NEWEST])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_reasoning_is_asked_for_shown_and_survives_a_tool_loop(
    door: ClaudeDoor, client: openai.OpenAI, model: str, is_streamed: bool
) -> None:
    messages: list[Any] = [{"role": "user", "content": "use get_weather"}]
    ask: dict[str, Any] = {"model": model, "tools": TOOLS, "reasoning_effort": "high", "max_completion_tokens": 5000}
    if is_streamed:
        said: dict[str, Any] = {"role": "assistant", "reasoning_content": "", "reasoning_details": [], "tool_calls": []}
        for chunk in client.chat.completions.create(**ask, messages=messages, stream=True):
            extra = chunk.choices[0].delta.model_extra or {}
            said["reasoning_content"] += extra.get("reasoning_content") or ""
            said["reasoning_details"] += extra.get("reasoning_details") or []
            for call in chunk.choices[0].delta.tool_calls or ():
                if call.id:
                    said["tool_calls"].append(
                        {"id": call.id, "type": "function", "function": {"name": "", "arguments": ""}}
                    )
                function = said["tool_calls"][-1]["function"]
                function["name"] += call.function.name or "" if call.function else ""
                function["arguments"] += call.function.arguments or "" if call.function else ""
    else:
        said = client.chat.completions.create(**ask, messages=messages).choices[0].message.to_dict()
    assert said["reasoning_content"] == "The user asks politely."
    assert door.record()["reasoning"] == 4

    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "sun"}
    answer = client.chat.completions.create(**ask, messages=[*messages, said, result])

    assert answer.choices[0].message.content == "The tools said: sun"
    given_back = door.claude.last()["body"]["messages"][1]["content"]
    assert [block["type"] for block in given_back] == ["thinking", "tool_use"]


@pytest.mark.parametrize("model", [BUDGET, CLAUDE, NEWEST])
def test_no_reasoning_and_a_forced_tool_are_told_as_each_model_understands_them(
    door: ClaudeDoor, client: openai.OpenAI, model: str
) -> None:
    client.chat.completions.create(model=model, messages=COUNT, reasoning_effort="none")
    forced = client.chat.completions.create(
        model=model, messages=COUNT, tools=TOOLS, tool_choice="required", reasoning_effort="low"
    )

    calls = [call.function.name for call in forced.choices[0].message.tool_calls or ()]  # type: ignore[union-attr]
    assert calls == ([] if model == NEWEST else ["get_weather"])
    lost = door.last_headers["x-hub-fidelity"]
    assert ('"tool_choice"' if model == NEWEST else '"reasoning_effort"') in lost


@EVERY
def test_sampling_goes_where_it_is_taken_and_is_listed_elsewhere(
    door: ClaudeDoor, client: openai.OpenAI, model: str
) -> None:
    client.chat.completions.create(
        model=model, messages=COUNT, temperature=1.5, top_p=0.5, seed=7, user="u-1", stop=["4", " "], n=1
    )

    sent = door.claude.last()["body"]
    notes = door.last_headers["x-hub-fidelity"]
    assert sent.get("temperature") == (1 if model in (OLD, BUDGET, CLAUDE) else None)
    assert sent.get("top_p") == (0.5 if model == OLD else None)
    assert ("top_p" in notes) == (model != OLD)
    assert sent["stop_sequences"] == ["4"]
    assert sent["metadata"] == {"user_id": "u-1"}
    assert '"seed"' in notes
    assert '"stop"' in notes


class Answer(pydantic.BaseModel):
    city: str
    degrees: int = pydantic.Field(ge=0, le=50)


@EVERY
def test_a_schema_is_followed_in_one_call(door: ClaudeDoor, client: openai.OpenAI, model: str) -> None:
    parsed = client.chat.completions.parse(model=model, messages=COUNT, response_format=Answer)

    assert parsed.choices[0].message.parsed == Answer(city="city-é-0", degrees=7)
    assert parsed.choices[0].finish_reason == "stop"
    assert len(door.claude.calls()) == 1


def test_json_mode_is_asked_for_in_the_prompt(door: ClaudeDoor, client: openai.OpenAI) -> None:
    client.chat.completions.create(model=CLAUDE, messages=COUNT, response_format={"type": "json_object"})

    assert "JSON" in door.claude.last()["body"]["system"]
    assert 'emulated=("response_format")' in door.last_headers["x-hub-fidelity"]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("ask", "finish"),
    [
        ({"messages": COUNT, "max_completion_tokens": 2}, "length"),
        ({"messages": COUNT, "stop": ["3"]}, "stop"),
        ({"messages": [{"role": "user", "content": "please refuse"}]}, "content_filter"),
        ({"messages": [{"role": "user", "content": "get_time"}], "tools": TOOLS}, "tool_calls"),
    ],
)
def test_reasons_to_stop_are_translated(
    client: openai.OpenAI, ask: dict[str, Any], finish: str, is_streamed: bool
) -> None:
    if is_streamed:
        chunks = list(client.chat.completions.create(model=CLAUDE, stream=True, **ask))
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == finish
    else:
        assert client.chat.completions.create(model=CLAUDE, **ask).choices[0].finish_reason == finish


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("400", openai.BadRequestError),
        ("429-after-9", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("529", openai.InternalServerError),
        ("403", openai.InternalServerError),
        ("wrong-type", openai.InternalServerError),
    ],
)
def test_an_error_before_the_answer_is_openais(
    door: ClaudeDoor, client: openai.OpenAI, fault: str, error: Any, is_streamed: bool
) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"anthropic-fault/{fault}", messages=COUNT, stream=is_streamed)

    assert "org-Emulated" not in caught.value.response.text
    assert "sk-" not in caught.value.response.text


@pytest.mark.parametrize("fault", ["error-mid-stream-after-4", "cut-after-4", "reset-after-4", "no-done", "garbage"])
def test_an_error_in_the_middle_is_raised_by_the_client(door: ClaudeDoor, client: openai.OpenAI, fault: str) -> None:
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model=f"anthropic-fault/{fault}", messages=COUNT, stream=True):
            pass

    assert door.record()["status"] == "failed"
