"""Vendors' Python clients through the hub to aimock as each of the ten kinds, where aimock is like the real service.

`openai` calls all ten, so that three are translated; `anthropic` and `google-genai` call their own kind, passed on.
aimock has no `n`, no logprobs, no base64 and no usage of embeddings, and what it calls malformed is a whole answer,
no frame in a stream; for those the other tests use our own emulators. It announces text in Bedrock's streams, which
the real service does not: the hub reads past it, as past any event that is new.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pydantic
import pytest
from google.genai import errors, types

from tests.conformance import aimock as stand_in
from tests.conformance import node_clients
from tests.conformance.aimock import CHAT_PATHS, KINDS, OTHERS, PREFIXES, Aimock, AimockDoor
from tests.conformance.hub import Hub, running_hub

HELLO: list[Any] = [{"role": "user", "content": "hello aimock"}]
ANSWER = "Hello from the other stand-in, with an é and a 🚀."
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
]
EACH = pytest.mark.parametrize(
    ("aimock_door", "kind"),
    [*(("straight", kind) for kind in PREFIXES), *(("hub", kind) for kind in KINDS)],
    indirect=["aimock_door"],
)
"""Straight to a kind only where it speaks the `openai` package's format."""


class Book(pydantic.BaseModel):
    title: str
    stars: int


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aimock]:
    missing = node_clients.what_is_missing()
    if missing and node_clients.IS_CI:
        pytest.fail(missing)
    if missing:
        pytest.skip(f"not run: {missing}")
    with stand_in.running_aimock(tmp_path_factory.mktemp("aimock") / "aimock.log") as started:
        yield started


