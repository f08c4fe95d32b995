"""`hub calls tail|show`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.domain.calls.models import Call, CallContent
    from app.ops.call_views import Names
    from app.ops.house import House


@click.group()
def calls() -> None:
    """Calls: what was asked, who answered, what it used."""


@calls.command()
@console.option("--follow", "-f", "is_following", is_flag=True, help="Go on, until Ctrl-C.")
@console.option(
    "--limit", "-n", type=click.IntRange(0, 10_000), default=20, show_default=True, help="How many to begin with."
)
@console.option("--team", "team_name", help="Only this team's calls.")
@console.option("--json", "as_json", is_flag=True, help="Print JSON, one call per line.")
def tail(is_following: bool, limit: int, team_name: str | None, as_json: bool) -> None:
    """Show the newest calls; with --follow also those that come, when they begin and when they end."""
    from app.base.errors import NotFound
    from app.domain.calls import reports
    from app.domain.identity import teams
    from app.ops import call_views, house

    settings = console.settings()

    async def work() -> None:
        async with house.opened(settings) as hub:
            team_id: str | None = None
            async with hub.db.reading() as session:
                if team_name is not None:
                    team = await teams.find_by_name(session, team_name)
                    if team is None:
                        raise NotFound(f"There is no team {team_name}.", param="team")
                    team_id = team.id
                newest = await reports.latest(session, team_id, limit)
            names = call_views.Names(hub)
            await _print(newest, names, as_json=as_json)
            if not newest and not is_following and not as_json:
                console.say("No calls yet.")
            if is_following:
                async for news in call_views.follow(hub, team_id, newest):
                    await _print(news, names, as_json=as_json)

    try:
        console.run(work())
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.say("")


@calls.command()
@console.argument("call_id")
@console.json_option
def show(call_id: str, as_json: bool) -> None:
    """Show one call: its numbers, its attempts, and what was said if its team keeps that."""
    from app.base.errors import NotFound
    from app.domain.calls import reports
    from app.ops import call_views, house

    settings = console.settings()

    async def work() -> dict[str, Any]:
        async with house.opened(settings) as hub:
            async with hub.db.reading() as session:
                call = await reports.find(session, call_id)
                if call is None:
                    raise NotFound(f"There is no call {call_id}.")
                attempts = await reports.attempts(session, call_id)
                content = await reports.content(session, call_id)
            names = call_views.Names(hub)
            await names.learn([call])
            return {
                **call_views.view(call, names),
                "tries": [call_views.view_attempt(attempt) for attempt in attempts],
                "content": None if content is None else _opened(hub, content),
            }

    shown = console.run(work())
    if as_json:
        console.print_json(shown)
    else:
        _print_one(shown)


async def _print(news: Sequence[Call], names: Names, *, as_json: bool) -> None:
    from app.base.clock import from_us
    from app.ops import call_views

    await names.learn(news)
    for call in news:
        if as_json:
            console.print_json_line(call_views.view(call, names))
            continue
        fields = [
            console.show_moment(from_us(call.started_us)),
            call.id,
            f"{call.status:<11}",
            f"{names.of(call.team_id)}/{names.of(call.api_key_id)}",
            call.endpoint,
            call.model,
            f"via {call.provider}" if call.provider else "",
            call_views.show_duration(call.total_us),
            call_views.show_usage(call),
            f"{call.error_code} ({call.error_owner})" if call.error_code else "",
        ]
        console.say(console.harmless("  ".join(field for field in fields if field)))


def _print_one(shown: dict[str, Any]) -> None:
    tries, content, usage, notes = (shown.pop(name) for name in ("tries", "content", "usage", "fidelity"))
    console.show_fields(
        [
            *shown.items(),
            *((f"usage.{meter}", count) for meter, count in usage.items()),
            *((f"{note['what']} {note['path']}", note["why"]) for note in notes),
        ]
    )
    if tries:
        console.say("")
        console.print_table(
            ["try", "provider", "status", "error", "first byte µs", "total µs"],
            [
                [
                    one["n"],
                    one["provider"],
                    one["http_status"],
                    " ".join(part for part in (one["error_code"], one["error_text"]) if part),
                    one["first_byte_us"],
                    one["total_us"],
                ]
                for one in tries
            ],
            empty="",
        )
    if content is not None:
        for name in ("request", "answer"):
            console.say(f"\n{name}:\n{console.harmless(content[name])}")


def _opened(hub: House, content: CallContent) -> dict[str, str]:
    from app.ops import sealed

    return {
        "request": hub.vault.open(content.sealed_request, sealed.of_request(content)).reveal(),
        "answer": hub.vault.open(content.sealed_answer, sealed.of_answer(content)).reveal(),
    }
