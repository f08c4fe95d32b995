"""Those with a format of their own: Anthropic, Google, Amazon Bedrock, Ideogram."""

from __future__ import annotations

from app.adapters.providers import signing
from app.adapters.providers.kinds import Deadlines, Kind
from app.wire.anthropic import models as claude
from app.wire.bedrock import families
from app.wire.rules import UsageRule

ANTHROPIC = Kind(
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

GOOGLE = Kind(
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

BEDROCK = Kind(
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

IDEOGRAM = Kind(
    name="ideogram",
    title="Ideogram",
    docs="https://developer.ideogram.ai/api-reference/api-reference/generate-v3",
    wire="ideogram",
    base_url="https://api.ideogram.ai",
    paths={"ideogram.image": "/v1/ideogram-v3/generate"},
    signing=signing.api_key,
    # Billed by the picture; no tokens are reported.
    # It reports nothing: pictures are counted.
    usage=UsageRule(cache_in_input=True, reasoning_in_output=True),
    on_disconnect="drain",
    deadlines=Deadlines(whole=180.0),
    environment=("IDEOGRAM_API_KEY",),
    models_path=None,
    starter_models=(("ideogram-v3", "image"),),
)
