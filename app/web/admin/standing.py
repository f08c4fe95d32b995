"""How the hub stands: providers with their credentials, models and keys, each with what is to be said about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from app.adapters.providers.kinds import Kind
from app.adapters.providers.registry import KINDS
from app.base import clock
from app.domain.catalog.models import Credential, Provider
from app.domain.catalog.serving import CallableModel
from app.domain.identity.models import ApiKey
from app.gateway.health import EVERY_MODEL, Health
from app.gateway.snapshot import Snapshot

Tone = Literal["ok", "warn", "bad", "info", "off"]
"""What a badge says beside its words: its colour and its icon."""

MODELS_SHOWN = 30
KEYS_SHOWN = 8


CredentialState = Literal["ready", "resting", "idle", "disabled", "unreadable"]
ProviderState = Literal["ready", "partly", "none_ready", "no_credential", "unknown_kind", "off"]


class Badge(Struct, frozen=True):
    tone: Tone
    text: str


class CredentialRow(Struct, frozen=True, kw_only=True):
    label: str
    hint: str
    state: CredentialState
    badge: Badge
    reason: str | None
    """Why it is not used, for people."""


class ProviderRow(Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    """As people call it."""
    place: str
    """Host or region; empty where the kind has one address only."""
    is_demo: bool
    state: ProviderState
    badge: Badge
    models: int
    credentials: Sequence[CredentialRow]

    @property
    def takes_calls(self) -> bool:
        return self.state in ("ready", "partly")


class RouteRow(Struct, frozen=True, kw_only=True):
    provider: str
    upstream_model: str
    can_serve: bool


class ModelRow(Struct, frozen=True, kw_only=True):
    name: str
    type: str
    aliases: Sequence[str]
    routes: Sequence[RouteRow]
    is_demo: bool
    badge: Badge | None
    """What is wrong with it."""


class KeyRow(Struct, frozen=True, kw_only=True):
    name: str
    team: str
    prefix: str
    badge: Badge
    created_at: datetime


def provider_rows(
    providers: Sequence[Provider], credentials: Sequence[Credential], snapshot: Snapshot, health: Health
) -> list[ProviderRow]:
    """Every provider, as this process sees it; the built-in demo while there is no other."""
    upstream_models: dict[str, set[str]] = defaultdict(set)
    for model in snapshot.catalogue():
        for route in model.routes:
            upstream_models[route.source.id].add(route.upstream_model)
    if not providers and upstream_models:
        models = len(snapshot.catalogue())
        return [
            ProviderRow(
                name="demo",
                kind="Built in",
                place="",
                is_demo=True,
                state="ready",
                badge=Badge("ok", "Ready"),
                models=models,
                credentials=(),
            )
        ]
    own: dict[str, list[CredentialRow]] = defaultdict(list)
    for one in credentials:
        own[one.provider_id].append(
            _credential_row(one, snapshot.unusable_credentials, health, upstream_models[one.provider_id])
        )
    return [_provider_row(row, own[row.id], len(upstream_models[row.id])) for row in providers]


def model_rows(snapshot: Snapshot, wanted: str) -> list[ModelRow]:
    """The models whose name, alias, type or provider has every word of `wanted` in it; empty wants all."""
    words = wanted.lower().split()
    return [model_row(model) for model in snapshot.catalogue() if all(word in _searched(model) for word in words)]


def model_row(model: CallableModel) -> ModelRow:
    routes = [
        RouteRow(
            provider=route.source.name,
            upstream_model=route.upstream_model,
            can_serve=bool(route.source.credentials),
        )
        for route in model.routes
    ]
    badge: Badge | None = None
    if not routes:
        badge = Badge("warn", "No route")
    elif not any(route.can_serve for route in routes):
        badge = Badge("bad", "Cannot be called")
    return ModelRow(
        name=model.name, type=model.type, aliases=model.aliases, routes=routes, is_demo=model.is_demo, badge=badge
    )


def key_rows(keys: Iterable[tuple[ApiKey, str]]) -> list[KeyRow]:
    now = clock.now()
    return [
        KeyRow(name=key.name, team=team_name, prefix=key.prefix, badge=_key_badge(key, now), created_at=key.created_at)
        for key, team_name in keys
    ]


def is_valid(expires_at: datetime | None, moment: datetime) -> bool:
    return expires_at is None or expires_at > moment


def _provider_row(row: Provider, credentials: Sequence[CredentialRow], models: int) -> ProviderRow:
    kind = KINDS.get(row.kind)
    state, badge = _provider_state(row, kind, credentials)
    return ProviderRow(
        name=row.name,
        kind=row.kind if kind is None else kind.title,
        place=row.region or _host(row.base_url),
        is_demo=row.kind == "demo",
        state=state,
        badge=badge,
        models=models,
        credentials=credentials,
    )


def _provider_state(
    row: Provider, kind: Kind | None, credentials: Sequence[CredentialRow]
) -> tuple[ProviderState, Badge]:
    ready = sum(one.state == "ready" for one in credentials)
    if not row.is_enabled:
        return "off", Badge("off", "Switched off")
    if kind is None:
        return "unknown_kind", Badge("bad", "Unknown kind")
    if not credentials and not kind.is_local():
        return "no_credential", Badge("bad", "No credential")
    if ready == len(credentials):
        return "ready", Badge("ok", "Ready")
    if ready:
        return "partly", Badge("warn", f"{ready} of {len(credentials)} ready")
    return "none_ready", Badge("bad", "None ready")


def _credential_row(
    row: Credential, unusable: Sequence[str], health: Health, upstream_models: Iterable[str]
) -> CredentialRow:
    reason: str | None = None
    if row.disabled_at is not None:
        state, badge = "disabled", Badge("bad", "Disabled")
        reason = row.disabled_reason or "An admin switched it off."
    elif row.id in unusable:
        state, badge = "unreadable", Badge("bad", "Unreadable")
        reason = "It was sealed with another master key than the one in use."
    elif row.weight == 0:
        state, badge = "idle", Badge("off", "Weight 0")
    else:
        resting = _resting(row.id, health, upstream_models)
        state, badge = ("ready", Badge("ok", "Ready")) if resting is None else ("resting", resting)
    return CredentialRow(label=row.label, hint=row.hint, state=state, badge=badge, reason=reason)


def _resting(credential_id: str, health: Health, upstream_models: Iterable[str]) -> Badge | None:
    """As a whole, for some of its models, or not at all."""
    seconds = health.rests_for(credential_id, EVERY_MODEL)
    if seconds > 0:
        why = "Rate limited" if health.is_limited(credential_id, EVERY_MODEL) else "Failing"
        return Badge("warn", f"{why}, rests {_seconds(seconds)}")
    resting = [health.rests_for(credential_id, model) for model in upstream_models]
    resting = [seconds for seconds in resting if seconds > 0]
    if not resting:
        return None
    models = "1 model rests" if len(resting) == 1 else f"{len(resting)} models rest"
    return Badge("warn", f"{models} {_seconds(max(resting))}")


def _seconds(seconds: float) -> str:
    return f"{int(seconds) + 1} s"


def _searched(model: CallableModel) -> str:
    return " ".join((model.name, model.type, *model.aliases, *(route.source.name for route in model.routes))).lower()


def _key_badge(key: ApiKey, now: datetime) -> Badge:
    if key.revoked_at is not None:
        return Badge("off", "Revoked")
    if key.disabled_at is not None:
        return Badge("off", "Switched off")
    return Badge("ok", "Active") if is_valid(key.expires_at, now) else Badge("warn", "Expired")


def _host(base_url: str | None) -> str:
    return "" if base_url is None else base_url.partition("://")[2].partition("/")[0]
