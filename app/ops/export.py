"""`hub export`: the hub's state as a `hub.yaml`. Secrets are never opened into it; each is a placeholder `env:…`.

Applied again with the placeholders' variables set, the file changes nothing.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from app.base import money
from app.base.vault import VaultError
from app.domain.catalog import credentials, rates
from app.ops import budget_file, hub_state, key_file, limit_file, price_file
from app.ops.changes import percent_text
from app.ops.house import House
from app.ops.hub_state import ModelState, ProviderState, State, TeamState

# PyYAML's stubs leave the function that is used here half unknown.
_yaml: Any = yaml

_HEAD = """\
# The state of this hub, for `hub apply`. Secrets stay in the hub: give each variable that is named after `env:`
# its value before you apply this file elsewhere.
"""

Document = dict[str, Any]


async def document(hub: House) -> Document:
    """The file as plain values, in the order in which people read it."""
    async with hub.db.reading() as session:
        state = await hub_state.load(session)
        part_names = {row.id: _part_names(hub, row) for row in await credentials.listed(session)}
    return _document(state, part_names)


def text(exported: Document) -> str:
    """The document as YAML."""
    return _HEAD + _yaml.safe_dump(exported, sort_keys=False, allow_unicode=True, width=120)


def _part_names(hub: House, row: Any) -> tuple[str, ...]:
    """What the credential consists of; of one that does not open, what most consist of."""
    try:
        return tuple(credentials.reveal(hub.vault, row))
    except VaultError:
        return ("secret",)


class _Placeholders:
    """Names of variables, each given once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def name(self, *words: str) -> str:
        wanted = re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper())
        name, number = wanted, 2
        while name in self._given:
            name, number = f"{wanted}_{number}", number + 1
        self._given.add(name)
        return f"env:{name}"


def _document(state: State, part_names: dict[str, tuple[str, ...]]) -> Document:
    placeholders = _Placeholders()
    return {
        "billing": state.billing,
        "settings": dict(state.settings),
        "providers": [
            _provider(name, provider, part_names, placeholders) for name, provider in state.providers.items()
        ],
        "models": [_model(name, model) for name, model in state.models.items()],
        "teams": [_team(name, team, placeholders) for name, team in state.teams.items()],
        "budgets": [budget_file.exported(budget.terms) for budget in state.budgets.values()],
        "limits": [limit_file.exported(limit.terms) for limit in state.limits.values()],
    }


def _provider(
    name: str, provider: ProviderState, part_names: dict[str, tuple[str, ...]], placeholders: _Placeholders
) -> Document:
    listed: list[Document] = []
    for label, credential in provider.credentials.items():
        parts = part_names[credential.id]
        secrets = {
            part: placeholders.name("HUB_SECRET", name, label, *([part] if len(parts) > 1 else [])) for part in parts
        }
        listed.append({"label": label, **secrets, **_unless(100, weight=credential.weight)})
    return {
        "name": name,
        "kind": provider.kind,
        **_unless(None, base_url=provider.base_url, region=provider.region),
        **_unless(True, enabled=provider.is_enabled),
        **_unless(None, markup=percent_text(provider.markup_basis_points)),
        "credentials": listed,
    }


def _model(name: str, model: ModelState) -> Document:
    routes = [
        {
            "provider": provider,
            "upstream_model": upstream_model,
            **_unless(100, weight=route.weight),
            **_unless(0, priority=route.priority),
        }
        for (provider, upstream_model), route in model.routes.items()
    ]
    exported: Document = {"model": name, "type": model.type, "aliases": model.aliases, "routes": routes}
    cards = [route.card for route in model.routes.values()]
    costs = [_nano(card, is_cost=True) for card in cards]
    prices = [_nano(card, is_cost=False) for card in cards]
    # The file has one card for all routes of a model; where theirs differ they stay as they are in the hub.
    if costs and costs[0] and all(cost == costs[0] for cost in costs):
        exported["cost"] = costs[0]
    if model.markup_basis_points is not None:
        if not any(prices):
            exported["price"] = {"markup_percent": money.show_basis_points(model.markup_basis_points)}
    elif prices and prices[0] and all(price == prices[0] for price in prices):
        exported["price"] = prices[0]
    conditional = [route.conditional for route in model.routes.values()]
    if conditional and conditional[0] and all(lines == conditional[0] for lines in conditional):
        exported["rates"] = price_file.exported(conditional[0])
    return exported


def _nano(card: rates.Card, *, is_cost: bool) -> dict[str, str]:
    amounts = {meter: line.cost_nano if is_cost else line.price_nano for meter, line in card.items()}
    return {meter: money.show_nano(nano) for meter, nano in amounts.items() if nano is not None}


def _team(name: str, team: TeamState, placeholders: _Placeholders) -> Document:
    return {
        "name": name,
        **_unless(0, keep_content_days=team.keep_content_days),
        **_unless(None, markup=percent_text(team.markup_basis_points)),
        "members": [{"email": email, "role": role} for email, role in team.members.items()],
        **({"credits": money.show_nano(team.granted_nano)} if team.granted_nano > 0 else {}),
        # A revoked key stays revoked wherever the file goes: it is not in it.
        "keys": [
            key_file.exported(key_name, key, placeholders.name("HUB_KEY", name, key_name))
            for key_name, key in team.keys.items()
            if key.revoked_at is None
        ],
    }


def _unless(usual: object, **fields: Any) -> Document:
    """The fields that are not what the file means by leaving them out."""
    return {name: value for name, value in fields.items() if value != usual}
