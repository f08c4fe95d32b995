"""What went wrong at a provider: whose problem it is, whether another attempt may do better, and what rests meanwhile.

    status              caller sees                credential                      another is tried
    401, bad key        502 credential refused     disabled, admins are told       yes
    402, no credit      502, 429 where it was one  rests as a whole, an hour       yes
    403 no access       502 not permitted          rests for this model, 10 min    yes
    404 no model        502 model not found        rests for this model, 10 min    yes
    429                 429 with Retry-After       rests for this model, or whole  yes
    408 409 424 425 5xx 502, 503, 504              counts for the breaker          yes
    503, 529 with wait  503 with Retry-After       rests for this model as well    yes
    3xx, no answer      502, 504                   counts for the breaker          yes
    other 4xx           the same, provider's code  –                               never

A 404 is not the caller's: the hub has the name they asked for, an admin has told it a wrong one upstream. Codes go
before statuses, and prose is read only where a row says that nothing else tells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import aiohttp
from msgspec import Struct

from app.adapters.providers import error_bodies
from app.adapters.providers.error_bodies import MAX_COOL_SECONDS
from app.adapters.providers.kinds import Kind, Meaning
from app.adapters.providers.scrub import scrub, scrub_word
from app.base import errors
from app.base.secret import Secret
from app.wire.answers import BrokenStream

Cools = Literal["nothing", "credential_model", "credential", "disable"]

EXCEPTIONS: tuple[type[Exception], ...] = (aiohttp.ClientError, TimeoutError, OSError, BrokenStream)
"""What asking a provider can raise; `from_exception` knows all of it and nothing else."""

_LIMITED_SECONDS = 10
"""After a 429 that does not say how long."""
_NO_ACCESS_SECONDS = 600


class Failure(Struct, frozen=True, kw_only=True):
    """One attempt's end."""

    http_status: int | None
    """The provider's; None when no answer came."""
    error: errors.AppError
    """For the caller, should no other attempt do better."""
    code: str
    """For the record of the attempt; always one of ours."""
    is_retryable: bool
    cools: Cools = "nothing"
    cool_seconds: int = 0
    counts_for_breaker: bool = False
    provider_text: str = ""
    """What the provider said, fit to be shown to admins."""


# https://developers.openai.com/api/docs/guides/error-codes; compatible servers use the same words. A type is looked up
# where the code is unknown.
_CODES: Mapping[str, Meaning] = {
    "invalid_api_key": "bad_key",
    "account_deactivated": "bad_key",
    "insufficient_quota": "out_of_credit",
    "insufficient_balance": "out_of_credit",
    "billing_not_active": "out_of_credit",
    "billing_hard_limit_reached": "out_of_credit",
    "credit_balance_exhausted": "out_of_credit",
    "organization_usage_limit_exceeded": "out_of_credit",
    "organization_spend_limit_exceeded": "out_of_credit",
    "project_spend_limit_exceeded": "out_of_credit",
    "unsupported_country_region_territory": "no_access",
    "model_not_found": "no_model",
    "rate_limit_exceeded": "limited",
    "slow_down": "limited",
    "server_is_overloaded": "overloaded",
    "content_policy_violation": "content_policy",
    "content_filter": "content_policy",
    "moderation_blocked": "content_policy",
    # Of a response that failed: https://developers.openai.com/api/reference/resources/responses
    "invalid_prompt": "content_policy",
    "image_content_policy_violation": "content_policy",
    "invalid_image": "refused",
    "invalid_image_format": "refused",
    "invalid_image_url": "refused",
    "invalid_base64_image": "refused",
    "image_too_large": "refused",
    "image_parse_error": "refused",
    "failed_to_download_image": "refused",
}

