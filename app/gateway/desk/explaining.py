"""Would this key's call of that model pass? Everything that bears on it, said at once.

The same rules as at a call's admission, asked of the same snapshot; but a call stops at the first that refuses, and
here all of them are gone through. What the request itself could be refused for is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.base import clock
from app.base.addresses import Address
from app.base.db import AsyncSession
from app.base.errors import AppError, Conflict, NotFound
from app.base.money import show_nano
from app.base.usage import Usage
from app.domain.billing import balances, budget_words
from app.domain.calls import limit_words
from app.domain.catalog import cards, credentials, deployments, providers
from app.domain.catalog.cards import Facts
from app.domain.catalog.models import Credential
from app.domain.catalog.serving import BUILT_IN, CallableModel
from app.domain.identity import api_keys, callers, teams, users
from app.domain.identity.callers import Caller
from app.domain.identity.models import ApiKey
from app.gateway import admission
from app.gateway.bill import free_card
from app.gateway.desk import budgeting, price_checks
from app.gateway.desk.explanation import (
    AccountFacts,
    BudgetFacts,
    CredentialFacts,
    Explanation,
    KeyFacts,
    LimitFacts,
    LineFacts,
    ModelFacts,
    PriceFacts,
    RouteFacts,
)
from app.gateway.forecasts import SHORT_TOKENS
from app.gateway.health import Health
from app.gateway.limits import limit_names
from app.gateway.snapshot import Snapshot

_LONGEST_SHOWN = 30
"""What is longer may be a whole key, which no message repeats."""


async def find_key(session: AsyncSession, text: str) -> ApiKey:
    """The key that a person means by `team/key`, or by its first characters.

    Raises:
        NotFound: there is none.
        Conflict: several begin so.
    """
    named = await teams.named_in(session, text)
    if named is not None:
        key = await api_keys.find_by_name(session, named[0].id, named[1])
        if key is not None:
            return key
    found = await api_keys.of_prefix(session, text)
    if len(found) > 1:
        raise Conflict(f"{len(found)} keys begin with {text}. Write TEAM/KEY.", param="key")
    if not found:
        shown = text if len(text) <= _LONGEST_SHOWN else api_keys.prefix(text)
        raise NotFound(f"There is no key {shown}. List them with: hub key list")
    return found[0]


async def explain(
    session: AsyncSession,
    snapshot: Snapshot,
    key: ApiKey,
    model_name: str,
    *,
    project: str | None = None,
    task: str | None = None,
    address: Address | None = None,
    health: Health | None = None,
) -> Explanation:
    """What a call of that model with this key would meet now. `health` is that of the process that would carry it.

    Without a task (one of `key_rights.TASKS`) or an address the key's rules about them are not put to the test.
    """
    moment, now_us = clock.now(), clock.now_us()
    caller = await callers.of_key(session, key.id)
    refusals: list[str] = []
    revoked = await api_keys.revoked_of(session, [holder.key_id for holder in caller.line()])
    refusals += [f"The API key {name} was revoked." for name in revoked]
    refusals += _of_key(caller, moment, task, address)
    model = _model(refusals, snapshot, caller, model_name)
    routes = [] if model is None else await _routes(session, snapshot, caller, model, health)
    budget_facts = [] if model is None else await _budgets(session, snapshot, caller, model, project, now_us)
    limit_facts = [] if model is None else await _limits(session, snapshot, caller, model, now_us)
    account = await _account(session, snapshot, caller, model)
    if model is not None:
        refusals += _of_routes(snapshot, model, routes)
    refusals += [
        budget_words.exceeded(one.standing.rule, now_us, team_name=caller.team_name, key_name=caller.key_name).sentence
        for one in budget_facts
        if one.standing.blocks
    ]
    refusals += [
        limit_words.reached(
            one.used.bound,
            now_us,
            limit_words.Names(caller.team_name, caller.key_id, caller.key_name, "" if model is None else model.name),
        ).sentence
        for one in limit_facts
        if one.used.left == 0 and one.used.bound.rule.scope != "credential"
    ]
    refusals += _of_account(caller, account)
    return Explanation(
        refusals=refusals,
        billing=snapshot.billing,
        key=await _key_facts(session, key, caller, moment, is_revoked=bool(revoked)),
        model=None if model is None else ModelFacts(name=model.name, type=model.type, aliases=model.aliases),
        routes=routes,
        budgets=budget_facts,
        limits=limit_facts,
        account=account,
    )


def _model(refusals: list[str], snapshot: Snapshot, caller: Caller, name: str) -> CallableModel | None:
    """The model; also one that the key may not call, for the rest of it may be asked about all the same."""
    try:
        return admission.find_model(snapshot, caller, name)
    except AppError as refusal:
        refusals.append(refusal.sentence)
        return snapshot.models.get(name) or snapshot.models.get(name.removeprefix(admission.HUB_PREFIX))


def _of_key(caller: Caller, moment: datetime, task: str | None, address: Address | None) -> list[str]:
    """What the key itself refuses, whatever the model."""
    found: list[str] = []
    try:
        admission.check_caller(caller, moment)
    except AppError as refusal:
        found.append(refusal.sentence)
    try:
        if task is not None:
            admission.check_task(caller, task)
    except AppError as refusal:
        found.append(refusal.sentence)
    try:
        if address is not None:
            admission.check_address(caller, lambda: address)
    except AppError as refusal:
        found.append(refusal.sentence)
    return found


async def _key_facts(
    session: AsyncSession, key: ApiKey, caller: Caller, moment: datetime, *, is_revoked: bool
) -> KeyFacts:
    people = await users.addresses(session, () if key.user_id is None else (key.user_id,))
    line = list(caller.line())
    if is_revoked:
        state = "revoked"
    elif any(holder.expires_at is not None and holder.expires_at <= moment for holder in line):
        state = "expired"
    else:
        state = "disabled" if any(holder.is_disabled for holder in line) else "active"
    return KeyFacts(
        team=caller.team_name,
        name=key.name,
        prefix=key.prefix,
        user=people.get(key.user_id or ""),
        state=state,
        expires_at=key.expires_at,
        models=list(key.models),
        denied_models=list(key.denied_models),
        endpoints=list(key.endpoints),
        networks=list(key.addresses),
        is_strict=caller.is_strict,
        above=[holder.key_name for holder in line[1:]],
    )


async def _routes(
    session: AsyncSession, snapshot: Snapshot, caller: Caller, model: CallableModel, health: Health | None
) -> list[RouteFacts]:
    """In the order in which they are tried; those of switched-off providers too, which no snapshot has."""
    row = await deployments.find_model(session, model.name)
    if row is None:
        # The built-in demo stands in no table.
        return [
            RouteFacts(
                provider=route.source.name,
                upstream_model=route.upstream_model,
                priority=route.priority,
                weight=route.weight,
                is_enabled=True,
                credentials=[
                    CredentialFacts(label=one.label, state="ready", is_usable=True) for one in route.source.credentials
                ],
                price=_prices(snapshot, caller, model, route.id),
            )
            for route in model.routes
        ]
    by_id = {provider.id: provider for provider in await providers.listed(session)}
    sources = {route.source.id: route.source for route in model.routes}
    own: dict[str, list[Credential]] = {}
    for credential in await credentials.listed(session):
        own.setdefault(credential.provider_id, []).append(credential)
    found: list[RouteFacts] = []
    for route in await deployments.listed(session, row.id):
        known = [_credential(one, snapshot, health, route.upstream_model) for one in own.get(route.provider_id, ())]
        source = sources.get(route.provider_id)
        if not known and source is not None:
            known = [CredentialFacts(label=one.label, state="ready", is_usable=True) for one in source.credentials]
        found.append(
            RouteFacts(
                provider=by_id[route.provider_id].name,
                upstream_model=route.upstream_model,
                priority=route.priority,
                weight=route.weight,
                is_enabled=source is not None,
                credentials=known,
                price=_prices(snapshot, caller, model, route.id),
            )
        )
    return sorted(found, key=lambda one: (one.priority, -one.weight))


def _credential(row: Credential, snapshot: Snapshot, health: Health | None, upstream_model: str) -> CredentialFacts:
    rests = 0.0 if health is None else health.rests_for(row.id, upstream_model)
    if row.disabled_at is not None:
        state = f"disabled: {row.disabled_reason or 'an admin switched it off'}"
    elif row.id in snapshot.unusable_credentials:
        state = "sealed with another master key"
    elif rests > 0:
        state = f"rests for {int(rests) + 1} s"
    else:
        state = "ready"
    return CredentialFacts(label=row.label, state=state, is_usable=state == "ready")


def _prices(snapshot: Snapshot, caller: Caller, model: CallableModel, deployment_id: str) -> PriceFacts:
    card = snapshot.prices.card(deployment_id, caller.markup_basis_points)
    if card is None and any(route.id == deployment_id and route.source.id == BUILT_IN for route in model.routes):
        card = free_card(deployment_id)
    if card is None:
        return PriceFacts(is_whole=False, lines=[])
    return PriceFacts(
        is_whole=cards.is_priced(card, price_checks.own_meters(model.type)),
        lines=[
            LineFacts(
                meter=line.meter,
                per_units=line.per_units,
                cost_nano=line.cost_nano,
                price_nano=line.price_nano,
                condition="" if line.condition.is_empty else line.condition.key,
            )
            for line in card.lines
        ],
    )


async def _budgets(
    session: AsyncSession, snapshot: Snapshot, caller: Caller, model: CallableModel, project: str | None, now_us: int
) -> list[BudgetFacts]:
    rules = snapshot.budgets.of(caller.team_id, caller.key_id, caller.user_id, project, model.name)
    names = await budgeting.names(session, rules)
    return [
        BudgetFacts(of=f"{one.rule.scope} {names.get(one.rule.id, '')}".rstrip(), standing=one)
        for one in await budgeting.standings(session, rules, now_us)
    ]


async def _limits(
    session: AsyncSession, snapshot: Snapshot, caller: Caller, model: CallableModel, now_us: int
) -> list[LimitFacts]:
    bounds = [*snapshot.limits.of(caller.team_id, caller.key_id, caller.user_id, model.name)]
    for id_ in {one.id for route in model.routes for one in route.source.credentials}:
        bounds += snapshot.limits.of_credential(id_)
    found = await limit_names.used(session, bounds, now_us)
    names = await limit_names.names(session, [one.bound.rule for one in found])
    return [LimitFacts(of=limit_names.shown(one.bound.rule, names), used=one) for one in found]


async def _account(
    session: AsyncSession, snapshot: Snapshot, caller: Caller, model: CallableModel | None
) -> AccountFacts | None:
    if snapshot.billing != "credits":
        return None
    balance = await balances.of_team(session, caller.team_id)
    return AccountFacts(
        free_nano=balance.free_nano,
        needed_nano=0 if model is None else _least_charge(snapshot, caller, model),
        held_nano=balance.held_nano,
        credit_line_nano=balance.credit_line_nano,
        is_frozen=balance.is_frozen,
    )


def _of_routes(snapshot: Snapshot, model: CallableModel, routes: Sequence[RouteFacts]) -> list[str]:
    if not routes:
        return [f"{model.name} has no route."]
    able = [route for route in routes if route.takes_calls]
    if not able:
        return [f"No route of {model.name} has an enabled provider with a credential that can be used."]
    if snapshot.billing == "credits" and not any(route.price.is_whole for route in able):
        return [f"{model.name} has no price, and what has no price cannot be called where credits are charged."]
    return []


def _of_account(caller: Caller, account: AccountFacts | None) -> list[str]:
    if account is None:
        return []
    if account.is_frozen:
        return [f"The account of team {caller.team_name} is frozen."]
    if account.free_nano < account.needed_nano:
        return [
            f"Team {caller.team_name} has {show_nano(account.free_nano)} credits; the least call needs "
            f"{show_nano(account.needed_nano)}."
        ]
    return []


def _least_charge(snapshot: Snapshot, caller: Caller, model: CallableModel) -> int:
    """At the dearest of its deployments, as for a hold."""
    made = {"image": Usage(images=1, requests=1), "video": Usage(seconds=1, requests=1)}
    usage = made.get(model.type, Usage(output=SHORT_TOKENS, requests=1))
    facts = Facts(started_us=clock.now_us())
    priced = [snapshot.prices.card(route.id, caller.markup_basis_points) for route in model.routes]
    return max((cards.charge(card, usage, facts) or 0 for card in priced if card is not None), default=0)
