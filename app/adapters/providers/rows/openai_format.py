"""Those who speak OpenAI's format, OpenAI first."""

from __future__ import annotations

from app.adapters.providers import deviations, efforts, signing
from app.adapters.providers.kinds import Deadlines, Kind, always_json_mode, always_prompted
from app.wire.rules import ReportedCost, UsageRule

LIKE_OPENAI = UsageRule(cache_in_input=True, reasoning_in_output=True)

_CHAT = {"chat.completions": "/chat/completions"}
_RESPONSES = {"responses": "/responses"}
"""After chat completions, so that what is translated from other formats goes there."""
EVERYTHING = {
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

_OF_OPENAIS_IMAGES = frozenset({"style", "background", "output_format", "output_compression", "partial_images"})
"""Fields of `/images/generations` that others who have the path do not know."""

OPENAI = Kind(
    name="openai",
    title="OpenAI",
    docs="https://developers.openai.com/api/reference",
    wire="openai",
    base_url="https://api.openai.com/v1",
    paths={**EVERYTHING, **_RESPONSES, "videos": "/videos"},
    signing=signing.bearer,
    usage=LIKE_OPENAI,
    # https://developers.openai.com/api/docs/guides/images-vision and …/pdf-files
    fetches_urls=frozenset({"image", "file@responses"}),
    efforts=efforts.of_openai,
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

DEEPSEEK = Kind(
    name="deepseek",
    title="DeepSeek",
    docs="https://api-docs.deepseek.com",
    wire="openai",
    base_url="https://api.deepseek.com",
    # Legacy completions (fill in the middle) live on a base of their own:
    # https://api-docs.deepseek.com/api/create-completion
    paths={**_CHAT, "completions": "/beta/completions"},
    signing=signing.bearer,
    # https://api-docs.deepseek.com/api/create-chat-completion: prompt_tokens = cache hit + cache miss. There too:
    # `response_format` is `text` or `json_object`, and messages hold text alone.
    usage=LIKE_OPENAI,
    structured=always_json_mode,
    # https://api-docs.deepseek.com/guides/thinking_mode#tool-calls: refused without, within a tool loop
    reasoning_field="reasoning_content",
    insists_on_thoughts=True,
    efforts=efforts.of_deepseek,
    on_disconnect="cancel",
    deviations={
        "chat.completions": (
            deviations.max_tokens_by_its_old_name,
            deviations.thinking_off_by_its_switch,
            deviations.thoughts_beside_tool_calls,
        )
    },
    # Requests queue up to ten minutes: https://api-docs.deepseek.com/quick_start/rate_limit
    deadlines=Deadlines(first_byte=600.0),
    environment=("DEEPSEEK_API_KEY",),
    key_check_path="/models",
    # https://api-docs.deepseek.com/quick_start/pricing, read 2026-11
    starter_models=(("deepseek-flash", "chat"),),
)

OLLAMA = Kind(
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
    # A schema binds what is generated; pictures come as base64 alone (so `fetches_urls` is empty), a limit as
    # `max_tokens`: https://docs.ollama.com/api/openai-compatibility
    usage=LIKE_OPENAI,
    # https://github.com/ollama/ollama/blob/main/openai/openai.go: `reasoning` of a message is its thinking
    reasoning_field="reasoning",
    efforts=efforts.of_ollama,
    # It stops generating when the connection closes, and the graphics card is free for the next.
    on_disconnect="cancel",
    deviations={"chat.completions": (deviations.max_tokens_by_its_old_name,)},
    # Loading a large model takes minutes: OLLAMA_LOAD_TIMEOUT is 5m, https://docs.ollama.com/faq
    deadlines=Deadlines(first_byte=330.0, idle=120.0),
    environment=("OLLAMA_API_KEY",),
    # Its own list has all that were pulled: https://docs.ollama.com/api/tags
    models_path="../api/tags",
)

OPENROUTER = Kind(
    name="openrouter",
    title="OpenRouter",
    docs="https://openrouter.ai/docs/api-reference/overview",
    wire="openai",
    base_url="https://openrouter.ai/api/v1",
    # Its /images, /audio/speech and /audio/transcriptions take requests of their own shape, not OpenAI's:
    # https://openrouter.ai/blog/insights/every-modality-one-api/
    # Its responses are stateless: https://openrouter.ai/docs/api/reference/responses/overview
    paths={
        **_CHAT,
        **_RESPONSES,
        "completions": "/completions",
        "embeddings": "/embeddings",
        "chat.images": "/chat/completions",
    },
    signing=signing.bearer,
    # https://openrouter.ai/docs/use-cases/usage-accounting
    usage=LIKE_OPENAI,
    # https://openrouter.ai/docs/features/multimodal/overview
    fetches_urls=frozenset({"image", "file", "image@chat.images"}),
    # Thoughts of its own go back as `reasoning_details`, those of others as text:
    # https://openrouter.ai/docs/guides/best-practices/reasoning-tokens
    reasoning_field="reasoning",
    # Where the model behind it does: Gemini 3 wants its signatures, which are in the details.
    insists_on_thoughts=True,
    on_disconnect="cancel",
    # Credits are US dollars. With the caller's own provider keys `cost` is OpenRouter's fee alone.
    reported_cost=ReportedCost(path=("cost",), units_per_usd=1),
    # Who asks, for its rankings, unless a caller says it: https://openrouter.ai/docs/app-attribution
    extra_headers={"HTTP-Referer": "https://www.aigne.io", "X-Title": "AIGNE Hub"},
    environment=("OPENROUTER_API_KEY",),
    # /models is public and says nothing about a key: https://openrouter.ai/docs/api-reference/limits
    key_check_path="/key",
    starter_models=(
        ("openai/gpt-6.1-sol", "chat"),
        ("deepseek/deepseek-v4.1-flash", "chat"),
        ("openai/text-embedding-3-small", "embedding"),
    ),
)

XAI = Kind(
    name="xai",
    title="xAI",
    docs="https://docs.x.ai/developers/rest-api-reference/inference",
    wire="openai",
    base_url="https://api.x.ai/v1",
    # Image edits take JSON there, not OpenAI's multipart form; speech has its own shape too. `size` and `style` are
    # documented as not supported: https://docs.x.ai/developers/rest-api-reference/inference/images
    paths={
        **_CHAT,
        **_RESPONSES,
        "images.generations": "/images/generations",
        "xai.videos": "/videos/generations",
    },
    signing=signing.bearer,
    # total_tokens = prompt + completion + reasoning: https://docs.x.ai/docs/guides/reasoning
    usage=UsageRule(cache_in_input=True, reasoning_in_output=False),
    # https://docs.x.ai/developers/model-capabilities/images/understanding
    fetches_urls=frozenset({"image", "file@responses", "image@images.generations", "image@xai.videos"}),
    foreign_fields={
        "images.generations": _OF_OPENAIS_IMAGES | {"size", "moderation"},
    },
    # Structured outputs are native: https://docs.x.ai/developers/model-capabilities/text/structured-outputs. Penalties
    # and `stop` are refused by models that reason (https://docs.x.ai/docs/guides/reasoning): the caller is told so.
    efforts=efforts.of_xai,
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

DOUBAO = Kind(
    name="doubao",
    title="Doubao (Volcengine Ark)",
    docs="https://www.volcengine.com/docs/82379/1494384",
    wire="openai",
    base_url="https://ark.cn-beijing.volces.com/api/v3",
    paths={
        **_CHAT,
        "embeddings": "/embeddings",
        "ark.embed": "/embeddings/multimodal",
        "images.generations": "/images/generations",
        "ark.videos": "/contents/generations/tasks",
    },
    # https://www.volcengine.com/docs/82379/1523520; the second is their name at BytePlus, Ark outside China.
    served_at={"doubao-embedding-vision*": "ark.embed", "skylark-embedding-vision*": "ark.embed"},
    signing=signing.bearer,
    usage=LIKE_OPENAI,
    # https://www.volcengine.com/docs/82379/1362931
    fetches_urls=frozenset({"image", "file", "image@images.generations", "image@ark.videos"}),
    # https://www.volcengine.com/docs/82379/1541523: several pictures are a series there, and sizes begin higher.
    foreign_fields={
        "images.generations": _OF_OPENAIS_IMAGES - {"output_format"} | {"n", "size", "quality", "moderation"},
    },
    # https://www.volcengine.com/docs/82379/1494384: `response_format`, `thinking` and `reasoning_effort`
    efforts=efforts.of_doubao,
    deviations={"chat.completions": (deviations.thinking_off_by_its_switch,)},
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
        "InputVideoSensitiveContentDetected": "content_policy",
        "OutputVideoSensitiveContentDetected": "content_policy",
        "OutputAudioSensitiveContentDetected": "content_policy",
        "InputVideoRiskDetection": "content_policy",
        "OutputVideoRiskDetection": "content_policy",
    },
    environment=("ARK_API_KEY",),
    key_check_path="/models",
    starter_models=(("doubao-seed-2-0-pro-260215", "chat"), ("doubao-seedream-5-0-260128", "image")),
)

POE = Kind(
    name="poe",
    title="Poe",
    docs="https://creator.poe.com/docs/external-applications/openai-compatible-api",
    wire="openai",
    base_url="https://api.poe.com/v1",
    # Pictures and sound come out of chat completions there.
    paths={**_CHAT, "chat.images": "/chat/completions", "chat.videos": "/chat/completions"},
    signing=signing.bearer,
    usage=LIKE_OPENAI,
    fetches_urls=frozenset({"image", "file", "image@chat.images", "image@chat.videos"}),
    # Structured outputs are a feature of its responses API, not of chat completions:
    # https://creator.poe.com/docs/external-applications/openai-compatible-api
    structured=always_prompted,
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

CUSTOM = Kind(
    name="custom",
    title="Another OpenAI-compatible server",
    docs="https://developers.openai.com/api/reference",
    wire="openai",
    base_url=None,
    paths={**EVERYTHING, "videos": "/videos"},
    signing=signing.bearer,
    usage=LIKE_OPENAI,
    # vLLM, SGLang and llama.cpp fetch pictures; what a server does not, it says.
    fetches_urls=frozenset({"image", "audio", "file"}),
    # vLLM, llama.cpp, SGLang and their like stop when the connection closes, and the graphics card is free.
    on_disconnect="cancel",
    deadlines=Deadlines(first_byte=600.0, idle=120.0),
    key_check_path="/models",
)
