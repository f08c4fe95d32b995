"""Service tiers: what was asked for, and what a provider says it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from app.wire import tiers
from app.wire.anthropic import passing as anthropic_passing
from app.wire.anthropic import upstream as anthropic_upstream
from app.wire.anthropic.endpoints import MESSAGES
from app.wire.bedrock import converse
from app.wire.endpoint import Endpoint
from app.wire.faces import Passing, Target
from app.wire.gemini import chat_upstream as gemini_upstream
from app.wire.gemini import passing as gemini_passing
from app.wire.gemini.endpoints import GENERATE_CONTENT
from app.wire.openai import chat_upstream, passing
from app.wire.request import Request, raw_of
from app.wire.responses import passing as responses_passing
from app.wire.responses import upstream as responses_upstream
from app.wire.responses.endpoints import RESPONSES
from tests.wire.openai.chats import CHAT

TARGET = Target(model="m", origin="o", is_streamed=False, call_id="c" * 32)
CHOICE = {"index": 0, "message": {"content": "a"}, "delta": {"content": "a"}, "finish_reason": "stop"}


def asked(**fields: Any) -> Request:
    document = {name: raw_of(value) for name, value in fields.items()}
    return Request(model="m", is_streamed=True, wants_usage=True, size=0, document=document)


@pytest.mark.parametrize(
    ("request_", "tier"),
    [
        (asked(), None),
        (asked(service_tier="flex"), "flex"),
        (asked(service_tier="PRIORITY"), "priority"),
        (asked(service_tier="auto"), None),
        (asked(service_tier="standard_only"), None),
        (asked(service_tier="standard_only", speed="fast"), "fast"),
        (asked(service_tier=7), None),
        (asked(service_tier="no word at all"), None),
        (asked(serviceTier="SERVICE_TIER_FLEX"), "flex"),
        (asked(input={"modelOptions": {"serviceTier": "priority"}}), "priority"),
        (asked(input=["text"], service_tier="flex"), "flex"),
    ],
)
def test_a_tier_is_asked_for_by_many_names(request_: Request, tier: str | None) -> None:
    assert tiers.requested_tier(request_) == tier


def test_a_form_asks_for_none() -> None:
    assert tiers.requested_tier(Request(model="m", is_streamed=False, wants_usage=False, size=0)) is None


def chat(tier: str) -> dict[str, Any]:
    return {"id": "c", "choices": [CHOICE], "usage": {"prompt_tokens": 1}, "service_tier": tier}


def message(tier: str) -> dict[str, Any]:
    return {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "content": [{"type": "text", "text": "a"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": tier},
    }


def generated(tier: str) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": "a"}], "role": "model"}, "finishReason": "STOP"}
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 1, "serviceTier": tier}}


def response(tier: str) -> dict[str, Any]:
    return {"id": "r", "object": "response", "status": "completed", "output": [], "service_tier": tier}


WHOLE = [
    (passing, chat_upstream, chat),
    (anthropic_passing, anthropic_upstream, message),
    (gemini_passing, gemini_upstream, generated),
    (responses_passing, responses_upstream, response),
]
WORDS = pytest.mark.parametrize(
    ("said", "tier"), [("priority", "priority"), ("default", tiers.USUAL), ("standard", tiers.USUAL), ("auto", None)]
)


@WORDS
@pytest.mark.parametrize(("way", "upstream", "written"), WHOLE)
def test_a_whole_answer_says_what_it_was_served_as(
    way: Passing, upstream: Any, written: Any, said: str, tier: str | None
) -> None:
    content = json.dumps(written(said)).encode()

    assert way.read_facts(content).service_tier == tier
    assert upstream.read_answer(content, TARGET).service_tier == tier


def started(tier: str) -> list[dict[str, Any]]:
    opened = {**message(tier), "content": [], "stop_reason": None}
    return [
        {"type": "message_start", "message": opened},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


STREAMS: list[tuple[Passing, Endpoint, Any, Any]] = [
    (passing, CHAT, chat_upstream, lambda tier: [chat(tier), {**chat(tier), "choices": []}]),
    (anthropic_passing, MESSAGES, anthropic_upstream, started),
    (gemini_passing, GENERATE_CONTENT, gemini_upstream, lambda tier: [generated(tier)]),
    (
        responses_passing,
        RESPONSES,
        responses_upstream,
        lambda tier: [
            {"type": "response.created", "response": response("auto")},
            {"type": "response.completed", "response": response(tier)},
        ],
    ),
]


@WORDS
@pytest.mark.parametrize(("way", "endpoint", "upstream", "written"), STREAMS)
def test_a_stream_says_what_it_was_served_as(
    way: Passing, endpoint: Endpoint, upstream: Any, written: Any, said: str, tier: str | None
) -> None:
    tap, reader = way.follow(asked(), endpoint), upstream.stream_reader(TARGET)
    for event in written(said):
        frame = b"data: " + json.dumps(event).encode() + b"\n\n"
        tap.feed(frame)
        reader.feed(frame)

    assert (tap.service_tier, reader.service_tier) == (tier, tier)


def test_the_last_word_of_a_stream_counts() -> None:
    tap = passing.follow(asked(), CHAT)
    for tier, choices in (("priority", [CHOICE]), ("default", [])):
        tap.feed(b"data: " + json.dumps({**chat(tier), "choices": choices}).encode() + b"\n\n")

    assert tap.service_tier == tiers.USUAL


def test_who_says_nothing_is_not_taken_to_say_the_usual_one() -> None:
    tap = passing.follow(asked(), CHAT)
    tap.feed(b"data: " + json.dumps({"id": "c", "choices": [CHOICE], "usage": {}}).encode() + b"\n\n")

    assert tap.service_tier is None and passing.read_facts(b'{"id":"c"}').service_tier is None
    assert tiers.tier_in_report(Raw(b"[]")) is None and tiers.tier_in_report(None) is None


def test_bedrock_names_it_beside_the_usage() -> None:
    said = {"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}, "serviceTier": {"type": "flex"}}

    assert converse.read_answer(json.dumps(said).encode(), TARGET).service_tier == "flex"


def test_a_fast_answer_of_claudes_is_one_of_another_tier() -> None:
    assert tiers.tier_in_report(Raw(b'{"service_tier":"standard","speed":"fast"}')) == "fast"
    assert tiers.tier_in_report(Raw(b'{"service_tier":"priority","speed":"standard"}')) == "priority"
