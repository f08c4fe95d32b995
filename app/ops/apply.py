"""`hub apply`: reads a file, plans, and carries the plan out in one transaction."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from app.adapters.providers.kinds import Kind
from app.base import clock
from app.base.db import AsyncSession
from app.base.errors import BadValue, Conflict
from app.base.vault import Vault
from app.domain.billing import budgets, grants
from app.domain.calls import limits
from app.domain.calls import teams as teams_of_calls
from app.domain.calls.limit_rules import EACH
from app.domain.catalog import credentials, deployments, providers, rates, settings
from app.domain.identity import api_keys, teams, users
from app.gateway.desk import budgeting
from app.gateway.limits import limit_names
from app.ops import hub_file, hub_state, plan, plan_events, steps
from app.ops.changes import Plan
from app.ops.house import House
from app.ops.hub_file import HubFile
from app.ops.hub_state import State
from app.ops.marked_yaml import FileRefused


class Draft(Struct, frozen=True):
    """A plan with what it was made from."""

    state: State
    plan: Plan


async def prepare(
    hub: House,
    raw: bytes,
    source: str,
    *,
    environ: Mapping[str, str],
    kinds: Mapping[str, Kind],
    is_pruning: bool,
) -> Draft:
    """What applying the file would change. `source` is its name, for the faults.

    Raises:
        FileRefused: with all the faults of the file.
    """
    async with hub.db.reading() as session:
        state = await hub_state.load(session)
        file = hub_file.read(raw, source, environ=environ, kinds=kinds, state=state, is_pruning=is_pruning)
        immovable = await _immovable(session, file, state) if is_pruning else {}
    drafted = plan.compare(file, state, hub.pepper, is_pruning=is_pruning, immovable=immovable)
    if drafted.faults:
        raise FileRefused(drafted.faults)
    return Draft(state, drafted)


async def carry_out(hub: House, draft: Draft) -> None:
    """All of the plan, or nothing of it.

    Raises:
        Conflict: the hub was changed since the plan was made.
    """
    if not draft.plan.changes:
        return
    async with hub.changing() as deed:
        session = deed.session
        await settings.lock(session)
        if await hub_state.load(session) != draft.state:
            raise Conflict("Somebody changed the hub since this plan was made. Nothing was done; run it again.")
        worker = _Worker(session, hub.vault, hub.pepper, draft.state)
        for change in draft.plan.changes:
            worker.made = ""
            for step in change.steps:
                await worker.do(step)
            plan_events.tell(deed, change, worker.made, worker.team_ids)


async def _immovable(session: AsyncSession, file: HubFile, state: State) -> dict[str, str]:
    """Why the teams that the file leaves out cannot be removed, where they cannot."""
    if file.teams is None:
        return {}
    named = {team.name for team in file.teams}
    leaving = {team.id: name for name, team in state.teams.items() if name not in named}
    granted = await grants.teams_with_grants(session)
    reasons = {name: "it was given credits" for id_, name in leaving.items() if id_ in granted}
    calling = await teams_of_calls.with_calls(session, leaving)
    return reasons | {leaving[id_]: "it has made calls" for id_ in calling}


class _Worker:
    """Carries out steps; knows the ids of what was there and of what it has added."""

    def __init__(self, session: AsyncSession, vault: Vault, pepper: bytes, state: State) -> None:
        self._session = session
        self._vault = vault
        self._pepper = pepper
        self.made = ""
        """The id of what was added last."""
        self._provider_ids = {name: provider.id for name, provider in state.providers.items()}
        self._model_ids = {name: model.id for name, model in state.models.items()}
        self.team_ids = {name: team.id for name, team in state.teams.items()}
        self._route_ids = {
            (name, *target): route.id for name, model in state.models.items() for target, route in model.routes.items()
        }

    async def do(self, step: steps.Step) -> None:
        if isinstance(step, steps.SetBilling):
            await settings.set_billing_mode(self._session, step.mode)
        elif isinstance(step, steps.SetSetting):
            await settings.put(self._session, step.name, step.text)
        elif isinstance(step, steps.ProviderStep):
            await self._do_provider(step)
        elif isinstance(step, steps.ModelStep):
            await self._do_model(step)
        elif isinstance(step, steps.BudgetStep):
            await self._do_budget(step)
        elif isinstance(step, steps.LimitStep):
            await self._do_limit(step)
        else:
            await self._do_team(step)

    async def _do_provider(self, step: steps.ProviderStep) -> None:
        session, vault, pepper = self._session, self._vault, self._pepper
        match step:
            case steps.AddProvider(name, kind, base_url, region, is_enabled):
                row = await providers.add(
                    session, name=name, kind=kind, base_url=base_url, region=region, is_enabled=is_enabled
                )
                self._provider_ids[name] = self.made = row.id
            case steps.ChangeProvider(id_, kind, base_url, region, is_enabled):
                await providers.change(session, id_, kind=kind, base_url=base_url, region=region, is_enabled=is_enabled)
            case steps.SetProviderMarkup(provider, points):
                await providers.set_markup(session, self._provider_ids[provider], points)
            case steps.RemoveProvider(id_):
                own = [row.id for row in await credentials.listed(session, id_)]
                await limits.end_with(session, credential_ids=own)
                await providers.remove(session, id_)
            case steps.AddCredential(provider, label, parts, weight):
                provider_id = self._provider_ids[provider]
                added = await credentials.add(
                    session, vault, pepper, provider_id=provider_id, label=label, parts=parts, weight=weight
                )
                self.made = added.id
            case steps.ReplaceCredential(id_, parts):
                await credentials.replace(session, vault, pepper, id_, parts)
            case steps.WeighCredential(id_, weight):
                await credentials.set_weight(session, id_, weight)
            case steps.RemoveCredential(id_):
                await limits.end_with(session, credential_ids=[id_])
                await credentials.remove(session, id_)

    async def _do_model(self, step: steps.ModelStep) -> None:
        session = self._session
        match step:
            case steps.AddModel(name, type_, markup):
                row = await deployments.add_model(session, name=name, type=type_, markup_basis_points=markup)
                self._model_ids[name] = self.made = row.id
            case steps.ChangeModel(id_, type_, markup):
                await deployments.change_model(session, id_, type=type_, markup_basis_points=markup)
            case steps.RemoveModel(id_):
                await deployments.remove_model(session, id_)
            case steps.SetAlias(model, alias):
                await deployments.set_alias(session, self._model_ids[model], alias)
            case steps.RemoveAlias(alias):
                await deployments.remove_alias(session, alias)
            case steps.AddRoute(model, provider, upstream_model, weight, priority):
                route = await deployments.add(
                    session,
                    model_id=self._model_ids[model],
                    provider_id=self._provider_ids[provider],
                    upstream_model=upstream_model,
                    weight=weight,
                    priority=priority,
                )
                self._route_ids[model, provider, upstream_model] = self.made = route.id
            case steps.ChangeRoute(id_, weight, priority):
                await deployments.change(session, id_, weight=weight, priority=priority)
            case steps.RemoveRoute(id_):
                await deployments.remove(session, id_)
            case steps.SetCard(model, provider, upstream_model, card, conditional):
                route_id = self._route_ids[model, provider, upstream_model]
                try:
                    await rates.set_card(session, route_id, card, source="file", conditional=conditional)
                except BadValue as refusal:
                    raise BadValue(f"{model}: {refusal.sentence}", param=refusal.param) from None

    async def _do_team(self, step: steps.TeamStep) -> None:
        session, pepper = self._session, self._pepper
        match step:
            case steps.AddTeam(name, days):
                self.team_ids[name] = (await teams.create(session, name=name, keep_content_days=days)).id
            case steps.SetRetention(id_, days):
                await teams.set_keep_content_days(session, id_, days)
            case steps.SetTeamMarkup(team, points):
                await teams.set_markup(session, self.team_ids[team], points)
            case steps.RemoveTeam(id_, name):
                # Whoever called meanwhile has won: the calls name the team.
                if await teams_of_calls.with_calls(session, [id_]):
                    raise Conflict(f'Team "{name}" has just made a call, so it cannot be removed. Nothing was done.')
                keys = [key.id for key in await api_keys.listed(session, id_)]
                await budgets.end_with(session, team_id=id_, key_ids=keys)
                await limits.end_with(session, team_id=id_, key_ids=keys)
                await teams.remove(session, id_)
            case steps.SetMember(team, email, role):
                await teams.set_member(session, self.team_ids[team], email, role)
            case steps.RemoveMember(team_id, email):
                await teams.remove_member(session, team_id, email)
            case steps.Grant(team, amount_nano):
                await grants.change_of_file(session, self.team_ids[team], amount_nano)
            case steps.AddKey(team, name, secret, terms):
                key, _ = await api_keys.create(
                    session,
                    pepper,
                    team_id=self.team_ids[team],
                    name=name,
                    models=terms.models,
                    secret=secret,
                    expires_at=terms.expires_at,
                    is_strict=terms.is_strict,
                    user_id=await self._user_id(terms.user),
                    denied_models=terms.denied_models,
                    endpoints=terms.endpoints,
                    addresses=terms.networks,
                    is_enabled=terms.is_enabled,
                )
                self.made = key.id
            case steps.ChangeKey(team_id, id_, terms):
                await api_keys.change(
                    session,
                    team_id,
                    id_,
                    models=terms.models,
                    expires_at=terms.expires_at,
                    is_strict=terms.is_strict,
                    user_id=await self._user_id(terms.user),
                    denied_models=terms.denied_models,
                    endpoints=terms.endpoints,
                    addresses=terms.networks,
                )
                await api_keys.set_enabled(session, team_id, id_, is_enabled=terms.is_enabled)
            case steps.ReplaceKeySecret(team_id, id_, secret):
                await api_keys.replace_secret(session, pepper, team_id, id_, secret)
            case steps.RemoveKey(team_id, id_):
                gone = [id_, *await api_keys.below(session, id_)]
                await budgets.end_with(session, key_ids=gone)
                await limits.end_with(session, key_ids=gone)
                await api_keys.remove(session, team_id, id_)

    async def _do_budget(self, step: steps.BudgetStep) -> None:
        session = self._session
        match step:
            case steps.SetBudget(terms):
                if terms.scope == "user":
                    await users.ensure(session, terms.scope_id)
                scope_id = await budgeting.scope_id(session, terms.scope, terms.scope_id)
                rule = await budgeting.open_budget(session, replace(terms, scope_id=scope_id), clock.now_us())
                self.made = rule.id
            case steps.EndBudget(id_):
                await budgets.end(session, id_)

    async def _do_limit(self, step: steps.LimitStep) -> None:
        session = self._session
        match step:
            case steps.SetLimit(terms):
                if terms.scope == "user" and terms.scope_id != EACH:
                    await users.ensure(session, terms.scope_id)
                scope_id = await limit_names.scope_id(session, terms.scope, terms.scope_id)
                await limits.create(session, replace(terms, scope_id=scope_id))
            case steps.EndLimit(id_):
                await limits.end(session, id_)

    async def _user_id(self, email: str | None) -> str | None:
        """Who is not known yet becomes a member of the hub."""
        return None if email is None else (await users.ensure(self._session, email)).id
