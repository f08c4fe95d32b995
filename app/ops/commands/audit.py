"""`hub audit list|show|export|verify`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.base.db import AsyncSession
    from app.base.wrongs import Report
    from app.domain.identity.audit import Head
    from app.domain.identity.audit_reading import Filters, Format, Told

_Command = TypeVar("_Command", bound=Callable[..., Any])

_MOST_WRONG = 100

_FILTERS = (
    console.option("--actor", metavar="WHO", help="Only what they did: an address, a key's name, a system user."),
    console.option("--action", metavar="PREFIX", help="Only actions that begin so, such as key or key.create."),
    console.option("--object", "object_", metavar="KIND[:NAME]", help="Only what was done to it, such as team:acme."),
    console.option("--team", "team_name", metavar="TEAM", help="Only what is this team's."),
    console.option("--from", "begins", type=click.DateTime(), help="From this moment on, in UTC."),
    console.option("--until", "ends", type=click.DateTime(), help="Before this moment, in UTC."),
    console.option("--text", metavar="TEXT", help="Only events that say this somewhere; at most 64 characters."),
)


def _filters(command: _Command) -> _Command:
    for one in reversed(_FILTERS):
        command = one(command)
    return command


@click.group()
def audit() -> None:
    """The audit trail: who did what to what, when, and from where. Nothing in it can be changed unnoticed."""


@audit.command("list")
@_filters
@console.option("--before", "before_seq", type=int, metavar="SEQ", help="Only events before this one: the next page.")
@console.option("--limit", "-n", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@console.json_option
def list_events(before_seq: int | None, limit: int, as_json: bool, **chosen: Any) -> None:
    """List the events, newest first."""
    from app.domain.identity import audit_reading
    from app.ops import house

    async def work() -> list[Told]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            filters = await _chosen(session, **chosen)
            events = await audit_reading.page(session, filters, before_seq=before_seq, limit=limit)
            return [audit_reading.told(event) for event in events]

    events = console.run(work())
    if as_json:
        console.print_json(events)
        return
    console.print_table(
        ["seq", "at (UTC)", "who", "from", "did", "to", "what changed"],
        [
            [event.seq, _moment(event), _who(event), event.source, event.action, _what(event), _changes(event)]
            for event in events
        ],
        empty="No such events.",
    )


@audit.command()
@console.argument("seq", type=int)
@console.json_option
def show(seq: int, as_json: bool) -> None:
    """Show the event SEQ with all that it says."""
    from app.domain.identity import audit_reading
    from app.ops import house

    async def work() -> Told:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            return audit_reading.told(await audit_reading.get(session, seq))

    event = console.run(work())
    if as_json:
        console.print_json(event)
        return
    parts = [
        (f"{when} {name}", value)
        for when, said in (("before:", event.before), ("after:", event.after))
        for name, value in (said or {}).items()
    ]
    console.show_fields(
        [
            ("seq", event.seq),
            ("at (UTC)", _moment(event)),
            ("who", _who(event)),
            ("from", event.source),
            ("did", event.action),
            ("to", _what(event)),
            ("id", event.object_id or None),
            ("team", event.team_id),
            ("request", event.request_id),
            *parts,
            ("hash before", event.prev),
            ("hash", event.hash),
        ]
    )


@audit.command()
@console.argument("file", type=click.Path(dir_okay=False, writable=True, allow_dash=True))
@_filters
@console.option(
    "--format", "format_", type=click.Choice(["jsonl", "csv"]), help="As the name of FILE ends, if not given."
)
@console.json_option
def export(file: str, format_: str | None, as_json: bool, **chosen: Any) -> None:
    """Write the events to FILE, oldest first: JSON lines or CSV. - is the terminal. That is an event itself."""
    from app.domain.identity import audit_reading
    from app.ops import house

    wanted = cast("Format", format_ or ("csv" if file.endswith(".csv") else "jsonl"))

    async def work() -> int:
        lines = 0
        async with house.opened(console.settings()) as hub:
            async with hub.db.reading() as session:
                filters = await _chosen(session, **chosen)
            said = {name: value for name, value in chosen.items() if value is not None}
            # First: what leaves the hub has been recorded, whatever happens to the file.
            async with hub.changing() as deed:
                deed.tell("audit.export", "audit", "audit", "audit", after={"format": wanted, **said})
            with click.open_file(file, "wb") as target:
                async with hub.db.reading() as session:
                    async for piece in audit_reading.export(session, filters, wanted):
                        target.write(piece)
                        lines += piece.count(b"\n")
        return lines - (wanted == "csv")

    count = console.run(work())
    if file == "-":
        return
    if as_json:
        console.print_json({"file": file, "format": wanted, "events": count})
    else:
        console.say(f"{count} {'event' if count == 1 else 'events'} in {file}")


@audit.command()
@console.option("--all", "goes_on", is_flag=True, help=f"Go on after the first wrong event, to {_MOST_WRONG} of them.")
@console.json_option
@click.pass_context
def verify(ctx: click.Context, goes_on: bool, as_json: bool) -> None:
    """Work out the chain anew: whether an event was changed, moved or taken out. Exit code 1 when one was.

    Write down the head that it prints, somewhere else: whoever can write to the database can make a new chain, but not
    one that comes to the same head. `hub audit show SEQ` prints the hash of an event.
    """
    from contextlib import suppress

    from app.base.wrongs import Enough, Report
    from app.domain.identity import audit_upkeep
    from app.ops import house

    async def work() -> tuple[Report, Head | None]:
        report = Report(_MOST_WRONG if goes_on else 1)
        head = None
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            with suppress(Enough):
                head = await audit_upkeep.verify(session, report)
        return report, head

    report, head = console.run(work())
    count = report.checked.get("audit_event", 0)
    if as_json:
        console.print_json(
            {
                "ok": not report.wrong,
                "events": count,
                "head": None if head is None else str(head),
                "findings": report.wrong,
            }
        )
    elif not report.wrong:
        console.say(f"{count} {'event' if count == 1 else 'events'}: the chain holds. Its head is {head}")
    for wrong in () if as_json else report.wrong:
        console.complain(f"{wrong.check}: {wrong.table} {wrong.key} says {wrong.says}, and should {wrong.should}.")
    if report.wrong:
        ctx.exit(1)


async def _chosen(
    session: AsyncSession,
    *,
    actor: str | None,
    action: str | None,
    object_: str | None,
    team_name: str | None,
    begins: datetime | None,
    ends: datetime | None,
    text: str | None,
) -> Filters:
    from datetime import UTC

    from app.base import clock
    from app.domain.identity import teams
    from app.domain.identity.audit_reading import Filters

    return Filters(
        actor=actor,
        action=action,
        object=object_,
        team_id=None if team_name is None else (await teams.get_by_name(session, team_name)).id,
        from_us=None if begins is None else clock.to_us(begins.replace(tzinfo=UTC)),
        until_us=None if ends is None else clock.to_us(ends.replace(tzinfo=UTC)),
        text=text,
    )


def _moment(event: Told) -> str:
    return event.at[:19].replace("T", " ")


def _who(event: Told) -> str:
    as_whom = "" if event.as_whom is None else f" as {event.as_whom}"
    return f"{event.actor}{as_whom} ({event.actor_kind})"


def _what(event: Told) -> str:
    return f"{event.object_kind} {event.object}"


def _changes(event: Told) -> str:
    before, after = event.before or {}, event.after or {}
    parts = [
        f"{name}: {before[name]} → {after.get(name)}" if name in before else f"{name}: {after[name]}"
        for name in dict.fromkeys((*before, *after))
    ]
    return ", ".join(parts)
