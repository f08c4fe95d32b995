"""`hub prices what-if|notices`: what other prices would have brought in, and what is wrong with those in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console
from app.ops.commands import replay_table

if TYPE_CHECKING:
    from app.domain.catalog.rates import NewLine
    from app.gateway.desk.price_checks import Fault
    from app.gateway.desk.what_if import Replay


@click.command("what-if")
@console.option("--markup", metavar="PERCENT", help="In place of the hub's markup; models and teams keep their own.")
@console.option("--credit-price", metavar="USD", help="In place of what a credit costs.")
@console.option(
    "--bundle",
    "file",
    type=click.Path(exists=True, dir_okay=False),
    help="With the costs of this price bundle, as `hub prices apply` would take them over.",
)
@console.option("--replace", is_flag=True, help="Of the bundle, also costs that were set by hand.")
@console.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="Calls of so many days.")
@console.json_option
def what_if(
    markup: str | None, credit_price: str | None, file: str | None, replace: bool, days: int, as_json: bool
) -> None:
    """Price the calls of the last days anew, under other terms, and show per team and model what would be different.

    Without an option: under the prices in force now.
    """
    from msgspec import structs

    from app.base import clock
    from app.domain.catalog import bundle_changes, pricing, settings, supposed
    from app.gateway.desk import what_if as replaying
    from app.ops import house, price_bundles

    bundle = None if file is None else price_bundles.read(Path(file))
    changed: dict[str, Any] = {}
    for name, field, text in (
        ("markup", "markup_basis_points", markup),
        ("credit_price", "credit_price_nano", credit_price),
    ):
        if text is not None:
            setting = settings.find(name)
            changed[field] = setting.read(setting.tidy(text))

    async def work() -> Replay:
        async with house.opened(console.settings()) as hub:
            new: dict[str, list[NewLine]] = {}
            async with hub.db.reading() as session:
                now = await pricing.load(session)
                if bundle is not None:
                    new = bundle_changes.lines_now(await bundle_changes.diff(session, bundle, is_replacing=replace))
            then = supposed.prices(now, new, structs.replace(now.terms, **changed))
            until_us = clock.now_us()
            since_us = until_us - days * 86_400 * clock.MICROSECONDS
            return await replaying.replay(hub.db, then, since_us=since_us, until_us=until_us)

    replay = console.run(work())
    if as_json:
        console.print_json(replay_table.as_json(replay))
    else:
        replay_table.show(replay)


@click.command()
@console.json_option
def notices(as_json: bool) -> None:
    """List what is wrong with prices: no price, a price below cost, a provider that charges otherwise than its rates.

    What was noticed of a provider's charges is forgotten when its rates change.
    """
    from app.domain.catalog import pricing, settings
    from app.gateway.desk import price_checks
    from app.ops import house

    async def work() -> list[Fault]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            billing = await settings.billing_mode(session)
            return await price_checks.faults(session, billing, await pricing.load(session))

    found = console.run(work())
    if as_json:
        console.print_json(found)
        return
    console.print_table(
        ["", "model", "provider", "what", "to mend it"],
        [[fault.kind, fault.model, fault.provider, fault.sentence, fault.command] for fault in found],
        empty="Nothing is wrong with the prices.",
    )
