from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from app.base.errors import BadRequest, ProviderFailed
from app.base.usage import Usage
from app.wire.aigne import client, completions_client, completions_speaker, endpoints
from app.wire.neutral import Reasoning, Text, ToolCall
from app.wire.neutral_answer import Answer, Event, Finished, Reply, TextDelta, events_of
from app.wire.request import Request
from tests.wire.aigne.strategies import call, streams
from tests.wire.aigne.test_chat_client import USAGE, read

Json = dict[str, Any]
HELLO = [{"role": "user", "content": "hi"}]
ANSWER = Answer(
    parts=(Reasoning(text="hm"), Text(text="Hello"), call("get_weather", b'{"city":"Paris"}')), finish="tool_calls"
)


def completion(body: Json, **headers: str) -> Request:
    return read(body, endpoints.COMPLETIONS, **headers)


def reply(form: str, *, wants_usage: bool = True) -> Reply:
    return Reply(id="0" * 32, model="openai/gpt-4o-mini", created=1, wants_usage=wants_usage, form=form)


def frames(stream: bytes) -> list[Json]:
    """What a parser of unnamed events sees."""
    found: list[Json] = []
    for frame in stream.decode().split("\n\n"):
        if frame and not frame.startswith(":"):
            assert frame.startswith("data: ") and "\n" not in frame
            if frame != "data: [DONE]":
                found.append(json.loads(frame[6:]))
    return found


def streamed(form: str, batches: list[list[Event]], usage: Usage | None = USAGE) -> bytes:
    writer = completions_client.stream_writer(reply(form))
    return writer.begin() + b"".join(writer.write(batch) for batch in batches) + writer.beat() + writer.end(usage)


@pytest.mark.parametrize(
    ("accept", "stream", "form", "is_streamed"),
    [
        ("text/event-stream", False, client.FRAMES, True),
        ("application/json, text/event-stream", True, client.FRAMES, True),
        ("application/json", True, client.CHUNKS, True),
        ("application/json", False, client.WHOLE, False),
    ],
)
def test_the_form_of_the_answer_is_what_the_caller_can_read(
    accept: str, stream: bool, form: str, is_streamed: bool
) -> None:
    request = completion({"messages": HELLO, "stream": stream}, accept=accept)

    assert (request.form, request.is_streamed, request.model) == (form, is_streamed, "openai/gpt-5-mini")


def test_settings_are_read_in_both_spellings_and_reach_the_conversation() -> None:
    camel = {"maxTokens": 9, "topP": 0.5, "presencePenalty": 1, "responseFormat": {"type": "json_object"}}
    snake = {"max_tokens": 9, "top_p": 0.5, "presence_penalty": 1, "response_format": {"type": "json_object"}}

    one = completions_client.read_conversation(completion({"messages": HELLO, **camel}))
    other = completions_client.read_conversation(completion({"messages": HELLO, **snake, "n": 1}))

    assert (one.sampling, one.output, one.unread) == (other.sampling, other.output, other.unread)
    assert (one.sampling.max_tokens, one.unread) == (9, ())
    assert (one.at("max_tokens"), other.at("max_tokens")) == ("maxTokens", "max_tokens")


def test_a_turn_with_tools_is_read_in_both_spellings() -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}]
    for given_calls, given_id in (("toolCalls", "toolCallId"), ("tool_calls", "tool_call_id")):
        messages = [
            *HELLO,
            {"role": "assistant", "content": "", given_calls: calls},
            {"role": "tool", "content": "", given_id: "a"},
        ]

        turns = completions_client.read_conversation(completion({"messages": messages})).messages

        [made] = turns[1].parts
        assert isinstance(made, ToolCall) and bytes(made.arguments) == b'{"x":1}'
        assert turns[2].role == "user"


def test_a_prompt_stands_for_one_message_and_not_beside_others() -> None:
    conversation = completions_client.read_conversation(completion({"prompt": "once"}))

    assert [part.text for part in conversation.messages[0].parts if isinstance(part, Text)] == ["once"]
    for body in ({"prompt": "once", "messages": HELLO}, {}):
        with pytest.raises(BadRequest):
            completions_client.read_conversation(completion(body))


def test_more_than_one_choice_is_reported_as_lost() -> None:
    assert completions_client.read_conversation(completion({"messages": HELLO, "n": 2})).unread == ("n",)


def test_one_object_serves_the_hubs_own_sdk_and_openais() -> None:
    whole = json.loads(completions_client.write_answer(ANSWER, reply(client.WHOLE), USAGE))

    assert (whole["role"], whole["text"], whole["content"]) == ("assistant", "Hello", "Hello")
    assert whole["toolCalls"][0]["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    parsed = ChatCompletion.model_validate(whole)
    [choice] = parsed.choices
    assert (choice.message.content, choice.finish_reason) == ("Hello", "tool_calls")
    assert parsed.usage is not None and (parsed.usage.prompt_tokens, parsed.usage.completion_tokens) == (12, 5)


def test_frames_name_the_role_and_bring_all_tool_calls_at_once_and_no_end_mark() -> None:
    stream = streamed(client.FRAMES, [events_of(ANSWER)])

    first, second, last = frames(stream)
    assert first == {"delta": {"role": "assistant", "content": "Hello", "toolCalls": []}}
    assert second["delta"]["toolCalls"][0]["function"]["arguments"] == '{"city":"Paris"}'
    assert last == {"usage": {"promptTokens": 12, "completionTokens": 5, "totalTokens": 17}}
    assert b"[DONE]" not in stream


@given(streams)
def test_any_events_are_frames_of_the_hubs_own(batches: list[list[Event]]) -> None:
    for frame in frames(streamed(client.FRAMES, batches)):
        if "usage" in frame:
            continue
        delta = frame["delta"]
        assert delta["role"] == "assistant"
        assert isinstance(delta["content"], str) and isinstance(delta["toolCalls"], list)


@given(streams)
def test_any_events_are_chunks_that_openais_sdk_parses(batches: list[list[Event]]) -> None:
    stream = streamed(client.CHUNKS, batches)

    chunks = [ChatCompletionChunk.model_validate(frame) for frame in frames(stream)]
    assert stream.endswith(b"data: [DONE]\n\n")
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert reasons[-1] is not None and set(reasons[:-1]) == {None}
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 17


def test_chunks_tell_usage_only_when_asked() -> None:
    writer = completions_client.stream_writer(reply(client.CHUNKS, wants_usage=False))

    last = frames(writer.begin() + writer.write([TextDelta("a"), Finished("length")]) + writer.end(USAGE))[-1]

    assert "usage" not in last and last["choices"][0]["finish_reason"] == "length"


def test_an_error_inside_a_stream_is_found_by_both() -> None:
    event = completions_speaker.error_event(ProviderFailed("It broke."), "abc").decode()

    assert event.startswith("data: ") and event.endswith("\n\n")
    assert json.loads(event[6:])["error"]["message"].startswith("It broke.")
