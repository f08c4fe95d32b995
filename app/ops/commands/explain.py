"""`hub explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.gateway.desk.explanation import Explanation, LineFacts, RouteFacts

_TASKS = ("conversation", "embedding", "image", "video", "speech", "transcription", "moderation")


@click.command()
@console.argument("key")
@console.argument("model")
@console.option("--project", help="As of a call that names this project.")
@console.option("--endpoint", type=click.Choice(_TASKS), help="As of a call for this.")
@console.option("--from", "address", help="As of a call from this address.")
@console.json_option
@click.pass_context
def explain(
    ctx: click.Context,
    key: str,
    model: str,
    project: str | None,
    endpoint: str | None,
    address: str | None,
    as_json: bool,
) -> None:
    """Say every limit, budget and price that a call of MODEL with KEY would meet, and whether it would pass.

    KEY is TEAM/NAME, or the first characters that `hub key list` shows. Exit code 1 when the call would be refused.
    """
    from app.base import addresses
    from app.base.errors import BadValue
    from app.gateway.desk import explaining
    from app.gateway.snapshot import SnapshotKeeper
    from app.ops import house

    source = None if address is None else addresses.address(address)
    if address is not None and source is None:
        raise BadValue(f'"{address[:80]}" is no address. Write one such as 192.0.2.7.', param="from")

    async def work() -> Explanation:
        async with house.opened(console.settings()) as hub:
            snapshot = await SnapshotKeeper(hub.db, hub.vault, lambda: None).load()
            async with hub.db.reading() as session:
                row = await explaining.find_key(session, key)
                return await explaining.explain(
                    session, snapshot, row, model, project=project, task=endpoint, address=source
                )

    found = console.run(work())
    if as_json:
        console.print_json(_as_json(found))
    else:
        _print(found)
    if not found.passes:
        ctx.exit(1)


def _print(found: Explanation) -> None:
    from app.base import money
    from app.domain.billing import budget_words
    from app.domain.calls import limit_words

    console.say("The call would pass." if found.passes else "The call would be refused:")
    for sentence in found.refusals:
        console.say(f"  - {sentence}")
    console.say()
    key, account = found.key, found.account
    console.show_fields(
        [
            ("billing", found.billing),
            ("key", f"{key.team}/{key.name} ({key.prefix}…), {key.state}"),
            ("expires", key.expires_at),
            ("may call", " ".join(key.models)),
            ("may not call", " ".join(key.denied_models) or None),
            ("endpoints", " ".join(key.endpoints) or None),
            ("networks", " ".join(key.networks) or None),
            ("made by key", ", by ".join(key.above) or None),
            ("user", key.user),
            ("strict", True if key.is_strict else None),
            ("model", None if found.model is None else f"{found.model.name} ({found.model.type})"),
            ("aliases", None if found.model is None or not found.model.aliases else " ".join(found.model.aliases)),
            ("credits", None if account is None else f"{money.show_nano(account.free_nano)} free"),
            ("needed", None if account is None else f"{money.show_nano(account.needed_nano)} for the least call"),
            ("held", None if account is None else money.show_nano(account.held_nano)),
        ]
    )
    if found.model is None:
        return
    console.say()
    console.print_table(
        ["provider", "its model", "priority", "weight", "takes calls", "credentials"],
        [
            [
                route.provider,
                route.upstream_model,
                route.priority,
                route.weight,
                route.takes_calls,
                ", ".join(f"{one.label} {one.state}" for one in route.credentials)
                if route.is_enabled
                else "the provider is switched off",
            ]
            for route in found.routes
        ],
        empty="No routes.",
    )
    console.say()
    console.print_table(
        ["budget of", "amount", "spent", "held", "window", "until", "when used up", "state"],
        [
            [
                one.of,
                budget_words.amount(one.standing.rule.unit, one.standing.rule.amount),
                budget_words.amount_text(one.standing.rule.unit, one.standing.spend.spent),
                budget_words.amount_text(one.standing.rule.unit, one.standing.spend.held),
                one.standing.rule.window,
                budget_words.ends(one.standing.room.ends_us, one.standing.rule.timezone),
                "blocks" if one.standing.rule.action == "block" else "warns",
                "used up" if one.standing.left <= 0 else "has room",
            ]
            for one in found.budgets
        ],
        empty="No budget binds this call.",
    )
    console.say()
    console.print_table(
        ["limit of", "amount", "used", "left"],
        [[one.of, limit_words.amount(one.used.bound.rule), one.used.used, one.used.left] for one in found.limits],
        empty="No limit binds this call.",
    )
    if found.billing == "off":
        return
    console.say()
    console.print_table(
        ["provider", "its model", "meter", "cost (USD)", "price (credits)", "per", "if"],
        [_line(route, line) for route in found.routes for line in route.price.lines],
        empty="No prices.",
    )


def _line(route: RouteFacts, line: LineFacts) -> list[object]:
    from app.base import money

    return [
        route.provider,
        route.upstream_model,
        line.meter,
        "unknown" if line.cost_nano is None else money.show_nano(line.cost_nano),
        "none" if line.price_nano is None else money.show_nano(line.price_nano),
        f"{line.per_units:,}",
        line.condition,
    ]


def _as_json(found: Explanation) -> dict[str, Any]:
    from app.base import clock
    from app.domain.billing import budget_words

    budgets: list[dict[str, Any]] = []
    for one in found.budgets:
        rule, room, spend = one.standing.rule, one.standing.room, one.standing.spend
        budgets.append(
            {
                "id": rule.id,
                "of": one.of,
                "unit": rule.unit,
                "amount": budget_words.amount_text(rule.unit, rule.amount),
                "spent": budget_words.amount_text(rule.unit, spend.spent),
                "held": budget_words.amount_text(rule.unit, spend.held),
                "window": rule.window,
                "window_ends": None if room.ends_us is None else clock.from_us(room.ends_us),
                "action": rule.action,
                "blocks": one.standing.blocks,
            }
        )
    return {
        "passes": found.passes,
        "refusals": found.refusals,
        "billing": found.billing,
        "key": found.key,
        "model": found.model,
        "routes": found.routes,
        "budgets": budgets,
        "limits": [
            {
                "id": one.used.bound.rule.id,
                "of": one.of,
                "unit": one.used.bound.rule.unit,
                "per": one.used.bound.rule.per,
                "amount": one.used.bound.rule.amount,
                "used": one.used.used,
                "left": one.used.left,
            }
            for one in found.limits
        ],
        "account": found.account,
    }
