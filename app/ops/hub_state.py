"""The hub's present state in the words of `hub.yaml`: what `apply` compares with and `export` writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from app.base.db import AsyncSession
from app.domain.billing import budgets, grants
from app.domain.billing.budget_rules import Terms
from app.domain.calls import limits
from app.domain.calls.limit_rules import Terms as LimitTerms
from app.domain.catalog import credentials, deployments, providers, rates, settings
from app.domain.identity import api_keys, callers, teams, users
from app.gateway.desk import budgeting
from app.gateway.limits import limit_names
from app.ops import budget_file, limit_file, price_file


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
    markup_basis_points: int | None = None


class RouteState(Struct, frozen=True):
    id: str
    weight: int
    priority: int
    card: Mapping[str, rates.Line]
    conditional: price_file.Conditional


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
    user: str | None
    """E-mail address."""
    revoked_at: datetime | None
    denied_models: list[str] = []
    endpoints: list[str] = []
    networks: list[str] = []
    is_enabled: bool = True
    previous_digest: bytes | None = None
    """Of the secret that it had before it was rolled."""


class TeamState(Struct, frozen=True):
    id: str
    keep_content_days: int
    granted_nano: int
    """What files have granted so far."""
    members: dict[str, str]
    """Role by e-mail address."""
    keys: dict[str, KeyState]
    markup_basis_points: int | None = None


class BudgetState(Struct, frozen=True):
    id: str
    terms: Terms
    """With what it is of by name, as the file has it."""


class LimitState(Struct, frozen=True):
    id: str
    terms: LimitTerms
    """With what it is of by name, as the file has it."""


class State(Struct, frozen=True):
    """Everything by name. Two of them are equal if nothing was changed in between."""

    billing: settings.BillingMode
    providers: dict[str, ProviderState]
    models: dict[str, ModelState]
    teams: dict[str, TeamState]
    budgets: dict[str, BudgetState]
    """By `budget_file.title`."""
    limits: Mapping[str, LimitState] = {}
    """By `limit_file.title`."""
    settings: Mapping[str, str] = {}
    """Text by name, of those that are not as they were at first."""

    def alias_owners(self) -> dict[str, str]:
        """Alias → name of its model."""
        return {alias: name for name, model in self.models.items() for alias in model.aliases}


EMPTY = State("off", {}, {}, {}, {})


async def load(session: AsyncSession) -> State:
    """The state, in a handful of queries whatever its size."""
    return State(
        billing=await settings.billing_mode(session),
        providers=await _providers(session),
        models=await _models(session),
        teams=await _teams(session),
        budgets=await _budgets(session),
        limits=await _limits(session),
        settings=await _settings(session),
    )


async def _settings(session: AsyncSession) -> dict[str, str]:
    found = await settings.values(session, price_file.SETTINGS)
    return {name: text for name, text in found.items() if text != settings.SETTINGS[name].default}


async def _providers(session: AsyncSession) -> dict[str, ProviderState]:
    rows = await providers.listed(session)
    by_id = {
        row.id: ProviderState(row.id, row.kind, row.base_url, row.region, row.is_enabled, {}, row.markup_basis_points)
        for row in rows
    }
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
    lines = await rates.in_force(session, [route.id for route in routes], await rates.moment(session))
    for route in routes:
        by_id[route.model_id].routes[provider_names[route.provider_id], route.upstream_model] = RouteState(
            route.id, route.weight, route.priority, *price_file.of_hub(lines[route.id])
        )
    return {row.name: by_id[row.id] for row in rows}


async def _teams(session: AsyncSession) -> dict[str, TeamState]:
    rows = await teams.listed(session)
    granted = await grants.granted_by_file(session)
    by_id = {
        row.id: TeamState(row.id, row.keep_content_days, granted.get(row.id, 0), {}, {}, row.markup_basis_points)
        for row in rows
    }
    for team_id, email, role in await teams.memberships(session):
        by_id[team_id].members[email] = role
    keys = await api_keys.listed(session)
    addresses = await users.addresses(session, {key.user_id for key in keys if key.user_id is not None})
    for key in keys:
        if key.parent_id is not None:
            # What a key has made belongs to that key: a file would make it a key of its own, and so a wider one.
            continue
        user = None if key.user_id is None else addresses.get(key.user_id)
        by_id[key.team_id].keys[key.name] = KeyState(
            key.id,
            key.digest,
            key.models,
            key.is_strict,
            key.expires_at,
            user,
            key.revoked_at,
            key.denied_models,
            key.endpoints,
            key.addresses,
            key.disabled_at is None,
            key.previous_digest,
        )
    return {row.name: by_id[row.id] for row in rows}


async def _budgets(session: AsyncSession) -> dict[str, BudgetState]:
    """Those in force whose thing is still there."""
    rules = await budgets.in_force(session)
    names = await budgeting.names(session, rules)
    made_by_keys = await callers.parents(session)
    found: dict[str, BudgetState] = {}
    for rule in rules:
        if rule.id in names and not (rule.scope == "key" and rule.scope_id in made_by_keys):
            terms = Terms(**{name: getattr(rule, name) for name in Terms.__struct_fields__})
            terms = replace(terms, scope_id=names[rule.id])
            found[budget_file.title(terms)] = BudgetState(rule.id, terms)
    return dict(sorted(found.items()))


async def _limits(session: AsyncSession) -> dict[str, LimitState]:
    """Those in force whose thing is still there."""
    rules = await limits.in_force(session)
    names = await limit_names.names(session, rules)
    made_by_keys = await callers.parents(session)
    found: dict[str, LimitState] = {}
    for rule in rules:
        name = names.get((rule.scope, rule.scope_id))
        if name is not None and not (rule.scope == "key" and rule.scope_id in made_by_keys):
            terms = LimitTerms(**{field: getattr(rule, field) for field in LimitTerms.__struct_fields__})
            terms = replace(terms, scope_id=name)
            found[limit_file.title(terms)] = LimitState(rule.id, terms)
    return dict(sorted(found.items()))
