"""The kinds of provider that the hub knows: one row each, every fact with its source.

A row with `paths={}` can be added and its credentials kept, but serves no endpoint.

What a stream costs after the client left (`on_disconnect`): OpenRouter publishes where closing the connection stops
model and bill (OpenAI, Azure, Anthropic, xAI, DeepSeek, …) and where it does not (Bedrock, Google, …):
https://openrouter.ai/docs/api-reference/streaming. Where nothing is published the stream is read to its end, so that
the bill is known.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.adapters.providers import demo, deviations, signing
from app.adapters.providers.kinds import Deadlines, Kind
from app.wire.rules import ReportedCost, UsageRule

_LIKE_OPENAI = UsageRule(cache_in_input=True, reasoning_in_output=True)

_CHAT = {"chat.completions": "/chat/completions"}
_EVERYTHING = {
    **_CHAT,
    "completions": "/completions",
    "embeddings": "/embeddings",
    "images.generations": "/images/generations",
    "images.edits": "/images/edits",
    "audio.speech": "/audio/speech",
    "audio.transcriptions": "/audio/transcriptions",
    "audio.translations": "/audio/translations",
    "moderations": "/moderations",
}

_OPENAI = Kind(
    name="openai",
    title="OpenAI",
    docs="https://developers.openai.com/api/reference",
    wire="openai",
    base_url="https://api.openai.com/v1",
    paths=_EVERYTHING,
    signing=signing.bearer,
    usage=_LIKE_OPENAI,
    on_disconnect="cancel",
    # A model that reasons says nothing while it does, and there is no keep-alive. Ten minutes are what OpenAI's own
    # libraries wait: https://github.com/openai/openai-python#timeouts
    deadlines=Deadlines(first_byte=600.0, idle=300.0),
    environment=("OPENAI_API_KEY",),
    key_check_path="/models",
    # https://developers.openai.com/api/docs/models, read 2026-11
    starter_models=(
        ("gpt-6.1-sol", "chat"),
        ("gpt-6-luna", "chat"),
        ("gpt-6-astra", "chat"),
        ("text-embedding-3-small", "embedding"),
        ("text-embedding-3-large", "embedding"),
        ("gpt-image-2.5-flare", "image"),
        ("gpt-transcribe", "transcription"),
        ("omni-moderation-latest", "moderation"),
    ),
)

_DEEPSEEK = Kind(
    name="deepseek",
    title="DeepSeek",
    docs="https://api-docs.deepseek.com",
    wire="openai",
    base_url="https://api.deepseek.com",
    # Legacy completions (fill in the middle) live on a base of their own:
    # https://api-docs.deepseek.com/api/create-completion
    paths={**_CHAT, "completions": "/beta/completions"},
    signing=signing.bearer,
    # https://api-docs.deepseek.com/api/create-chat-completion: prompt_tokens = cache hit + cache miss
    usage=_LIKE_OPENAI,
    on_disconnect="cancel",
    deviations={"chat.completions": (deviations.max_tokens_by_its_old_name,)},
    # Requests queue up to ten minutes: https://api-docs.deepseek.com/quick_start/rate_limit
    deadlines=Deadlines(first_byte=600.0),
    environment=("DEEPSEEK_API_KEY",),
    key_check_path="/models",
    # https://api-docs.deepseek.com/quick_start/pricing, read 2026-11
    starter_models=(("deepseek-flash", "chat"),),
)

_OLLAMA = Kind(
    name="ollama",
    title="Ollama",
    docs="https://docs.ollama.com/api/openai-compatibility",
    wire="openai",
    base_url="http://localhost:11434/v1",
    # Pictures and sound since 0.40; an older one answers 404.
    paths={
        **_CHAT,
        "completions": "/completions",
        "embeddings": "/embeddings",
        "images.generations": "/images/generations",
        "audio.speech": "/audio/speech",
        "audio.transcriptions": "/audio/transcriptions",
    },
    signing=signing.bearer,
    # Asks for none; one given anyway (Ollama's cloud, a proxy in front of it) is sent.
    secret_parts=(),
    usage=_LIKE_OPENAI,
    # It stops generating when the connection closes, and the graphics card is free for the next.
    on_disconnect="cancel",
    # Loading a large model takes minutes: OLLAMA_LOAD_TIMEOUT is 5m, https://docs.ollama.com/faq
    deadlines=Deadlines(first_byte=330.0, idle=120.0),
    environment=("OLLAMA_API_KEY",),
)

_OPENROUTER = Kind(
    name="openrouter",
    title="OpenRouter",
    docs="https://openrouter.ai/docs/api-reference/overview",
    wire="openai",
    base_url="https://openrouter.ai/api/v1",
    # Its /images, /audio/speech and /audio/transcriptions take requests of their own shape, not OpenAI's:
    # https://openrouter.ai/blog/insights/every-modality-one-api/
    paths={**_CHAT, "completions": "/completions", "embeddings": "/embeddings"},
    signing=signing.bearer,
    # https://openrouter.ai/docs/use-cases/usage-accounting
    usage=_LIKE_OPENAI,
    on_disconnect="cancel",
    # Credits are US dollars. With the caller's own provider keys `cost` is OpenRouter's fee alone.
    reported_cost=ReportedCost(path=("cost",), units_per_usd=1),
    environment=("OPENROUTER_API_KEY",),
    # /models is public and says nothing about a key: https://openrouter.ai/docs/api-reference/limits
    key_check_path="/key",
    starter_models=(
        ("openai/gpt-6.1-sol", "chat"),
        ("deepseek/deepseek-v4.1-flash", "chat"),
        ("openai/text-embedding-3-small", "embedding"),
    ),
)

_XAI = Kind(
    name="xai",
    title="xAI",
    docs="https://docs.x.ai/developers/rest-api-reference/inference",
    wire="openai",
    base_url="https://api.x.ai/v1",
    # Image edits take JSON there, not OpenAI's multipart form; speech has its own shape too.
    paths={**_CHAT, "images.generations": "/images/generations"},
    signing=signing.bearer,
    # total_tokens = prompt + completion + reasoning: https://docs.x.ai/docs/guides/reasoning
    usage=UsageRule(cache_in_input=True, reasoning_in_output=False),
    on_disconnect="cancel",
    # Its own library waits 27 minutes for a model that reasons: https://docs.x.ai/developers/debugging
    deadlines=Deadlines(first_byte=1620.0, idle=300.0),
    # 1 USD = 10^10 ticks: https://docs.x.ai/developers/cost-tracking
    reported_cost=ReportedCost(path=("cost_in_usd_ticks",), units_per_usd=10_000_000_000),
    # A wrong key is documented as 400 like any invalid argument, with the code of one (https://docs.x.ai/developers/
    # debugging); an empty account as 429 with the code of a rate limit. Only the sentences tell them apart.
    error_sentences={
        "Incorrect API key provided": "bad_key",
        "used all available credits or reached its monthly spending limit": "out_of_credit",
    },
    environment=("XAI_API_KEY",),
    key_check_path="/api-key",
    # https://docs.x.ai/developers/models, read 2026-11
    starter_models=(("grok-4.6", "chat"), ("grok-4.3", "chat"), ("grok-imagine-image", "image")),
)

_DOUBAO = Kind(
    name="doubao",
    title="Doubao (Volcengine Ark)",
    docs="https://www.volcengine.com/docs/82379/1494384",
    wire="openai",
    base_url="https://ark.cn-beijing.volces.com/api/v3",
    paths={**_CHAT, "embeddings": "/embeddings", "images.generations": "/images/generations"},
    signing=signing.bearer,
    usage=_LIKE_OPENAI,
    on_disconnect="drain",
    # https://www.volcengine.com/docs/82379/1299023 (error codes); a code is followed by a dot and its finer kinds.
    error_codes={
        "AuthenticationError": "bad_key",
        "AccountOverdueError": "out_of_credit",
        "AccessDenied": "no_access",
        "QuotaExceeded": "no_access",
        "SetLimitExceeded": "no_access",
        "ModelNotOpen": "no_model",
        "InvalidEndpoint": "no_model",
        "InvalidEndpointOrModel": "no_model",
        "RateLimitExceeded": "limited",
        "AccountRateLimitExceeded": "limited_credential",
        "ServerOverloaded": "overloaded",
        "SensitiveContentDetected": "content_policy",
        "InputTextSensitiveContentDetected": "content_policy",
        "InputImageSensitiveContentDetected": "content_policy",
        "OutputTextSensitiveContentDetected": "content_policy",
        "OutputImageSensitiveContentDetected": "content_policy",
        "InputTextRiskDetection": "content_policy",
        "InputImageRiskDetection": "content_policy",
        "OutputTextRiskDetection": "content_policy",
        "OutputImageRiskDetection": "content_policy",
    },
    environment=("ARK_API_KEY",),
    key_check_path="/models",
    starter_models=(("doubao-seed-2-0-pro-260215", "chat"), ("doubao-seedream-5-0-260128", "image")),
)

_POE = Kind(
    name="poe",
    title="Poe",
    docs="https://creator.poe.com/docs/external-applications/openai-compatible-api",
    wire="openai",
    base_url="https://api.poe.com/v1",
    # Pictures and sound come out of chat completions there.
    paths=_CHAT,
    signing=signing.bearer,
    usage=_LIKE_OPENAI,
    on_disconnect="drain",
    deadlines=Deadlines(first_byte=600.0, idle=300.0),
    # 500 requests a minute per account, whatever the model; 403 is moderation:
    # https://creator.poe.com/docs/external-applications/openai-compatible-api
    error_codes={
        "authentication_error": "bad_key",
        "insufficient_credits": "out_of_credit",
        "moderation_error": "content_policy",
        "not_found_error": "no_model",
        "rate_limit_error": "limited_credential",
        "overloaded_error": "overloaded",
    },
    environment=("POE_API_KEY",),
    # /v1/models is public: https://creator.poe.com/docs/resources/usage-api
    key_check_path="../usage/current_balance",
    starter_models=(("GPT-5.4", "chat"), ("Claude-Sonnet-4.6", "chat"), ("Gemini-3.1-Pro", "chat")),
)

_CUSTOM = Kind(
    name="custom",
    title="Another OpenAI-compatible server",
    docs="https://developers.openai.com/api/reference",
    wire="openai",
    base_url=None,
    paths=_EVERYTHING,
    signing=signing.bearer,
    usage=_LIKE_OPENAI,
    # vLLM, llama.cpp, SGLang and their like stop when the connection closes, and the graphics card is free.
    on_disconnect="cancel",
    deadlines=Deadlines(first_byte=600.0, idle=120.0),
    key_check_path="/models",
)

_ANTHROPIC = Kind(
    name="anthropic",
    title="Anthropic",
    docs="https://docs.anthropic.com/en/api/overview",
    wire="anthropic",
    base_url="https://api.anthropic.com",
    paths={},
    signing=signing.x_api_key,
    # https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance
    usage=UsageRule(cache_in_input=False, reasoning_in_output=True),
    on_disconnect="cancel",
    extra_headers={"anthropic-version": "2023-06-01"},
    environment=("ANTHROPIC_API_KEY",),
    key_check_path="/v1/models",
    models_path="/v1/models",
)

_GOOGLE = Kind(
    name="google",
    title="Google Gemini",
    docs="https://ai.google.dev/api",
    wire="gemini",
    base_url="https://generativelanguage.googleapis.com",
    paths={},
    signing=signing.x_goog_api_key,
    # promptTokenCount contains the cached, candidatesTokenCount does not contain the thoughts:
    # https://ai.google.dev/api/generate-content#UsageMetadata
    usage=UsageRule(cache_in_input=True, reasoning_in_output=False),
    on_disconnect="drain",
    environment=("GEMINI_API_KEY",),
    key_check_path="/v1beta/models",
    models_path="/v1beta/models",
)

_BEDROCK = Kind(
    name="bedrock",
    title="Amazon Bedrock",
    docs="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
    wire="bedrock",
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    paths={},
    signing=signing.bearer_api_key,
    secret_parts=("access_key_id", "secret_access_key", "session_token", "api_key"),
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
    usage=UsageRule(cache_in_input=False, reasoning_in_output=True),
    on_disconnect="drain",
    environment=("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    models_path=None,
)

_DEMO = Kind(
    name="demo",
    title="Built-in demo",
    docs="app/adapters/providers/demo.py",
    wire="openai",
    base_url="demo:",
    paths=_EVERYTHING,
    signing=signing.unsigned,
    secret_parts=(),
    usage=_LIKE_OPENAI,
    on_disconnect="cancel",
    models_path=None,
    starter_models=demo.MODELS,
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        _OPENAI,
        _ANTHROPIC,
        _BEDROCK,
        _GOOGLE,
        _DEEPSEEK,
        _OLLAMA,
        _OPENROUTER,
        _XAI,
        _DOUBAO,
        _POE,
        _CUSTOM,
        _DEMO,
    )
}
"""By name, in the order in which people are shown them."""
