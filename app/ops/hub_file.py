"""`hub.yaml` as typed values. Every fault is told with file, line and path, and all of them at once.

A part that the file leaves out (a section, a provider's credentials, a model's cost, …) is None here: the hub's own
stays as it is. Secrets are `Secret` from the first moment; no sentence repeats one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from msgspec import Struct

from app.adapters.providers.kinds import Kind
from app.base.secret import Secret
from app.domain.billing.budget_rules import Terms
from app.domain.calls.limit_rules import Terms as LimitTerms
from app.domain.catalog import credentials, deployments, providers, settings
from app.domain.identity import api_keys, teams, users
from app.ops import budget_file, file_values, key_file, limit_file, price_file
from app.ops.budget_file import Known
from app.ops.file_values import BEDROCK, Names, checked
from app.ops.hub_state import State
from app.ops.marked_yaml import Book, Entry, read_tree, suggestion
from app.ops.price_file import MarkupItem, RateItem
from app.ops.steps import KeyTerms

SECTIONS = ("billing", "settings", "providers", "models", "teams", "budgets", "limits")

_Item = TypeVar("_Item")


class CredentialItem(Struct, frozen=True):
    label: str
    parts: dict[str, Secret]
    weight: int


class ProviderItem(Struct, frozen=True):
    name: str
    kind: str
    base_url: str | None
    region: str | None
    is_enabled: bool | None
    credentials: tuple[CredentialItem, ...] | None
    markup: MarkupItem | None


class RouteItem(Struct, frozen=True):
    provider: str
    upstream_model: str
    weight: int
    priority: int


class PriceItem(Struct, frozen=True):
    """Either of the two; neither takes every price away."""

    markup_basis_points: int | None
    nano_by_meter: dict[str, int]


class ModelItem(Struct, frozen=True):
    name: str
    type: str
    aliases: tuple[str, ...] | None
    routes: tuple[RouteItem, ...] | None
    cost_nano_by_meter: dict[str, int] | None
    price: PriceItem | None
    rates: tuple[RateItem, ...] | None
    """Those with a condition: all of them, where the file has the list."""


class KeyItem(Struct, frozen=True):
    name: str
    secret: Secret
    terms: KeyTerms
    line: int
    path: str


class TeamItem(Struct, frozen=True):
    name: str
    keep_content_days: int | None
    credits_nano: int | None
    """What files grant in total, not what this one adds."""
    members: dict[str, str] | None
    """Role by e-mail address."""
    keys: tuple[KeyItem, ...] | None
    markup: MarkupItem | None


class HubFile(Struct, frozen=True):
    source: str
    billing: settings.BillingMode | None
    settings: dict[str, str] | None
    """Text by name."""
    providers: tuple[ProviderItem, ...] | None
    models: tuple[ModelItem, ...] | None
    teams: tuple[TeamItem, ...] | None
    teams_line: int
    budgets: tuple[Terms, ...] | None
    limits: tuple[LimitTerms, ...] | None = None


def read(
    raw: bytes,
    source: str,
    *,
    environ: Mapping[str, str],
    kinds: Mapping[str, Kind],
    state: State,
    is_pruning: bool,
) -> HubFile:
    """The file, checked against itself and against what stays in the hub (`state`).

    Raises:
        FileRefused: with all its faults.
    """
    book = Book(source)
    root = read_tree(raw, book)
    file = _Reader(environ, kinds, state, is_pruning=is_pruning).read(root)
    book.close()
    return file


class _Reader:
    """One reading of one file; remembers which names it has met."""

    def __init__(
        self, environ: Mapping[str, str], kinds: Mapping[str, Kind], state: State, *, is_pruning: bool
    ) -> None:
        self._environ = environ
        self._kinds = kinds
        self._state = state
        self._is_pruning = is_pruning
        self._known_providers: set[str] = set()
        self._provider_names, self._team_names = Names("provider"), Names("team")
        self._key_secrets = Names("secret")
        self._model_entries: list[tuple[Entry, str]] = []
        self._alias_entries: list[tuple[Entry, str]] = []
        self._models_with_aliases: set[str] = set()

    def read(self, root: Entry) -> HubFile:
        fields = root.fields(SECTIONS)
        mode, team_list, setting_list = fields.get("billing"), fields.get("teams"), fields.get("settings")
        # Models name providers but may stand before them, so the order of reading is ours.
        provider_items = _each(fields.get("providers"), self._provider)
        self._known_providers = {item.name for item in provider_items or () if item.name}
        if provider_items is None or not self._is_pruning:
            self._known_providers |= self._state.providers.keys()
        model_items = _each(fields.get("models"), self._model)
        self._check_public_names()
        team_items, budgets = _each(team_list, self._team), fields.get("budgets")
        limits, known = fields.get("limits"), self._known(model_items, team_items)
        return HubFile(
            source=root.book.source,
            billing=None if mode is None else file_values.billing(mode),
            settings=None if setting_list is None else price_file.read_settings(setting_list),
            providers=provider_items,
            models=model_items,
            teams=team_items,
            teams_line=1 if team_list is None else team_list.line,
            budgets=None if budgets is None else budget_file.read(budgets, known),
            limits=None
            if limits is None
            else limit_file.read(
                limits, limit_file.Known(known.teams, known.models, self._known_credentials(provider_items))
            ),
        )

    def _provider(self, entry: Entry) -> ProviderItem:
        fields = entry.fields(("name", "kind", "base_url", "region", "enabled", "markup", "credentials"))
        name_entry, base_url, region = fields.need("name"), fields.get("base_url"), fields.get("region")
        kind = self._kind(fields.need("kind"))
        if kind is not None and base_url is None:
            if kind.name == BEDROCK:
                if region is None:
                    entry.fault("a provider of kind bedrock needs a region, such as us-east-1.")
            elif kind.base_url is None and kind.name != "demo":
                entry.fault(f"a provider of kind {kind.name} needs a base_url.")
        if kind is not None and region is not None and kind.name != BEDROCK:
            region.fault(f"only bedrock has regions; {kind.name} has none.")
        name, labels, enabled = checked(name_entry, providers.check_name), Names("label"), fields.get("enabled")
        markup = fields.get("markup")
        if name_entry is not None:
            self._provider_names.claim(name_entry, name)
        return ProviderItem(
            name=name,
            kind="" if kind is None else kind.name,
            base_url=None if base_url is None else checked(base_url, providers.check_base_url),
            region=None if region is None else checked(region, providers.check_region),
            is_enabled=None if enabled is None else enabled.boolean(),
            credentials=_each(fields.get("credentials"), lambda item: self._credential(item, kind, labels)),
            markup=None if markup is None else price_file.read_markup(markup),
        )

    def _kind(self, entry: Entry | None) -> Kind | None:
        name = "" if entry is None else entry.text()
        kind = self._kinds.get(name)
        if entry is not None and kind is None and entry.kind == "str":
            entry.fault(f'there is no kind "{name}".{suggestion(name, tuple(self._kinds))}')
        return kind

    def _credential(self, entry: Entry, kind: Kind | None, labels: Names) -> CredentialItem:
        ways = file_values.shapes(kind)
        part_names = tuple(dict.fromkeys(name for way in ways for name in (*way.needed, *way.optional)))
        fields = entry.fields(("label", "weight", *part_names))
        given = {name: part for name in part_names if (part := fields.get(name)) is not None}
        if kind is not None and fields.is_whole and not any(way.takes(given) for way in ways):
            entry.fault(f"a credential of kind {kind.name} has {', or '.join(map(str, ways))}.")
        label_entry, weight = fields.get("label"), fields.get("weight")
        label = credentials.DEFAULT_LABEL if label_entry is None else checked(label_entry, credentials.check_label)
        labels.claim(label_entry or entry, label)
        return CredentialItem(
            label=label,
            parts={name: file_values.secret(part, self._environ) for name, part in given.items()},
            weight=100 if weight is None else weight.integer(0, credentials.MAX_WEIGHT),
        )

    def _model(self, entry: Entry) -> ModelItem:
        fields = entry.fields(("model", "type", "aliases", "routes", "cost", "price", "rates"))
        name_entry, aliases = fields.need("model"), fields.get("aliases")
        cost, price, targets = fields.get("cost"), fields.get("price"), Names("route")
        conditional = Names("rate")
        name = checked(name_entry, deployments.check_model_name)
        if name_entry is not None and name:
            self._model_entries.append((name_entry, name))
            if aliases is not None:
                self._models_with_aliases.add(name)
        return ModelItem(
            name=name,
            type=file_values.one_of(fields.need("type"), deployments.MODEL_TYPES),
            aliases=_each(aliases, self._alias),
            routes=_each(fields.get("routes"), lambda item: self._route(item, targets)),
            cost_nano_by_meter=None if cost is None else file_values.amounts(cost),
            price=None if price is None else _price(price),
            rates=_each(fields.get("rates"), lambda item: price_file.read_rate(item, conditional)),
        )

    def _alias(self, entry: Entry) -> str:
        alias = checked(entry, deployments.check_model_name)
        if alias:
            self._alias_entries.append((entry, alias))
        return alias

    def _route(self, entry: Entry, targets: Names) -> RouteItem:
        fields = entry.fields(("provider", "upstream_model", "weight", "priority"))
        provider = fields.need("provider")
        name = "" if provider is None else provider.text()
        if provider is not None and name and name not in self._known_providers:
            provider.fault(f'there is no provider "{name}".{suggestion(name, sorted(self._known_providers))}')
        upstream_model = checked(fields.need("upstream_model"), deployments.check_model_name)
        if name and upstream_model:
            targets.claim(entry, (name, upstream_model))
        weight, priority = fields.get("weight"), fields.get("priority")
        return RouteItem(
            provider=name,
            upstream_model=upstream_model,
            weight=100 if weight is None else weight.integer(0, deployments.MAX_WEIGHT),
            priority=0 if priority is None else priority.integer(0, deployments.MAX_PRIORITY),
        )

    def _check_public_names(self) -> None:
        """Each name that programs can ask for means one model: names, aliases, and those that stay in the hub."""
        own = {name for _, name in self._model_entries}
        kept_aliases = {
            alias: owner
            for alias, owner in self._state.alias_owners().items()
            if not (self._is_pruning and (owner in self._models_with_aliases or owner not in own))
        }
        kept_models: Collection[str] = () if self._is_pruning else self._state.models.keys() - own
        names = Names("name of a model, or alias,")
        for entry, name in self._model_entries:
            names.claim(entry, name)
            if name in kept_aliases:
                entry.fault(f'in the hub, "{name}" is an alias of model "{kept_aliases[name]}".')
        for entry, alias in self._alias_entries:
            names.claim(entry, alias)
            if alias in kept_models:
                entry.fault(f'there is a model "{alias}" in the hub.')

    def _known(self, model_items: tuple[ModelItem, ...] | None, team_items: tuple[TeamItem, ...] | None) -> Known:
        """What budgets can be of, once the file is applied."""
        state = self._state
        own_teams = {
            name: {key for key, of_hub in team.keys.items() if of_hub.revoked_at is None}
            for name, team in state.teams.items()
            if team_items is None or not self._is_pruning
        }
        for item in team_items or ():
            stays = item.keys is None or not self._is_pruning
            kept = state.teams[item.name].keys if stays and item.name in state.teams else ()
            own_teams[item.name] = {*kept, *(key.name for key in item.keys or ())}
        own_models = {item.name for item in model_items or ()}
        if model_items is None or not self._is_pruning:
            own_models |= state.models.keys()
        return Known(own_teams, own_models)

    def _known_credentials(self, items: tuple[ProviderItem, ...] | None) -> set[str]:
        """`provider/label` of every credential, once the file is applied."""
        by_name = {item.name: item.credentials for item in items or ()}
        known = {
            f"{name}/{label}"
            for name, provider in self._state.providers.items()
            for label in provider.credentials
            if not self._is_pruning or items is None or (name in by_name and by_name[name] is None)
        }
        return known | {f"{name}/{one.label}" for name, own in by_name.items() for one in own or ()}

    def _team(self, entry: Entry) -> TeamItem:
        fields = entry.fields(("name", "keep_content_days", "credits", "markup", "members", "keys"))
        name_entry, days, target = fields.need("name"), fields.get("keep_content_days"), fields.get("credits")
        name, addresses, key_names = checked(name_entry, teams.check_name), Names("address"), Names("name of a key")
        if name_entry is not None:
            self._team_names.claim(name_entry, name)
        members = _each(fields.get("members"), lambda item: _member(item, addresses))
        markup = fields.get("markup")
        return TeamItem(
            name=name,
            keep_content_days=None if days is None else days.integer(0, teams.MAX_KEEP_CONTENT_DAYS),
            credits_nano=None if target is None else file_values.amount(target),
            members=None if members is None else dict(members),
            keys=_each(fields.get("keys"), lambda item: self._key(item, key_names)),
            markup=None if markup is None else price_file.read_markup(markup),
        )

    def _key(self, entry: Entry, names: Names) -> KeyItem:
        fields = entry.fields(key_file.FIELDS)
        name_entry, given = fields.need("name"), fields.need("secret")
        name = checked(name_entry, teams.check_name)
        if name_entry is not None:
            names.claim(name_entry, name)
        secret = Secret("") if given is None else file_values.secret(given, self._environ)
        if given is not None and secret.reveal():
            file_values.tried(given, lambda: api_keys.check_given(secret))
            self._key_secrets.claim(given, secret)
        return KeyItem(
            name=name,
            secret=secret,
            terms=key_file.read_terms(fields),
            line=(given or entry).line,
            path=(given or entry).path,
        )


def _each(entry: Entry | None, read_item: Callable[[Entry], _Item]) -> tuple[_Item, ...] | None:
    """The items of a list; None where the file does not have the list."""
    return None if entry is None else tuple(read_item(item) for item in entry.items())


def _member(entry: Entry, addresses: Names) -> tuple[str, str]:
    fields = entry.fields(("email", "role"))
    email_entry, role = fields.need("email"), fields.get("role")
    email = checked(email_entry, users.check_address)
    addresses.claim(email_entry or entry, email)
    return email, "member" if role is None else file_values.one_of(role, teams.ROLES)


def _price(entry: Entry) -> PriceItem:
    fields = entry.fields(("markup_percent", *file_values.RATED_METERS))
    percent = fields.get("markup_percent")
    by_meter = {meter: file_values.amount(value) for meter, value in fields.items() if meter != "markup_percent"}
    if percent is not None and by_meter:
        entry.fault("a price is either markup_percent or explicit units, not both.")
    return PriceItem(None if percent is None else file_values.markup(percent), by_meter)
