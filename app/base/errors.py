"""What can go wrong that a caller causes or must know of.

    AppError
    ├── BadValue 400 · BadRequest 400 (NotExpressible) · MediaTypeRefused 415 · BodyTooLarge 413
    ├── NotAuthenticated 401 · OutOfCredit 402 · BudgetExceeded 402 · NotAllowed 403 · NotFound 404 · WrongMethod 405
    ├── Conflict 409 · IdempotencyMismatch 422 · LimitReached 429
    ├── Busy 503 (the hub itself: full, draining, its database does not answer)
    └── ProviderError: what came back from, or never came back from, a provider
        ├── ProviderRefused 400/404/413/422…   the caller's request, in the provider's judgement; never retried
        ├── ProviderLimited 429 · ProviderFailed 502 · ProviderOverloaded 503 · ProviderTimedOut 504
        ├── CredentialRefused 502               the hub's own key was refused; never shown as the caller's 401
        └── NoRoute 503 · NotServed 501

Anything else that is raised is a bug and may crash the request. Each door renders these in its own shape.
`owner` says whose turn it is to act: `you` (who calls), `admin` (of this hub), `provider`, or `hub` (try again).
"""

from __future__ import annotations

from typing import ClassVar, Literal

Owner = Literal["you", "admin", "provider", "hub"]


class AppError(Exception):
    """Status, machine code and a sentence for a person. `param` names the field that is wrong, where there is one."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    owner: Owner = "hub"

    def __init__(self, sentence: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.param = param
        self.http_status = self.status
        self.retry_after_seconds: int | None = None
        if code is not None:
            self.code = code


class BadValue(AppError):
    """A value in a file, form or command that we cannot accept."""

    status, code, owner = 400, "bad_value", "you"


class BadRequest(AppError):
    """A model call that we refuse before anybody is asked; `param` names the field."""

    status, code, owner = 400, "invalid_request", "you"


class NotExpressible(BadRequest):
    """One provider cannot be told what the caller asks; another one may. `param` is the path."""

    code = "not_expressible"


class MediaTypeRefused(AppError):
    status, code, owner = 415, "unsupported_media_type", "you"


class BodyTooLarge(AppError):
    status, code, owner = 413, "request_too_large", "you"


class NotAuthenticated(AppError):
    status, code, owner = 401, "invalid_api_key", "you"


class BudgetExceeded(AppError):
    """A budget that blocks has no room for the call. Final: clients that try a 429 again leave a 402 alone."""

    status, code, owner = 402, "budget_exceeded", "you"

    def __init__(self, sentence: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_seconds = retry_after_seconds


class OutOfCredit(AppError):
    """The team's account does not reach for the call. `link` is where credits can be bought, if anywhere; `moment` is
    ISO 8601."""

    status, code, owner = 402, "insufficient_credits", "you"

    def __init__(self, sentence: str, *, moment: str, link: str | None = None, code: str | None = None) -> None:
        super().__init__(sentence, code=code)
        self.link = link
        self.moment = moment


class NotAllowed(AppError):
    status, code, owner = 403, "not_allowed", "you"


class NotFound(AppError):
    status, code, owner = 404, "not_found", "you"


class WrongMethod(AppError):
    """`allowed` goes into the Allow header."""

    status, code, owner = 405, "method_not_allowed", "you"

    def __init__(self, method: str, path: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not possible on {path}. Use {' or '.join(allowed)}.")
        self.allowed = allowed


class Conflict(AppError):
    status, code, owner = 409, "conflict", "you"


class IdempotencyMismatch(AppError):
    """An Idempotency-Key came back with another body."""

    status, code, owner = 422, "idempotency_key_reused", "you"


class LimitReached(AppError):
    """A limit of this hub has no room for the call now. None for `retry_after_seconds`: waiting does not help."""

    status, code, owner = 429, "rate_limit_exceeded", "you"

    def __init__(self, sentence: str, *, retry_after_seconds: int | None = None, code: str | None = None) -> None:
        super().__init__(sentence, code=code)
        self.retry_after_seconds = retry_after_seconds


class Busy(AppError):
    """The hub cannot take the call now; nothing was sent to a provider."""

    status, code, owner = 503, "hub_busy", "hub"

    def __init__(self, sentence: str, *, retry_after_seconds: int = 1, code: str | None = None) -> None:
        super().__init__(sentence, code=code)
        self.retry_after_seconds = retry_after_seconds


class ProviderError(AppError):
    """A provider's answer, or the lack of one, after every candidate was tried."""

    status, code, owner = 502, "provider_error", "provider"

    def __init__(
        self,
        sentence: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(sentence, param=param, code=code)
        self.retry_after_seconds = retry_after_seconds


class ProviderRefused(ProviderError):
    """The provider found the caller's request wrong (a 4xx that is neither about keys nor about limits)."""

    status, code, owner = 400, "provider_refused", "you"

    def __init__(self, sentence: str, *, http_status: int, param: str | None = None, code: str | None = None) -> None:
        super().__init__(sentence, param=param, code=code)
        self.http_status = http_status


class ProviderLimited(ProviderError):
    status, code, owner = 429, "provider_rate_limited", "provider"


class ProviderFailed(ProviderError):
    status, code, owner = 502, "provider_failed", "provider"


class ProviderOverloaded(ProviderError):
    status, code, owner = 503, "provider_overloaded", "provider"


class ProviderTimedOut(ProviderError):
    status, code, owner = 504, "provider_timeout", "provider"


class CredentialRefused(ProviderError):
    """The provider refused the hub's own key. Admins are told; the caller learns only that it is not their fault."""

    status, code, owner = 502, "provider_credential_refused", "admin"


class NoRoute(ProviderError):
    """Every deployment of the model is disabled, cooling down or without a usable credential."""

    status, code, owner = 503, "no_provider_available", "admin"


class NotServed(ProviderError):
    """The provider of this model has no such endpoint, or this hub does not speak its format here."""

    status, code, owner = 501, "not_served", "admin"
