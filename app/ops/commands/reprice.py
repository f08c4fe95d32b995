"""`hub reprice preview|apply|list|revert`: many prices at once, looked at before they are set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console
from app.ops.commands import replay_table
from app.ops.commands.credits import ACTOR

if TYPE_CHECKING:
    from app.base.db import AsyncSession
    from app.domain.catalog.repricing import Draft, Rule, Scope
    from app.gateway.desk.what_if import Replay
    from app.ops.house import House

_SHOWN = 200
"""Rows in a table; JSON has all."""

_OPTIONS = (
    console.option("--provider", "providers", multiple=True, metavar="NAME", help="What this provider serves."),
    console.option(
        "--model", "models", multiple=True, metavar="NAME", help='Models of this public name; "*" stands for anything.'
    ),
    console.option("--deployment", "deployments", multiple=True, metavar="ID", help="This deployment."),
    console.option("--meter", "meters", multiple=True, metavar="METER", help="Prices of this meter, such as output."),
    console.option("--markup", metavar="PERCENT", help="Rule: cost plus so many percent."),
    console.option("--change", metavar="PERCENT", help='Rule: present prices, changed by so much, such as "+10".'),
    console.option(
        "--price",
        "prices",
        multiple=True,
        metavar="METER=CREDITS",
        help="Rule: this price, per million tokens or characters, else per piece.",
    ),
    console.option("--back-to-markup", is_flag=True, help="Rule: no explicit prices; cost with the markup in force."),
    console.option("--from", "begins", type=click.DateTime(), help="When it begins, in UTC; at once if not given."),
    console.option(
        "--below-cost",
        is_flag=True,
        help="Allow prices below cost. While the setting sell_below_cost is off, the cost is charged all the same.",
    ),
    console.option(
        "--days",
        type=click.IntRange(1, 366),
        default=30,
        show_default=True,
        help="Calls of so many days count.",
    ),
    console.json_option,
)


def _rule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for one in reversed(_OPTIONS):
        command = one(command)
    return command


@click.group()
def reprice() -> None:
    """Set many prices at once, by a rule, now or later; and go back.

    A scope (providers, models, deployments, meters; all must fit, none means everything) says which, and one rule how.
    """


@reprice.command()
@_rule_options
def preview(days: int, as_json: bool, **chosen: Any) -> None:
    """Show what a rule would change, and what the calls of the last days would have come to by those prices.

    Changes nothing.
    """
    from app.ops import house

    scope, rule, begins, allows_below_cost = _chosen(**chosen)

    async def work() -> tuple[Draft, Replay]:
        async with house.opened(console.settings()) as hub:
            return await _looked_at(hub, scope, rule, begins, days, allows_below_cost=allows_below_cost)

    draft, replay = console.run(work())
    if as_json:
        console.print_json({**_as_json(draft, replay), "is_applied": False})
    else:
        _print(draft, replay)


@reprice.command()
@console.argument("name")
@_rule_options
@console.option("--yes", "-y", is_flag=True, help="Do not ask.")
def apply(name: str, days: int, as_json: bool, yes: bool, **chosen: Any) -> None:
    """Set the prices that a rule gives, as a change called NAME, once you have seen what `preview` shows."""
    from app.base.errors import BadValue
    from app.domain.catalog import repricing
    from app.ops import house

    scope, rule, begins, allows_below_cost = _chosen(**chosen)

    async def work() -> dict[str, Any]:
        async with house.opened(console.settings()) as hub:
            draft, replay = await _looked_at(hub, scope, rule, begins, days, allows_below_cost=allows_below_cost)
            if not as_json:
                _print(draft, replay)
            if not yes:
                if as_json or not console.is_terminal():
                    raise BadValue("Nothing was changed. Say --yes to set these prices.", param="--yes")
                click.confirm("Set these prices?", abort=True)
            async with hub.changing() as deed:
                change = await repricing.apply(deed.session, draft, name=name, actor=ACTOR, effective_from=begins)
                after = {
                    "rule": change.rule,
                    "scope": change.scope,
                    "prices": len(draft.rows),
                    "effective_from": change.effective_from,
                }
                deed.tell("prices.reprice", "price_change", change.id, change.name, after=after)
                made = {"id": change.id, "name": change.name, "effective_from": change.effective_from}
            return {**made, **_as_json(draft, replay), "is_applied": True}

    done = console.run(work())
    if as_json:
        console.print_json(done)
        return
    when = "" if begins is None else f" from {console.show_moment(done['effective_from'])} UTC on"
    console.say(f"Done: {_prices(len(done['rows']))} set{when}. To go back: hub reprice revert {_quoted(name)}")


@reprice.command("list")
@console.json_option
def list_changes(as_json: bool) -> None:
    """List the changes that were made, scheduled, in force or reverted, the newest first."""
    from app.domain.catalog import price_changes
    from app.ops import house

    async def work() -> list[price_changes.Change]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            return await price_changes.listed(session)

    found = console.run(work())
    if as_json:
        console.print_json(found)
        return
    console.print_table(
        ["name", "state", "from", "made", "by", "rule", "scope", "prices"],
        [
            [
                change.name,
                change.state,
                change.effective_from,
                change.created_at,
                change.created_by,
                _rule_words(change.rule),
                _scope_words(change.scope),
                len(change.lines),
            ]
            for change in found
        ],
        empty="No price change yet. See what one would do with: hub reprice preview",
    )


@reprice.command()
@console.argument("name")
@console.json_option
def revert(name: str, as_json: bool) -> None:
    """Put back what was there before the change NAME. What has been priced otherwise since stays."""
    from app.domain.catalog import price_changes
    from app.ops import house

    async def work() -> price_changes.Reverted:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            change = await price_changes.find(deed.session, name)
            done = await price_changes.revert(deed.session, change.id, actor=ACTOR)
            after = {"restored": done.restored, "left": done.left, "was_scheduled": done.was_scheduled}
            deed.tell("prices.revert", "price_change", change.id, change.name, after=after)
            return done

    done = console.run(work())
    if as_json:
        console.print_json(done)
        return
    told = "will not begin" if done.was_scheduled else "is reverted"
    stays = f" Priced otherwise since, and left so: {done.left}." if done.left else ""
    console.say(f"{done.name} {told}: {_prices(done.restored)} as before.{stays}")


def _chosen(
    *,
    providers: tuple[str, ...],
    models: tuple[str, ...],
    deployments: tuple[str, ...],
    meters: tuple[str, ...],
    markup: str | None,
    change: str | None,
    prices: tuple[str, ...],
    back_to_markup: bool,
    begins: datetime | None,
    below_cost: bool,
) -> tuple[Scope, Rule, datetime | None, bool]:
    from app.base.errors import BadValue
    from app.base.money import basis_points, nano
    from app.domain.catalog.repricing import BackToMarkup, Explicit, Factor, Markup, Scope

    rules: list[Rule] = []
    if markup is not None:
        rules.append(Markup(basis_points(_percent(markup))))
    if change is not None:
        rules.append(Factor(basis_points(_percent(change))))
    if prices:
        pairs = [price.partition("=") for price in prices]
        rules.append(Explicit({meter.strip(): nano(amount.strip()) for meter, _, amount in pairs}))
    if back_to_markup:
        rules.append(BackToMarkup())
    if len(rules) != 1:
        raise BadValue("Say one rule: --markup, --change, --price or --back-to-markup.", param="rule")
    scope = Scope(providers=providers, models=models, deployments=deployments, meters=meters)
    return scope, rules[0], None if begins is None else begins.replace(tzinfo=UTC), below_cost


async def _looked_at(
    hub: House, scope: Scope, rule: Rule, begins: datetime | None, days: int, *, allows_below_cost: bool
) -> tuple[Draft, Replay]:
    from app.base import clock
    from app.domain.catalog import pricing, repricing, supposed
    from app.gateway.desk import what_if

    async def looked(session: AsyncSession) -> tuple[Draft, Any]:
        draft = await repricing.draft(session, scope, rule, begins, allows_below_cost=allows_below_cost)
        return draft, await pricing.load(session)

    async with hub.db.reading() as session:
        draft, now = await looked(session)
    until_us = clock.now_us()
    then = supposed.prices(now, draft.lines())
    since_us = until_us - days * 86_400 * clock.MICROSECONDS
    # What was charged for others shows what they cost at the time, and nothing of this.
    changed = {row.deployment_id for row in draft.rows}
    return draft, await what_if.replay(hub.db, then, since_us=since_us, until_us=until_us, deployment_ids=changed)


def _print(draft: Draft, replay: Replay) -> None:
    console.say("Prices in credits, costs in US dollars, per million tokens or characters, else per piece:")
    console.print_table(
        ["provider", "model", "meter", "when", "cost", "price now", "price then", ""],
        [
            [
                row.provider,
                row.model,
                row.meter,
                replay_table.condition_words(row.condition),
                replay_table.amount(row.cost_nano),
                replay_table.amount(row.before_nano),
                replay_table.amount(row.after_nano),
                "below cost" if row.is_below_cost else "",
            ]
            for row in draft.rows[:_SHOWN]
        ],
        empty="No price would change.",
    )
    if len(draft.rows) > _SHOWN:
        console.say(f"… and {len(draft.rows) - _SHOWN} more; --json has all.")
    for left in draft.left:
        console.say(f"Stays: {left.meter} of {left.model} at {left.provider}; {left.why}.")
    console.say()
    replay_table.show(replay)


def _as_json(draft: Draft, replay: Replay) -> dict[str, Any]:
    from msgspec import to_builtins

    return {
        "rule": to_builtins(draft.rule),
        "scope": to_builtins(draft.scope),
        "rows": [{**to_builtins(row), "is_below_cost": row.is_below_cost} for row in draft.rows],
        "left": to_builtins(draft.left),
        "replay": replay_table.as_json(replay),
    }


def _prices(number: int) -> str:
    return f"{number} price{' is' if number == 1 else 's are'}"


def _percent(text: str) -> str:
    return text.strip().removesuffix("%").strip().removeprefix("+")


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)


def _rule_words(rule: Mapping[str, Any]) -> str:
    from app.base.money import show_basis_points, show_nano

    match rule["type"]:
        case "markup":
            return f"cost + {show_basis_points(rule['basis_points'])} %"
        case "factor":
            sign = "+" if rule["basis_points"] >= 0 else ""
            return f"prices {sign}{show_basis_points(rule['basis_points'])} %"
        case "price":
            return ", ".join(f"{meter} {show_nano(price)}" for meter, price in rule["prices"].items())
        case _:
            return "back to markup"


def _scope_words(scope: Mapping[str, Any]) -> str:
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in scope.items() if names) or "everything"
