"""The bound of an answer's length: read as the caller set it, and lowered to what its credits pay for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.adapters.providers.deviations import max_tokens_by_its_old_name
from app.wire.aigne import chat_client as aigne_chat
from app.wire.aigne import completions_client as aigne_completions
from app.wire.anthropic import client as anthropic_client
from app.wire.anthropic import passing as anthropic_passing
from app.wire.anthropic import upstream as anthropic_upstream
from app.wire.anthropic.endpoints import COUNT_TOKENS, MESSAGES
from app.wire.bedrock import converse
from app.wire.endpoint import Endpoint
from app.wire.faces import ConversationClient, Passing, Target
from app.wire.gemini import chat_client as gemini_client
from app.wire.gemini import chat_upstream as gemini_upstream
from app.wire.gemini import passing as gemini_passing
from app.wire.gemini.endpoints import GENERATE_CONTENT
from app.wire.neutral import Conversation, Effort, Message, ReasoningWish, Sampling, Text
from app.wire.notes import Notes
from app.wire.openai import chat_client, passing
from app.wire.openai.endpoints import ENDPOINTS
from app.wire.request import Document, Request, raw_of
from app.wire.responses import client as responses_client
from app.wire.responses import passing as responses_passing
from app.wire.responses.endpoints import RESPONSES

NAMED = {endpoint.name: endpoint for endpoint in ENDPOINTS}
CHAT, COMPLETIONS = NAMED["chat.completions"], NAMED["completions"]


def asked(**fields: Any) -> Request:
    document: Document = {name: raw_of(value) for name, value in fields.items()}
    return Request(model="m", is_streamed=False, wants_usage=False, size=0, document=document)


@pytest.mark.parametrize(
    ("client", "fields", "most"),
    [
        (chat_client, {}, None),
        (chat_client, {"max_tokens": 50}, 50),
        (chat_client, {"max_tokens": 50, "max_completion_tokens": 20, "n": 3}, 60),
        (chat_client, {"max_tokens": 50, "max_completion_tokens": None}, 50),
        (chat_client, {"max_tokens": 50.0, "n": None}, 50),
        (chat_client, {"max_tokens": -1}, None),
        (chat_client, {"max_tokens": "50"}, None),
        (chat_client, {"max_tokens": True}, None),
        (passing, {"max_tokens": 5, "prompt": ["a", "b"], "n": 2}, 20),
        (passing, {"max_tokens": 5, "prompt": [1, 2, 3]}, 5),
        (passing, {"max_tokens": 5, "prompt": "a", "best_of": 4, "n": 2}, 20),
        (passing, {"n": 4, "size": "1024x1024"}, None),
        (anthropic_client, {"max_tokens": 1000}, 1000),
        (anthropic_client, {"max_tokens": 0.5}, None),
        (responses_client, {"max_output_tokens": 100}, 100),
        (gemini_client, {"generationConfig": {"maxOutputTokens": 100, "candidateCount": 2}}, 200),
        (gemini_client, {"generation_config": {"max_output_tokens": 100}}, 100),
        (gemini_client, {"generationConfig": []}, None),
        (aigne_chat, {"input": {"modelOptions": {"maxTokens": 7}}}, 7),
        (aigne_chat, {"input": {"model_options": {"max_output_tokens": 7}}}, 7),
        (aigne_chat, {"input": "hi", "maxTokens": 7}, None),
        (aigne_completions, {"maxCompletionTokens": 7}, 7),
        (aigne_completions, {"max_tokens": 7, "n": 1}, 7),
    ],
)
def test_the_callers_own_bound_is_known(client: ConversationClient, fields: dict[str, Any], most: int | None) -> None:
    assert client.most_output(asked(**fields)) == most


def test_a_form_has_none() -> None:
    assert passing.most_output(Request(model="m", is_streamed=False, wants_usage=False, size=0)) is None


def sent(way: Passing, endpoint: Endpoint, most: int | None, **fields: Any) -> dict[str, Any]:
    return json.loads(way.write(asked(**fields), endpoint, "up/stream", (), most).content)


@pytest.mark.parametrize(
    ("endpoint", "fields", "most", "changed"),
    [
        (CHAT, {}, 100, {"max_completion_tokens": 100}),
        (CHAT, {"max_tokens": 500}, 100, {"max_tokens": 100}),
        (CHAT, {"max_tokens": 50}, 100, {"max_tokens": 50}),
        (CHAT, {"max_tokens": 50, "max_completion_tokens": 500}, 100, {"max_tokens": 50, "max_completion_tokens": 100}),
        (CHAT, {"max_tokens": None}, 100, {"max_tokens": None, "max_completion_tokens": 100}),
        (CHAT, {"max_tokens": -1}, 100, {"max_tokens": 100}),
        (CHAT, {"n": 4}, 100, {"n": 4, "max_completion_tokens": 25}),
        (CHAT, {"n": 400}, 100, {"n": 400, "max_completion_tokens": 1}),
        (COMPLETIONS, {"prompt": ["a", "b"]}, 100, {"prompt": ["a", "b"], "max_tokens": 50}),
        (
            CHAT,
            {"reasoning": {"max_tokens": 5000, "exclude": True}},
            2000,
            {"reasoning": {"max_tokens": 1500, "exclude": True}, "max_completion_tokens": 2000},
        ),
        (
            CHAT,
            {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 5000}},
            800,
            {"max_tokens": 800, "thinking": {"type": "enabled"}},
        ),
    ],
)
def test_a_completions_bound_is_lowered_where_the_caller_wrote_it(
    endpoint: Endpoint, fields: dict[str, Any], most: int, changed: dict[str, Any]
) -> None:
    assert sent(passing, endpoint, most, **fields) == {**changed, "model": "up/stream"}


def test_a_provider_that_knows_the_old_name_gets_the_bound_by_it() -> None:
    outgoing = passing.write(asked(messages=[]), CHAT, "m", (max_tokens_by_its_old_name,), 100)

    assert json.loads(outgoing.content) == {"messages": [], "model": "m", "max_tokens": 100}


def test_what_writes_no_text_is_not_bounded() -> None:
    assert "max_tokens" not in sent(passing, NAMED["embeddings"], 5, input="a")
    assert "max_completion_tokens" not in sent(passing, NAMED["embeddings"], 5, input="a")
    assert "max_tokens" not in sent(anthropic_passing, COUNT_TOKENS, 5, messages=[])


THINKING = {"type": "enabled", "budget_tokens": 10_000, "display": "omitted"}
CLEARING = {"edits": [{"type": "clear_thinking_20251015"}]}
BOTH = {"edits": [{"type": "clear_thinking_20251015"}, {"type": "clear_tool_uses_20250919"}]}


@pytest.mark.parametrize(
    ("fields", "most", "changed"),
    [
        ({"max_tokens": 4000}, 100, {"max_tokens": 100}),
        ({"max_tokens": 40}, 100, {"max_tokens": 40}),
        ({"max_tokens": 20_000, "thinking": THINKING}, 15_000, {"max_tokens": 15_000, "thinking": THINKING}),
        (
            {"max_tokens": 20_000, "thinking": THINKING},
            4000,
            {"max_tokens": 4000, "thinking": {**THINKING, "budget_tokens": 3000}},
        ),
        (
            {"max_tokens": 20_000, "thinking": THINKING},
            1025,
            {"max_tokens": 1025, "thinking": {**THINKING, "budget_tokens": 1024}},
        ),
        ({"max_tokens": 20_000, "thinking": THINKING}, 1024, {"max_tokens": 1024}),
        ({"max_tokens": 20_000, "thinking": THINKING, "context_management": CLEARING}, 500, {"max_tokens": 500}),
        (
            {"max_tokens": 20_000, "thinking": THINKING, "context_management": BOTH},
            500,
            {"max_tokens": 500, "context_management": {"edits": BOTH["edits"][1:]}},
        ),
        (
            {"max_tokens": 20_000, "thinking": {"type": "adaptive"}},
            500,
            {"max_tokens": 500, "thinking": {"type": "adaptive"}},
        ),
    ],
)
def test_a_messages_thinking_stays_below_its_lowered_bound(
    fields: dict[str, Any], most: int, changed: dict[str, Any]
) -> None:
    assert sent(anthropic_passing, MESSAGES, most, **fields) == {**changed, "model": "up/stream"}


@pytest.mark.parametrize(
    ("fields", "most", "bound"), [({}, 100, 100), ({"max_output_tokens": 50}, 100, 50), ({}, 5, 16)]
)
def test_a_response_keeps_the_least_that_its_vendor_takes(fields: dict[str, Any], most: int, bound: int) -> None:
    assert sent(responses_passing, RESPONSES, most, input="hi", **fields)["max_output_tokens"] == bound


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({}, {"generationConfig": {"maxOutputTokens": 100}}),
        (
            {"generation_config": {"max_output_tokens": 500, "topK": 3}},
            {"generation_config": {"max_output_tokens": 100, "topK": 3}},
        ),
        (
            {"generationConfig": {"candidateCount": 2}},
            {"generationConfig": {"candidateCount": 2, "maxOutputTokens": 50}},
        ),
    ],
)
def test_geminis_bound_is_lowered_in_the_callers_spelling(fields: dict[str, Any], changed: dict[str, Any]) -> None:
    got = sent(gemini_passing, GENERATE_CONTENT, 100, contents=[], **fields)

    assert got == {**changed, "contents": []}


@given(
    st.recursive(
        st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    st.integers(1, 10_000),
)
def test_whatever_stands_there_the_bound_holds_and_the_rest_stays(odd: Any, most: int) -> None:
    rest = {"messages": [{"role": "user", "content": "schön"}], "temperature": 0.50}

    for way, endpoint, name in (
        (passing, CHAT, "max_tokens"),
        (anthropic_passing, MESSAGES, "max_tokens"),
        (responses_passing, RESPONSES, "max_output_tokens"),
    ):
        got = sent(way, endpoint, most, **rest, **{name: odd})
        bound = got.get("max_completion_tokens", got[name])
        assert isinstance(bound, int | float) and 0 <= bound <= max(most, 16)
        assert {key: got[key] for key in rest} == rest


def test_values_that_are_not_the_bound_stay_byte_for_byte() -> None:
    document: Document = {"messages": raw_of([1]), "temperature": raw_of(0.5)}
    document["top_p"] = type(document["messages"])(b"1.50")
    request = Request(model="m", is_streamed=False, wants_usage=False, size=0, document=document)

    assert b'"top_p":1.50' in passing.write(request, CHAT, "m", (), 10).content
    assert b"max_completion_tokens" not in passing.write(request, CHAT, "m", ()).content


@given(
    most=st.integers(1, 70_000),
    budget=st.one_of(st.none(), st.integers(1024, 70_000)),
    effort=st.one_of(st.none(), st.sampled_from(("minimal", "low", "medium", "high", "xhigh", "max"))),
    model=st.sampled_from(("claude-opus-4-1", "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-5-5")),
)
def test_a_translated_conversation_whose_bound_was_lowered_is_legal(
    most: int, budget: int | None, effort: Effort | None, model: str
) -> None:
    said = Conversation(
        messages=(Message(role="user", parts=(Text(text="hi"),)),),
        sampling=Sampling(max_tokens=60_000),
        reasoning=ReasoningWish(effort=effort, budget_tokens=budget),
    )
    said = replace(said, sampling=replace(said.sampling, max_tokens=most))

    claude = _written(anthropic_upstream, said, "anthropic", model)
    amazon = _written(converse, said, "bedrock", f"anthropic.{model}-v1:0")
    google = _written(gemini_upstream, said, "google", "gemini-2.5-pro")

    assert claude["max_tokens"] == amazon["inferenceConfig"]["maxTokens"] == most
    assert google["generationConfig"]["maxOutputTokens"] == most
    for thinking in (claude.get("thinking"), amazon.get("additionalModelRequestFields", {}).get("thinking")):
        if thinking is not None and thinking["type"] == "enabled":
            assert 1024 <= thinking["budget_tokens"] < most


def _written(upstream: Any, said: Conversation, origin: str, model: str) -> dict[str, Any]:
    target = Target(model=model, origin=origin, is_streamed=False, call_id="c" * 32)
    return json.loads(upstream.write_request(said, target, Notes()).content)
