"""`/v1/keys`: the keys that the key which asks has made itself, and whether keys that were found somewhere are live."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from app.base import clock
from app.base.db import AsyncSession
from app.base.errors import AppError, BadRequest
from app.base.json_guard import check_shape
from app.domain.billing import budget_rules, budget_words
from app.domain.identity import audit, child_keys
from app.domain.identity.audit import Actor
from app.domain.identity.callers import Caller
from app.domain.identity.child_keys import Wish
from app.domain.identity.models import ApiKey
from app.gateway.desk import budgeting
from app.web.api.visit import Visit

_MOST_CHECKED = 100
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_DEFAULT_LEVELS = (80, 100)

_encode = msgspec.json.Encoder().encode

_Asked = TypeVar("_Asked")


class BudgetAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount: str | int
    """Of money a text such as `"2.50"`."""
    unit: str = "cost"
    window: str = "total"
    timezone: str = "UTC"
    block: bool = True


class KeyAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    models: list[str] | None = None
    denied_models: list[str] = []
    endpoints: list[str] | None = None
    addresses: list[str] | None = None
    expires_at: datetime | int | None = None
    """A moment with its time zone, or seconds since 1970."""
    strict: bool = False
    budget: BudgetAsked | None = None


class KeysAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keys: list[str]


async def mint(visit: Visit) -> None:
    """`POST /v1/keys`: a key that may do no more than the one that asks. It is in this answer and nowhere else.

    Raises:
        NotAuthenticated
        BadRequest: a field cannot be; `param` names it.
        NotAllowed: it would be more than a key above it has, or one too many.
        Conflict: there is one of that name.
    """
    caller = visit.caller()
    asked = await _read(visit, KeyAsked)
    shared = visit.gateway.shared
    wish = Wish(
        name=asked.name,
        models=asked.models,
        denied_models=asked.denied_models,
        endpoints=asked.endpoints,
        addresses=asked.addresses,
        expires_at=_moment(asked.expires_at),
        is_strict=asked.strict,
    )
    async with shared.db.writing() as session:
        key, secret = await child_keys.mint(session, visit.authentication.pepper, caller.key_id, wish)
        if asked.budget is not None:
            terms = _terms(asked.budget, key.id)
            await budgeting.open_budget(session, terms, clock.now_us())
        after = {**_shown(key), "budget": None if asked.budget is None else asdict(asked.budget)}
        await _record(visit, session, caller, "key.create", key, after=after)
    budget = None if asked.budget is None else asdict(asked.budget)
    await visit.answer(_encode({**_shown(key), "budget": budget, "key": secret.reveal()}), status=201)


async def list_all(visit: Visit) -> None:
    """`GET /v1/keys`: those that this key has made and that were not revoked, oldest first.

    Raises:
        NotAuthenticated
    """
    caller = visit.caller()
    async with visit.gateway.shared.db.reading() as session:
        rows = await child_keys.listed(session, caller.key_id)
    await visit.answer(_encode({"object": "list", "data": [_shown(row) for row in rows], "has_more": False}))


async def revoke(visit: Visit) -> None:
    """`DELETE /v1/keys/{id}`: it and all that it made end, within a second in every process.

    Raises:
        NotAuthenticated
        NotFound: this key has made no such key.
    """
    caller = visit.caller()
    shared = visit.gateway.shared
    async with shared.db.writing() as session:
        key, was_live = await child_keys.revoke(session, caller.key_id, visit.variables["id"])
        if was_live:
            await _record(visit, session, caller, "key.revoke", key, after=None)
    # In this process at once.
    await shared.snapshots.refresh()
    await visit.answer(_encode({"id": key.id, "object": "api_key.deleted", "deleted": True}))


async def check(visit: Visit) -> None:
    """`POST /v1/keys/check`: which of these are keys of this hub that open something, or would once they are switched
    on again. Whose they are is not said.

    Raises:
        NotAuthenticated
        BadRequest: more than 100.
        LimitReached: the key has asked too often.
    """
    caller = visit.caller()
    visit.authentication.checks.take(caller.key_id)
    asked = await _read(visit, KeysAsked)
    if not 1 <= len(asked.keys) <= _MOST_CHECKED:
        raise BadRequest(f"keys has 1 to {_MOST_CHECKED} entries.", param="keys")
    moment = clock.now()
    found: list[dict[str, Any]] = []
    for n, text in enumerate(asked.keys):
        owner = visit.authentication.find(text) if text.isascii() else None
        is_live = owner is not None and all(
            ends is None or ends > moment for one in owner.line() for ends in (one.expires_at, one.secret_until)
        )
        found.append({"index": n, "live": is_live})
    await visit.answer(_encode({"object": "list", "data": found}))


async def _record(
    visit: Visit, session: AsyncSession, caller: Caller, action: str, key: ApiKey, *, after: Mapping[str, Any] | None
) -> None:
    """What a key does to another one goes into the audit trail, under its own name."""
    came_from = visit.address_of_client()
    await audit.record(
        session,
        Actor("key", f"{caller.team_name}/{caller.key_name}", caller.key_id),
        action,
        "key",
        key.id,
        f"{caller.team_name}/{key.name}",
        team_id=caller.team_id,
        after=after,
        source=audit.UNKNOWN if came_from is None else str(came_from),
    )


async def _read(visit: Visit, type_: type[_Asked]) -> _Asked:
    body = await visit.body()
    check_shape(body)
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as failure:
        sentence = str(failure)
        place = _PLACE.search(sentence)
        raise BadRequest(f"{_PLACE.sub('', sentence)}.", param=place[1] or None if place else None) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The body must be a JSON object.") from None


def _moment(asked: datetime | int | None) -> datetime | None:
    if isinstance(asked, datetime):
        if asked.tzinfo is None:
            raise BadRequest("expires_at needs its time zone, such as 2027-01-31T12:00:00Z.", param="expires_at")
        return asked.astimezone(UTC)
    try:
        return None if asked is None else datetime.fromtimestamp(asked, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRequest("expires_at is no moment.", param="expires_at") from None


def _terms(asked: BudgetAsked, key_id: str) -> budget_rules.Terms:
    try:
        return budget_rules.terms(
            scope="key",
            scope_id=key_id,
            unit=asked.unit,
            amount=budget_words.amount_of(asked.unit, str(asked.amount)),
            window=asked.window,
            timezone=asked.timezone,
            warn_percents=_DEFAULT_LEVELS,
            action="block" if asked.block else "warn",
        )
    except AppError as refusal:
        field = f"budget.{refusal.param}" if refusal.param else "budget"
        raise BadRequest(refusal.sentence, param=field) from None


def _shown(row: ApiKey) -> dict[str, Any]:
    if row.expires_at is not None and row.expires_at <= clock.now():
        state = "expired"
    else:
        state = "active" if row.disabled_at is None else "disabled"
    return {
        "id": row.id,
        "object": "api_key",
        "name": row.name,
        "prefix": row.prefix,
        "parent_id": row.parent_id,
        "models": row.models,
        "denied_models": row.denied_models,
        "endpoints": row.endpoints,
        "addresses": row.addresses,
        "strict": row.is_strict,
        "expires_at": row.expires_at,
        "created_at": row.created_at,
        "last_used_at": None if row.used_us is None else clock.from_us(row.used_us),
        "state": state,
    }