@pytest.fixture(scope="module")
def aimock_hub(aimock: Aimock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    data_dir = tmp_path_factory.mktemp("aimock_hub") / "data"
    data_dir.mkdir(mode=0o700)
    with running_hub(stand_in.hub_yaml(aimock), data_dir) as started:
        yield started


@pytest.fixture(scope="module", params=["straight", "hub"])
def aimock_door(request: pytest.FixtureRequest, aimock: Aimock) -> AimockDoor:
    return AimockDoor(aimock, request.getfixturevalue("aimock_hub") if request.param == "hub" else None)


@pytest.fixture
def hub_door(aimock: Aimock, aimock_hub: Hub) -> AimockDoor:
    return AimockDoor(aimock, aimock_hub)


@EACH
def test_a_chat_with_its_usage(aimock_door: AimockDoor, kind: str) -> None:
    with aimock_door.client(kind) as client:
        answer = client.chat.completions.create(model=aimock_door.model("any-model", kind), messages=HELLO)

    assert answer.choices[0].message.content == ANSWER
    assert answer.usage is not None and answer.usage.total_tokens == 34
    seen = aimock_door.upstream.last()
    assert seen["body"]["model"] == "any-model"
    assert seen["path"] == CHAT_PATHS[kind] or kind == "deepseek"
    aimock_door.expect_record(provider=kind, input=21, output=13, usage_source="provider")


@EACH
@pytest.mark.parametrize("is_asked", [False, True])
def test_a_stream_is_counted_whether_asked_or_not(aimock_door: AimockDoor, kind: str, is_asked: bool) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if is_asked else {}
    with aimock_door.client(kind) as client:
        model = aimock_door.model("any-model", kind)
        chunks = list(client.chat.completions.create(model=model, messages=HELLO, stream=True, **options))

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == ANSWER
    assert [c.usage.total_tokens for c in chunks if c.usage and not c.choices] in ([[34]] if is_asked else [[], [34]])
    if aimock_door.is_hub and not is_asked:
        assert all(chunk.choices for chunk in chunks)
    aimock_door.expect_record(provider=kind, input=21, output=13, finish_reason="stop", usage_source="provider")


@EACH
def test_parallel_tools_stream_and_their_results_return(aimock_door: AimockDoor, kind: str) -> None:
    model = aimock_door.model("any-model", kind)
    ask: list[Any] = [{"role": "user", "content": "what is the weather"}]
    with aimock_door.client(kind) as client:
        with client.chat.completions.stream(model=model, messages=ask, tools=TOOLS) as stream:
            message = stream.get_final_completion().choices[0].message
        calls = message.tool_calls or []
        results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
        said = client.chat.completions.create(
            model=model,
            messages=[*ask, message.model_dump(exclude_none=True, exclude={"parsed"}), *results],
            tools=TOOLS,
        )

    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Oslo"]
    assert said.choices[0].message.content == "It is sunny."


@EACH
def test_structured_output_is_parsed(aimock_door: AimockDoor, kind: str) -> None:
    with aimock_door.client(kind) as client:
        answer = client.chat.completions.parse(
            model=aimock_door.model("any-model", kind),
            messages=[{"role": "user", "content": "an object"}],
            response_format=Book,
        )

    assert answer.choices[0].message.parsed == Book(title="a title", stars=3)


@EACH
def test_a_rate_limit_is_one_with_its_wait(aimock_door: AimockDoor, kind: str) -> None:
    with aimock_door.client(kind) as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model=aimock_door.model("limited", kind), messages=[{"role": "user", "content": "too many"}]
        )

    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("fault", "words"), [("broken", "break down"), ("garbage", "speak garbage"), ("hung-up", "hang up")]
)
def test_a_provider_that_fails_is_an_error_without_its_words(
    hub_door: AimockDoor, kind: str, fault: str, words: str, is_streamed: bool
) -> None:
    with hub_door.client(kind) as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=hub_door.model(fault, kind), messages=_user(words), stream=is_streamed)

    assert caught.value.status_code in (502, 503)
    assert "10.0.0.7" not in caught.value.response.text
    hub_door.expect_record(status="failed")


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_breaks_off_is_an_error_after_what_was_said(hub_door: AimockDoor, kind: str) -> None:
    heard: list[str] = []
    with hub_door.client(kind) as client, pytest.raises(openai.APIError, match="broke off"):
        model = hub_door.model("cut", kind)
        for chunk in client.chat.completions.create(model=model, messages=_user("break off"), stream=True):
            heard += [choice.delta.content or "" for choice in chunk.choices]

    assert "".join(heard).startswith("one two t")
    assert "ten" not in "".join(heard)
    hub_door.expect_record(status="failed", usage_source="estimated")
    assert hub_door.record()["output"] == -(-len("".join(heard)) // 4)


@pytest.mark.parametrize("kind", ["openai", "ollama", *OTHERS])
def test_a_slow_drip_arrives_as_it_falls(hub_door: AimockDoor, kind: str) -> None:
    moments: list[float] = []
    heard = ""
    with hub_door.client(kind) as client:
        model = hub_door.model("any-model", kind)
        for chunk in client.chat.completions.create(model=model, messages=_user("drip slowly"), stream=True):
            if said := "".join(choice.delta.content or "" for choice in chunk.choices):
                heard += said
                moments.append(time.monotonic())

    assert heard == "drip drip drip drip"
    assert len(moments) == 4
    # Four drops are three pauses of 150 ms.
    assert moments[-1] - moments[0] > 0.35
    hub_door.expect_record(status="succeeded")


def test_the_other_endpoints_of_openai(aimock_door: AimockDoor) -> None:
    with aimock_door.client() as client:
        vector = client.embeddings.create(
            model=aimock_door.model("embedder"), input="embed me", encoding_format="float"
        )
        picture = client.images.generate(model=aimock_door.model("painter"), prompt="a picture")
        sound = client.audio.speech.create(model=aimock_door.model("speaker"), input="speak", voice="alloy")
        text = client.audio.transcriptions.create(
            model=aimock_door.model("listener"), file=("a.wav", b"RIFF" * 10, "audio/wav")
        )

    assert vector.data[0].embedding == [0.25, -0.5, 0.125, 1.0]
    assert picture.data is not None and picture.data[0].b64_json == "aGVsbG8="
    assert sound.content == b"hello"
    assert text.text == "heard by aimock"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_anthropics_client_gets_a_text_with_its_usage(aimock_door: AimockDoor, is_streamed: bool) -> None:
    ask: dict[str, Any] = {"model": aimock_door.model("any-model", "anthropic"), "max_tokens": 50, "messages": HELLO}
    with aimock_door.anthropic_client() as client:
        if is_streamed:
            with client.messages.stream(**ask) as stream:
                said = "".join(stream.text_stream)
                message = stream.get_final_message()
            assert said == ANSWER
        else:
            message = client.messages.create(**ask)

    assert _texts(message) == ANSWER
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("end_turn", 21, 13)
    aimock_door.expect_record(provider="anthropic", input=21, output=13, usage_source="provider", endpoint="messages")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_anthropics_client_calls_tools_and_returns_their_results(aimock_door: AimockDoor, is_streamed: bool) -> None:
    tool = {"name": "weather", "input_schema": TOOLS[0]["function"]["parameters"]}
    ask: dict[str, Any] = {"model": aimock_door.model("any-model", "anthropic"), "max_tokens": 99, "tools": [tool]}
    messages: list[Any] = _user("what is the weather")
    with aimock_door.anthropic_client() as client:

        def said() -> anthropic.types.Message:
            if not is_streamed:
                return client.messages.create(**ask, messages=messages)
            with client.messages.stream(**ask, messages=messages) as stream:
                return stream.get_final_message()

        first = said()
        calls = [block for block in first.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
        messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        second = said()

    assert first.stop_reason == "tool_use"
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert _texts(second) == "It is sunny."


def test_anthropics_client_parses_structured_output(aimock_door: AimockDoor) -> None:
    with aimock_door.anthropic_client() as client:
        message = client.messages.parse(
            model=aimock_door.model("any-model", "anthropic"),
            max_tokens=99,
            messages=_user("an object"),
            output_format=Book,
        )

    assert message.parsed_output == Book(title="a title", stars=3)


def test_anthropics_client_is_limited_with_the_wait(aimock_door: AimockDoor) -> None:
    with aimock_door.anthropic_client() as client, pytest.raises(anthropic.RateLimitError) as caught:
        client.messages.create(
            model=aimock_door.model("limited", "anthropic"), max_tokens=9, messages=_user("too many")
        )

    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 5


def test_anthropics_client_is_told_of_a_breakdown_and_of_a_cut(hub_door: AimockDoor) -> None:
    with hub_door.anthropic_client() as client:
        with pytest.raises(anthropic.InternalServerError) as broken:
            client.messages.create(model="anthropic/broken", max_tokens=9, messages=_user("break down"))
        with (
            pytest.raises(anthropic.APIStatusError),
            client.messages.stream(model="anthropic/cut", max_tokens=99, messages=_user("break off")) as stream,
        ):
            stream.until_done()

    assert "10.0.0.7" not in broken.value.response.text
    hub_door.expect_record(status="failed", provider="anthropic-cut", usage_source="estimated")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_googles_client_gets_a_text_with_its_usage(aimock_door: AimockDoor, is_streamed: bool) -> None:
    ask: dict[str, Any] = {"model": aimock_door.model("any-model", "google"), "contents": "hello aimock"}
    with aimock_door.google_client() as client:
        if is_streamed:
            answers = list(client.models.generate_content_stream(**ask))
            assert len(answers) > 1
        else:
            answers = [client.models.generate_content(**ask)]

    assert "".join(answer.text or "" for answer in answers) == ANSWER
    usage = answers[-1].usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (21, 13, 34)
    aimock_door.expect_record(provider="google", input=21, output=13, usage_source="provider")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_googles_client_calls_functions_and_returns_their_results(aimock_door: AimockDoor, is_streamed: bool) -> None:
    function = types.FunctionDeclaration(name="weather", parameters_json_schema=TOOLS[0]["function"]["parameters"])
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[function])])
    model = aimock_door.model("any-model", "google")
    # Of these calls the fixture says that they end with STOP, as the real service does and aimock by itself does not.
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text="call the functions")])]
    with aimock_door.google_client() as client:

        def said() -> types.GenerateContentResponse:
            if not is_streamed:
                return client.models.generate_content(model=model, contents=contents, config=config)
            return list(client.models.generate_content_stream(model=model, contents=contents, config=config))[-1]

        first = said()
        calls = first.function_calls or []
        results = [types.Part.from_function_response(name="weather", response={"result": "sunny"}) for _ in calls]
        assert first.candidates is not None
        contents += [first.candidates[0].content, types.Content(role="user", parts=results)]
        second = said()

    assert [call.args for call in calls] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert second.text == "It is sunny."


def test_googles_client_parses_structured_output(aimock_door: AimockDoor) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Book)
    with aimock_door.google_client() as client:
        answer = client.models.generate_content(
            model=aimock_door.model("any-model", "google"), contents="an object", config=config
        )

    assert answer.parsed == Book(title="a title", stars=3)


def test_googles_client_is_limited_with_the_wait(aimock_door: AimockDoor) -> None:
    with aimock_door.google_client() as client, pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=aimock_door.model("limited", "google"), contents="too many")

    assert caught.value.code == 429
    assert 1 <= int(aimock_door.last_headers["retry-after"]) <= 5


def test_googles_client_is_told_of_a_breakdown_and_of_a_cut(hub_door: AimockDoor) -> None:
    with hub_door.google_client() as client:
        with pytest.raises(errors.ServerError) as broken:
            client.models.generate_content(model="google/broken", contents="break down")
        with pytest.raises(errors.APIError):
            list(client.models.generate_content_stream(model="google/cut", contents="break off"))

    assert "10.0.0.7" not in str(broken.value)
    hub_door.expect_record(status="failed", provider="google-cut")


def _user(words: str) -> list[Any]:
    return [{"role": "user", "content": words}]


def _texts(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")
