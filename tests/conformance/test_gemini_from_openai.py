"""OpenAI's own library through the hub to Gemini: all is translated, and the emulator refuses what Gemini does."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai
import pydantic
import pytest

from tests.conformance.gemini_hub import CHATS, gemini, hub, openai_client
from tests.emulators.gemini.handle import GeminiUpstream
from tests.emulators.gemini.speech import PICTURE, SOUND

__all__ = ["gemini", "hub", "openai_client"]

NEWEST = "google/gemini-3.8-flash"
ALL = pytest.mark.parametrize("model", [f"google/{name}" for name in CHATS])
STREAMED = pytest.mark.parametrize("is_streamed", [False, True])
PNG = "data:image/png;base64," + base64.b64encode(bytes(range(256))).decode()
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Looks up the {name}.",
            "parameters": {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {
                    "city": {"$ref": "#/definitions/city", "description": "Where."},
                    "unit": {"const": "day"},
                },
                "required": ["city", "unit"],
                "additionalProperties": False,
                "definitions": {"city": {"type": "string"}},
            },
        },
    }
    for name in ("weather", "clock")
]


class Answer(pydantic.BaseModel):
    city: str
    days: int


def _user(text: Any) -> list[Any]:
    return [{"role": "user", "content": text}]


def _ask(client: openai.OpenAI, model: str, messages: list[Any], **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=messages, **more)


def _heard(stream: Any) -> tuple[str, str | None, list[Any]]:
    """Text, finish reason and calls of a stream."""
    text, finish = "", None
    calls: dict[int, dict[str, Any]] = {}
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                known = calls.setdefault(call.index, {"id": call.id, "arguments": "", "extra_content": None})
                known["name"] = (call.function.name or "") or known.get("name", "")
                known["arguments"] += call.function.arguments or ""
                known["extra_content"] = getattr(call, "extra_content", None) or known["extra_content"]
    return text, finish, [calls[n] for n in sorted(calls)]


@ALL
@STREAMED
def test_a_text_comes_with_its_finish_and_usage(openai_client: openai.OpenAI, model: str, is_streamed: bool) -> None:
    messages = [{"role": "system", "content": "Be brief."}, *_user("count to 7")]
    if is_streamed:
        chunks = list(_ask(openai_client, model, messages, stream=True, stream_options={"include_usage": True}))
        text, finish, _ = _heard(chunks)
        usage = chunks[-1].usage
    else:
        answer = _ask(openai_client, model, messages)
        text, finish, usage = answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage

    assert (text, finish) == ("1 2 3 4 5 6 7", "stop")
    # Gemini counts thoughts beside the answer, OpenAI inside.
    assert (usage.prompt_tokens, usage.completion_tokens) == (8, 11)
    assert usage.completion_tokens_details.reasoning_tokens == 4


@ALL
@STREAMED
@pytest.mark.parametrize("keeps", ["all", "no signatures", "nothing but names"])
def test_a_loop_of_tools_goes_on_for_many_turns(
    openai_client: openai.OpenAI, model: str, is_streamed: bool, keeps: str
) -> None:
    messages: list[Any] = _user("weather and clock and weather please")
    for turn in range(3):
        answer = _ask(openai_client, model, messages, tools=TOOLS, stream=is_streamed)
        if is_streamed:
            _, finish, calls = _heard(answer)
        else:
            finish = answer.choices[0].finish_reason
            calls = [
                {
                    "id": call.id,
                    "name": call.function.name,
                    "arguments": call.function.arguments,
                    "extra_content": getattr(call, "extra_content", None),
                }
                for call in answer.choices[0].message.tool_calls or []
            ]
        assert finish == "tool_calls"
        assert [call["name"] for call in calls] == ["weather", "clock", "weather"]
        assert json.loads(calls[2]["arguments"]) == {"city": "city-é-2", "unit": "day"}
        messages += _said(calls, keeps, turn)
        final = _ask(openai_client, model, messages, tools=TOOLS)
        assert final.choices[0].message.content == f"The functions said: {turn}.0 ☀; {turn}.1 ☀; {turn}.2 ☀"
        messages += [{"role": "assistant", "content": final.choices[0].message.content}]
        messages += _user("weather and clock and weather please")


def _said(calls: list[Any], keeps: str, turn: int) -> list[Any]:
    """The assistant's turn as a client gives it back, and the results."""
    entries: list[Any] = []
    results: list[Any] = []
    for n, call in enumerate(calls):
        # A client that makes ids of its own is a conversation that nobody has seen.
        id_ = f"call {turn} {n}" if keeps == "nothing but names" else call["id"]
        function = {"name": call["name"], "arguments": call["arguments"]}
        entry: Any = {"id": id_, "type": "function", "function": function}
        if keeps == "all" and call["extra_content"]:
            entry["extra_content"] = call["extra_content"]
        entries.append(entry)
        results.append({"role": "tool", "tool_call_id": id_, "content": f"{turn}.{n} ☀"})
    return [{"role": "assistant", "content": None, "tool_calls": entries}, *results]