_BY_STATUS: Mapping[int, Meaning] = {
    401: "bad_key",
    402: "out_of_credit",
    403: "no_access",
    404: "no_model",
    405: "no_model",
    429: "limited",
    503: "overloaded",
    529: "overloaded",
}
_TIMEOUTS = frozenset({408, 504, 524})
_BREAKS = frozenset({408, 409, 424, 425})
"""424 is Bedrock's ModelErrorException: the model behind it failed."""
_KEPT = frozenset({400, 413, 415, 422})
"""Refusals whose status goes on to the caller; others become 400."""


def from_answer(
    kind: Kind, status: int, headers: Mapping[str, str], body: bytes, secrets: Collection[Secret] = ()
) -> Failure:
    """What an answer means that is no success: any status but 2xx, or a 2xx whose body holds an error.

    `body` may be cut; `headers` are looked up in any case that they have.
    """
    said = error_bodies.read(body, headers)
    is_inside = 200 <= status < 300
    if is_inside:
        status = said.status if said.status is not None and 400 <= said.status < 600 else 502
    text = scrub(said.message, secrets)
    code = scrub_word(said.code, secrets) or scrub_word(said.type, secrets)
    if 300 <= status < 400:
        error = errors.ProviderFailed(
            f"{kind.title} answered with a redirect, which is not followed.", code="provider_redirected"
        )
        return _failure(status, error, text, is_retryable=True, counts_for_breaker=True)

    meaning = _meaning(kind, status, said, is_inside=is_inside)
    wait = error_bodies.wait_seconds(headers) or said.wait_seconds
    if meaning == "bad_key":
        error = errors.CredentialRefused(f"{kind.title} refused the key that this hub has for it.")
        return _failure(status, error, text, is_retryable=True, cools="disable")
    if meaning == "out_of_credit":
        rest = wait or MAX_COOL_SECONDS
        sentence = f"The account of this hub at {kind.title} has no credit or quota left."
        if status == 429:
            error = errors.ProviderLimited(sentence, code="provider_out_of_credit", retry_after_seconds=rest)
            error.owner = "admin"
        else:
            error = errors.CredentialRefused(sentence, code="provider_out_of_credit")
        return _failure(status, error, text, is_retryable=True, cools="credential", cool_seconds=rest)
    if meaning == "no_access":
        error = errors.CredentialRefused(
            f"{kind.title} does not let this hub use the model.", code="provider_permission_denied"
        )
        rest = _NO_ACCESS_SECONDS
        return _failure(status, error, text, is_retryable=True, cools="credential_model", cool_seconds=rest)
    if meaning == "no_model":
        error = errors.ProviderFailed(
            f"{kind.title} does not have the model that this hub asked it for.", code="provider_model_not_found"
        )
        error.owner = "admin"
        rest = _NO_ACCESS_SECONDS
        return _failure(status, error, text, is_retryable=True, cools="credential_model", cool_seconds=rest)
    if meaning in ("limited", "limited_credential"):
        rest = wait or _LIMITED_SECONDS
        error = errors.ProviderLimited(
            f"{kind.title} limits how often it may be called. Try again in {rest} s.", retry_after_seconds=rest
        )
        cools: Cools = "credential" if meaning == "limited_credential" else "credential_model"
        return _failure(status, error, text, is_retryable=True, cools=cools, cool_seconds=rest)
    if meaning == "overloaded":
        error = errors.ProviderOverloaded(f"{kind.title} is overloaded. Try again later.", retry_after_seconds=wait)
        rests: Cools = "credential_model" if wait else "nothing"
        return _failure(
            status, error, text, is_retryable=True, cools=rests, cool_seconds=wait or 0, counts_for_breaker=True
        )
    if meaning in ("content_policy", "refused"):
        http_status = status if status in _KEPT and meaning == "refused" else 400
        if meaning == "content_policy":
            code = code or "content_policy_violation"
        error = errors.ProviderRefused(
            text or f"{kind.title} refused the request.",
            http_status=http_status,
            param=scrub_word(said.param, secrets),
            code=code,
        )
        return _failure(status, error, text, ours="provider_refused", is_retryable=False)
    if status in _TIMEOUTS:
        error = errors.ProviderTimedOut(f"{kind.title} did not finish in time.")
    else:
        error = errors.ProviderFailed(f"{kind.title} failed with status {status}.", retry_after_seconds=wait)
    return _failure(status, error, text, is_retryable=True, counts_for_breaker=True)


