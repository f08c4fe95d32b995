"""The built-in demo, asked by OpenAI's own client."""

from __future__ import annotations

import base64
import io
import json
import math
import time
import wave
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest

from app.adapters.providers import demo
from app.adapters.providers.demo_values import example
from app.adapters.providers.registry import KINDS
from app.wire.openai.endpoints import BY_PATH
from app.wire.openai.usage import read_usage
from app.wire.request import Outgoing

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 2},
                "unit": {"enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "days", "unit"],
        },
    },
}


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[openai.AsyncOpenAI]:
    monkeypatch.setattr(demo, "PAUSE_SECONDS", 0.0)

    async def handle(request: httpx.Request) -> httpx.Response:
        endpoint = BY_PATH[request.url.path.removeprefix("/v1")]
        answer = await demo.answer(endpoint.name, Outgoing(request.headers["content-type"], request.content))
        pieces = []
        while piece := await answer.piece():
            pieces.append(piece)
        return httpx.Response(answer.status, headers=dict(answer.headers), content=b"".join(pieces))

    transport = httpx.MockTransport(handle)
    async with httpx.AsyncClient(transport=transport) as http:
        yield openai.AsyncOpenAI(api_key="none", base_url="http://demo.test/v1", http_client=http, max_retries=0)


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def test_a_chat_says_that_it_is_the_demo_and_repeats_what_was_said(client: openai.AsyncOpenAI) -> None:
    first = await client.chat.completions.create(model="chat", messages=user("Is it raining?"))
    again = await client.chat.completions.create(model="chat", messages=user("Is it raining?"))
    text = first.choices[0].message.content or ""
    assert "built-in demo model" in text
    assert "Is it raining?" in text
    assert text == again.choices[0].message.content
    assert first.choices[0].finish_reason == "stop"


async def test_a_stream_says_the_same_as_an_answer_in_one_piece(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="chat", messages=user("Hi"))
    stream = await client.chat.completions.create(
        model="chat", messages=user("Hi"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].message.content
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-2].choices[0].finish_reason == "stop"


async def test_a_stream_without_include_usage_has_no_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="chat", messages=user("Hi"), stream=True)
    assert all(chunk.choices and chunk.usage is None for chunk in [chunk async for chunk in stream])


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_tool_is_called_with_arguments_that_fit_and_its_result_is_answered(
    client: openai.AsyncOpenAI, is_streamed: bool
) -> None:
    asked: dict[str, Any] = {"model": "chat", "messages": user("Weather?"), "tools": [WEATHER]}
    if is_streamed:
        async with client.chat.completions.stream(**asked) as stream:
            answer = await stream.get_final_completion()
    else:
        answer = await client.chat.completions.create(**asked)
    assert answer.choices[0].finish_reason == "tool_calls"
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "city", "days": 2, "unit": "celsius"}

    asked["messages"] += [
        {"role": "assistant", "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    then = await client.chat.completions.create(**asked)
    assert "sunny" in then.choices[0].message.content
    assert then.choices[0].message.tool_calls is None


async def test_no_tool_is_called_where_none_is_wanted(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="chat", messages=user("Hi"), tools=[WEATHER], tool_choice="none"
    )
    assert answer.choices[0].message.tool_calls is None


async def test_a_wanted_schema_is_filled(client: openai.AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}},
        "required": ["name", "tags"],
        "$defs": {"tag": {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}},
    }
    answer = await client.chat.completions.create(
        model="chat",
        messages=user("Fill it"),
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}},
    )
    assert json.loads(answer.choices[0].message.content) == {"name": "name", "tags": [{"n": 1}]}
    loose = await client.chat.completions.create(
        model="chat", messages=user("Fill it"), response_format={"type": "json_object"}
    )
    assert json.loads(loose.choices[0].message.content)["you_said"] == "Fill it"


async def test_limits_stops_and_several_answers_are_honoured(client: openai.AsyncOpenAI) -> None:
    short = await client.chat.completions.create(model="chat", messages=user("Hi"), max_tokens=4)
    assert short.choices[0].message.content == "This is the built-in"
    assert short.choices[0].finish_reason == "length"
    assert short.usage.completion_tokens == 4
    stopped = await client.chat.completions.create(model="chat", messages=user("Hi"), stop=["demo"])
    assert "demo" not in stopped.choices[0].message.content
    many = await client.chat.completions.create(model="chat", messages=user("Hi"), n=3)
    assert len({choice.message.content for choice in many.choices}) == 3


async def test_usage_follows_the_written_rule_and_can_be_read(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="chat", messages=user("Count me in"))
    body = json.loads(raw.content)
    usage = read_usage(json.dumps(body["usage"]).encode(), KINDS["demo"].usage, "chat.completions")
    # 11 characters are three begun fours; the answer's words are its tokens.
    assert (usage.input, usage.output) == (3, len(body["choices"][0]["message"]["content"].split()))


async def test_legacy_completions_and_moderations_answer(client: openai.AsyncOpenAI) -> None:
    done = await client.completions.create(model="chat", prompt=["one", "two"], echo=True)
    assert [choice.text.split()[0] for choice in done.choices] == ["oneThis", "twoThis"]
    stream = await client.completions.create(model="chat", prompt="one", stream=True)
    assert "demo" in "".join([chunk.choices[0].text async for chunk in stream])
    checked = await client.moderations.create(input=["a", "b"])
    assert [result.flagged for result in checked.results] == [False, False]