def test_a_signature_goes_back_to_the_call_that_carried_it(
    openai_client: openai.OpenAI, gemini: GeminiUpstream
) -> None:
    messages = _user("weather and clock please")
    calls = _ask(openai_client, NEWEST, messages, tools=TOOLS).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in calls.tool_calls]

    _ask(openai_client, NEWEST, [*messages, calls.model_dump(exclude_none=True), *results], tools=TOOLS)

    sent = gemini.last()["body"]["contents"][1]["parts"]
    signed = base64.b64decode(sent[0]["thoughtSignature"]).decode()
    assert signed == f"sig:{calls.tool_calls[0].id}"
    assert "thoughtSignature" not in sent[1]


def test_histories_of_other_models_are_made_legal(openai_client: openai.OpenAI, gemini: GeminiUpstream) -> None:
    call = {"id": "call_x", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    other = {"id": "call_y", "type": "function", "function": {"name": "clock", "arguments": "{broken"}}
    messages: list[Any] = [
        {"role": "assistant", "content": "How can I help?"},
        {"role": "user", "content": "weather"},
        {"role": "assistant", "content": None, "tool_calls": [call, other], "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "call_y", "content": ""},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": ""},
        {"role": "tool", "tool_call_id": "call_nobody", "content": "left over"},
        {"role": "assistant", "content": "Sun."},
    ]

    answer = _ask(openai_client, NEWEST, messages, tools=TOOLS)

    assert answer.choices[0].finish_reason == "stop"
    contents = gemini.last()["body"]["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user", "model", "user"]
    results = [part["functionResponse"]["response"] for part in contents[4]["parts"] if "functionResponse" in part]
    assert results == [{"error": "The function gave no result."}, {"output": ""}]
    assert contents[3]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"


@ALL
def test_pictures_and_sound_arrive(openai_client: openai.OpenAI, model: str) -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    document = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": PNG}}, sound, document]

    answer = _ask(openai_client, model, _user(parts))

    text = answer.choices[0].message.content
    assert "[image/png 256:40aff2e9]" in text and "[audio/wav 4:" in text and "[application/pdf 5:" in text
    assert answer.usage.prompt_tokens_details.audio_tokens == 50


def test_a_picture_of_a_tool_is_shown_inside_its_response(openai_client: openai.OpenAI, gemini: GeminiUpstream) -> None:
    messages = _user("weather please")
    said = _ask(openai_client, NEWEST, messages, tools=TOOLS).choices[0].message
    shown = [{"type": "text", "text": "seen"}, {"type": "image_url", "image_url": {"url": PNG}}]
    result = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": shown}

    answer = _ask(openai_client, NEWEST, [*messages, said.model_dump(exclude_none=True), result], tools=TOOLS)

    assert "[image/png 256:40aff2e9]" in answer.choices[0].message.content
    response = gemini.last()["body"]["contents"][2]["parts"][0]["functionResponse"]
    assert response["parts"][0]["inlineData"]["mimeType"] == "image/png"


@ALL
@STREAMED
@pytest.mark.parametrize("effort", ["minimal", "low", "high", "xhigh"])
def test_thoughts_come_as_reasoning(openai_client: openai.OpenAI, model: str, is_streamed: bool, effort: str) -> None:
    answer = _ask(openai_client, model, _user("think"), reasoning_effort=effort, stream=is_streamed)

    if is_streamed:
        thought = "".join(
            getattr(choice.delta, "reasoning_content", None) or "" for chunk in answer for choice in chunk.choices
        )
    else:
        thought = answer.choices[0].message.reasoning_content
    assert thought == "The user asks politely."


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("google/gemini-2.5-flash", {"thinkingBudget": 0}),
        ("google/gemini-2.5-pro", {"thinkingBudget": 128}),
        ("google/gemini-3.8-flash", {"thinkingLevel": "LOW"}),
        ("google/gemini-3.1-pro-preview", {"thinkingLevel": "LOW"}),
    ],
)
def test_thinking_is_switched_off_as_far_as_it_can_be(
    openai_client: openai.OpenAI, gemini: GeminiUpstream, model: str, sent: dict[str, Any]
) -> None:
    _ask(openai_client, model, _user("quick"), reasoning_effort="none")

    assert gemini.last()["body"]["generationConfig"]["thinkingConfig"] == sent


