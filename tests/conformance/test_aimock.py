"""The Python client through the hub to aimock as each of the seven kinds, where aimock is like the real service.

It has no `n`, no logprobs, no base64 and no usage of embeddings; for those the other tests use our own emulator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest

from tests.conformance import aimock as stand_in
from tests.conformance import node_clients
from tests.conformance.aimock import PREFIXES, Aimock, AimockDoor
from tests.conformance.hub import Hub, running_hub

HELLO: list[Any] = [{"role": "user", "content": "hello aimock"}]
ANSWER = "Hello from the other stand-in, with an é and a 🚀."
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
]


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


@pytest.mark.parametrize("kind", PREFIXES)
def test_a_chat_with_its_usage(aimock_door: AimockDoor, kind: str) -> None:
    with aimock_door.client(kind) as client:
        answer = client.chat.completions.create(model=aimock_door.model("any-model", kind), messages=HELLO)

    assert answer.choices[0].message.content == ANSWER
    assert answer.usage is not None and answer.usage.total_tokens == 34
    seen = aimock_door.upstream.last()
    assert seen["body"]["model"] == "any-model"
    assert seen["path"] == f"{PREFIXES[kind]}/chat/completions" or kind == "deepseek"
    aimock_door.expect_record(provider=kind, input=21, output=13, usage_source="provider")


@pytest.mark.parametrize("kind", PREFIXES)
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


@pytest.mark.parametrize("kind", PREFIXES)
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


@pytest.mark.parametrize("kind", PREFIXES)
def test_structured_output_is_parsed(aimock_door: AimockDoor, kind: str) -> None:
    with aimock_door.client(kind) as client:
        answer = client.chat.completions.parse(
            model=aimock_door.model("any-model", kind),
            messages=[{"role": "user", "content": "an object"}],
            response_format=Book,
        )

    assert answer.choices[0].message.parsed == Book(title="a title", stars=3)


@pytest.mark.parametrize("kind", PREFIXES)
def test_a_rate_limit_is_one_with_its_wait(aimock_door: AimockDoor, kind: str) -> None:
    with aimock_door.client(kind) as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model=aimock_door.model("limited", kind), messages=[{"role": "user", "content": "too many"}]
        )

    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 5


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
