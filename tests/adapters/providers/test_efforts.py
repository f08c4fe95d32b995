"""Which words for an effort reach which model, and what each row says of thoughts and schemas."""

from __future__ import annotations

import pytest

from app.adapters.providers.registry import KINDS


@pytest.mark.parametrize(
    ("kind", "model", "words"),
    [
        ("openai", "gpt-4o-mini", ()),
        ("openai", "gpt-4.1", ()),
        ("openai", "ft:gpt-4o-2024-08-06:acme::x", ()),
        ("openai", "chatgpt-4o-latest", ()),
        ("openai", "o1-mini", ()),
        ("openai", "o3", ("low", "medium", "high")),
        ("openai", "o4-mini", ("low", "medium", "high")),
        ("openai", "gpt-5-chat-latest", ()),
        ("openai", "gpt-5-mini", ("minimal", "low", "medium", "high")),
        ("openai", "gpt-5-2025-08-07", ("minimal", "low", "medium", "high")),
        ("openai", "gpt-5.1", ("none", "low", "medium", "high")),
        ("openai", "gpt-5.2-codex", ("none", "low", "medium", "high", "xhigh")),
        ("openai", "gpt-6-luna", None),
        ("xai", "grok-4", ()),
        ("xai", "grok-4-fast-reasoning", ()),
        ("xai", "grok-4.20-reasoning", ()),
        ("xai", "grok-4.20-multi-agent", ("low", "medium", "high", "xhigh")),
        ("xai", "grok-3-mini", ("low", "high")),
        ("xai", "grok-4.3", ("none", "low", "medium", "high")),
        ("xai", "grok-4.5", ("low", "medium", "high")),
        ("xai", "grok-4.6", ("low", "medium", "high", "xhigh")),
        ("xai", "grok-5", None),
        ("deepseek", "deepseek-flash", ("none", "minimal", "low", "medium", "high", "xhigh", "max")),
        ("doubao", "doubao-seed-2-0-pro", ("none", "minimal", "low", "medium", "high")),
        ("ollama", "qwen3", ("none", "low", "medium", "high")),
        ("poe", "GPT-5.4", None),
        ("custom", "anything", None),
    ],
)
def test_a_model_gets_the_words_that_it_knows(kind: str, model: str, words: tuple[str, ...] | None) -> None:
    assert KINDS[kind].efforts(model) == words


def test_schemas_are_asked_for_as_each_provider_has_them() -> None:
    ways = {name: KINDS[name].structured("a-model") for name in ("openai", "deepseek", "ollama", "openrouter")}
    ways |= {name: KINDS[name].structured("a-model") for name in ("xai", "doubao", "poe", "custom")}

    assert ways == {
        "openai": "native",
        "deepseek": "json_mode",
        "ollama": "native",
        "openrouter": "native",
        "xai": "native",
        "doubao": "native",
        "poe": "prompt",
        "custom": "native",
    }


def test_thoughts_go_back_to_those_who_take_them() -> None:
    fields = {name: kind.reasoning_field for name, kind in KINDS.items() if kind.reasoning_field is not None}

    assert fields == {"deepseek": "reasoning_content", "ollama": "reasoning", "openrouter": "reasoning"}
