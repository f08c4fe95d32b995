"""The plan of `hub apply`: a file compared with the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from app.domain.billing.budget_rules import Terms
from app.domain.calls.limit_rules import Terms as LimitTerms
from app.domain.catalog import credentials, rates, settings
from app.domain.identity import api_keys
from app.ops import budget_file, key_file, limit_file, price_file, steps
from app.ops.changes import Change, FieldChange, Plan, amount_text, field, percent_text, yes
from app.ops.hub_file import CredentialItem, HubFile, KeyItem, ModelItem, ProviderItem, TeamItem
from app.ops.hub_state import BudgetState, KeyState, LimitState, ModelState, ProviderState, RouteState, State, TeamState
from app.ops.marked_yaml import Fault
from app.ops.steps import Step

_State = TypeVar("_State")


def compare(
    file: HubFile, state: State, pepper: bytes, *, is_pruning: bool, immovable: Mapping[str, str] | None = None
) -> Plan:
    """What has to happen so that the hub is as the file says.

    `immovable` tells by name which teams cannot be removed, and why.
    """
    comparison = _Comparison(file, state, pepper, is_pruning=is_pruning, immovable=immovable or {})
    comparison.run()
    return Plan(
        changes=(*comparison.removals, *comparison.changes),
        kept=tuple(comparison.kept),
        faults=tuple(comparison.faults),
    )


class _Comparison:
    def __init__(
        self, file: HubFile, state: State, pepper: bytes, *, is_pruning: bool, immovable: Mapping[str, str]
    ) -> None:
        self._file = file
        self._state = state
        self._pepper = pepper
        self._is_pruning = is_pruning
        self._immovable = immovable
        self._leaving_providers: set[str] = set()
        self._aliases = state.alias_owners()
        self.removals: list[Change] = []
        self.changes: list[Change] = []
        self.kept: list[str] = []
        self.faults: list[Fault] = []

    def run(self) -> None:
        file, state = self._file, self._state
        if file.billing is not None and file.billing != state.billing:
            fields = [field("mode", state.billing, file.billing)]
            self._change("hub", "billing", fields, steps.SetBilling(file.billing))
        self._settings(file.settings)
        if file.teams is not None:
            # First: a key may give its secret, and a model its name, to another one.
            self._extra("team", state.teams, [team.name for team in file.teams], self._remove_team)
        if file.models is not None:
            self._extra("model", state.models, [model.name for model in file.models], self._remove_model)
        if file.providers is not None:
            self._extra("provider", state.providers, [item.name for item in file.providers], self._remove_provider)
        for provider in file.providers or ():
            self._provider(provider, state.providers.get(provider.name))
        for model in file.models or ():
            self._model(model, state.models.get(model.name))
        for team in file.teams or ():
            self._team(team, state.teams.get(team.name))
        if file.budgets is not None:
            wanted = [budget_file.title(terms) for terms in file.budgets]
            self._extra("budget", state.budgets, wanted, lambda _, budget: steps.EndBudget(budget.id))
        for terms in file.budgets or ():
            self._budget(terms, state.budgets.get(budget_file.title(terms)))
        if file.limits is not None:
            wanted = [limit_file.title(terms) for terms in file.limits]
            self._extra("limit", state.limits, wanted, lambda _, limit: steps.EndLimit(limit.id))
        for terms in file.limits or ():
            self._limit(terms, state.limits.get(limit_file.title(terms)))
        self._refuse_known_secrets()

    def _settings(self, wanted: Mapping[str, str] | None) -> None:
        """First of all: prices may be refused on the terms that were."""
        if wanted is None:
            return
        texts = dict(wanted)
        if self._is_pruning:
            usual = {name: settings.SETTINGS[name].default for name in self._state.settings}
            texts = usual | texts
        for name, text in texts.items():
            old = self._state.settings.get(name, settings.SETTINGS[name].default)
            self._change("setting", name, [field("to", old, text)], steps.SetSetting(name, text))

    def _provider(self, item: ProviderItem, old: ProviderState | None) -> None:
        enabled = item.is_enabled if item.is_enabled is not None else old is None or old.is_enabled
        fields = [
            field("kind", old and old.kind, item.kind),
            field("base_url", old and old.base_url, item.base_url),
            field("region", old and old.region, item.region),
            field("enabled", yes(old is None or old.is_enabled), yes(enabled)),
        ]
        markup = None if old is None else old.markup_basis_points
        fields += price_file.markup_change(markup, item.markup)
        more = () if item.markup is None else (steps.SetProviderMarkup(item.name, item.markup.basis_points),)
        if old is None:
            step = steps.AddProvider(item.name, item.kind, item.base_url, item.region, enabled)
            self._add("provider", item.name, fields, step, *more)
        else:
            step = steps.ChangeProvider(old.id, item.kind, item.base_url, item.region, enabled)
            self._change("provider", item.name, fields, step, *more)
        if item.credentials is None:
            return
        known = {} if old is None else old.credentials
        self._extra(
            "credential",
            {f"{item.name}/{label}": state for label, state in known.items()},
            [f"{item.name}/{credential.label}" for credential in item.credentials],
            lambda _, state: steps.RemoveCredential(state.id),
        )
        for credential in item.credentials:
            self._credential(item.name, credential, old)

    def _credential(self, provider: str, item: CredentialItem, owner: ProviderState | None) -> None:
        name = f"{provider}/{item.label}"
        old = None if owner is None else owner.credentials.get(item.label)
        if old is None:
            step = steps.AddCredential(provider, item.label, item.parts, item.weight)
            secret = [FieldChange("secret", None, None)] if item.parts else []
            self._add("credential", name, [*secret, field("weight", None, str(item.weight))], step)
            return
        fields: list[FieldChange] = []
        todo: list[Step] = []
        if credentials.fingerprint(self._pepper, item.parts) != old.fingerprint:
            fields.append(FieldChange("secret", None, None))
            todo.append(steps.ReplaceCredential(old.id, item.parts))
        if item.weight != old.weight:
            fields.append(field("weight", str(old.weight), str(item.weight)))
            todo.append(steps.WeighCredential(old.id, item.weight))
        self._change("credential", name, fields, *todo)

    def _model(self, item: ModelItem, old: ModelState | None) -> None:
        markup = old.markup_basis_points if old is not None else None
        new_markup = markup if item.price is None else item.price.markup_basis_points
        fields = [
            field("type", old and old.type, item.type),
            field("markup_percent", percent_text(markup), percent_text(new_markup)),
        ]
        if old is None:
            self._add("model", item.name, fields, steps.AddModel(item.name, item.type, new_markup))
        else:
            self._change("model", item.name, fields, steps.ChangeModel(old.id, item.type, new_markup))
        if item.aliases is not None:
            known = [] if old is None else old.aliases
            own = {alias: alias for alias in known if not self._is_taken(alias, item.name)}
            self._extra("alias", own, item.aliases, lambda alias, _: steps.RemoveAlias(alias))
            for alias in item.aliases:
                owner = self._aliases.get(alias)
                if owner is None or self._is_leaving_model(owner):
                    self._add("alias", alias, [field("of", None, item.name)], steps.SetAlias(item.name, alias))
                else:
                    self._change("alias", alias, [field("of", owner, item.name)], steps.SetAlias(item.name, alias))
        self._routes(item, old)

    def _is_taken(self, alias: str, model: str) -> bool:
        """Whether the file gives the alias to another model."""
        return any(alias in (other.aliases or ()) for other in self._file.models or () if other.name != model)

    def _is_leaving_model(self, name: str) -> bool:
        return self._is_pruning and all(model.name != name for model in self._file.models or ())

    def _routes(self, item: ModelItem, old: ModelState | None) -> None:
        known = {
            target: route
            for target, route in (old.routes if old else {}).items()
            # These go with their provider, which says so.
            if target[0] not in self._leaving_providers
        }
        wanted = {(route.provider, route.upstream_model): route for route in item.routes or ()}
        if item.routes is not None:
            self._extra(
                "route",
                {_route_name(item.name, target): route for target, route in known.items()},
                [_route_name(item.name, target) for target in wanted],
                lambda _, route: steps.RemoveRoute(route.id),
            )
        for target, route in wanted.items():
            before = known.get(target)
            fields = [
                field("weight", before and str(before.weight), str(route.weight)),
                field("priority", before and str(before.priority), str(route.priority)),
            ]
            name = _route_name(item.name, target)
            if before is None:
                step = steps.AddRoute(item.name, route.provider, route.upstream_model, route.weight, route.priority)
                self._add("route", name, fields, step)
            else:
                self._change("route", name, fields, steps.ChangeRoute(before.id, route.weight, route.priority))
        is_exact = item.routes is not None and self._is_pruning
        targets = list(wanted) if is_exact else [*wanted, *known]
        for target in dict.fromkeys(targets):
            self._card(item, target, known.get(target))

    def _card(self, item: ModelItem, target: tuple[str, str], route: RouteState | None) -> None:
        """What the file does not mention of cost and price stays: the other half of each line, and all of it."""
        cost, price = item.cost_nano_by_meter, item.price
        if cost is None and price is None and item.rates is None:
            return
        old: rates.Card = {} if route is None else route.card
        nothing = rates.Line(None, None)
        card: dict[str, rates.Line] = {}
        fields: list[FieldChange] = []
        prices = price.nano_by_meter if price else {}
        meters: list[str] = [*(cost or {}), *prices, *old]
        for meter in dict.fromkeys(meters):
            before = old.get(meter, nothing)
            line = rates.Line(
                before.cost_nano if cost is None else cost.get(meter),
                before.price_nano if price is None else prices.get(meter),
            )
            if line != nothing:
                card[meter] = line
            fields.append(field(f"{meter} cost", amount_text(before.cost_nano), amount_text(line.cost_nano)))
            fields.append(field(f"{meter} price", amount_text(before.price_nano), amount_text(line.price_nano)))
        name = _route_name(item.name, target)
        conditional = None
        if item.rates is not None:
            wanted = {(rate.meter, rate.condition): rate.line for rate in item.rates}
            conditional = price_file.new_lines(wanted)
            fields += price_file.changes({} if route is None else route.conditional, wanted)
        step = steps.SetCard(item.name, target[0], target[1], card, conditional)
        if old or (route is not None and route.conditional):
            self._change("rates", name, fields, step)
        elif card or conditional:
            self._add("rates", name, fields, step)

    def _team(self, item: TeamItem, old: TeamState | None) -> None:
        days = old.keep_content_days if old else 0
        new_days = days if item.keep_content_days is None else item.keep_content_days
        fields = [field("keep_content_days", str(days), str(new_days))]
        fields += price_file.markup_change(None if old is None else old.markup_basis_points, item.markup)
        more = () if item.markup is None else (steps.SetTeamMarkup(item.name, item.markup.basis_points),)
        if old is None:
            self._add("team", item.name, fields, steps.AddTeam(item.name, new_days), *more)
        else:
            self._change("team", item.name, fields, steps.SetRetention(old.id, new_days), *more)
        if item.members is not None:
            self._members(item.name, item.members, old)
        granted = old.granted_nano if old else 0
        if item.credits_nano is not None and item.credits_nano != granted:
            credit_fields = [field("granted by files", amount_text(granted), amount_text(item.credits_nano))]
            self._change("credits", item.name, credit_fields, steps.Grant(item.name, item.credits_nano - granted))
        if item.keys is not None:
            active = {name: key for name, key in (old.keys if old else {}).items() if key.revoked_at is None}
            self._extra(
                "key",
                {f"{item.name}/{name}": key for name, key in active.items()},
                [f"{item.name}/{key.name}" for key in item.keys],
                lambda _, key: steps.RemoveKey(old.id if old else "", key.id),
            )
            for key in item.keys:
                self._key(item.name, key, old)

    def _members(self, team: str, members: Mapping[str, str], old: TeamState | None) -> None:
        known = old.members if old else {}
        team_id = old.id if old else ""
        self._extra(
            "member",
            {f"{team}/{email}": email for email in known},
            [f"{team}/{email}" for email in members],
            lambda _, email: steps.RemoveMember(team_id, email),
        )
        for email, role in members.items():
            fields, step = [field("role", known.get(email), role)], steps.SetMember(team, email, role)
            if email in known:
                self._change("member", f"{team}/{email}", fields, step)
            else:
                self._add("member", f"{team}/{email}", fields, step)

    def _key(self, team: str, item: KeyItem, owner: TeamState | None) -> None:
        name = f"{team}/{item.name}"
        old = owner.keys.get(item.name) if owner else None
        terms, fields = item.terms, key_file.changes(old, item.terms)
        if old is None or owner is None:
            step = steps.AddKey(team, item.name, item.secret, terms)
            self._add("key", name, [FieldChange("secret", None, None), *fields], step)
            return
        todo: list[Step] = []
        if any(one.old != one.new for one in fields):
            todo.append(steps.ChangeKey(owner.id, old.id, terms))
        if api_keys.digest(self._pepper, item.secret.reveal()) != old.digest:
            todo.append(steps.ReplaceKeySecret(owner.id, old.id, item.secret))
            fields.append(FieldChange("secret", None, None))
            if old.revoked_at is not None:
                fields.append(field("state", "revoked", "active"))
        self._change("key", name, fields, *todo)

    def _budget(self, terms: Terms, old: BudgetState | None) -> None:
        fields = budget_file.changes(None if old is None else old.terms, terms)
        tell = self._add if old is None else self._change
        tell("budget", budget_file.title(terms), fields, steps.SetBudget(terms))

    def _limit(self, terms: LimitTerms, old: LimitState | None) -> None:
        fields = limit_file.changes(None if old is None else old.terms, terms)
        tell = self._add if old is None else self._change
        tell("limit", limit_file.title(terms), fields, steps.SetLimit(terms))

    def _refuse_known_secrets(self) -> None:
        """A secret opens one key. One that was revoked stays closed, whatever a file says."""
        owners: dict[bytes, tuple[str, str, KeyState]] = {
            key.digest: (team, name, key)
            for team, state in self._state.teams.items()
            for name, key in state.keys.items()
            if key.revoked_at is not None or not self._is_leaving_key(team, name)
        }
        rolled = {
            key.previous_digest: (team, name)
            for team, state in self._state.teams.items()
            for name, key in state.keys.items()
            if key.previous_digest is not None
        }
        for team in self._file.teams or ():
            for item in team.keys or ():
                given = api_keys.digest(self._pepper, item.secret.reveal())
                found = owners.get(given)
                if found is None and given in rolled:
                    name, owner = rolled[given]
                    sentence = f'this is the secret that key "{owner}" of team "{name}" had before it was rolled.'
                    self.faults.append(Fault(self._file.source, item.line, item.path, sentence))
                if found is None:
                    continue
                if found[2].revoked_at is not None:
                    sentence = "this secret was revoked and stays so. Give the key another one."
                elif found[:2] != (team.name, item.name):
                    sentence = f'this is the secret of key "{found[1]}" of team "{found[0]}".'
                else:
                    continue
                self.faults.append(Fault(self._file.source, item.line, item.path, sentence))

    def _is_leaving_key(self, team: str, name: str) -> bool:
        if not self._is_pruning or self._file.teams is None:
            return False
        item = next((item for item in self._file.teams if item.name == team), None)
        if item is None:
            return True
        return item.keys is not None and all(key.name != name for key in item.keys)

    def _remove_provider(self, name: str, state: ProviderState) -> Step:
        self._leaving_providers.add(name)
        return steps.RemoveProvider(state.id)

    def _remove_model(self, _name: str, state: ModelState) -> Step:
        return steps.RemoveModel(state.id)

    def _remove_team(self, name: str, state: TeamState) -> Step:
        if name in self._immovable:
            sentence = (
                f'team "{name}" is not in the file, but {self._immovable[name]}, so it cannot be removed. '
                "To close it, write it with members: [] and keys: []."
            )
            self.faults.append(Fault(self._file.source, self._file.teams_line, "teams", sentence))
        return steps.RemoveTeam(state.id, name)

    def _extra(
        self,
        what: str,
        known: Mapping[str, _State],
        wanted: Iterable[str],
        removal: Callable[[str, _State], Step],
    ) -> None:
        """What the hub has beyond the file: removed when pruning, else told."""
        names = set(wanted)
        for name, state in known.items():
            if name in names:
                continue
            if self._is_pruning:
                self.removals.append(Change("remove", what, name, self._losses(name, state), (removal(name, state),)))
            else:
                self.kept.append(f"{what} {name}")

    def _losses(self, name: str, state: object) -> tuple[FieldChange, ...]:
        """What goes along with a thing that is removed."""
        lost: dict[str, Iterable[str]] = {}
        if isinstance(state, ProviderState):
            served = [model for model, known in self._state.models.items() if any(name == of for of, _ in known.routes)]
            lost = {"with credentials": state.credentials, "with its routes of": served}
        elif isinstance(state, ModelState):
            lost = {"with aliases": state.aliases, "with its routes to": [provider for provider, _ in state.routes]}
        elif isinstance(state, TeamState):
            lost = {"with members": state.members, "with keys": state.keys}
        return tuple(FieldChange(what, " ".join(names), None) for what, names in lost.items() if names)

    def _add(self, what: str, name: str, fields: list[FieldChange], *todo: Step) -> None:
        shown = tuple(one for one in fields if one.new != one.old or one.field == "secret")
        self.changes.append(Change("add", what, name, shown, todo))

    def _change(self, what: str, name: str, fields: list[FieldChange], *todo: Step) -> None:
        shown = tuple(one for one in fields if one.new != one.old or one.field == "secret")
        if shown:
            self.changes.append(Change("change", what, name, shown, todo))


def _route_name(model: str, target: tuple[str, str]) -> str:
    return f"{model} via {target[0]}:{target[1]}"
