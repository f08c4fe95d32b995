"""What programs can ask for: model calls by path, and what is not a call. Each path speaks one format.

A call's row names its endpoint and who reads and writes for it; a resource's row names a handler. A new format adds its
rows here and nowhere else in the doors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from app.web.api import (
    aigne_calls,
    aigne_models,
    aigne_site,
    aigne_usage,
    aigne_user,
    counting,
    files,
    keys,
    models,
    videos,
)
from app.web.api import responses as stored_responses
from app.web.api.visit import Handler
from app.wire.aigne import client as aigne
from app.wire.aigne import completions_speaker as aigne_completions
from app.wire.aigne import endpoints as aigne_endpoints
from app.wire.anthropic import client as anthropic
from app.wire.anthropic import endpoints as anthropic_endpoints
from app.wire.endpoint import Endpoint
from app.wire.faces import Speaker
from app.wire.gemini import client as gemini
from app.wire.gemini import endpoints as gemini_endpoints
from app.wire.openai import client as openai
from app.wire.openai import endpoints as openai_endpoints
from app.wire.responses import client as responses
from app.wire.responses import endpoints as responses_endpoints


class CallRoute(Struct, frozen=True):
    endpoint: Endpoint
    speaker: Speaker


class PatternRoute(Struct, frozen=True):
    """A call whose path holds the model. Groups of the pattern become `Visit.variables`."""

    pattern: re.Pattern[str]
    endpoint: Endpoint
    speaker: Speaker
    streams_arrays: bool = False
    """Whether a stream is a JSON array unless `alt=sse` stands in the query."""


class Resource(Struct, frozen=True):
    """Something that is read or removed rather than called. Groups of the pattern become `Visit.variables`."""

    pattern: re.Pattern[str]
    handlers: Mapping[str, Handler]
    """By method; HEAD goes to GET's."""
    speaker: Speaker
    task: str | None = None
    """What a key has to be allowed for it, as in `admission.task_of`; None: nothing that can be forbidden."""


ROOTS = ("/v1", "/v1beta", "/files", "/api", "/__blocklet__.js")
"""What begins with one of these goes to the door for programs."""

_AIGNE_CALLS: tuple[tuple[str, Endpoint, Speaker], ...] = (
    ("/chat/completions", aigne_endpoints.COMPLETIONS, aigne_completions),
    ("/completions", aigne_endpoints.COMPLETIONS, aigne_completions),
    ("/embeddings", aigne_endpoints.EMBEDDINGS, aigne),
    ("/image", aigne_endpoints.IMAGE, aigne),
    ("/image/generations", aigne_endpoints.IMAGE, aigne),
    ("/audio/transcriptions", openai_endpoints.BY_PATH["/audio/transcriptions"], openai),
    ("/audio/speech", openai_endpoints.BY_PATH["/audio/speech"], openai),
)

CALLS: Mapping[str, CallRoute] = {
    **{f"/v1{endpoint.path}": CallRoute(endpoint, openai) for endpoint in openai_endpoints.ENDPOINTS},
    **{f"/v1{endpoint.path}": CallRoute(endpoint, responses) for endpoint in responses_endpoints.ENDPOINTS},
    "/v1/messages": CallRoute(anthropic_endpoints.MESSAGES, anthropic),
    "/api/v2/chat": CallRoute(aigne_endpoints.CHAT, aigne),
    "/api/v2/video": CallRoute(aigne_endpoints.VIDEO, aigne),
    **{
        f"/api/{version}{path}": CallRoute(endpoint, speaker)
        # Version 1 is what components of older Blocklets call.
        for version in ("v2", "v1", "v1/sdk")
        for path, endpoint, speaker in _AIGNE_CALLS
    },
}

ALSO_READ = frozenset({"/v1/videos"})
"""Paths of calls at which there is a list to be read as well."""

_GEMINI = r"/v1(?:beta)?/(?P<model>(?:models|tunedModels)/.+)"
"""Google's own libraries ask for `/v1beta` or `/v1`. Ids of models contain slashes and colons."""

