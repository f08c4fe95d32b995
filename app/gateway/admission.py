"""May this caller make this call now? Everything that can be refused before the database or a provider is asked."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from datetime import datetime

from app.base import addresses
from app.base.addresses import Address
from app.base.errors import BadRequest, NotAllowed, NotAuthenticated, NotFound
from app.domain.catalog.serving import CallableModel
from app.domain.identity.callers import Caller
from app.gateway.snapshot import Snapshot
from app.wire.endpoint import Endpoint

HUB_PREFIX = "aignehub/"
"""AIGNE applications write `aignehub/openai/gpt-4o-mini`."""
_TASKS = {
    "completions": "conversation",
    "messages.count_tokens": "conversation",
    "gemini.count_tokens": "conversation",
    "audio.speech": "speech",
    "audio.transcriptions": "transcription",
    "audio.translations": "transcription",
    "moderations": "moderation",
}
"""Of the endpoints that stand for no other, by name."""
_MAX_SUGGESTIONS = 3
_MAX_LENGTH_DIFFERENCE = 5
_MAX_COMPARED = 500
"""Comparing takes some 20 µs a name, and whoever mistypes must not hold up the others."""


def check_caller(caller: Caller, moment: datetime) -> None:
    """
    Raises:
        NotAuthenticated: the key, or one above it, has expired or is switched off; or this secret of it was replaced.
    """
    if caller.secret_until is not None and caller.secret_until <= moment:
        raise NotAuthenticated(f"The API key {caller.key_name} has another secret by now; this one has ended.")
    for holder in caller.line():
        if holder.is_disabled:
            raise NotAuthenticated(f"The API key {holder.key_name} is switched off.", code="api_key_disabled")
        if holder.expires_at is not None and holder.expires_at <= moment:
            raise NotAuthenticated(
                f"The API key {holder.key_name} expired on {holder.expires_at:%Y-%m-%d}.", code="api_key_expired"
            )


def check_address(caller: Caller, address: Callable[[], Address | None]) -> None:
    """`address` finds where the request comes from; None where that is not known, which is nowhere.

    Raises:
        NotAllowed: the key, or one above it, may not be used from there.
    """
    for holder in caller.line():
        if holder.networks is not None and not addresses.is_in(found := address(), holder.networks):
            whence = "from an address that is not known" if found is None else f"from {found}"
            raise NotAllowed(f"The API key {holder.key_name} may not be used {whence}.", code="address_not_allowed")


def check_task(caller: Caller, task: str) -> None:
    """
    Raises:
        NotAllowed: the key, or one above it, is not for this; see `task_of`.
    """
    for holder in caller.line():
        if holder.tasks and task not in holder.tasks:
            raise NotAllowed(
                f"The API key {holder.key_name} is for {', '.join(sorted(holder.tasks))}; "
                f"it may not be used for {task}.",
                code="endpoint_not_allowed",
            )


def task_of(endpoint: Endpoint) -> str:
    """What a key has to be allowed for a call there, one of `api_keys.TASKS`."""
    return endpoint.task or _TASKS.get(endpoint.name, endpoint.name)


def find_model(snapshot: Snapshot, caller: Caller, name: str) -> CallableModel:
    """The model of that public name or alias.

    Raises:
        NotFound: `model_not_found`, with near names among those that the caller may use.
        NotAllowed: it exists, but not for this key.
    """
    model = snapshot.models.get(name)
    if model is None and name.startswith(HUB_PREFIX):
        model = snapshot.models.get(name.removeprefix(HUB_PREFIX))
    if model is None:
        raise _not_found(snapshot, caller, name)
    if (holder := caller.who_refuses_model(model.name)) is not None:
        raise NotAllowed(
            f"The API key {holder.key_name} may not call {model.name}.", param="model", code="model_not_allowed"
        )
    return model


def check_endpoint(model: CallableModel, endpoint: Endpoint) -> None:
    """
    Raises:
        BadRequest: a model of this type is not called at this endpoint.
    """
    if model.type not in endpoint.model_types:
        path = endpoint.path if endpoint.path.startswith("/api/") else f"/v1{endpoint.path}"
        raise BadRequest(
            f"{model.name} is a model of type {model.type}; it cannot be called at {path}.",
            param="model",
            code="wrong_model_type",
        )


def _not_found(snapshot: Snapshot, caller: Caller, name: str) -> NotFound:
    names = [known for known, model in snapshot.models.items() if caller.may_call(model.name)]
    wanted = name.removeprefix(HUB_PREFIX).lower()
    wanted_end = wanted.rpartition("/")[2]

    def likeness(known: str) -> float:
        return difflib.SequenceMatcher(None, wanted, known.lower()).ratio()

    # What models of one provider have in common is no likeness: first compare what follows its name.
    by_short: dict[str, list[str]] = {}
    for known in names:
        end = known.rpartition("/")[2].lower()
        if abs(len(end) - len(wanted_end)) <= _MAX_LENGTH_DIFFERENCE:
            by_short.setdefault(end, []).append(known)
    short = difflib.get_close_matches(wanted_end, list(by_short)[:_MAX_COMPARED], _MAX_SUGGESTIONS, 0.6)
    found = [known for match in short for known in sorted(by_short[match], key=likeness, reverse=True)]
    if not found:
        near = difflib.get_close_matches(
            wanted, [known.lower() for known in names[:_MAX_COMPARED]], _MAX_SUGGESTIONS, 0.6
        )
        found = [known for known in names if known.lower() in near]
    hint = (
        f" Did you mean {' or '.join(found[:_MAX_SUGGESTIONS])}?"
        if found
        else " GET /v1/models lists what you can call."
    )
    shown = name if len(name) <= 80 else f"{name[:80]}…"
    return NotFound(f"There is no model {shown}.{hint}", param="model", code="model_not_found")
