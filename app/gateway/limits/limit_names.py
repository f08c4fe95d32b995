"""Limits with what they are of: names of teams, keys, people and credentials; and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from app.base.db import AsyncSession
from app.base.errors import BadValue, NotFound
from app.domain.calls import reports
from app.domain.calls.limit_rules import EACH, SCOPES, Bound, LimitRuleFacts, Terms, window
from app.domain.catalog import credentials, deployments, providers
from app.domain.identity import api_keys, callers, teams, users


class Used(Struct, frozen=True):
    """How much of a limit is used now, as far as calls are recorded: what is refused leaves no record."""

    bound: Bound
    used: int

    @property
    def left(self) -> int:
        return max(0, self.bound.rule.amount - self.used)


async def used(session: AsyncSession, bounds: Sequence[Bound], now_us: int) -> list[Used]:
    """By the calls of all processes that began in the present window, and those that are under way."""
    found: list[Used] = []
    parents = await callers.parents(session)
    for bound in bounds:
        rule = bound.rule
        begins_us, _ = window(rule.per, now_us)
        subjects = [bound.subject]
        if rule.scope == "key":
            subjects += _below(bound.subject, parents)
        counted = [
            await reports.asked_since(session, rule.scope, subject, rule.unit, begins_us) for subject in subjects
        ]
        found.append(Used(bound, sum(counted)))
    return found


def _below(key_id: str, parents: Mapping[str, str]) -> list[str]:
    """The keys that it has made, and those that they have made."""
    below: list[str] = []
    above = {key_id}
    while above:
        above = {child for child, parent in parents.items() if parent in above} - {key_id, *below}
        below += above
    return below


async def scope_id(session: AsyncSession, scope: str, of: str) -> str:
    """What a limit calls the thing of that name: a team, `team/key`, an e-mail address, a model, `provider/label`.
    `*` is each one.

    Raises:
        NotFound: there is no such thing.
        BadValue: the scope cannot be, or the name says too much or too little for it.
    """
    if scope not in SCOPES:
        raise BadValue(f'"{scope}" is not a scope. It must be one of {", ".join(SCOPES)}.', param="scope")
    if scope == "hub":
        if of:
            raise BadValue("A limit of the hub is of nothing else.", param="of")
        return ""
    if not of:
        raise BadValue(f"A limit of scope {scope} must say of which; * is each one.", param="of")
    if of == EACH:
        return EACH
    match scope:
        case "team":
            return (await teams.get_by_name(session, of)).id
        case "key":
            return await _key_id(session, of)
        case "user":
            return (await users.get_by_email(session, of)).id
        case "credential":
            return await _credential_id(session, of)
        case _:
            if all(model.name != of for model in await deployments.models(session)):
                raise NotFound(f"There is no model {of}. A limit takes its public name, not an alias.", param="of")
            return of


async def names(session: AsyncSession, rules: Sequence[Terms]) -> Mapping[tuple[str, str], str]:
    """Scope and id → what it is, as `scope_id` reads it; `""` for the hub. What is gone is not there."""
    wanted = {(rule.scope, rule.scope_id) for rule in rules}
    known: dict[str, Mapping[str, str]] = {
        "team": {team.id: team.name for team in await teams.listed(session)},
        "key": {
            id_: f"{team}/{name}"
            for id_, (name, team) in (
                await api_keys.names(session, {id_ for scope, id_ in wanted if scope == "key"})
            ).items()
        },
        "user": await users.addresses(session, {id_ for scope, id_ in wanted if scope == "user"}),
        "model": {model.name: model.name for model in await deployments.models(session)},
        "credential": await _credential_names(session),
    }
    found: dict[tuple[str, str], str] = {}
    for scope, id_ in wanted:
        name = id_ if scope == "hub" or id_ == EACH else known[scope].get(id_)
        if name is not None:
            found[scope, id_] = name
    return found


def shown(rule: LimitRuleFacts, known: Mapping[tuple[str, str], str]) -> str:
    """`each key`, `team acme`, `hub`."""
    if rule.scope_id == EACH:
        return f"each {rule.scope}"
    return f"{rule.scope} {known.get((rule.scope, rule.scope_id), '(gone)')}".rstrip()


async def _key_id(session: AsyncSession, of: str) -> str:
    found = await teams.named_in(session, of)
    if found is None or not found[1]:
        raise NotFound(f'"{of}" names no team before the slash. Write TEAM/KEY.', param="of")
    team, name = found
    key = await api_keys.find_by_name(session, team.id, name)
    if key is None:
        raise NotFound(f"Team {team.name} has no key {name}.", param="of")
    return key.id


async def _credential_id(session: AsyncSession, of: str) -> str:
    by_name = {name: id_ for id_, name in (await _credential_names(session)).items()}
    if of not in by_name:
        raise NotFound(f"There is no credential {of}. Write PROVIDER/LABEL, as: hub provider list", param="of")
    return by_name[of]


async def _credential_names(session: AsyncSession) -> Mapping[str, str]:
    by_provider = {row.id: row.name for row in await providers.listed(session)}
    return {
        row.id: f"{by_provider[row.provider_id]}/{row.label}"
        for row in await credentials.listed(session)
        if row.provider_id in by_provider
    }