CALL_PATTERNS: tuple[PatternRoute, ...] = (
    PatternRoute(
        re.compile(_GEMINI + r":(?P<action>generateContent|streamGenerateContent)"),
        gemini_endpoints.GENERATE_CONTENT,
        gemini,
        streams_arrays=True,
    ),
    PatternRoute(re.compile(_GEMINI + r":(?P<action>embedContent)"), gemini_endpoints.EMBED, gemini),
    PatternRoute(re.compile(_GEMINI + r":(?P<action>batchEmbedContents)"), gemini_endpoints.BATCH_EMBED, gemini),
)

RESOURCES: tuple[Resource, ...] = (
    Resource(re.compile(_GEMINI + r":countTokens"), {"POST": counting.answer_gemini}, gemini, "conversation"),
    Resource(re.compile(r"/v1beta/models(?:/(?P<name>.+))?"), {"GET": models.answer_gemini}, gemini),
    Resource(re.compile(r"/v1/messages/count_tokens"), {"POST": counting.answer_anthropic}, anthropic, "conversation"),
    Resource(re.compile(r"/v1/models(?:/(?P<name>.+))?"), {"GET": models.answer}, openai),
    Resource(
        re.compile(r"/v1/responses/(?P<id>[^/]+)"),
        {"GET": stored_responses.answer, "DELETE": stored_responses.remove},
        responses,
        "conversation",
    ),
    Resource(
        re.compile(r"/v1/responses/(?P<id>[^/]+)/input_items"),
        {"GET": stored_responses.list_input},
        responses,
        "conversation",
    ),
    Resource(re.compile(r"/v1/keys"), {"GET": keys.list_all, "POST": keys.mint}, openai),
    Resource(re.compile(r"/v1/keys/check"), {"POST": keys.check}, openai),
    Resource(re.compile(r"/v1/keys/(?P<id>[^/]+)"), {"DELETE": keys.revoke}, openai),
    Resource(re.compile(r"/v1/videos"), {"GET": videos.list_all}, openai, "video"),
    Resource(re.compile(r"/v1/videos/(?P<id>[^/]+)"), {"GET": videos.answer, "DELETE": videos.remove}, openai, "video"),
    Resource(re.compile(r"/v1/videos/(?P<id>[^/]+)/content"), {"GET": videos.content}, openai, "video"),
    Resource(re.compile(r"/files/(?P<file_id>[0-9a-f]{32})"), {"GET": files.answer}, openai),
    Resource(re.compile(r"/api/v1(?:/sdk)?/models(?:/(?P<name>.+))?"), {"GET": models.answer}, openai),
    *(
        Resource(re.compile(pattern), {"GET": handler}, aigne)
        for pattern, handler in (
            (r"/__blocklet__\.js", aigne_site.answer),
            (r"/api/v2/status", aigne_models.status),
            (r"/api/v1(?:/sdk)?/status", aigne_models.status_of_old),
            (r"/api/ai/models", aigne_models.list_public),
            (r"/api/ai-providers/models", aigne_models.list_for_key),
            (r"/api/ai(?:-providers)?/chat/models", aigne_models.list_grouped),
            (r"/api/user/info", aigne_user.info),
            (r"/api/user/credit/balance", aigne_user.credit_balance),
            (r"/api/user/credit/grants", aigne_user.credit_grants),
            (r"/api/user/credit/transactions", aigne_user.credit_transactions),
            (r"/api/user/credit/payment-link", aigne_user.payment_link),
            (r"/api/user/model-calls", aigne_calls.model_calls),
            (r"/api/user/model-calls/export", aigne_calls.export),
            (r"/api/user/usage-stats", aigne_calls.usage_stats),
            (r"/api/usage/quota", aigne_user.quota),
            (r"/api/usage/trends", aigne_usage.trends),
            (r"/api/usage/projects", aigne_usage.projects),
            (r"/api/usage/projects/trends", aigne_usage.project_trends),
            (r"/api/usage/projects/group-trends", aigne_usage.group_trends),
            (r"/api/usage/projects/calls", aigne_calls.calls_of_project),
        )
    ),
)


def speaker_of(path: str) -> Speaker:
    """Who says errors about a path at which there is nothing."""
    if path.startswith("/api/"):
        return aigne
    if path.startswith("/v1beta"):
        return gemini
    if path.startswith("/v1/messages"):
        return anthropic
    return openai
