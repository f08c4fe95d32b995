"""Budgets with what they are of: names of teams, keys and people, and the calls that count in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from app.base.db import AsyncSession
from app.base.errors import BadValue, NotFound
from app.domain.billing import budget_rules, budgets, windows
from app.domain.billing.budget_rules import BudgetRule, Room, Terms
from app.domain.billing.budgets import Spend
from app.domain.calls import reports
from app.domain.catalog import deployments
from app.domain.identity import api_keys, teams, users


class Standing(Struct, frozen=True):
    """Where a budget stands in its present window. Amounts in its unit."""

    rule: BudgetRule
    room: Room
    spend: Spend

    @property
    def left(self) -> int:
        """What neither was spent nor is held; below zero where more was spent than the budget has."""
        return self.rule.amount - self.spend.spent - self.spend.held

    @property
    def percent(self) -> int:
        """Of the amount, spent; the part of a percent is left out."""
        return self.spend.spent * 100 // self.rule.amount

    @property
    def blocks(self) -> bool:
        """Whether it refuses calls now."""
        return self.rule.action == "block" and self.left <= 0

    @property
    def is_over_last_level(self) -> bool:
        levels = self.rule.warn_percents or (100,)
        return self.spend.spent * 100 >= self.rule.amount * levels[-1]


async def open_budget(session: AsyncSession, terms: Terms, now_us: int) -> BudgetRule:
    """Put a budget in force, with what its calls have spent in this window; see `budgets.create`."""
    begins_us, _ = windows.begins(terms.window, terms.timezone, now_us)
    below = await _below(session, terms)
    so_far = await reports.spent_since(session, terms.scope, terms.scope_id, terms.unit, begins_us, below=below)
    return await budgets.create(session, terms, spent_so_far=so_far, now_us=now_us)


async def standings(session: AsyncSession, rules: Iterable[BudgetRule], now_us: int) -> list[Standing]:
    """Where these stand, in the order in which they are given."""
    rooms = [(rule, budget_rules.room(rule, now_us)) for rule in rules]
    spends = await budgets.spends(session, [room.spend_id for _, room in rooms])
    return [Standing(rule, room, spends.get(room.spend_id, budgets.NOTHING)) for rule, room in rooms]


async def recounted(session: AsyncSession, rule: BudgetRule, room: Room) -> int:
    """What the calls of a window come to, whatever was counted.

    Equal to what was counted in every window that began after the budget was made (`rule.created_us`), except for
    credits that were given back later, which only this takes off. A first window may lack calls that ended while the
    budget was made.
    """
    below = await _below(session, rule)
    return await reports.spent_since(
        session, rule.scope, rule.scope_id, rule.unit, room.begins_us, room.ends_us, below=below
    )


async def recount(session: AsyncSession, budget_id: str, now_us: int) -> tuple[BudgetRule, Spend, int]:
    """Count the present window anew and put it right: the budget, what stood there, and what was spent.

    Raises:
        NotFound: there is no such budget.
    """
    rule = await budgets.get(session, budget_id)
    room = budget_rules.room(rule, now_us)
    # A settlement needs this row too: it comes before the sum with its call, or after it.
    before = await budgets.lock_spend(session, rule, room.begins_us)
    spent = await recounted(session, rule, room)
    await budgets.set_spent(session, rule, room.begins_us, spent)
    return rule, before, spent


async def scope_id(session: AsyncSession, scope: str, of: str) -> str:
    """What a budget calls the thing of that name: a team, `team/project`, `team/key`, an e-mail address, a model.

    Raises:
        NotFound: there is no such thing.
        BadValue: the scope cannot be, or the name says too much or too little for it.
    """
    match scope:
        case "team":
            return (await teams.get_by_name(session, of)).id
        case "project" | "key":
            found = await teams.named_in(session, of)
            if found is None or not found[1]:
                raise NotFound(f'"{of}" names no team before the slash. Write TEAM/{scope.upper()}.', param="of")
            team, name = found
            if scope == "project":
                return budget_rules.project_scope(team.id, name)
            key = await api_keys.find_by_name(session, team.id, name)
            if key is None:
                raise NotFound(f"Team {team.name} has no key {name}.", param="of")
            return key.id
        case "user":
            return (await users.get_by_email(session, of)).id
        case "model":
            if all(model.name != of for model in await deployments.models(session)):
                raise NotFound(f"There is no model {of}. A budget takes its public name, not an alias.", param="of")
            return of
        case "hub":
            if of:
                raise BadValue("A budget of the hub is of nothing else.", param="of")
            return ""
        case _:
            raise BadValue(
                f'"{scope}" is not a scope. It must be one of {", ".join(budget_rules.SCOPES)}.', param="scope"
            )


async def names(session: AsyncSession, rules: Sequence[BudgetRule]) -> Mapping[str, str]:
    """Budget id → what it is of, as `scope_id` reads it; `""` for the hub. What is gone is not there."""
    team_names = {team.id: team.name for team in await teams.listed(session)}
    keys = await api_keys.names(session, {rule.scope_id for rule in rules if rule.scope == "key"})
    people = await users.addresses(session, {rule.scope_id for rule in rules if rule.scope == "user"})
    found: dict[str, str] = {}
    for rule in rules:
        name: str | None
        match rule.scope:
            case "team":
                name = team_names.get(rule.scope_id)
            case "project":
                team_id, _, project = rule.scope_id.partition("/")
                name = f"{team_names[team_id]}/{project}" if team_id in team_names else None
            case "key":
                key = keys.get(rule.scope_id)
                name = None if key is None else f"{key[1]}/{key[0]}"
            case "user":
                name = people.get(rule.scope_id)
            case "model" | "hub":
                name = rule.scope_id
        if name is not None:
            found[rule.id] = name
    return found


async def _below(session: AsyncSession, terms: Terms | BudgetRule) -> Sequence[str]:
    """The keys whose calls count in the budget of a key although they are not made with it."""
    return await api_keys.below(session, terms.scope_id) if terms.scope == "key" else ()
