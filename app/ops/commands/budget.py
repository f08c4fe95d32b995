"""`hub budget list|create|end|recount`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.domain.billing.budget_rules import BudgetRule
    from app.gateway.desk.budgeting import Standing

_SCOPES = ("hub", "team", "project", "key", "user", "model")
_UNITS = ("cost", "credits", "calls", "tokens")
_WINDOWS = ("day", "week", "month", "total")
_RULE = ("scope", "of", "amount", "unit", "window", "timezone", "warn", "block", "note")
"""What a budget consists of, among all that is shown of it."""


@click.group()
def budget() -> None:
    """Budgets: what the hub, a team, a project, a key, a person or a model may spend in a day, a week or a month."""


@budget.command("list")
@console.option("--all", "is_all", is_flag=True, help="Also those that have ended.")
@console.json_option
def list_budgets(is_all: bool, as_json: bool) -> None:
    """List the budgets in force, with what is spent of each in its present window."""
    from app.base import clock
    from app.domain.billing import budgets
    from app.gateway.desk import budgeting
    from app.ops import house

    async def work() -> list[dict[str, Any]]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            rules = await (budgets.page(session, limit=1000) if is_all else budgets.in_force(session))
            names = await budgeting.names(session, rules)
            found = await budgeting.standings(session, rules, clock.now_us())
            return [_shown(one, names.get(one.rule.id)) for one in found]

    rows = console.run(work())
    if as_json:
        console.print_json(rows)
        return
    console.print_table(
        ["budget", "of", "amount", "spent", "held", "", "window", "until", "warns at", "state"],
        [
            [
                row["id"],
                f"{row['scope']} {'(gone)' if row['of'] is None else row['of']}".rstrip(),
                f"{row['amount']} {row['unit']}",
                row["spent"],
                row["held"],
                f"{row['percent']} %",
                row["window"],
                row["window_ends"] or "",
                ", ".join(f"{level} %" for level in row["warn"]),
                row["state"],
            ]
            for row in rows
        ],
        empty="No budgets yet. Make one with: hub budget create team TEAM --amount 50 --unit cost --window month",
    )


@budget.command()
@console.argument("scope", type=click.Choice(_SCOPES))
@console.argument("of", required=False, default="")
@console.option("--amount", required=True, help='How much, such as "50" or "0.25"; of calls and tokens a whole number.')
@console.option(
    "--unit",
    type=click.Choice(_UNITS),
    default="cost",
    show_default=True,
    help="What is counted: USD that providers charge, credits, calls, or tokens.",
)
@console.option("--window", type=click.Choice(_WINDOWS), default="month", show_default=True, help="In what time.")
@console.option("--timezone", default="UTC", show_default=True, help="Where days begin, such as Europe/Berlin.")
@console.option(
    "--warn", "levels", default="80,100", show_default=True, help='Percentages at which it warns; "" for none.'
)
@console.option("--block", is_flag=True, help="Refuse calls when it is used up; else it only warns.")
@console.option("--note", default="", help="What it is for.")
@console.json_option
def create(
    scope: str,
    of: str,
    amount: str,
    unit: str,
    window: str,
    timezone: str,
    levels: str,
    block: bool,
    note: str,
    as_json: bool,
) -> None:
    """Put a budget in force, in every process within a second. What was spent in this window counts.

    SCOPE is hub, or: team TEAM, project TEAM/PROJECT, key TEAM/KEY, user EMAIL, model NAME.

    It takes the place of the one with the same scope, unit and window, and goes on from what that has counted.
    """
    from app.base import clock
    from app.domain.billing import budget_rules, budget_words
    from app.gateway.desk import budgeting
    from app.ops import house

    count = budget_words.amount_of(unit, amount)
    percents = _percents(levels)

    async def work() -> dict[str, Any]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            now_us = clock.now_us()
            terms = budget_rules.terms(
                scope=scope,
                scope_id=await budgeting.scope_id(session, scope, of),
                unit=unit,
                amount=count,
                window=window,
                timezone=timezone,
                warn_percents=percents,
                action="block" if block else "warn",
                note=note,
            )
            rule = await budgeting.open_budget(session, terms, now_us)
            (standing,) = await budgeting.standings(session, [rule], now_us)
            shown = _shown(standing, of)
            after = {name: shown[name] for name in _RULE}
            deed.tell("budget.create", "budget", rule.id, f"{scope} {of}".rstrip(), team_id=_team(rule), after=after)
            return shown

    shown = console.run(work())
    if as_json:
        console.print_json(shown)
        return
    console.say(f"Budget {shown['id']}: {_sentence(shown)}")
    console.say(f"Spent in this window so far: {shown['spent']} ({shown['percent']} %).")


@budget.command()
@console.argument("budget_id", metavar="ID")
@console.json_option
def end(budget_id: str, as_json: bool) -> None:
    """Take the budget ID out of force. What was counted stays."""
    from app.domain.billing import budgets
    from app.gateway.desk import budgeting
    from app.ops import house

    async def work() -> tuple[bool, BudgetRule]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            was_in_force = await budgets.end(deed.session, budget_id)
            rule = await budgets.get(deed.session, budget_id)
            if was_in_force:
                of = (await budgeting.names(deed.session, [rule])).get(rule.id, "")
                deed.tell("budget.end", "budget", rule.id, f"{rule.scope} {of}".rstrip(), team_id=_team(rule))
            else:
                deed.did_nothing()
            return was_in_force, rule

    was_in_force, rule = console.run(work())
    if as_json:
        console.print_json({"id": rule.id, "was_in_force": was_in_force})
    else:
        console.say(f"Budget {rule.id} has ended." if was_in_force else f"Budget {rule.id} had ended before.")


@budget.command()
@console.argument("budget_id", metavar="ID")
@console.json_option
def recount(budget_id: str, as_json: bool) -> None:
    """Count anew what was spent of the budget ID in its present window, from the calls, and put it right.

    The first window of a budget may lack calls that ended in the moment in which it was made, and what is given back
    of a call's credits is not taken off before this.
    """
    from app.base import clock
    from app.domain.billing import budget_words
    from app.gateway.desk import budgeting
    from app.ops import house

    async def work() -> tuple[dict[str, Any], str]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            now_us = clock.now_us()
            rule, before, spent = await budgeting.recount(session, budget_id, now_us)
            (standing,) = await budgeting.standings(session, [rule], now_us)
            names = await budgeting.names(session, [rule])
            deed.tell(
                "budget.recount",
                "budget",
                rule.id,
                f"{rule.scope} {names.get(rule.id, '')}".rstrip(),
                team_id=_team(rule),
                before={"spent": budget_words.amount_text(rule.unit, before.spent)},
                after={"spent": budget_words.amount_text(rule.unit, spent)},
            )
            return _shown(standing, names.get(rule.id)), budget_words.amount_text(rule.unit, before.spent)

    shown, before = console.run(work())
    if as_json:
        console.print_json({**shown, "spent_before": before})
    elif before == shown["spent"]:
        console.say(f"Spent: {before}. That was right.")
    else:
        console.say(f"Spent: {shown['spent']}; {before} stood there.")


def _percents(levels: str) -> tuple[int, ...]:
    from app.base.errors import BadValue

    try:
        return tuple(int(level.strip().removesuffix("%")) for level in levels.split(",") if level.strip())
    except ValueError:
        raise BadValue(f'"{levels}" are not warn levels. Write percentages such as 80,95.', param="warn") from None


def _team(rule: BudgetRule) -> str | None:
    """Whose events its own belong to."""
    return rule.scope_id.partition("/")[0] if rule.scope in ("team", "project") else None


def _sentence(shown: dict[str, Any]) -> str:
    of = " ".join(word for word in (shown["scope"], shown["of"]) if word)
    window = "in all" if shown["window"] == "total" else f"a {shown['window']} ({shown['timezone']})"
    what = "blocks" if shown["block"] else "warns"
    return f"{of} may spend {shown['amount']} {shown['unit']} {window}; it {what}."


def _shown(standing: Standing, of: str | None) -> dict[str, Any]:
    from app.base import clock
    from app.domain.billing import budget_words

    rule, room, spend = standing.rule, standing.room, standing.spend
    if rule.ended_us is not None:
        state = "ended"
    elif standing.blocks:
        state = "blocks calls"
    elif standing.is_over_last_level:
        state = "over its last level"
    else:
        state = "has room"
    return {
        "id": rule.id,
        "scope": rule.scope,
        "of": of,
        "unit": rule.unit,
        "amount": budget_words.amount_text(rule.unit, rule.amount),
        "spent": budget_words.amount_text(rule.unit, spend.spent),
        "held": budget_words.amount_text(rule.unit, spend.held),
        "percent": standing.percent,
        "window": rule.window,
        "timezone": rule.timezone,
        "window_begins": clock.from_us(room.begins_us),
        "window_ends": None if room.ends_us is None else clock.from_us(room.ends_us),
        "warn": list(rule.warn_percents),
        "block": rule.action == "block",
        "note": rule.note,
        "state": state,
        "created_at": clock.from_us(rule.created_us),
        "ended_at": None if rule.ended_us is None else clock.from_us(rule.ended_us),
    }