async def test_embeddings_are_unit_vectors_in_both_encodings(client: openai.AsyncOpenAI) -> None:
    # OpenAI's client asks for base64 unless told otherwise.
    packed = await client.embeddings.create(model="embed", input=["cat", "dog", "cat"], dimensions=64)
    plain = await client.embeddings.create(model="embed", input="cat", dimensions=64, encoding_format="float")
    cat, dog, same = (row.embedding for row in packed.data)
    assert cat == same
    assert cat != dog
    assert len(cat) == 64
    assert math.isclose(sum(x * x for x in cat), 1.0, abs_tol=1e-6)
    assert plain.data[0].embedding == pytest.approx(cat, abs=1e-6)
    assert packed.usage.prompt_tokens == 3


async def test_an_image_is_a_png_that_the_prompt_decides(client: openai.AsyncOpenAI) -> None:
    made = await client.images.generate(model="image", prompt="a red cat", n=2)
    first, second = (base64.b64decode(one.b64_json or "") for one in made.data or [])
    again = await client.images.generate(model="image", prompt="a red cat")
    assert first == base64.b64decode(again.data[0].b64_json)
    assert first != second
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(zlib.decompress(first[41 : first.index(b"IEND") - 8])) == 256 * (1 + 3 * 256)
    edited = await client.images.edit(model="image", prompt="bluer", image=first)
    assert edited.data


async def test_speech_is_a_playable_tone_and_a_transcript_names_its_length(client: openai.AsyncOpenAI) -> None:
    spoken = await client.audio.speech.create(model="speech", voice="alloy", input="Good morning")
    with wave.open(io.BytesIO(spoken.content)) as sound:
        seconds = sound.getnframes() / sound.getframerate()
        assert sound.getnchannels() == 1
    heard = await client.audio.transcriptions.create(model="transcribe", file=("a.wav", spoken.content))
    assert f"{len(spoken.content)} bytes" in heard.text
    assert heard.usage.seconds == math.ceil(seconds)
    detailed = await client.audio.transcriptions.create(
        model="transcribe", file=("a.wav", spoken.content), response_format="verbose_json"
    )
    assert detailed.duration == seconds
    translated = await client.audio.translations.create(model="transcribe", file=("a.wav", spoken.content))
    assert "translated" in translated.text
    stream = await client.audio.transcriptions.create(model="transcribe", file=("a.wav", spoken.content), stream=True)
    assert [event.type async for event in stream][-1] == "transcript.text.done"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/chat/completions", {"model": "chat"}, "messages"),
        ("/chat/completions", {"messages": []}, "messages"),
        ("/chat/completions", {"messages": ["hi"]}, "messages[0]"),
        ("/chat/completions", {"messages": [{"role": "user", "content": "x"}], "n": 0}, "n"),
        ("/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": "9"}, "max_tokens"),
        ("/chat/completions", {"messages": [{"role": "user"}], "tools": [WEATHER], "tool_choice": {}}, "tool_choice"),
        ("/completions", {"prompt": 7}, "prompt"),
        ("/embeddings", {"input": []}, "input"),
        ("/embeddings", {"input": "x", "dimensions": 0}, "dimensions"),
        ("/images/generations", {"prompt": ""}, "prompt"),
        ("/images/generations", {"prompt": "x", "n": 11}, "n"),
        ("/audio/speech", {"input": None}, "input"),
        ("/moderations", {"input": 3}, "input"),
    ],
)
async def test_a_bad_request_names_its_field(
    client: openai.AsyncOpenAI, path: str, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.post(path, body=body, cast_to=object)
    assert caught.value.param == param


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
async def test_what_is_no_object_is_refused(content: bytes) -> None:
    answer = await demo.answer("chat.completions", Outgoing("application/json", content))
    assert answer.status == 400


async def test_a_stream_is_paced_and_stops_when_it_is_closed() -> None:
    answer = await demo.answer("chat.completions", {"messages": user("Hi"), "stream": True})
    assert answer.headers["content-type"] == "text/event-stream"
    began = time.perf_counter()
    for _ in range(4):
        assert (await answer.piece()).startswith(b"data: ")
    assert time.perf_counter() - began >= 3 * demo.PAUSE_SECONDS * 0.9
    answer.close()
    assert await answer.piece() == b""


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "string", "minLength": 8}, "valuexxx"),
        ({"type": "string", "maxLength": 2}, "va"),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "multipleOf": 0.5, "minimum": 1.2}, 1.5),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "null"}, None),
        ({"const": 7}, 7),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        (
            {"allOf": [{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}, {"required": []}]},
            {"a": 1},
        ),
        ({"type": "array", "items": {"const": 0}, "minItems": 3}, [0, 0, 0]),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}]}, [1, 2]),
        ({"type": "object", "properties": {"a": {}}}, {}),
        (None, "value"),
        (7, "value"),
    ],
)
def test_an_example_fits_its_schema(schema: Any, value: Any) -> None:
    assert example(schema) == value


def test_a_schema_without_an_end_gives_an_example_all_the_same() -> None:
    node: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for name in "abcdefgh":
        node["properties"][name] = {"$ref": "#"}
        node["required"].append(name)
    began = time.perf_counter()
    assert isinstance(example(node), dict)
    assert example({"$ref": "#"}) is not None
    assert time.perf_counter() - began < 1
