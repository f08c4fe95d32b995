from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.errors import AppError, BadRequest
from app.base.usage import Usage
from app.wire.aigne import chat_client, client, endpoints
from app.wire.neutral import Conversation, Image, Opaque, Reasoning, Refusal, Source, Text, ToolCall, ToolResult
from app.wire.neutral_answer import (
    Answer,
    Event,
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Reply,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    events_of,
)
from app.wire.request import Incoming, Request
from tests.wire.aigne.frames import check_answer, merged
from tests.wire.aigne.strategies import call, json_values, streams, texts

Json = dict[str, Any]
USAGE = Usage(input=7, cache_read=3, cache_write_1h=2, output=5, reasoning=1)
WRITTEN = {
    "inputTokens": 7,
    "outputTokens": 5,
    "cacheReadInputTokens": 3,
    "cacheCreationInputTokens": 2,
    "modelCallId": "0" * 32,
}


def read(body: Any, endpoint: Any = endpoints.CHAT, **headers: str) -> Request:
    given_headers = {b"content-type": b"application/json"} | {k.encode(): v.encode() for k, v in headers.items()}
    incoming = Incoming(path="/api/v2/chat", headers=given_headers, body=json.dumps(body).encode())
    return client.read(endpoint, incoming)


def said(**fields: Any) -> Conversation:
    """The conversation of `input` with these fields."""
    given: Json = {"messages": [{"role": "user", "content": "hi"}], **fields}
    return chat_client.read_conversation(read({"input": given}))


def reply(form: str = "") -> Reply:
    return Reply(id="0" * 32, model="aignehub/openai/gpt-4o-mini", created=1, wants_usage=True, form=form)


def written(events: list[Event], form: str = "", usage: Usage | None = USAGE) -> str:
    writer = chat_client.stream_writer(reply(form))
    return (writer.begin() + writer.write(events) + writer.beat() + writer.end(usage)).decode()


# --- reading


@pytest.mark.parametrize(
    ("body", "model"),
    [
        ({"input": {"modelOptions": {"model": "aignehub/openai/gpt-5"}}}, "aignehub/openai/gpt-5"),
        ({"input": {"model_options": {"model": "openai/a"}}}, "openai/a"),
        ({"input": {"model": "openai/b"}}, "openai/b"),
        ({"input": {}, "model": "openai/c"}, "openai/c"),
        ({"input": {"modelOptions": {"model": ""}, "model": None}}, "openai/gpt-5-mini"),
    ],
)
def test_the_model_is_found_wherever_clients_write_it(body: Json, model: str) -> None:
    assert read(body).model == model


def test_streaming_is_asked_for_in_the_options_alone() -> None:
    assert read({"input": {}, "options": {"streaming": True}}).is_streamed
    assert not read(
        {"input": {}, "stream": True, "options": {"streaming": False}}, accept="text/event-stream"
    ).is_streamed


def test_settings_are_read_in_both_spellings() -> None:
    camel = said(modelOptions={"maxTokens": 9, "topP": 0.5, "parallelToolCalls": False, "reasoningEffort": "low"})
    snake = said(model_options={"max_tokens": 9, "top_p": 0.5, "parallel_tool_calls": False, "reasoning_effort": "low"})

    assert (camel.sampling.max_tokens, camel.sampling.top_p) == (9, 0.5)
    assert (camel.sampling, camel.has_parallel_tools, camel.reasoning) == (
        snake.sampling,
        snake.has_parallel_tools,
        snake.reasoning,
    )
    assert camel.at("max_tokens") == "input.modelOptions.maxTokens"
    assert snake.at("max_tokens") == "input.model_options.max_tokens"
    assert said(modelOptions={"reasoningEffort": 2000}).reasoning.budget_tokens == 2000  # type: ignore[union-attr]


def test_what_has_no_place_is_reported_and_what_is_the_clients_own_is_not() -> None:
    conversation = said(
        modelOptions={"model": "a/b", "preferInputFileType": "url", "logitBias": {}, "future": 1}, outputFileType="url"
    )

    assert conversation.unread == ("input.modelOptions.logitBias", "input.modelOptions.future")


def test_the_roles_of_the_framework_become_turns() -> None:
    conversation = said(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "be nice"}]},
            {"role": "user", "content": "weather?"},
            {"role": "agent", "content": "so", "toolCalls": [_call("a"), _call("b", '{"city": "Rome"}')]},
            {"role": "tool", "toolCallId": "a", "content": "sunny"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "wet"}]},
        ]
    )

    assert [text.text for text in conversation.system] == ["be nice"]
    user, agent, results = conversation.messages
    assert (user.role, agent.role, results.role) == ("user", "assistant", "user")
    text, first, second = agent.parts
    assert isinstance(text, Text) and isinstance(first, ToolCall) and isinstance(second, ToolCall)
    assert (bytes(first.arguments), bytes(second.arguments)) == (b'{"city":"Paris"}', b'{"city": "Rome"}')
    assert [part.call_id for part in results.parts if isinstance(part, ToolResult)] == ["a", "b"]


