"""`hub verify`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.base.wrongs import Report

_MOST = 100


@click.command()
@console.option(
    "--since",
    type=click.DateTime(formats=["%Y-%m-%d"]),
    metavar="DAY",
    help="Only accounts that have moved since this day (UTC), and what happened since.",
)
@console.option("--calls/--no-calls", "with_calls", default=True, help="Also what each call was charged by its rates.")
@console.option("--all", "goes_on", is_flag=True, help=f"Go on after the first wrong row, to {_MOST} of them.")
@console.option("--json", "_as_json", is_flag=True, help="Print JSON, as always.")
@click.pass_context
def verify(ctx: click.Context, since: datetime | None, with_calls: bool, goes_on: bool, _as_json: bool) -> None:
    """Work out the books anew: chains, balances, holds, daily roots, the price of every call; and the audit trail.

    Prints JSON. Ends at the first row that is wrong with exit code 1, and names it: its table and key, what it says,
    and what it should. It only reads, so it can run beside the hub.
    """
    from datetime import UTC

    from app.base.clock import MICROSECONDS, now_us
    from app.gateway.desk import verifying
    from app.ops import house

    since_us = None if since is None else int(since.replace(tzinfo=UTC).timestamp()) * MICROSECONDS

    async def work() -> Report:
        async with house.opened(console.settings()) as hub:
            return await verifying.verify(
                hub.db, now_us=now_us(), since_us=since_us, with_calls=with_calls, most=_MOST if goes_on else 1
            )

    report = console.run(work())
    console.print_json(
        {
            "ok": not report.wrong,
            "checked": report.checked,
            "first": report.wrong[0] if report.wrong else None,
            "findings": report.wrong,
        }
    )
    if report.wrong:
        ctx.exit(1)
