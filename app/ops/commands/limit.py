"""`hub limit list|create|end`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.domain.calls.limit_rules import LimitRuleFacts

_SCOPES = ("hub", "team", "key", "user", "model", "credential")
_UNITS = ("requests", "tokens", "streams")


@click.group()
def limit() -> None:
    """Limits: how many requests and tokens a minute or a day, and how many calls at once."""


@limit.command("list")
@console.option("--all", "is_all", is_flag=True, help="Also those that have ended.")
@console.json_option
def list_limits(is_all: bool, as_json: bool) -> None:
    """List the limits in force. `hub explain` shows what is left of those that bind a call."""
    from app.domain.calls import limits
    from app.gateway.limits import limit_names
    from app.ops import house

    async def work() -> list[dict[str, Any]]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            rules = await (limits.page(session, limit=1000) if is_all else limits.in_force(session))
            names = await limit_names.names(session, rules)
            return [_shown(rule, names.get((rule.scope, rule.scope_id))) for rule in rules]

    rows = console.run(work())
    if as_json:
        console.print_json(rows)
        return
    console.print_table(
        ["limit", "of", "amount", "state", "note"],
        [[row["id"], _of(row), row["text"], "ended" if row["ended_at"] else "in force", row["note"]] for row in rows],
        empty="No limits yet. Make one with: hub limit create key '*' --amount 60 --unit requests --per minute",
    )


@limit.command()
@console.argument("scope", type=click.Choice(_SCOPES))
@console.argument("of", required=False, default="")
@console.option("--amount", required=True, type=click.IntRange(min=1), help="How many.")
@console.option(
    "--unit",
    type=click.Choice(_UNITS),
    default="requests",
    show_default=True,
    help="Requests, tokens in and out, or calls that are under way at once.",
)
@console.option(
    "--per", type=click.Choice(("minute", "day")), help="In what time; minute if nothing is said. Not for streams."
)
@console.option("--note", default="", help="What it is for.")
@console.json_option
def create(scope: str, of: str, amount: int, unit: str, per: str | None, note: str, as_json: bool) -> None:
    """Put a limit in force, in every process within a second.

    SCOPE is hub, or: team TEAM, key TEAM/KEY, user EMAIL, model NAME, credential PROVIDER/LABEL. With * in place of a
    name it is for each one by itself; one that has a limit of its own has that alone.

    It takes the place of the one with the same scope, unit and time.
    """
    from app.domain.calls import limit_rules, limits
    from app.gateway.limits import limit_names
    from app.ops import house

    async def work() -> dict[str, Any]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            terms = limit_rules.terms(
                scope=scope,
                scope_id=await limit_names.scope_id(session, scope, of),
                unit=unit,
                amount=amount,
                per=per or ("once" if unit == "streams" else "minute"),
                note=note,
            )
            rule = await limits.create(session, terms)
            shown = _shown(rule, of)
            after = {name: shown[name] for name in ("scope", "of", "amount", "unit", "per", "note")}
            team_id = rule.scope_id if scope == "team" and not shown["each"] else None
            deed.tell("limit.create", "limit", rule.id, f"{scope} {of}".rstrip(), team_id=team_id, after=after)
            return shown

    shown = console.run(work())
    if as_json:
        console.print_json(shown)
    else:
        console.say(f"Limit {shown['id']}: {_of(shown)} may ask for {shown['text']}.")


@limit.command()
@console.argument("limit_id", metavar="ID")
@console.json_option
def end(limit_id: str, as_json: bool) -> None:
    """Take the limit ID out of force."""
    from app.domain.calls import limits
    from app.ops import house

    async def work() -> bool:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            was_in_force = await limits.end(deed.session, limit_id)
            if was_in_force:
                deed.tell("limit.end", "limit", limit_id, limit_id)
            else:
                deed.did_nothing()
            return was_in_force

    was_in_force = console.run(work())
    if as_json:
        console.print_json({"id": limit_id, "was_in_force": was_in_force})
    else:
        console.say(f"Limit {limit_id} has ended." if was_in_force else f"Limit {limit_id} had ended before.")


def _of(shown: dict[str, Any]) -> str:
    if shown["each"]:
        return f"each {shown['scope']}"
    return f"{shown['scope']} {'(gone)' if shown['of'] is None else shown['of']}".rstrip()


def _shown(rule: LimitRuleFacts, of: str | None) -> dict[str, Any]:
    from app.base import clock
    from app.domain.calls import limit_words
    from app.domain.calls.limit_rules import EACH

    return {
        "id": rule.id,
        "scope": rule.scope,
        "of": of,
        "each": rule.scope_id == EACH,
        "amount": rule.amount,
        "unit": rule.unit,
        "per": rule.per,
        "text": limit_words.amount(rule),
        "note": rule.note,
        "created_at": clock.from_us(rule.created_us),
        "ended_at": None if rule.ended_us is None else clock.from_us(rule.ended_us),
    }