def from_error_inside(kind: Kind, error: bytes, secrets: Collection[Secret] = ()) -> Failure:
    """What the `error` of a 200 or of a stream means; `error` is its JSON value alone."""
    return from_answer(kind, 200, {}, b'{"error":' + error + b"}", secrets)


def from_exception(kind: Kind, exception: Exception) -> Failure:
    """What it means that no answer came, or that it broke off.

    Raises:
        Exception: the one given, when it is none of `EXCEPTIONS`: a bug is not a provider's failure.
    """
    # The exceptions' own texts name hosts and addresses; they go into no sentence for the caller.
    if isinstance(exception, TimeoutError):
        is_connecting = isinstance(exception, aiohttp.ConnectionTimeoutError)
        error = errors.ProviderTimedOut(
            f"{kind.title} could not be reached in time." if is_connecting else f"{kind.title} did not answer in time.",
            code="provider_connect_timeout" if is_connecting else None,
        )
    elif isinstance(exception, aiohttp.InvalidURL):
        error = errors.ProviderFailed(f"The base URL of {kind.title} is not valid.", code="provider_bad_address")
        error.owner = "admin"
    elif isinstance(exception, aiohttp.ClientSSLError):
        error = errors.ProviderFailed(f"{kind.title} could not prove who it is (TLS).", code="provider_tls_failed")
    elif isinstance(exception, aiohttp.ClientConnectorError):
        error = errors.ProviderFailed(f"{kind.title} could not be reached.", code="provider_unreachable")
    elif isinstance(exception, BrokenStream | aiohttp.ClientPayloadError):
        error = errors.ProviderFailed(f"{kind.title} sent an answer that cannot be read.", code="provider_bad_answer")
    elif isinstance(exception, EXCEPTIONS):
        error = errors.ProviderFailed(f"The connection to {kind.title} broke.", code="provider_connection_lost")
    else:
        raise exception
    text = scrub(f"{type(exception).__name__}: {exception}")
    return _failure(None, error, text, is_retryable=True, counts_for_breaker=True)


def _failure(
    status: int | None,
    error: errors.AppError,
    text: str,
    *,
    is_retryable: bool,
    cools: Cools = "nothing",
    cool_seconds: int = 0,
    counts_for_breaker: bool = False,
    ours: str | None = None,
) -> Failure:
    return Failure(
        http_status=status,
        error=error,
        code=ours or error.code,
        is_retryable=is_retryable,
        cools=cools,
        cool_seconds=cool_seconds,
        counts_for_breaker=counts_for_breaker,
        provider_text=text,
    )


def _meaning(kind: Kind, status: int, said: error_bodies.Said, *, is_inside: bool) -> Meaning | None:
    """None: the provider failed, by its status."""
    if said.has_flags:
        return "content_policy"
    for sentence, meaning in kind.error_sentences.items():
        if sentence in said.message:
            return meaning
    for word in (said.code, said.type):
        if word:
            # Volcengine's codes go on after a dot: RateLimitExceeded.EndpointRPMExceeded.
            for name in (word, word.partition(".")[0]):
                meaning = kind.error_codes.get(name) or _CODES.get(name)
                if meaning is not None and (is_inside or _fits(meaning, status)):
                    return meaning
    if is_inside and said.type == "invalid_request_error":
        return "refused"
    if status == 404 and said.param not in (None, "model"):
        # What is not there is something that the request names: an item, a file. The model need not rest for it.
        return "refused"
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return None if status >= 500 or status in _BREAKS else "refused"


def _fits(meaning: Meaning, status: int) -> bool:
    """Whether a code can mean this under this status: a 5xx that calls itself a refusal is still a failure."""
    return status < 500 or meaning in ("overloaded", "limited", "limited_credential", "out_of_credit", "bad_key")
