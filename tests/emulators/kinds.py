"""The providers this upstream can be: where they answer, what they serve, and how each counts usage.

Sources: OpenAI API reference; api-docs.deepseek.com (usage, keep-alive comments); openrouter.ai/docs (usage accounting:
always sent, its chunk still carries a choice; errors with a numeric code); docs.x.ai (cost tracking; reasoning tokens
are counted beside completion tokens); Volcengine Ark chat reference; creator.poe.com; ollama's openai.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Usage = dict[str, Any]
StreamUsage = Literal["asked", "always", "on_finish", "beside_choice"]
"""asked: a last chunk of its own, with include_usage only; always: the same, unasked; on_finish: inside the chunk with
the finish reason; beside_choice: a last chunk of its own that still has an empty choice."""


@dataclass(frozen=True)
class Counts:
    """What an answer consumed, before a kind puts it in its own words."""

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0
    audio: int = 0


@dataclass(frozen=True)
class Kind:
    name: str
    prefix: str
    models: tuple[str, ...]
    paths: frozenset[str]
    usage: Callable[[Counts], Usage]
    stream_usage: StreamUsage = "asked"
    reasoning_field: str | None = None
    """Where the chain of thought of a reasoning model goes; None: it is not shown."""
    opening_comment: str | None = None
    is_strict: bool = False
    """Refuses parameters it does not know."""
    needs_key: bool = True
    key_path: str | None = None
    """A GET that tells whether a key is good, where the list of models is public and tells nothing."""

    @property
    def key(self) -> str:
        """The key that is good from the start."""
        return f"sk-{self.name}-emulated-0123456789abcdef"


_CHAT = {"/chat/completions", "/models"}
_EVERYTHING = frozenset(
    _CHAT
    | {"/completions", "/embeddings", "/images/generations", "/images/edits", "/moderations"}
    | {"/audio/speech", "/audio/transcriptions", "/audio/translations"}
)


def _plain(c: Counts) -> Usage:
    return {
        "prompt_tokens": c.prompt,
        "completion_tokens": c.completion + c.reasoning,
        "total_tokens": c.prompt + c.completion + c.reasoning,
    }


def _openai(c: Counts) -> Usage:
    return _plain(c) | {
        "prompt_tokens_details": {"cached_tokens": c.cached, "audio_tokens": c.audio},
        "completion_tokens_details": {
            "reasoning_tokens": c.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _deepseek(c: Counts) -> Usage:
    usage = _plain(c) | {
        "prompt_tokens_details": {"cached_tokens": c.cached},
        "prompt_cache_hit_tokens": c.cached,
        "prompt_cache_miss_tokens": c.prompt - c.cached,
    }
    if c.reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": c.reasoning}
    return usage


def _openrouter(c: Counts) -> Usage:
    cost = (c.prompt * 15 + (c.completion + c.reasoning) * 60) / 100_000_000
    return _plain(c) | {
        "cost": cost,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": c.cached, "audio_tokens": c.audio},
        "cost_details": {
            "upstream_inference_cost": None,
            "upstream_inference_prompt_cost": c.prompt * 15 / 100_000_000,
            "upstream_inference_completions_cost": (c.completion + c.reasoning) * 60 / 100_000_000,
        },
        "completion_tokens_details": {"reasoning_tokens": c.reasoning},
    }


def _xai(c: Counts) -> Usage:
    """Reasoning tokens are not inside `completion_tokens`, yet inside the total. 10^10 ticks are one US dollar."""
    return {
        "prompt_tokens": c.prompt,
        "completion_tokens": c.completion,
        "total_tokens": c.prompt + c.completion + c.reasoning,
        "prompt_tokens_details": {
            "text_tokens": c.prompt,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": c.cached,
        },
        "completion_tokens_details": {
            "reasoning_tokens": c.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "num_sources_used": 0,
        "cost_in_usd_ticks": c.prompt * 2_000 + (c.completion + c.reasoning) * 5_000,
    }


def _doubao(c: Counts) -> Usage:
    return _plain(c) | {
        "prompt_tokens_details": {"cached_tokens": c.cached},
        "completion_tokens_details": {"reasoning_tokens": c.reasoning},
    }


_OPENAI_MODELS = (
    "gpt-4o-mini",
    "gpt-4o-audio-preview",
    "o3-mini",
    "gpt-3.5-turbo-instruct",
    "text-embedding-3-small",
    "gpt-image-1",
    "dall-e-3",
    "gpt-4o-mini-tts",
    "whisper-1",
    "gpt-4o-transcribe",
    "omni-moderation-latest",
)

KINDS: tuple[Kind, ...] = (
    Kind("openai", "/openai/v1", _OPENAI_MODELS, _EVERYTHING | {"/responses"}, _openai, is_strict=True),
    Kind(
        "deepseek",
        "/deepseek",
        ("deepseek-chat", "deepseek-reasoner"),
        frozenset(_CHAT | {"/beta/completions"}),
        _deepseek,
        stream_usage="on_finish",
        reasoning_field="reasoning_content",
        opening_comment=": keep-alive",
    ),
    Kind(
        "ollama",
        "/ollama/v1",
        ("llama3.2:latest", "llama3.2-reasoner:latest", "nomic-embed-text:latest"),
        frozenset(_CHAT | {"/completions", "/embeddings"}),
        _plain,
        reasoning_field="reasoning",
        needs_key=False,
    ),
    Kind(
        "openrouter",
        "/openrouter/api/v1",
        ("meta-llama/llama-3.3-70b-instruct", "deepseek/deepseek-r1-reasoner", "openai/text-embedding-3-small"),
        frozenset(_CHAT | {"/responses", "/completions", "/embeddings"}),
        _openrouter,
        stream_usage="beside_choice",
        reasoning_field="reasoning",
        opening_comment=": OPENROUTER PROCESSING",
        key_path="/key",
    ),
    Kind(
        "xai",
        "/xai/v1",
        ("grok-4-fast-non-thinking", "grok-4-reasoner", "grok-4.3-reasoner", "grok-2-image"),
        frozenset(_CHAT | {"/responses", "/images/generations"}),
        _xai,
        stream_usage="always",
        reasoning_field="reasoning_content",
        key_path="/api-key",
    ),
    Kind(
        "doubao",
        "/doubao/api/v3",
        (
            *("doubao-seed-1-6-250615", "doubao-seed-1-6-reasoner", "doubao-seedream-4-0-250828"),
            *("doubao-embedding-large", "doubao-embedding-vision-250615"),
        ),
        frozenset(_CHAT | {"/embeddings", "/embeddings/multimodal", "/images/generations"}),
        _doubao,
        reasoning_field="reasoning_content",
    ),
    Kind(
        "poe",
        "/poe/v1",
        ("GPT-5-mini", "Claude-Sonnet-4.6"),
        frozenset(_CHAT),
        _openai,
        key_path="/usage/current_balance",
    ),
    Kind("custom", "/custom/v1", _OPENAI_MODELS, _EVERYTHING, _openai),
)

BY_NAME = {kind.name: kind for kind in KINDS}


_POE_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_credits",
    403: "moderation_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    502: "upstream_error",
    529: "overloaded_error",
}


def error_body(kind: Kind, status: int, message: str, *, type_: str, param: str | None, code: str | None) -> Any:
    """An error in this kind's own shape."""
    if kind.name == "openrouter":
        return {"error": {"message": message, "code": status}, "user_id": "user_emulatedaccount"}
    if kind.name == "doubao":
        words = {401: "AuthenticationError", 429: "RateLimitExceeded", 404: "ModelNotFound"}
        error = {"code": words.get(status, code or "InvalidParameter"), "param": param or "", "type": type_}
        return {"error": error | {"message": f"{message} Request id: 02175{'0' * 44}"}}
    if kind.name == "poe":
        return {"error": {"code": status, "type": _POE_TYPES.get(status, "provider_error"), "message": message}}
    if kind.name == "xai":
        return {"code": f"Client specified an invalid argument ({type_})", "error": message}
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}
