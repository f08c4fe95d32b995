"""A stream between two formats: what the relay sees of it, and what is kept for the next turn."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from app.base.usage import Usage
from app.wire import translation
from app.wire.answers import BrokenStream
from app.wire.neutral import Opaque, Reasoning, ToolCall
from app.wire.neutral_answer import ReasoningDelta, ReasoningEnd, ToolCallDelta, ToolCallStart
from app.wire.openai import chat_client, chat_upstream
from app.wire.translation import Gathered, Translation
from tests.wire.openai.chats import DONE, REPLY, chunk, target


def translated() -> Translation:
    reader = chat_upstream.stream_reader(target("ollama", is_streamed=True))
    return Translation(reader, chat_client.stream_writer(REPLY), _usage)


def _usage(report: Raw | None) -> Usage | None:
    return None if report is None else Usage(input=json.loads(bytes(report))["total_tokens"])


def test_a_stream_is_followed_to_its_end() -> None:
    tap = translated()
    assert (tap.feed(b": waiting\n\n"), tap.has_begun) == (b"", False)

    said = tap.feed(chunk({"role": "assistant", "content": ""}))
    said += tap.feed(chunk({"reasoning": "hm"})) + tap.feed(chunk({"content": "four"}))
    said += tap.feed(chunk({}, "stop", usage={"total_tokens": 5})) + tap.feed(DONE) + tap.finish()

    assert said.count(b'"role":"assistant"') == 1
    assert b'"reasoning_content":"hm"' in said and b'"content":"four"' in said
    assert (tap.finish_reason, tap.is_complete, tap.upstream_id) == ("stop", True, "chatcmpl-1")
    assert (tap.text, tap.characters) == ("four", len("hmfour"))
    assert b'"prompt_tokens":5' in tap.tail and tap.tail.endswith(b"data: [DONE]\n\n")


def test_an_error_is_seen_and_nothing_follows_it() -> None:
    tap = translated()
    tap.feed(chunk({"content": "a"}))

    assert tap.feed(b'data: {"error": {"message": "no"}}\n\n' + chunk({"content": "b"})) == b""
    assert json.loads(bytes(tap.error or b"")) == {"message": "no"}
    assert not tap.is_complete


def test_what_cannot_be_followed_breaks_off() -> None:
    with pytest.raises(BrokenStream):
        translated().feed(b"data: {nonsense\n\n")


def test_a_provider_that_lives_without_saying_anything_keeps_the_client_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(translation, "monotonic", lambda: now[0])
    tap = translated()

    assert tap.feed(b": alive\n\n") == b""
    now[0] = 11.0
    assert tap.feed(b": alive\n\n").startswith(b":")
    assert tap.feed(b": alive\n\n") == b""


def test_thoughts_and_calls_are_kept_for_the_next_turn() -> None:
    gathered = Gathered()
    for event in (
        ReasoningDelta("be"),
        ReasoningDelta("cause"),
        ReasoningEnd(Opaque("anthropic", "sig")),
        ToolCallStart(0, "a", "look", Opaque("google", "s")),
        ToolCallStart(1, "b", "listen"),
        ToolCallDelta(0, '{"x":'),
        ToolCallDelta(0, "1}"),
    ):
        gathered.add(event)

    thought, first, second = gathered.parts()
    assert thought == Reasoning(text="because", opaque=Opaque("anthropic", "sig"))
    assert isinstance(first, ToolCall) and isinstance(second, ToolCall)
    assert (bytes(first.arguments), first.opaque) == (b'{"x":1}', Opaque("google", "s"))
    assert bytes(second.arguments) == b"{}"


def test_too_much_is_not_kept_at_all() -> None:
    gathered = Gathered()
    for _ in range(3):
        gathered.add(ReasoningDelta("x" * (translation.MAX_GATHERED // 2)))
    gathered.add(ToolCallStart(0, "a", "look"))

    assert (gathered.parts(), gathered.text) == ((), None)