@ALL
def test_a_schema_binds_the_answer(openai_client: openai.OpenAI, model: str) -> None:
    answer = openai_client.chat.completions.parse(model=model, messages=_user("which"), response_format=Answer)

    assert answer.choices[0].message.parsed == Answer(city="city-é-0", days=7)


@ALL
def test_json_without_a_schema(openai_client: openai.OpenAI, model: str) -> None:
    answer = _ask(openai_client, model, _user("as json"), response_format={"type": "json_object"})

    assert json.loads(answer.choices[0].message.content) == {"answer": "json"}


@ALL
def test_a_schema_and_tools_together_are_taken(openai_client: openai.OpenAI, model: str) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": Answer.model_json_schema()}}

    answer = _ask(openai_client, model, _user("weather please"), response_format=schema, tools=TOOLS)

    assert answer.choices[0].message.tool_calls[0].function.name == "weather"


@ALL
def test_limits_and_stops(openai_client: openai.OpenAI, model: str) -> None:
    short = _ask(openai_client, model, _user("count to 9"), max_tokens=3).choices[0]
    stopped = _ask(openai_client, model, _user("count to 9"), stop=["5"]).choices[0]

    assert (short.message.content, short.finish_reason) == ("1 2 3", "length")
    assert (stopped.message.content.strip(), stopped.finish_reason) == ("1 2 3 4", "stop")


@pytest.mark.parametrize(
    ("choice", "called"),
    [("required", ["weather"]), ("none", []), ({"type": "function", "function": {"name": "clock"}}, ["clock"])],
)
def test_the_choice_of_a_tool_is_kept(openai_client: openai.OpenAI, choice: Any, called: list[str]) -> None:
    answer = _ask(openai_client, NEWEST, _user("just talk"), tools=TOOLS, tool_choice=choice)

    assert [call.function.name for call in answer.choices[0].message.tool_calls or []] == called


@STREAMED
@pytest.mark.parametrize(
    ("prompt", "finish"), [("unsafe", "content_filter"), ("forbidden", "content_filter"), ("hello", "stop")]
)
def test_why_it_ended(openai_client: openai.OpenAI, is_streamed: bool, prompt: str, finish: str) -> None:
    answer = _ask(openai_client, NEWEST, _user(prompt), stream=is_streamed)

    assert (_heard(answer)[1] if is_streamed else answer.choices[0].finish_reason) == finish


