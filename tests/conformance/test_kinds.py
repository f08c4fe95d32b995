"""Each kind of provider with its own paths, its own way to report usage, and its own extras."""

from __future__ import annotations

import openai
import pytest

from tests.conformance.doors import Door

CHAT_MODELS = {
    "openai": "gpt-4o-mini",
    "deepseek": "deepseek-chat",
    "ollama": "llama3.2:latest",
    "openrouter": "meta-llama/llama-3.3-70b-instruct",
    "xai": "grok-4-fast-non-thinking",
    "doubao": "doubao-seed-1-6-250615",
    "poe": "GPT-5-mini",
    "custom": "gpt-4o-mini",
}
REASONERS = {
    "deepseek": ("deepseek-reasoner", "reasoning_content"),
    "openrouter": ("deepseek/deepseek-r1-reasoner", "reasoning"),
    "xai": ("grok-4-reasoner", "reasoning_content"),
    "doubao": ("doubao-seed-1-6-reasoner", "reasoning_content"),
}
PATHS = {"deepseek": "/deepseek/chat/completions", "doubao": "/doubao/api/v3/chat/completions"}
CACHED = [{"role": "system", "content": "a long cached instruction"}, {"role": "user", "content": "count to 4"}]


@pytest.mark.parametrize("kind", CHAT_MODELS)
def test_a_chat_reaches_the_provider_on_its_own_path(door: Door, kind: str) -> None:
    with door.client(kind) as client:
        answer = client.chat.completions.create(model=door.model(CHAT_MODELS[kind], kind), messages=CACHED)

    assert answer.choices[0].message.content == "1 2 3 4"
    sent = door.sent(kind)
    base = door.upstream.base_url(kind).removeprefix(door.upstream.root)
    assert sent["path"] == PATHS.get(kind, f"{base}/chat/completions")
    assert sent["body"]["model"] == CHAT_MODELS[kind]
    if kind != "ollama":
        assert sent["headers"]["authorization"] == f"Bearer {door.upstream.key(kind)}"
    cached = 0 if kind == "ollama" else 7
    door.expect_record(provider=kind, status="succeeded", input=13 - cached, cache_read=cached, output=4)


