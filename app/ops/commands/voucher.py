"""`hub voucher make|list|redeem|disable`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import rich_click as click

from app.ops import console
from app.ops.commands.credits import ACTOR

_MOST_LISTED = 10_000


@click.group()
def voucher() -> None:
    """Vouchers: codes that give credits to the team that redeems them."""


@voucher.command()
@console.argument("batch")
@console.argument("amount")
@console.option("--count", "-n", type=int, default=1, show_default=True, help="How many codes, up to 10000.")
@console.option("--uses", type=int, default=1, show_default=True, help="How many teams may redeem each code.")
@console.option("--days", type=int, help="How long the credits last once redeemed; for ever if not given.")
@console.option("--expires", type=click.DateTime(), help="Until when a code can be redeemed, in UTC.")
@console.json_option
def make(
    batch: str, amount: str, count: int, uses: int, days: int | None, expires: datetime | None, as_json: bool
) -> None:
    """Make codes of AMOUNT credits each, under the name BATCH, and print them, one a line.

    They are shown this once: the hub keeps only digests.
    """
    from datetime import UTC

    from app.base import clock
    from app.base.money import nano, show_nano
    from app.domain.billing import vouchers
    from app.ops import house

    amount_nano = nano(amount)

    async def work() -> list[str]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            made = await vouchers.make(
                deed.session,
                batch=batch,
                count=count,
                amount_nano=amount_nano,
                max_uses=uses,
                grant_days=days,
                expires_us=None if expires is None else clock.to_us(expires.replace(tzinfo=UTC)),
            )
            terms = {
                "credits": show_nano(amount_nano),
                "count": count,
                "uses": uses,
                "days": days,
                "expires": None if expires is None else expires.replace(tzinfo=UTC),
            }
            deed.tell("voucher.make", "voucher", batch, batch, after=terms)
            return made

    codes = console.run(work())
    if as_json:
        console.print_json({"batch": batch, "credits": show_nano(amount_nano), "codes": codes})
        return
    for code in codes:
        console.say(code)


@voucher.command("list")
@console.option("--batch", help="Only the codes of this batch, by their first characters.")
@console.json_option
def list_(batch: str | None, as_json: bool) -> None:
    """List the batches, or the codes of one; never the codes themselves."""
    from app.base import clock
    from app.base.money import show_nano
    from app.domain.billing import vouchers
    from app.ops import house

    async def work() -> list[dict[str, Any]]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            if batch is None:
                return [
                    {
                        "batch": row.name,
                        "made": clock.from_us(row.created_us),
                        "credits": show_nano(row.amount_nano),
                        "codes": row.codes,
                        "disabled": row.disabled,
                        "uses": row.uses,
                        "of": row.max_uses,
                        "until": None if row.expires_us is None else clock.from_us(row.expires_us),
                    }
                    for row in await vouchers.batches(session, limit=_MOST_LISTED)
                ]
            return [
                {
                    "begins_with": row.hint,
                    "credits": show_nano(row.amount_nano),
                    "uses": row.uses,
                    "of": row.max_uses,
                    "until": None if row.expires_us is None else clock.from_us(row.expires_us),
                    "disabled": row.disabled_us is not None,
                }
                for row in await vouchers.of_batch(session, batch, limit=_MOST_LISTED)
            ]

    rows = console.run(work())
    if as_json:
        console.print_json(rows)
        return
    console.print_table(
        [name.replace("_", " ") for name in rows[0]] if rows else [],
        [list(row.values()) for row in rows],
        empty="No vouchers yet. Make some with: hub voucher make BATCH AMOUNT",
    )


@voucher.command()
@console.argument("code")
@console.argument("team")
@console.json_option
def redeem(code: str, team: str, as_json: bool) -> None:
    """Give TEAM what CODE is worth: once per team, and as often as the code may be used."""
    from app.base import clock
    from app.base.money import show_nano
    from app.domain.billing import vouchers
    from app.domain.identity import teams
    from app.ops import house

    async def work() -> vouchers.Redeemed:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            found = await teams.get_by_name(deed.session, team)
            given = await vouchers.redeem(deed.session, code, found.id, ACTOR)
            after = {"team": team, "credits": show_nano(given.amount_nano)}
            deed.tell("voucher.redeem", "voucher", given.batch, given.batch, team_id=found.id, after=after)
            return given

    given = console.run(work())
    ends = None if given.expires_us is None else clock.from_us(given.expires_us)
    if as_json:
        console.print_json(
            {"team": team, "batch": given.batch, "credits": show_nano(given.amount_nano), "expires_at": ends}
        )
        return
    until = "" if ends is None else f" until {console.show_moment(ends)} UTC"
    console.say(f"Team {team} has {show_nano(given.amount_nano)} credits more{until}.")


@voucher.command()
@console.argument("batch")
@console.json_option
def disable(batch: str, as_json: bool) -> None:
    """Let no code of BATCH be redeemed any more. What was given stays."""
    from app.domain.billing import vouchers
    from app.ops import house

    async def work() -> int:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            stopped = await vouchers.disable(deed.session, batch)
            if stopped:
                deed.tell("voucher.disable", "voucher", batch, batch, after={"disabled": stopped})
            else:
                deed.did_nothing()
            return stopped

    stopped = console.run(work())
    if as_json:
        console.print_json({"batch": batch, "disabled": stopped})
    else:
        console.say(f"{stopped} codes of {batch} cannot be redeemed any more.")
