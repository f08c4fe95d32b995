"""Streamed chat: pieces, usage, and clients that leave."""

from __future__ import annotations

import json
import re
import time

import openai
import pytest

from tests.conformance.doors import Door

COUNT = [{"role": "user", "content": "count to 20"}]
NUMBERS = " ".join(map(str, range(1, 21)))


def test_a_stream_without_usage_has_no_usage_chunk(door: Door, client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model=door.model("gpt-4o-mini"), messages=COUNT, stream=True))

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == NUMBERS
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert all(chunk.usage is None for chunk in chunks)
    # The hub asks for itself: without usage it could not write down what the call consumed.
    assert door.sent()["body"].get("stream_options") == ({"include_usage": True} if door.is_hub else None)
    door.expect_record(status="succeeded", is_streamed=True, finish_reason="stop", input=6, output=20)


def test_a_stream_with_usage_ends_with_a_chunk_without_choices(door: Door, client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=door.model("gpt-4o-mini"), messages=COUNT, stream=True, stream_options={"include_usage": True}
        )
    )

    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 26
    assert all(chunk.usage is None and chunk.choices for chunk in chunks[:-1])
    assert sum(chunk.usage is not None for chunk in chunks) == 1
    door.expect_record(input=6, output=20, usage_source="provider")


def test_usage_that_was_declined_is_not_sent(door: Door, client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=door.model("gpt-4o-mini"), messages=COUNT, stream=True, stream_options={"include_usage": False}
        )
    )

    assert all(chunk.choices for chunk in chunks)
    door.expect_record(input=6, output=20)


def test_a_call_that_does_not_stream_gets_no_stream_options(door: Door, client: openai.OpenAI) -> None:
    client.chat.completions.create(model=door.model("gpt-4o-mini"), messages=COUNT)

    assert "stream_options" not in door.sent()["body"]


