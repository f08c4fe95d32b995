"""The hub's present state in the words of `hub.yaml`: what `apply` compares with and `export` writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from app.base.db import AsyncSession
from app.domain.billing import grants
from app.domain.catalog import credentials, deployments, providers, rates, settings
from app.domain.identity import api_keys, teams


class CredentialState(Struct, frozen=True):
    id: str
    fingerprint: str
    weight: int


class ProviderState(Struct, frozen=True):
    id: str
    kind: str
    base_url: str | None
    region: str | None
    is_enabled: bool
    credentials: dict[str, CredentialState]
    """By label."""


class RouteState(Struct, frozen=True):
    id: str
    weight: int
    priority: int
    card: Mapping[str, rates.Line]


class ModelState(Struct, frozen=True):
    id: str
    type: str
    markup_basis_points: int | None
    aliases: list[str]
    routes: dict[tuple[str, str], RouteState]
    """By provider's name and upstream model."""


class KeyState(Struct, frozen=True):
    id: str
    digest: bytes
    models: list[str]
    is_strict: bool
    expires_at: datetime | None
    revoked_at: datetime | None


class TeamState(Struct, frozen=True):
    id: str
    keep_content_days: int
    granted_nano: int
    """What files have granted so far."""
    members: dict[str, str]
    """Role by e-mail address."""
    keys: dict[str, KeyState]


class State(Struct, frozen=True):
    """Everything by name. Two of them are equal if nothing was changed in between."""

    billing: settings.BillingMode
    providers: dict[str, ProviderState]
    models: dict[str, ModelState]
    teams: dict[str, TeamState]

    def alias_owners(self) -> dict[str, str]:
        """Alias → name of its model."""
        return {alias: name for name, model in self.models.items() for alias in model.aliases}


EMPTY = State("off", {}, {}, {})


async def load(session: AsyncSession) -> State:
    """The state, in a handful of queries whatever its size."""
    return State(
        billing=await settings.billing_mode(session),
        providers=await _providers(session),
        models=await _models(session),
        teams=await _teams(session),
    )


async def _providers(session: AsyncSession) -> dict[str, ProviderState]:
    rows = await providers.listed(session)
    by_id = {row.id: ProviderState(row.id, row.kind, row.base_url, row.region, row.is_enabled, {}) for row in rows}
    for row in await credentials.listed(session):
        by_id[row.provider_id].credentials[row.label] = CredentialState(row.id, row.fingerprint, row.weight)
    return {row.name: by_id[row.id] for row in rows}


async def _models(session: AsyncSession) -> dict[str, ModelState]:
    rows = await deployments.models(session)
    by_id = {row.id: ModelState(row.id, row.type, row.markup_basis_points, [], {}) for row in rows}
    for alias in await deployments.aliases(session):
        by_id[alias.model_id].aliases.append(alias.alias)
    provider_names = {row.id: row.name for row in await providers.listed(session)}
    routes = await deployments.listed(session)
    cards = await rates.newest(session, [route.id for route in routes])
    for route in routes:
        by_id[route.model_id].routes[provider_names[route.provider_id], route.upstream_model] = RouteState(
            route.id, route.weight, route.priority, cards[route.id]
        )
    return {row.name: by_id[row.id] for row in rows}


async def _teams(session: AsyncSession) -> dict[str, TeamState]:
    rows = await teams.listed(session)
    granted = await grants.totals(session, grants.FILE)
    by_id = {row.id: TeamState(row.id, row.keep_content_days, granted.get(row.id, 0), {}, {}) for row in rows}
    for team_id, email, role in await teams.memberships(session):
        by_id[team_id].members[email] = role
    for key in await api_keys.listed(session):
        by_id[key.team_id].keys[key.name] = KeyState(
            key.id, key.digest, key.models, key.is_strict, key.expires_at, key.revoked_at
        )
    return {row.name: by_id[row.id] for row in rows}
