"""`hub credits balance|list|grant|deduct|refund|freeze|unfreeze|line`: the credits of teams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.base.db import AsyncSession
    from app.domain.billing.balances import Balance

ACTOR = "command"
"""Who caused it, in the books, when somebody at the command line did."""


@click.group("credits")
def credits_() -> None:
    """Credits of teams: what they have, giving and taking. Amounts are decimals such as 12.5."""


@credits_.command()
@console.argument("team")
@console.json_option
def balance(team: str, as_json: bool) -> None:
    """Show what TEAM has."""
    _show_balance(team, _look(team), as_json)


@credits_.command("list")
@console.argument("team")
@console.option("--movements", is_flag=True, help="Every movement of its account, instead of its grants.")
@console.option("--limit", "-n", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@console.json_option
def list_(team: str, movements: bool, limit: int, as_json: bool) -> None:
    """List the grants of TEAM, or what moved its account; newest first."""
    from app.base import clock
    from app.base.money import show_nano
    from app.domain.billing import balances
    from app.domain.identity import teams
    from app.ops import house

    async def work() -> list[dict[str, Any]]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            team_id = (await teams.get_by_name(session, team)).id
            if movements:
                return [
                    {
                        "at": clock.from_us(row.created_us),
                        "kind": row.kind,
                        "credits": show_nano(row.amount_nano),
                        "actor": row.actor,
                        "reason": row.reason,
                        "ref": row.ref,
                    }
                    for row in await balances.page_of_movements(session, team_id, limit=limit)
                ]
            return [
                {
                    "at": clock.from_us(row.created_us),
                    "source": row.source,
                    "category": row.category,
                    "credits": show_nano(row.amount_nano),
                    "left": show_nano(row.remaining_nano),
                    "priority": row.priority,
                    "begins": clock.from_us(row.effective_us),
                    "ends": _moment(row.expires_us),
                    "state": row.status(clock.now_us()),
                    "reason": row.reason,
                }
                for row in await balances.page_of_grants(session, team_id, limit=limit)
            ]

    rows = console.run(work())
    if as_json:
        console.print_json(rows)
        return
    columns = list(rows[0]) if rows else []
    console.print_table(
        columns, [list(row.values()) for row in rows], empty=f"Team {team} has been given no credits yet."
    )


@credits_.command()
@console.argument("team")
@console.argument("amount")
@console.option("--reason", required=True, help="Why; it stands in the books.")
@console.option(
    "--category",
    type=click.Choice(["promo", "paid"]),
    default="promo",
    show_default=True,
    help="Given or bought. Of equal priority and end, what was given burns first.",
)
@console.option("--priority", type=int, default=50, show_default=True, help="0 to 100; lower burns first.")
@console.option("--begins", type=click.DateTime(), help="When it can be spent, in UTC; at once if not given.")
@console.option("--expires", type=click.DateTime(), help="When it ends, in UTC; never if not given.")
@console.json_option
def grant(
    team: str,
    amount: str,
    reason: str,
    category: Literal["promo", "paid"],
    priority: int,
    begins: datetime | None,
    expires: datetime | None,
    as_json: bool,
) -> None:
    """Give TEAM so many credits."""
    from app.base.money import nano
    from app.domain.billing import grants

    async def work(session: AsyncSession, team_id: str) -> None:
        await grants.grant(
            session,
            team_id=team_id,
            amount_nano=nano(amount),
            source=grants.CONSOLE,
            reason=reason,
            actor=ACTOR,
            category=category,
            priority=priority,
            effective_us=_microseconds(begins),
            expires_us=_microseconds(expires),
        )

    said = {"credits": amount, "category": category, "reason": reason, "begins": begins, "expires": expires}
    _show_balance(team, _change(team, "credits.grant", said, work), as_json)


@credits_.command()
@console.argument("team")
@console.argument("amount")
@console.option("--reason", required=True, help="Why; it stands in the books.")
@console.json_option
def deduct(team: str, amount: str, reason: str, as_json: bool) -> None:
    """Take so many credits from TEAM. What its running calls hold stays theirs."""
    from app.base.money import nano
    from app.domain.billing import grants

    async def work(session: AsyncSession, team_id: str) -> None:
        await grants.deduct(session, team_id=team_id, amount_nano=nano(amount), reason=reason, actor=ACTOR)

    said = {"credits": amount, "reason": reason}
    _show_balance(team, _change(team, "credits.deduct", said, work), as_json)


@credits_.command()
@console.argument("call_id", metavar="CALL")
@console.argument("amount", required=False)
@console.option("--reason", required=True, help="Why; it stands in the books.")
@console.json_option
def refund(call_id: str, amount: str | None, reason: str, as_json: bool) -> None:
    """Give back what CALL was charged, or AMOUNT of it, as credits. Never more than its team paid."""
    from app.base.money import nano, show_nano
    from app.domain.identity import teams
    from app.gateway.desk import refunds
    from app.ops import house

    async def work() -> tuple[str, int]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            refunded = await refunds.refund_call(
                session, call_id, amount_nano=None if amount is None else nano(amount), reason=reason, actor=ACTOR
            )
            name = (await teams.get(session, refunded.team_id)).name
            after = {"team": name, "refunded": show_nano(refunded.refunded_nano), "reason": reason}
            deed.tell("call.refund", "call", call_id, call_id, team_id=refunded.team_id, after=after)
            return name, refunded.refunded_nano

    team, refunded_nano = console.run(work())
    if as_json:
        console.print_json({"call": call_id, "team": team, "refunded": show_nano(refunded_nano)})
    else:
        console.say(f"Of call {call_id} team {team} has had {show_nano(refunded_nano)} credits back.")


@credits_.command()
@console.argument("team")
@console.json_option
def freeze(team: str, as_json: bool) -> None:
    """Refuse new calls of TEAM until it is unfrozen; those that run go on."""
    from app.domain.billing import accounts

    async def work(session: AsyncSession, team_id: str) -> None:
        await accounts.freeze(session, team_id)

    _show_balance(team, _change(team, "credits.freeze", {}, work), as_json)


@credits_.command()
@console.argument("team")
@console.json_option
def unfreeze(team: str, as_json: bool) -> None:
    """Let TEAM call again."""
    from app.domain.billing import accounts

    async def work(session: AsyncSession, team_id: str) -> None:
        await accounts.unfreeze(session, team_id)

    _show_balance(team, _change(team, "credits.unfreeze", {}, work), as_json)


@credits_.command()
@console.argument("team")
@console.argument("amount")
@console.json_option
def line(team: str, amount: str, as_json: bool) -> None:
    """Let TEAM go so far below zero; 0 is prepaid."""
    from app.base.money import nano
    from app.domain.billing import accounts

    async def work(session: AsyncSession, team_id: str) -> None:
        await accounts.set_credit_line(session, team_id, nano(amount))

    _show_balance(team, _change(team, "credits.line", {}, work), as_json)


def _look(team: str) -> Balance:
    from app.domain.billing import balances
    from app.domain.identity import teams
    from app.ops import house

    async def work() -> Balance:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            return await balances.of_team(session, (await teams.get_by_name(session, team)).id)

    return console.run(work())


def _change(
    team: str, action: str, said: Mapping[str, Any], change: Callable[[AsyncSession, str], Awaitable[None]]
) -> Balance:
    """Do it in a transaction, which is recorded as `action` with what was said; the balance after it."""
    from app.domain.billing import balances
    from app.domain.identity import teams
    from app.ops import house

    async def work() -> Balance:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            team_id = (await teams.get_by_name(session, team)).id
            before = _told(await balances.of_team(session, team_id))
            await change(session, team_id)
            has = await balances.of_team(session, team_id)
            deed.tell(action, "team", team_id, team, team_id=team_id, before=before, after={**_told(has), **said})
            return has

    return console.run(work())


def _told(has: Balance) -> dict[str, object]:
    """What commands change of an account."""
    from app.base.money import show_nano

    return {
        "balance": show_nano(has.posted_nano),
        "line": show_nano(has.credit_line_nano),
        "frozen": has.is_frozen,
    }


def _show_balance(team: str, has: Balance, as_json: bool) -> None:
    from app.base.money import show_nano

    fields: dict[str, object] = {
        "team": team,
        "free": show_nano(has.free_nano),
        "balance": show_nano(has.posted_nano),
        "held": show_nano(has.held_nano),
        "owed": show_nano(has.overage_nano),
        "line": show_nano(has.credit_line_nano),
        "frozen": has.is_frozen,
        "ends_within_a_week": show_nano(has.expiring_nano),
        "next_end": _moment(has.next_expiry_us),
    }
    if as_json:
        console.print_json(fields)
    else:
        console.show_fields([(name.replace("_", " "), value) for name, value in fields.items()])


def _moment(moment_us: int | None) -> datetime | None:
    from app.base import clock

    return None if moment_us is None else clock.from_us(moment_us)


def _microseconds(moment: datetime | None) -> int | None:
    from datetime import UTC

    from app.base import clock

    return None if moment is None else clock.to_us(moment.replace(tzinfo=UTC))