async def test_the_asynchronous_client_streams(door: Door, async_client: openai.AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(
        model=door.model("gpt-4o-mini"), messages=COUNT, stream=True, n=2
    )
    texts = ["", ""]
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""

    assert texts == [NUMBERS, f"{NUMBERS} (choice 1)"]


def test_streamed_logprobs_come_token_by_token(door: Door, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=door.model("gpt-4o-mini"), messages=COUNT, stream=True, logprobs=True, top_logprobs=1
    )
    tokens = [
        token.token
        for chunk in stream
        for choice in chunk.choices
        if choice.logprobs and choice.logprobs.content
        for token in choice.logprobs.content
    ]

    assert "".join(tokens) == NUMBERS


def test_the_stream_helper_puts_the_answer_together(door: Door, client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=door.model("gpt-4o-mini"), messages=COUNT, stream_options={"include_usage": True}
    ) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()

    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert answer.choices[0].message.content == NUMBERS
    assert answer.usage is not None and answer.usage.completion_tokens == 20


def test_a_streams_bytes_are_the_providers_bytes(hub_door: Door) -> None:
    straight = Door(hub_door.upstream, None)
    taken: list[bytes] = []
    for door in (straight, hub_door):
        body = {"model": door.model("gpt-4o-mini"), "messages": COUNT, "stream": True}
        with door.raw() as raw:
            answer = raw.post("/chat/completions", json=body | {"stream_options": {"include_usage": True}})
        assert answer.headers["content-type"].startswith("text/event-stream")
        taken.append(re.sub(rb"emu\d+", b"emu", answer.content))

    assert taken[0] == taken[1]
    assert taken[1].endswith(b"data: [DONE]\n\n")


def test_the_answer_may_not_be_kept_back_by_proxies(hub_door: Door) -> None:
    body = {"model": "openai/gpt-4o-mini", "messages": COUNT, "stream": True}
    with hub_door.raw() as raw:
        headers = raw.post("/chat/completions", json=body).headers

    assert headers["x-accel-buffering"] == "no"
    assert "no-cache" in headers["cache-control"]
    assert "content-encoding" not in headers


def test_pieces_arrive_when_they_are_made(door: Door, client: openai.OpenAI) -> None:
    started = time.monotonic()
    stream = client.chat.completions.create(
        model=door.model("slow-200"), messages=[{"role": "user", "content": "count to 5"}], stream=True
    )
    moments = [time.monotonic() - started for _ in stream]

    assert moments[0] < 0.6
    assert moments[-1] - moments[0] > 0.8


def test_the_provider_is_told_within_a_second_that_the_client_left(door: Door, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=door.model("slow-20"), messages=[{"role": "user", "content": "count to 500"}], stream=True
    )
    for _, _ in zip(range(5), stream, strict=False):
        pass
    left_at = time.monotonic()
    stream.close()

    seen = door.upstream.wait_for(lambda entries: entries[-1]["finished_at"] is not None, seconds=2)
    assert time.monotonic() - left_at < 1.5
    assert seen[-1]["closed_early"] is True
    assert 5 <= seen[-1]["chunks_sent"] < 100
    door.expect_record(status="client_gone", usage_source="estimated")


def test_a_client_that_leaves_at_any_chunk_is_recorded_once(hub_door: Door, hub_client: openai.OpenAI) -> None:
    left: list[str] = []
    for count in range(12):
        stream = hub_client.chat.completions.create(
            model="openai/slow-20", messages=[{"role": "user", "content": "count to 12"}], stream=True
        )
        left.append(hub_door.last_headers["x-hub-call-id"])
        for _, _ in zip(range(count), stream, strict=False):
            pass
        stream.close()

    assert hub_door.hub is not None
    ends = [hub_door.hub.call(call_id)["status"] for call_id in left]
    assert ends == ["client_gone"] * 12
    told = [row["id"] for row in hub_door.hub.calls()]
    assert [told.count(call_id) for call_id in left] == [1] * 12


def test_a_provider_that_bills_anyway_is_read_to_its_end(hub_door: Door) -> None:
    with hub_door.client("poe") as client:
        stream = client.chat.completions.create(
            model="poe/slow-20", messages=[{"role": "user", "content": "count to 40"}], stream=True
        )
        for _, _ in zip(range(5), stream, strict=False):
            pass
        stream.close()

    seen = hub_door.upstream.wait_for(lambda entries: entries[-1]["finished_at"] is not None, seconds=5)
    assert seen[-1]["closed_early"] is False
    hub_door.expect_record(status="client_gone", output=40, usage_source="provider")


@pytest.mark.parametrize("dialect", ["crlf", "no-space", "one-byte-chunks"])
def test_every_lawful_way_to_write_a_stream_is_understood(door: Door, client: openai.OpenAI, dialect: str) -> None:
    chunks = list(client.chat.completions.create(model=door.fault(dialect), messages=COUNT, stream=True))

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == NUMBERS
    assert all(chunk.usage is None for chunk in chunks)
    door.expect_record(status="succeeded", input=6, output=20, usage_source="provider")


@pytest.mark.parametrize("fault", ["garbage", "half-utf8"])
def test_what_is_not_json_in_a_stream_does_not_reach_the_client(
    hub_door: Door, hub_client: openai.OpenAI, fault: str
) -> None:
    chunks = list(hub_client.chat.completions.create(model=hub_door.fault(fault), messages=COUNT, stream=True))

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c and c.choices) == NUMBERS
    hub_door.expect_record(status="succeeded", output=20)


def test_a_compressed_stream_that_nobody_asked_for_is_not_passed_on_as_if_it_were_text(hub_door: Door) -> None:
    body = {"model": "fault/gzip", "messages": COUNT, "stream": True}
    with hub_door.raw() as raw:
        answer = raw.post("/chat/completions", json=body)

    assert hub_door.sent()["headers"]["accept-encoding"] == "identity"
    assert answer.status_code == 502 or NUMBERS.replace(" ", "") in re.sub(r"\D", "", answer.text)


def test_comments_of_the_provider_do_not_disturb(hub_door: Door) -> None:
    body = {"model": "openrouter/meta-llama/llama-3.3-70b-instruct", "messages": COUNT, "stream": True}
    with hub_door.raw() as raw:
        answer = raw.post("/chat/completions", json=body)

    lines = [line for line in answer.text.splitlines() if line.startswith("data: {")]
    assert [json.loads(line[6:])["choices"] for line in lines if not json.loads(line[6:])["choices"]] == []
    assert answer.text.endswith("data: [DONE]\n\n")