def test_files_are_told_apart_by_their_types() -> None:
    conversation = said(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "file", "data": "iVBORw0KGgoAAAA="},
                    {"type": "file", "data": "JVBERi0=", "filename": "a.pdf"},
                    {"type": "file", "data": "AAAA", "mimeType": "audio/wav"},
                    {"type": "url", "url": "https://example.com/picture"},
                    {"type": "url", "url": "https://example.com/a.pdf?x=1"},
                    {"type": "url", "url": "data:image/gif;base64,R0lG"},
                    {"type": "image_url", "imageUrl": {"url": "https://example.com/b.png"}},
                ],
            }
        ]
    )

    parts = conversation.messages[0].parts
    assert [type(part).__name__ for part in parts] == ["Image", "File", "Audio", "Image", "File", "Image", "Image"]
    assert parts[0] == Image(
        source=Source(data="iVBORw0KGgoAAAA=", media_type="image/png"), at="input.messages[0].content[0]"
    )
    assert parts[5].source == Source(data="R0lG", media_type="image/gif")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "local", "path": "/etc/passwd"}]}]}, "content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "url", "url": "file:///etc/passwd"}]}]}, "content[0].url"),
        ({"messages": [{"role": "nobody"}]}, "messages[0].role"),
        ({"messages": []}, "input.messages"),
        ({"modelOptions": {"maxTokens": "9"}}, "input.modelOptions.maxTokens"),
        ({"responseFormat": {"type": "json_schema"}}, "input.responseFormat.jsonSchema"),
        ({"toolChoice": "sometimes"}, "input.toolChoice"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(fields: Json, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        said(**fields)
    assert refused.value.param is not None and refused.value.param.endswith(param)


def test_a_tool_may_be_chosen_by_the_name_that_it_had_before_the_client_changed_it() -> None:
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]

    chosen = said(tools=tools, toolChoice={"type": "function", "function": {"name": "get-weather", "parameters": {}}})

    assert chosen.tool_choice is not None and chosen.tool_choice.name == "get_weather"


def test_the_clients_wish_to_cache_marks_what_it_names() -> None:
    asked: Json = {"system": [], "tools": [{"type": "function", "function": {"name": "a"}}]}
    messages = [{"role": "system", "content": "be nice"}, {"role": "user", "content": "hi"}]

    everything = said(
        **asked, messages=messages, modelOptions={"cacheConfig": {"autoBreakpoints": {"lastMessage": True}}}
    )
    marked = said(**asked, messages=messages, modelOptions={"cacheConfig": {"ttl": "1h"}})
    off = said(**asked, messages=messages, modelOptions={"cacheConfig": {"enabled": False}})

    assert everything.cache_all is not None and everything.tools[0].cache is None
    assert (marked.cache_all, marked.tools[0].cache.ttl, marked.system[0].cache.ttl) == (None, "1h", "1h")  # type: ignore[union-attr]
    assert (off.cache_all, off.tools[0].cache, off.system[0].cache) == (None, None, None)


def test_a_strict_schema_is_closed_and_one_that_cannot_be_strict_is_not_called_so() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}
    whole = {"type": "object", "properties": {"a": inner}, "required": ["a"]}
    optional = {"type": "object", "properties": {"a": {"type": "string"}}}

    strict = said(responseFormat=_format(whole))
    loose = said(responseFormat=_format(optional))

    assert strict.output is not None and strict.output.strict is True
    closed = json.loads(bytes(strict.output.schema or b""))
    assert closed["additionalProperties"] is False
    assert closed["properties"]["a"] == {**inner, "additionalProperties": False}
    assert loose.output is not None and loose.output.strict is None
    assert json.loads(bytes(loose.output.schema or b"")) == optional
    assert [path for path, _ in loose.emulated] == ["input.responseFormat.jsonSchema.strict"]


@given(json_values)
def test_no_request_crashes_the_reader(value: Any) -> None:
    for body in (
        {"input": value},
        {"input": {"messages": value, "tools": value}},
        {"input": {"messages": [{"role": "user", "content": value}], "modelOptions": value, "toolChoice": value}},
        {"input": {"messages": [{"role": "agent", "toolCalls": value}], "responseFormat": value}},
        {"input": {"messages": [{"role": "tool", "toolCallId": "a", "content": value}]}, "options": value},
    ):
        try:
            chat_client.read_conversation(read(body))
        except BadRequest as refused:
            assert refused.sentence


# --- answers


def test_a_whole_answer_holds_what_the_model_did() -> None:
    answer = Answer(
        parts=(
            Reasoning(text="hm"),
            Reasoning(text="ah"),
            Text(text="hello "),
            Refusal(text="no"),
            call("get_weather", b'{"city":\n "Paris"}', Opaque("google", "sig")),
            Image(source=Source(data="aGk=", media_type="image/png")),
        ),
        finish="tool_calls",
    )

    whole = json.loads(chat_client.write_answer(answer, reply(), USAGE))

    check_answer(whole)
    assert (whole["text"], whole["thoughts"]) == ("hello no", "hm\n\nah")
    [made] = whole["toolCalls"]
    assert made["function"] == {"name": "get_weather", "arguments": {"city": "Paris"}}
    assert made["metadata"] == {"thoughtSignature": "sig"}
    assert whole["files"] == [{"type": "file", "data": "aGk=", "mimeType": "image/png"}]
    assert whole["usage"] == WRITTEN
    assert (whole["model"], whole["modelWithProvider"], whole["finishReason"]) == (
        "gpt-4o-mini",
        "openai/gpt-4o-mini",
        "tool_calls",
    )