@STREAMED
def test_a_drawn_picture_comes_back(openai_client: openai.OpenAI, is_streamed: bool) -> None:
    answer = _ask(openai_client, "google/draws", _user("draw a fox"), stream=is_streamed)

    if is_streamed:
        images = [one for chunk in answer for choice in chunk.choices for one in getattr(choice.delta, "images", ())]
    else:
        images = answer.choices[0].message.images
    assert [one["image_url"]["url"] for one in images] == [f"data:image/png;base64,{PICTURE}"]


def test_what_the_newest_models_refuse_is_left_out_and_said(
    openai_client: openai.OpenAI, gemini: GeminiUpstream
) -> None:
    answer = openai_client.chat.completions.with_raw_response.create(
        model=NEWEST, messages=_user("hi"), temperature=0.2, presence_penalty=0.5, max_tokens=50, user="ada"
    )

    assert gemini.last()["body"]["generationConfig"] == {"maxOutputTokens": 50}
    fidelity = answer.headers["x-hub-fidelity"]
    assert [name for name in ("temperature", "presence_penalty", "user") if f'"{name}"' not in fidelity] == []


def test_older_models_get_all_settings(openai_client: openai.OpenAI, gemini: GeminiUpstream) -> None:
    _ask(
        openai_client,
        "google/gemini-2.5-flash",
        _user("hi"),
        temperature=0.2,
        top_p=0.5,
        seed=1,
        presence_penalty=0.5,
        frequency_penalty=0.25,
        extra_body={"top_k": 4},
    )

    assert gemini.last()["body"]["generationConfig"] == {
        "temperature": 0.2,
        "topP": 0.5,
        "topK": 4,
        "seed": 1,
        "presencePenalty": 0.5,
        "frequencyPenalty": 0.25,
    }


def test_sound_that_gemini_made_comes_back(openai_client: openai.OpenAI) -> None:
    answer = _ask(openai_client, NEWEST, _user("speak"), modalities=["audio"])

    assert answer.choices[0].message.audio.data == SOUND


def test_texts_become_vectors(openai_client: openai.OpenAI, gemini: GeminiUpstream) -> None:
    packed = openai_client.embeddings.create(model="google/embed", input=["a", "b"], dimensions=16)
    plain = openai_client.embeddings.create(
        model="google/embed", input=["a", "b"], dimensions=16, encoding_format="float"
    )

    assert [len(row.embedding) for row in packed.data] == [16, 16]
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)
    assert gemini.last()["path"] == "/v1beta/models/gemini-embedding-001:batchEmbedContents"


def test_tokens_in_place_of_text_are_refused_with_their_path(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client.embeddings.create(model="google/embed", input=[[1, 2], [3]])

    assert caught.value.param == "input[0]"


@STREAMED
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("429-after-9", openai.RateLimitError),
        ("400", openai.BadRequestError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("leaky-error", openai.BadRequestError),
        ("wrong-key", openai.InternalServerError),
    ],
)
def test_errors_before_the_answer(
    openai_client: openai.OpenAI, is_streamed: bool, name: str, expected: type[Exception]
) -> None:
    with pytest.raises(expected) as caught:
        _ask(openai_client, f"fault/{name}", _user("hi"), stream=is_streamed)

    assert "AIza" not in str(caught.value) and "7f3a" not in str(caught.value)


@pytest.mark.parametrize("name", ["error-mid-stream-after-4", "cut-after-4"])
def test_errors_in_the_middle(openai_client: openai.OpenAI, name: str) -> None:
    heard = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in _ask(openai_client, f"fault/{name}", _user("count to 9"), stream=True):
            heard += chunk.choices[0].delta.content or ""

    assert heard == "1 2 3 4"
    assert "7f3a" not in str(caught.value)


@pytest.mark.parametrize("name", ["one-byte-chunks", "crlf", "no-usage"])
def test_a_strange_stream_arrives_whole(openai_client: openai.OpenAI, name: str) -> None:
    assert _heard(_ask(openai_client, f"fault/{name}", _user("count to 9"), stream=True))[0] == "1 2 3 4 5 6 7 8 9"
