"""The official `anthropic` package through the hub: to Anthropic itself (passed on) and to OpenAI (translated)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import anthropic
import pydantic
import pytest

from tests.conformance.claude import ClaudeDoor

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 40).decode()
PDF = base64.b64encode(b"%PDF-1.4\n" + b"0" * 40).decode()
CLAUDE, OPENAI, THINKER = "claude/claude-opus-4-6", "openai/gpt-4o-mini", "claude/claude-sonnet-4-5-20250929"
BOTH = pytest.mark.parametrize("model", [CLAUDE, OPENAI])
COUNT: list[Any] = [{"role": "user", "content": "count to 5"}]
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIME: dict[str, Any] = {**WEATHER, "name": "get_time", "description": "The time in a city."}


@pytest.fixture
def door(claude_door: ClaudeDoor) -> ClaudeDoor:
    """The journals are empty at the start of each test."""
    claude_door.claude.clear()
    claude_door.others.clear()
    return claude_door


@pytest.fixture
def client(door: ClaudeDoor) -> Iterator[anthropic.Anthropic]:
    with door.client() as opened:
        yield opened


def _texts(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@BOTH
def test_a_message_is_answered(door: ClaudeDoor, client: anthropic.Anthropic, model: str) -> None:
    message = client.messages.create(model=model, max_tokens=50, messages=COUNT, system="Be brief.")

    assert (_texts(message), message.stop_reason, message.role) == ("1 2 3 4 5", "end_turn", "assistant")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens == 5
    record = door.record()
    assert (record["status"], record["output"], record["endpoint"]) == ("succeeded", 5, "messages")
    assert record["input"] == message.usage.input_tokens


@BOTH
def test_a_stream_says_the_same_as_an_answer_in_one_piece(
    door: ClaudeDoor, client: anthropic.Anthropic, model: str
) -> None:
    whole = client.messages.create(model=model, max_tokens=50, messages=COUNT)
    with client.messages.stream(model=model, max_tokens=50, messages=COUNT) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert text == _texts(final) == _texts(whole)
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 5)
    assert door.record()["output"] == 5


@BOTH
async def test_the_asynchronous_client_streams_too(door: ClaudeDoor, model: str) -> None:
    async with (
        door.async_client() as client,
        client.messages.stream(model=model, max_tokens=50, messages=COUNT) as stream,
    ):
        events = [event.type async for event in stream]
        final = await stream.get_final_message()

    assert events[0] == "message_start"
    assert events[-1] == "message_stop"
    assert _texts(final) == "1 2 3 4 5"


@BOTH
@pytest.mark.parametrize("is_streamed", [False, True])
def test_parallel_tools_go_round_the_loop(
    door: ClaudeDoor, client: anthropic.Anthropic, model: str, is_streamed: bool
) -> None:
    messages: list[Any] = [{"role": "user", "content": "use get_weather and get_time"}]
    ask: dict[str, Any] = {"model": model, "max_tokens": 200, "tools": [WEATHER, TIME]}

    def said() -> Any:
        if not is_streamed:
            return client.messages.create(**ask, messages=messages)
        with client.messages.stream(**ask, messages=messages) as stream:
            return stream.get_final_message()

    first = said()
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert [call.input for call in calls] == [{"city": "city-é-0"}, {"city": "city-é-1"}]
    assert first.stop_reason == "tool_use"

    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name}: fine"} for call in calls]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = said()
    assert _texts(second) == "The tools said: get_weather: fine; get_time: fine"
    assert second.stop_reason == "end_turn"


@BOTH
@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "any"}, ["get_weather"]),
        ({"type": "tool", "name": "get_time"}, ["get_time"]),
        ({"type": "none"}, []),
        ({"type": "auto", "disable_parallel_tool_use": True}, []),
    ],
)
def test_a_tool_choice_is_kept(client: anthropic.Anthropic, model: str, choice: Any, called: list[str]) -> None:
    message = client.messages.create(
        model=model, max_tokens=99, messages=COUNT, tools=[WEATHER, TIME], tool_choice=choice
    )

    assert [block.name for block in message.content if block.type == "tool_use"] == called


@BOTH
def test_pictures_and_results_with_pictures_arrive(door: ClaudeDoor, client: anthropic.Anthropic, model: str) -> None:
    picture: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    linked: Any = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    message = client.messages.create(
        model=model, max_tokens=99, messages=[{"role": "user", "content": [picture, linked]}]
    )

    assert "[image/png 48:" in _texts(message)
    assert "https://example.com/a.png" in _texts(message)


def test_documents_go_to_anthropic_in_every_form(door: ClaudeDoor, client: anthropic.Anthropic) -> None:
    pdf: Any = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
    plain: Any = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a tale"}}
    linked: Any = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
    message = client.messages.create(
        model=CLAUDE, max_tokens=99, messages=[{"role": "user", "content": [pdf, plain, linked]}]
    )

    assert "[application/pdf 49:" in _texts(message)
    assert "[document a tale]" in _texts(message)
    assert "https://example.com/a.pdf" in _texts(message)


def test_a_pdf_goes_to_openai_as_a_file(door: ClaudeDoor, client: anthropic.Anthropic) -> None:
    pdf: Any = {
        "type": "document",
        "title": "tale.pdf",
        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
    }
    client.messages.create(model=OPENAI, max_tokens=99, messages=[{"role": "user", "content": [pdf]}])

    parts = door.others.last("openai")["body"]["messages"][-1]["content"]
    assert parts[0]["file"]["filename"] == "tale.pdf"
    assert parts[0]["file"]["file_data"].endswith(PDF)


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("word", ["count", "redact"])
def test_thoughts_and_their_signatures_survive_the_tool_loop(
    door: ClaudeDoor, client: anthropic.Anthropic, is_streamed: bool, word: str
) -> None:
    ask: dict[str, Any] = {
        "model": THINKER,
        "max_tokens": 3000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [WEATHER],
    }
    messages: list[Any] = [{"role": "user", "content": f"{word} get_weather"}]
    if is_streamed:
        with client.messages.stream(**ask, messages=messages) as stream:
            first = stream.get_final_message()
    else:
        first = client.messages.create(**ask, messages=messages)
    assert first.content[0].type == ("redacted_thinking" if word == "redact" else "thinking")
    result = {"type": "tool_result", "tool_use_id": first.content[1].id, "content": "sun"}

    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(**ask, messages=messages)

    assert _texts(second) == "The tools said: sun"
    record = door.record()
    assert (record["reasoning"], record["output"]) == (4, 4 + 4)


def test_thoughts_of_another_vendor_are_readable_and_do_not_harm_the_next_turn_at_anthropic(
    door: ClaudeDoor, client: anthropic.Anthropic
) -> None:
    messages: list[Any] = [{"role": "user", "content": "count to 3"}]
    with client.messages.stream(model="deepseek/deepseek-reasoner", max_tokens=99, messages=messages) as stream:
        first = stream.get_final_message()
    assert [block.type for block in first.content] == ["thinking", "text"]
    assert first.content[0].thinking == "The user asks politely."

    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "count to 2"}]
    for model in (CLAUDE, OPENAI, "deepseek/deepseek-reasoner"):
        again = client.messages.create(model=model, max_tokens=99, messages=messages)
        assert _texts(again) == "1 2"


def test_cache_marks_are_passed_on_and_counted(door: ClaudeDoor, client: anthropic.Anthropic) -> None:
    long = {"type": "text", "text": "the law " * 30, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ask: dict[str, Any] = {"model": CLAUDE, "max_tokens": 50, "messages": COUNT, "system": [long]}
    written = client.messages.create(**ask)
    first = door.record()
    with client.messages.stream(**ask) as stream:
        read = stream.get_final_message()
    second = door.record()

    assert written.usage.cache_creation is not None
    assert written.usage.cache_creation.ephemeral_1h_input_tokens == first["cache_write_1h"] == 60
    assert read.usage.cache_read_input_tokens == second["cache_read"] == 60
    assert (first["cache_read"], second["cache_write_1h"], first["input"]) == (0, 0, second["input"])


def test_cache_marks_that_openai_cannot_be_told_are_listed(door: ClaudeDoor, client: anthropic.Anthropic) -> None:
    marked: Any = [{"type": "text", "text": "law", "cache_control": {"type": "ephemeral"}}]
    client.messages.create(model=OPENAI, max_tokens=50, messages=COUNT, system=marked, extra_body={"top_k": 5})

    assert '"top_k"' in door.last_headers["x-hub-fidelity"]
    assert "system[0]" in door.last_headers["x-hub-fidelity"]


@BOTH
def test_a_stop_sequence_is_kept(client: anthropic.Anthropic, model: str) -> None:
    message = client.messages.create(model=model, max_tokens=50, messages=COUNT, stop_sequences=["4"])

    assert _texts(message).strip() == "1 2 3"
    assert (message.stop_reason, message.stop_sequence) in (("stop_sequence", "4"), ("end_turn", None))


@BOTH
def test_the_limit_of_the_answer_is_kept(client: anthropic.Anthropic, model: str) -> None:
    message = client.messages.create(model=model, max_tokens=2, messages=COUNT)

    assert (_texts(message), message.stop_reason) == ("1 2", "max_tokens")


class Answer(pydantic.BaseModel):
    city: str
    degrees: int


@BOTH
def test_a_parsed_answer_follows_its_model(client: anthropic.Anthropic, model: str) -> None:
    parsed = client.messages.parse(model=model, max_tokens=99, messages=COUNT, output_format=Answer)

    assert parsed.parsed_output == Answer(city="city-é-0", degrees=7)


def test_a_refusal_is_told_as_one(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model=CLAUDE, max_tokens=99, messages=[{"role": "user", "content": "please refuse"}]
    )

    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.category == "cyber"


def test_version_and_betas_of_the_client_reach_anthropic_and_its_key_does_not(
    door: ClaudeDoor, client: anthropic.Anthropic
) -> None:
    client.beta.messages.create(
        model=CLAUDE,
        max_tokens=9,
        messages=COUNT,
        betas=["context-management-2025-06-27"],
        extra_body={"context_management": {"edits": []}},
    )

    sent = door.claude.last()
    assert sent["headers"]["anthropic-beta"] == "context-management-2025-06-27"
    assert sent["headers"]["anthropic-version"] == "2026-10-21"
    assert sent["headers"]["x-api-key"] == door.claude.key()
    assert door.hub.key not in str(sent)
    assert sent["body"]["context_management"] == {"edits": []}


def test_a_base_address_with_its_version_is_the_same(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model="versioned/claude-opus-4-6", max_tokens=50, messages=COUNT)

    assert _texts(message) == "1 2 3 4 5"


def test_tokens_are_counted_by_anthropic_where_it_can(door: ClaudeDoor, client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model=CLAUDE, messages=COUNT, system="Be brief.", tools=[WEATHER])
    made = client.messages.create(model=CLAUDE, messages=COUNT, system="Be brief.", tools=[WEATHER], max_tokens=9)

    assert counted.input_tokens == made.usage.input_tokens
    assert [call["path"] for call in door.claude.calls()] == ["/v1/messages/count_tokens", "/v1/messages"]


def test_a_count_at_anthropic_is_a_call_without_tokens(door: ClaudeDoor, client: anthropic.Anthropic) -> None:
    client.messages.count_tokens(model=CLAUDE, messages=COUNT)

    record = door.record()
    assert (record["endpoint"], record["status"], record["usage"]) == (
        "messages.count_tokens",
        "succeeded",
        {"requests": 1},
    )


def test_tokens_of_other_models_are_estimated_without_a_call(door: ClaudeDoor, client: anthropic.Anthropic) -> None:
    short = client.messages.count_tokens(model=OPENAI, messages=COUNT).input_tokens
    long = client.messages.count_tokens(model=OPENAI, messages=[{"role": "user", "content": "word " * 4000}])

    assert door.last_headers["x-hub-fidelity"] == 'emulated=("input_tokens")'
    assert 1 <= short < 20
    assert 4000 <= long.input_tokens <= 8000
    assert door.others.calls() == []
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="openai/gpt-none", messages=COUNT)


def test_models_are_listed_in_pages(door: ClaudeDoor, client: anthropic.Anthropic) -> None:
    page = client.models.list(limit=3)
    assert len(page.data) == 3
    assert page.has_more
    names = [model.id for model in client.models.list(limit=3)]

    assert CLAUDE in names
    assert OPENAI in names
    assert len(names) == len(set(names))
    assert client.models.retrieve(CLAUDE).id == CLAUDE
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("claude/none")


def test_openais_clients_get_their_own_list(door: ClaudeDoor) -> None:
    with door.openai_client() as client:
        assert CLAUDE in [model.id for model in client.models.list()]


def test_claude_code_finds_the_hub(door: ClaudeDoor) -> None:
    with door.raw() as raw:
        assert raw.head("/").status_code == 200
        body = {"model": CLAUDE, "max_tokens": 9, "messages": COUNT}
        assert raw.post("/v1/messages?beta=true", json=body).status_code == 200


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("fault", "error", "type_"),
    [
        ("400", anthropic.BadRequestError, "invalid_request_error"),
        ("429-after-9", anthropic.RateLimitError, "rate_limit_error"),
        ("500", anthropic.InternalServerError, "api_error"),
        ("529", anthropic.APIStatusError, "overloaded_error"),
        ("401", anthropic.InternalServerError, "api_error"),
        ("html-502", anthropic.InternalServerError, "api_error"),
        ("close-before-answer", anthropic.InternalServerError, "api_error"),
        ("empty-200", anthropic.InternalServerError, "api_error"),
    ],
)
@pytest.mark.parametrize("kind", ["anthropic", "openai"])
def test_an_error_before_the_answer_has_anthropics_shape(
    door: ClaudeDoor, client: anthropic.Anthropic, kind: str, fault: str, error: Any, type_: str, is_streamed: bool
) -> None:
    with pytest.raises(error) as caught:
        client.messages.create(model=f"{kind}-fault/{fault}", max_tokens=9, messages=COUNT, stream=is_streamed)

    body = caught.value.body
    assert body["type"] == "error"
    assert set(body["error"]) >= {"type", "message"}
    if not (fault == "401" and body["error"]["type"] == "overloaded_error"):
        # The second of the two finds the credential resting.
        assert body["error"]["type"] in (type_, "overloaded_error", "rate_limit_error")
    told = f"{caught.value.response.text} {dict(caught.value.response.headers)}"
    assert [secret for secret in ("sk-", "org-Emulated", door.hub.key) if secret in told] == []
    if fault == "429-after-9":
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 9


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        *(
            (kind, fault)
            for kind in ("anthropic", "openai")
            for fault in ("error-mid-stream-after-4", "cut-after-4", "reset-after-4")
        ),
        # OpenAI's streams are complete with their finish reason.
        ("anthropic", "no-done"),
    ],
)
def test_an_error_in_the_middle_is_raised_by_the_client(
    door: ClaudeDoor, client: anthropic.Anthropic, kind: str, fault: str
) -> None:
    seen: list[str] = []
    with pytest.raises(anthropic.APIStatusError) as caught:
        for event in client.messages.create(model=f"{kind}-fault/{fault}", max_tokens=99, messages=COUNT, stream=True):
            seen.append(event.type)

    assert seen[0] == "message_start"
    assert "message_stop" not in seen
    assert "org-Emulated" not in str(caught.value.body)
    assert door.record()["status"] == "failed"


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
@pytest.mark.parametrize("fault", ["crlf", "no-space", "one-byte-chunks", "no-usage", "negative-usage"])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_oddities_of_a_provider_do_not_reach_the_client(
    door: ClaudeDoor, client: anthropic.Anthropic, kind: str, fault: str, is_streamed: bool
) -> None:
    ask: dict[str, Any] = {"model": f"{kind}-fault/{fault}", "max_tokens": 99, "messages": COUNT}
    if is_streamed and (kind, fault) == ("anthropic", "no-usage"):
        text = "".join(
            event.delta.text
            for event in client.messages.create(**ask, stream=True)
            if event.type == "content_block_delta" and event.delta.type == "text_delta"
        )
    elif is_streamed:
        with client.messages.stream(**ask) as stream:
            text = "".join(stream.text_stream)
    else:
        text = _texts(client.messages.create(**ask))

    assert text == "1 2 3 4 5"
    assert door.record()["usage_source"] == ("estimated" if "usage" in fault else "provider")


def test_requests_that_are_wrong_are_refused_in_anthropics_shape(door: ClaudeDoor) -> None:
    with door.raw() as raw:
        unknown = raw.post("/v1/messages", json={"model": "claude/none", "max_tokens": 9, "messages": COUNT})
        nothing = raw.post("/v1/messages", json={"model": OPENAI, "max_tokens": 9})
        block = {"role": "user", "content": [{"type": "hologram"}]}
        strange = raw.post("/v1/messages", json={"model": OPENAI, "max_tokens": 9, "messages": [block]})
        unlimited = raw.post("/v1/messages", json={"model": OPENAI, "messages": COUNT})
        keyless = raw.post("/v1/messages", json={}, headers={"x-api-key": ""})
        nowhere = raw.get("/v1/messages/batches")

    told = [answer.json()["error"] for answer in (unknown, nothing, strange, unlimited, keyless, nowhere)]
    assert [error["type"] for error in told] == [
        "not_found_error",
        *("invalid_request_error",) * 3,
        "authentication_error",
        "not_found_error",
    ]
    assert [error["param"] for error in told[1:4]] == ["messages", "messages[0].content[0].type", "max_tokens"]
    assert door.others.calls() == []