@pytest.mark.parametrize(("text", "told"), [('{"a":\n 1}', {"json": {"a": 1}}), ('{"a": ', {"text": '{"a": '})])
def test_an_answer_by_a_schema_is_a_value_unless_it_is_no_json(text: str, told: Json) -> None:
    answer = Answer(parts=(Text(text=text),), finish="stop")

    whole = json.loads(chat_client.write_answer(answer, reply(client.JSON_VALUE), None))
    stream = merged(written(events_of(answer), client.JSON_VALUE, None))

    assert {key: whole[key] for key in ("text", "json") if key in whole} == told
    assert {key: stream[key] for key in ("text", "json") if key in stream} == told
    assert "usage" not in whole and "usage" not in stream


def test_a_stream_is_appended_text_and_at_last_what_replaces() -> None:
    stream = written(
        [
            ReasoningDelta("hm"),
            ReasoningEnd(),
            ReasoningDelta("ah"),
            TextDelta("Hel"),
            TextDelta("lo"),
            ToolCallStart(0, "call_1", "get_weather"),
            ToolCallDelta(0, '{"city":\n'),
            ToolCallDelta(0, '"Paris"}'),
            Finished("tool_calls"),
            TextDelta("too late"),
        ]
    )

    frames = [json.loads(frame[6:]) for frame in stream.split("\n\n") if frame.startswith("data: ")]
    assert [frame["delta"]["text"] for frame in frames[1:-1]] == [
        {"thoughts": "hm"},
        {"thoughts": "\n\nah"},
        {"text": "Hel"},
        {"text": "lo"},
    ]
    assert frames[-1]["delta"]["json"] == {
        "toolCalls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": {"city": "Paris"}},
            }
        ],
        "usage": WRITTEN,
        "finishReason": "tool_calls",
    }
    assert "[DONE]" not in stream


@given(streams, st.sampled_from([client.ENVELOPE, client.JSON_VALUE]), st.none() | st.just(USAGE))
def test_any_events_are_frames_that_the_client_reads(
    batches: list[list[Event]], form: str, usage: Usage | None
) -> None:
    writer = chat_client.stream_writer(reply(form))

    stream = writer.begin() + b"".join(writer.write(batch) for batch in batches) + writer.end(usage)

    answer = merged(stream.decode())
    check_answer(answer)
    heard = _heard(batches)
    if form == client.ENVELOPE or "json" not in answer:
        assert answer.get("text", "") == heard
    assert ("usage" in answer) == (usage is not None)


@given(st.lists(texts, max_size=4), json_values)
def test_a_stream_and_a_whole_answer_say_the_same(pieces: list[str], arguments: Any) -> None:
    parts = [Text(text=piece) for piece in pieces if piece]
    given_arguments = json.dumps({"x": arguments}, indent=1).encode()
    answer = Answer(parts=(*parts, call("a", given_arguments)), finish="tool_calls")

    whole = json.loads(chat_client.write_answer(answer, reply(), USAGE))

    assert merged(written(events_of(answer))) == whole
    assert whole["toolCalls"][0]["function"]["arguments"] == {"x": arguments}


# --- errors


def test_an_error_has_a_message_and_beside_it_our_words() -> None:
    error = AppError("It broke.", code="provider_failed")
    error.owner = "provider"

    body = json.loads(client.error_body(error, "abc"))["error"]
    name, data = client.error_event(error, "abc").decode().split("\n")[:2]

    assert body["message"] == "It broke. (call abc)"
    assert (body["type"], body["code"], body["owner"], body["call_id"]) == (
        "provider_failed",
        "provider_failed",
        "provider",
        "abc",
    )
    # Nested, the client would show an empty message.
    assert name == "event: error" and json.loads(data.removeprefix("data: "))["message"] == body["message"]


def test_credits_that_are_used_up_have_the_type_that_clients_know() -> None:
    error = AppError("No credits.", code="out_of_credits")
    error.http_status = 402

    assert json.loads(client.error_body(error, None))["error"]["type"] == "NOT_ENOUGH"


def _call(id_: str, arguments: Any = None) -> Json:
    return {
        "id": id_,
        "type": "function",
        "function": {"name": "get_weather", "arguments": arguments or {"city": "Paris"}},
    }


def _format(schema: Json) -> Json:
    return {"type": "json_schema", "jsonSchema": {"name": "out", "schema": schema, "strict": True}}


def _heard(batches: list[list[Event]]) -> str:
    heard = ""
    for event in (event for batch in batches for event in batch):
        if isinstance(event, Finished):
            break
        if isinstance(event, TextDelta | RefusalDelta):
            heard += event.text
    return heard