@pytest.mark.parametrize("kind", CHAT_MODELS)
@pytest.mark.parametrize("is_asked", [False, True])
def test_usage_of_a_stream_is_recorded_whether_asked_or_not(door: Door, kind: str, is_asked: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if is_asked else {}
    with door.client(kind) as client:
        chunks = list(
            client.chat.completions.create(
                model=door.model(CHAT_MODELS[kind], kind), messages=CACHED, stream=True, **options
            )
        )

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "1 2 3 4"
    reports = [chunk.usage for chunk in chunks if chunk.usage is not None]
    if is_asked:
        assert len(reports) == 1
        assert (reports[0].prompt_tokens, reports[0].completion_tokens) == (13, 4)
    elif door.is_hub:
        # A report inside the chunk with the finish reason cannot be withheld without touching that chunk.
        assert all(chunk.choices for chunk in chunks)
    cached = 0 if kind == "ollama" else 7
    door.expect_record(
        provider=kind, finish_reason="stop", input=13 - cached, cache_read=cached, output=4, usage_source="provider"
    )


@pytest.mark.parametrize("kind", REASONERS)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_the_chain_of_thought_passes_and_is_counted_once(door: Door, kind: str, is_streamed: bool) -> None:
    model, field = REASONERS[kind]
    ask = {"model": door.model(model, kind), "messages": [{"role": "user", "content": "count to 3"}]}
    with door.client(kind) as client:
        if is_streamed:
            chunks = list(client.chat.completions.create(**ask, stream=True))
            thought = "".join((c.choices[0].delta.model_extra or {}).get(field) or "" for c in chunks if c.choices)
        else:
            message = client.chat.completions.create(**ask).choices[0].message
            thought = (message.model_extra or {})[field]

    assert thought == "The user asks politely."
    # xAI counts reasoning beside the completion, the others inside it: either way three words and four thoughts.
    door.expect_record(output=7, reasoning=4)


@pytest.mark.parametrize(
    ("kind", "nano_usd"), [("openrouter", (13 * 15 + 4 * 60) * 10), ("xai", (13 * 2_000 + 4 * 5_000) // 10)]
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_the_provider_says_it_will_bill_is_kept(
    hub_door: Door, kind: str, nano_usd: int, is_streamed: bool
) -> None:
    with hub_door.client(kind) as client:
        answer = client.chat.completions.create(
            model=hub_door.model(CHAT_MODELS[kind], kind), messages=CACHED, stream=is_streamed
        )
        if is_streamed:
            list(answer)

    hub_door.expect_record(provider_cost_nano=nano_usd)


def test_deepseeks_own_cache_counts_reach_the_client(door: Door) -> None:
    with door.client("deepseek") as client:
        answer = client.chat.completions.create(model=door.model("deepseek-chat", "deepseek"), messages=CACHED)

    assert answer.usage is not None and answer.usage.model_extra is not None
    assert answer.usage.model_extra["prompt_cache_hit_tokens"] == 7
    assert answer.usage.model_extra["prompt_cache_miss_tokens"] == 6


@pytest.mark.parametrize(
    ("kind", "words"),
    [("openrouter", "Invalid value"), ("xai", "Invalid value"), ("doubao", "Invalid value"), ("deepseek", "Invalid")],
)
def test_an_error_in_the_providers_own_shape_becomes_openais(hub_door: Door, kind: str, words: str) -> None:
    with hub_door.client(kind) as client, pytest.raises(openai.BadRequestError, match=words) as caught:
        client.chat.completions.create(
            model=hub_door.model(CHAT_MODELS[kind], kind),
            messages=[{"role": "narrator", "content": "x"}],  # type: ignore[list-item]
        )

    error = caught.value.response.json()["error"]
    assert isinstance(error["message"], str)
    assert {"message", "type", "param", "code"} <= set(error)


def test_deepseek_is_told_the_limit_by_the_name_it_knows(hub_door: Door) -> None:
    with hub_door.client("deepseek") as client:
        answer = client.chat.completions.create(
            model="deepseek/deepseek-chat",
            messages=[{"role": "user", "content": "count to 50"}],
            max_completion_tokens=3,
        )

    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("1 2 3", "length")
    assert "max_completion_tokens" not in hub_door.sent("deepseek")["body"]


def test_deepseeks_legacy_completions_have_a_base_of_their_own(hub_door: Door) -> None:
    with hub_door.client("deepseek") as client:
        answer = client.completions.create(model="deepseek/deepseek-chat", prompt="count to 3")

    assert answer.choices[0].text == "1 2 3"
    assert hub_door.sent("deepseek")["path"] == "/deepseek/beta/completions"


def test_a_provider_without_an_endpoint_is_not_asked(hub_door: Door) -> None:
    with hub_door.client() as client, pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(model="poe/GPT-5-mini", input="x")

    assert caught.value.status_code in (400, 404, 501)
    assert hub_door.upstream.calls() == []


@pytest.mark.parametrize("given", [{}, {"HTTP-Referer": "https://app.example", "X-Title": "App"}])
def test_openrouter_is_told_who_asks(hub_door: Door, given: dict[str, str]) -> None:
    with hub_door.client("openrouter") as client:
        client.chat.completions.create(
            model=hub_door.model(CHAT_MODELS["openrouter"], "openrouter"), messages=CACHED, extra_headers=given
        )

    headers = hub_door.sent("openrouter")["headers"]
    assert headers["http-referer"] == given.get("HTTP-Referer", "https://www.aigne.io")
    assert headers["x-title"] == given.get("X-Title", "AIGNE Hub")


def test_openrouters_routing_and_fall_backs_pass(hub_door: Door) -> None:
    routing = {
        "models": ["a/b", "c/d"],
        "provider": {"sort": "price"},
        "usage": {"include": True},
        "plugins": [{"id": "web"}],
    }
    with hub_door.client("openrouter") as client:
        client.chat.completions.create(
            model=hub_door.model(CHAT_MODELS["openrouter"], "openrouter"), messages=CACHED, extra_body=routing
        )

    sent = hub_door.sent("openrouter")["body"]
    assert {name: sent[name] for name in routing} == routing
