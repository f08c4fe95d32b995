"""The kinds of provider that the hub knows: one row each, every fact with its source.

A row with `paths={}` can be added and its credentials kept, but serves no endpoint.

What a stream costs after the client left (`on_disconnect`): OpenRouter publishes where closing the connection stops
model and bill (OpenAI, Azure, Anthropic, xAI, DeepSeek, …) and where it does not (Bedrock, Google, …):
https://openrouter.ai/docs/api-reference/streaming. Where nothing is published the stream is read to its end, so that
the bill is known.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.adapters.providers import demo, deviations, efforts, signing
from app.adapters.providers.kinds import Deadlines, Kind, always_json_mode, always_prompted
from app.wire.anthropic import models as claude
from app.wire.bedrock import families
from app.wire.rules import ReportedCost, UsageRule

_LIKE_OPENAI = UsageRule(cache_in_input=True, reasoning_in_output=True)

_CHAT = {"chat.completions": "/chat/completions"}
_RESPONSES = {"responses": "/responses"}
"""After chat completions, so that what is translated from other formats goes there."""
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

_OF_OPENAIS_IMAGES = frozenset({"style", "background", "output_format", "output_compression", "partial_images"})
"""Fields of `/images/generations` that others who have the path do not know."""

_OPENAI = Kind(
    name="openai",
    title="OpenAI",
    docs="https://developers.openai.com/api/reference",
    wire="openai",
    base_url="https://api.openai.com/v1",
    paths={**_EVERYTHING, **_RESPONSES, "videos": "/videos"},
    signing=signing.bearer,
    usage=_LIKE_OPENAI,
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
    # https://api-docs.deepseek.com/api/create-chat-completion: prompt_tokens = cache hit + cache miss. There too:
    # `response_format` is `text` or `json_object`, and messages hold text alone.
    usage=_LIKE_OPENAI,
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
    # A schema binds what is generated; pictures come as base64 alone (so `fetches_urls` is empty), a limit as
    # `max_tokens`: https://docs.ollama.com/api/openai-compatibility
    usage=_LIKE_OPENAI,
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

_OPENROUTER = Kind(
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
    usage=_LIKE_OPENAI,
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

_XAI = Kind(
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

_DOUBAO = Kind(
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
    usage=_LIKE_OPENAI,
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

_POE = Kind(
    name="poe",
    title="Poe",
    docs="https://creator.poe.com/docs/external-applications/openai-compatible-api",
    wire="openai",
    base_url="https://api.poe.com/v1",
    # Pictures and sound come out of chat completions there.
    paths={**_CHAT, "chat.images": "/chat/completions", "chat.videos": "/chat/completions"},
    signing=signing.bearer,
    usage=_LIKE_OPENAI,
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

_CUSTOM = Kind(
    name="custom",
    title="Another OpenAI-compatible server",
    docs="https://developers.openai.com/api/reference",
    wire="openai",
    base_url=None,
    paths={**_EVERYTHING, "videos": "/videos"},
    signing=signing.bearer,
    usage=_LIKE_OPENAI,
    # vLLM, SGLang and llama.cpp fetch pictures; what a server does not, it says.
    fetches_urls=frozenset({"image", "audio", "file"}),
    # vLLM, llama.cpp, SGLang and their like stop when the connection closes, and the graphics card is free.
    on_disconnect="cancel",
    deadlines=Deadlines(first_byte=600.0, idle=120.0),
    key_check_path="/models",
)

_ANTHROPIC = Kind(
    name="anthropic",
    title="Anthropic",
    docs="https://platform.claude.com/docs/en/api/overview",
    wire="anthropic",
    base_url="https://api.anthropic.com",
    paths={"messages": "/v1/messages", "messages.count_tokens": "/v1/messages/count_tokens"},
    signing=signing.x_api_key,
    # https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance
    usage=UsageRule(cache_in_input=False, reasoning_in_output=True),
    structured=claude.structured,
    # https://platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support
    fetches_urls=frozenset({"image", "file"}),
    on_disconnect="cancel",
    # Its own libraries wait ten minutes; streams are kept alive by pings:
    # https://platform.claude.com/docs/en/api/errors#long-requests
    deadlines=Deadlines(first_byte=600.0, idle=300.0),
    # https://platform.claude.com/docs/en/api/errors
    error_codes={
        "authentication_error": "bad_key",
        "billing_error": "out_of_credit",
        "permission_error": "no_access",
        "not_found_error": "no_model",
        "rate_limit_error": "limited",
        "overloaded_error": "overloaded",
        "request_too_large": "refused",
    },
    # An empty account is 400 with the type of any wrong request; a file that the caller names and that is not there is
    # 404 with the type of a missing model, for which a model would rest.
    error_sentences={
        "Your credit balance is too low": "out_of_credit",
        "File not found": "refused",
        "file_id": "refused",
    },
    extra_headers={"anthropic-version": "2023-06-01"},
    environment=("ANTHROPIC_API_KEY",),
    # 20 to a page unless told otherwise: https://platform.claude.com/docs/en/api/models/list
    key_check_path="/v1/models?limit=1000",
    models_path="/v1/models?limit=1000",
    # https://platform.claude.com/docs/en/about-claude/models/overview, read 2026-11
    starter_models=(("claude-opus-5-5", "chat"), ("claude-sonnet-5-5", "chat"), ("claude-haiku-5-5", "chat")),
)

_GOOGLE = Kind(
    name="google",
    title="Google Gemini",
    docs="https://ai.google.dev/api",
    wire="gemini",
    base_url="https://generativelanguage.googleapis.com",
    paths={
        "generate_content": "/v1beta/models/{model}:generateContent",
        "generate_content.stream": "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        "gemini.count_tokens": "/v1beta/models/{model}:countTokens",
        "gemini.batch_embed": "/v1beta/models/{model}:batchEmbedContents",
        "gemini.embed": "/v1beta/models/{model}:embedContent",
        # Imagen's models are asked at a method of their own: app/wire/gemini/images.py.
        "gemini.image": "/v1beta/models/{model}:generateContent",
        "veo": "/v1beta/models/{model}:predictLongRunning",
    },
    signing=signing.x_goog_api_key,
    # promptTokenCount contains the cached, candidatesTokenCount does not contain the thoughts:
    # https://ai.google.dev/api/generate-content#UsageMetadata
    usage=UsageRule(cache_in_input=True, reasoning_in_output=False),
    # Documents and videos by URL, YouTube's pages among them: https://ai.google.dev/gemini-api/docs/file-input-methods.
    # Of a picture it wants to be told the type, which only whoever fetches it knows.
    fetches_urls=frozenset({"file"}),
    on_disconnect="drain",
    # A model that thinks says nothing meanwhile unless it is asked for its thoughts.
    deadlines=Deadlines(first_byte=600.0, idle=300.0),
    # https://ai.google.dev/gemini-api/docs/troubleshooting, https://google.aip.dev/193 and, for the reasons,
    # https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto
    error_codes={
        # A wrong key comes with the status of a wrong request.
        "API_KEY_INVALID": "bad_key",
        "API_KEY_SERVICE_BLOCKED": "no_access",
        "API_KEY_HTTP_REFERRER_BLOCKED": "no_access",
        "API_KEY_IP_ADDRESS_BLOCKED": "no_access",
        "SERVICE_DISABLED": "no_access",
        "BILLING_DISABLED": "out_of_credit",
        "CONSUMER_SUSPENDED": "bad_key",
        "UNAUTHENTICATED": "bad_key",
        "PERMISSION_DENIED": "no_access",
        # Where the free tier is not offered, and no billing is set up.
        "FAILED_PRECONDITION": "no_access",
        "RESOURCE_EXHAUSTED": "limited",
        "NOT_FOUND": "no_model",
        "UNAVAILABLE": "overloaded",
        "INVALID_ARGUMENT": "refused",
        "OUT_OF_RANGE": "refused",
    },
    error_sentences={
        # Without a reason in the details on some of the API's fronts.
        "API key not valid": "bad_key",
        "API key expired": "bad_key",
        # A key that was found in public is a permission denied, as one for other models is.
        "API key was reported as leaked": "bad_key",
        "prepayment credits are depleted": "out_of_credit",
    },
    environment=("GEMINI_API_KEY",),
    key_check_path="/v1beta/models?pageSize=1000",
    models_path="/v1beta/models?pageSize=1000",
    # https://ai.google.dev/gemini-api/docs/models, read 2026-11
    starter_models=(
        ("gemini-3.8-flash", "chat"),
        ("gemini-3.5-flash-lite", "chat"),
        ("gemini-3.1-pro-preview", "chat"),
        ("gemini-3.1-flash-image", "image"),
        ("gemini-embedding-001", "embedding"),
    ),
)

_BEDROCK = Kind(
    name="bedrock",
    title="Amazon Bedrock",
    docs="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
    wire="bedrock",
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    paths={
        "converse": "/model/{model}/converse",
        "converse.stream": "/model/{model}/converse-stream",
        "bedrock.embed": "/model/{model}/invoke",
        "bedrock.image": "/model/{model}/invoke",
    },
    signing=signing.bedrock,
    # Either the last alone, or the first two, and the third where the key is a temporary one.
    secret_parts=("access_key_id", "secret_access_key", "session_token", "api_key"),
    # inputTokens are those that no cache had: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    usage=UsageRule(cache_in_input=False, reasoning_in_output=True),
    structured=families.structured,
    on_disconnect="drain",
    # Models that reason say nothing for minutes; Amazon asks its own libraries to wait an hour:
    # https://docs.aws.amazon.com/nova/latest/userguide/using-converse-api.html
    deadlines=Deadlines(first_byte=600.0, idle=300.0),
    # https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html and
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
    error_codes={
        "UnrecognizedClientException": "bad_key",
        "InvalidSignatureException": "bad_key",
        "IncompleteSignatureException": "bad_key",
        "MissingAuthenticationTokenException": "bad_key",
        "InvalidClientTokenId": "bad_key",
        "ExpiredTokenException": "bad_key",
        "AccessDeniedException": "no_access",
        "OptInRequired": "no_access",
        "ResourceNotFoundException": "no_model",
        "ThrottlingException": "limited",
        "ServiceQuotaExceededException": "limited",
        "ModelNotReadyException": "overloaded",
        "ServiceUnavailableException": "overloaded",
        "ValidationException": "refused",
    },
    error_sentences={
        # A wrong API key is an AccessDeniedException, as a missing permission is.
        "Please make sure your API Key is valid": "bad_key",
        # A clock that is wrong is no wrong key, though both are an InvalidSignatureException.
        "Signature expired": "no_access",
        "Signature not yet current": "no_access",
        # What an admin wrote is a ValidationException, as what the caller wrote is.
        "The provided model identifier is invalid": "no_model",
        "with on-demand throughput isn": "no_model",
    },
    environment=("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html: what can be called by its
    # own name; the rest through profiles: …/API_ListInferenceProfiles.html
    lists_url="https://bedrock.{region}.amazonaws.com",
    key_check_path="/foundation-models",
    models_path="/inference-profiles?maxResults=1000&type=SYSTEM_DEFINED",
    starter_models=(
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "chat"),
        ("global.amazon.nova-2-lite-v1:0", "chat"),
        ("amazon.titan-embed-text-v2:0", "embedding"),
        ("amazon.nova-canvas-v1:0", "image"),
    ),
)

_IDEOGRAM = Kind(
    name="ideogram",
    title="Ideogram",
    docs="https://developer.ideogram.ai/api-reference/api-reference/generate-v3",
    wire="ideogram",
    base_url="https://api.ideogram.ai",
    paths={"ideogram.image": "/v1/ideogram-v3/generate"},
    signing=signing.api_key,
    # Billed by the picture; no tokens are reported.
    usage=_LIKE_OPENAI,
    on_disconnect="drain",
    deadlines=Deadlines(whole=180.0),
    environment=("IDEOGRAM_API_KEY",),
    models_path=None,
    starter_models=(("ideogram-v3", "image"),),
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
    fetches_urls=frozenset({"image", "audio", "file"}),
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
        _IDEOGRAM,
        _CUSTOM,
        _DEMO,
    )
}
"""By name, in the order in which people are shown them."""
