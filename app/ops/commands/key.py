"""`hub key create|list|show|disable|enable|roll|revoke|check`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.base.db import AsyncSession
    from app.domain.identity.models import ApiKey, Team

_TASKS = ("conversation", "embedding", "image", "video", "speech", "transcription", "moderation")
_OVERLAPS = ("0", "1", "24", "72")
_MOST_CHECKED = 10_000


@click.group()
def key() -> None:
    """API keys: each lets a program call for one team. KEY is TEAM/NAME, or its first characters."""


@key.command()
@console.option("--team", "team_name", required=True, help="The team that it calls for.")
@console.option("--name", required=True, help="What the key is for; one of its kind within the team.")
@console.option("--models", "-m", multiple=True, default=("*",), help="Models that it may call, such as openai/*.")
@console.option("--deny", "denied", multiple=True, help="Models that it may not call all the same.")
@console.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    type=click.Choice(_TASKS),
    help="What it may be used for; else everything.",
)
@console.option("--network", "networks", multiple=True, help="Where it may be used from, such as 10.0.0.0/8.")
@console.option("--expires", type=click.DateTime(), help="When it stops working, in UTC.")
@console.option(
    "--strict",
    is_flag=True,
    help="Refuse a call with 400 when its provider cannot be told all that it asks, rather than leave something out.",
)
@console.option("--user", metavar="EMAIL", help="Whose key it is, for the budgets of people.")
@console.option("--service", is_flag=True, help="It is a program's and nobody's; so it is without --user as well.")
@console.option("--disabled", is_flag=True, help="Switched off until: hub key enable.")
@console.json_option
def create(
    team_name: str,
    name: str,
    models: tuple[str, ...],
    denied: tuple[str, ...],
    endpoints: tuple[str, ...],
    networks: tuple[str, ...],
    expires: datetime | None,
    strict: bool,
    user: str | None,
    service: bool,
    disabled: bool,
    as_json: bool,
) -> None:
    """Make a key and print it. It is shown this once: the hub keeps only a digest.

    A team that is not there yet is made.
    """
    from datetime import UTC

    from app.base.errors import BadValue
    from app.domain.identity import api_keys, teams, users
    from app.ops import house, key_views

    if service and user is not None:
        raise BadValue("A key is a program's (--service) or a person's (--user).", param="user")
    expires_at = None if expires is None else expires.replace(tzinfo=UTC)

    async def work() -> tuple[dict[str, Any], str]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            team = await teams.find_by_name(session, team_name)
            if team is None:
                team = await teams.create(session, name=team_name)
                deed.tell("team.create", "team", team.id, team.name, team_id=team.id)
            owner = None if user is None else await users.ensure(session, user)
            row, secret = await api_keys.create(
                session,
                hub.pepper,
                team_id=team.id,
                name=name,
                models=list(models),
                secret=None,
                expires_at=expires_at,
                is_strict=strict,
                user_id=None if owner is None else owner.id,
                denied_models=denied,
                endpoints=endpoints,
                addresses=networks,
                is_enabled=not disabled,
            )
            shown = await key_views.view(session, row)
            deed.tell("key.create", "key", row.id, f"{team.name}/{row.name}", team_id=team.id, after=shown)
            return shown, secret.reveal()

    shown, text = console.run(work())
    _say_secret(f"Key {name} of team {team_name}. It is shown only now:", shown, text, as_json)


@key.command("list")
@console.option("--team", "team_name", help="Only this team's keys.")
@console.json_option
def list_keys(team_name: str | None, as_json: bool) -> None:
    """List the keys: their first characters, never the keys themselves."""
    from app.domain.identity import api_keys, teams
    from app.ops import house, key_views

    async def work() -> list[dict[str, Any]]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            wanted = [await _team(session, team_name)] if team_name else await teams.listed(session)
            rows = [row for team in wanted for row in await api_keys.listed(session, team.id)]
            return await key_views.views(session, rows)

    keys = console.run(work())
    if as_json:
        console.print_json(keys)
        return
    console.print_table(
        ["team", "name", "begins with", "may call", "of", "made", "last used", "state"],
        [
            [
                row["team"],
                row["name"],
                row["prefix"],
                key_views.rights(row),
                row["user"] or row["kind"],
                row["created_at"],
                row["last_used_at"] or "never",
                row["state"],
            ]
            for row in keys
        ],
        empty="No keys yet. Make one with: hub key create --team TEAM --name NAME",
    )


@key.command()
@console.argument("key_name", metavar="KEY")
@console.json_option
def show(key_name: str, as_json: bool) -> None:
    """Show what a key may do, when it was last used, and the keys that it has made."""
    from app.domain.identity import child_keys
    from app.gateway.desk import explaining
    from app.ops import house, key_views

    async def work() -> dict[str, Any]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            row = await explaining.find_key(session, key_name)
            made = await child_keys.listed(session, row.id)
            return {**await key_views.view(session, row), "has_made": [one.name for one in made]}

    shown = console.run(work())
    if as_json:
        console.print_json(shown)
        return
    console.show_fields(
        [
            ("key", f"{shown['team']}/{shown['name']} ({shown['prefix']}…), {shown['state']}"),
            ("id", shown["id"]),
            ("of", shown["user"] or shown["kind"]),
            ("may call", " ".join(shown["models"])),
            ("may not call", " ".join(shown["denied_models"]) or None),
            ("endpoints", " ".join(shown["endpoints"]) or None),
            ("networks", " ".join(shown["networks"]) or None),
            ("strict", True if shown["is_strict"] else None),
            ("made by key", shown["made_by"]),
            ("made", shown["created_at"]),
            ("expires", shown["expires_at"]),
            ("old secret until", shown["old_secret_until"]),
            ("last used", shown["last_used_at"] or "never"),
            ("from", shown["last_used_from"]),
            ("by", shown["last_used_by"]),
            ("has made", " ".join(shown["has_made"]) or None),
        ]
    )


@key.command()
@console.argument("key_name", metavar="KEY")
@console.json_option
def disable(key_name: str, as_json: bool) -> None:
    """Switch a key off for a while, and the keys that it has made; every process knows within a second."""
    from app.domain.identity import api_keys

    async def work(session: AsyncSession, row: ApiKey) -> None:
        await api_keys.set_enabled(session, row.team_id, row.id, is_enabled=False)

    _change("key.disable", key_name, work, as_json, "is switched off")


@key.command()
@console.argument("key_name", metavar="KEY")
@console.json_option
def enable(key_name: str, as_json: bool) -> None:
    """Switch a key on again."""
    from app.domain.identity import api_keys

    async def work(session: AsyncSession, row: ApiKey) -> None:
        await api_keys.set_enabled(session, row.team_id, row.id, is_enabled=True)

    _change("key.enable", key_name, work, as_json, "is switched on")


@key.command()
@console.argument("key_name", metavar="KEY")
@console.option(
    "--overlap",
    type=click.Choice(_OVERLAPS),
    default="24",
    show_default=True,
    help="Hours for which the old secret goes on to work.",
)
@console.json_option
def roll(key_name: str, overlap: str, as_json: bool) -> None:
    """Give a key another secret and print it. The old one works until the overlap ends; the keys that it made stay."""
    from app.domain.identity import api_keys
    from app.gateway.desk import explaining
    from app.ops import house, key_views

    async def work() -> tuple[dict[str, Any], str]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            row = await explaining.find_key(session, key_name)
            before = await key_views.view(session, row)
            secret = await api_keys.roll(session, hub.pepper, row.team_id, row.id, overlap_hours=int(overlap))
            shown = await key_views.view(session, row)
            what = f"{shown['team']}/{row.name}"
            deed.tell("key.roll", "key", row.id, what, team_id=row.team_id, before=before, after=shown)
            return shown, secret.reveal()

    shown, text = console.run(work())
    until = shown["old_secret_until"]
    ends = "has stopped" if until is None else f"works until {console.show_moment(until)}"
    _say_secret(
        f"Key {shown['name']} of team {shown['team']}; the old secret {ends}. The new one is shown only now:",
        shown,
        text,
        as_json,
    )


@key.command()
@console.argument("key_name", metavar="[KEY]", required=False)
@console.option("--team", "team_name", help="In place of KEY: the team whose key it is.")
@console.option("--name", help="In place of KEY: its name.")
@console.json_option
def revoke(key_name: str | None, team_name: str | None, name: str | None, as_json: bool) -> None:
    """Stop a key for good, and all that it has made; every process of the hub knows within a second."""
    from app.base.errors import BadValue
    from app.domain.identity import api_keys

    async def work(session: AsyncSession, row: ApiKey) -> None:
        await api_keys.revoke(session, row.team_id, row.id)

    if (key_name is None) == (team_name is None and name is None):
        raise BadValue("Say which: hub key revoke TEAM/NAME, or --team TEAM --name NAME.", param="key")
    if key_name is None and (team_name is None or name is None):
        raise BadValue("--team and --name belong together.", param="name")
    _change("key.revoke", key_name or (team_name or "", name or ""), work, as_json, "is revoked")


@key.command()
@console.option("--revoke", "is_revoking", is_flag=True, help="Revoke at once those that still work.")
@console.json_option
def check(is_revoking: bool, as_json: bool) -> None:
    """Say which of the keys on standard input, one a line, are this hub's, and whose. No key is printed.

    For keys that turned up where they should not be. Exit code 0 also when none is.
    """
    import shlex
    import sys

    from app.base.errors import BadValue
    from app.domain.identity import api_keys
    from app.ops import house, key_views

    texts = {n: line.strip() for n, line in enumerate(sys.stdin, 1) if line.strip()}
    if len(texts) > _MOST_CHECKED:
        raise BadValue(f"At most {_MOST_CHECKED} keys at a time.", param="stdin")

    async def work() -> list[dict[str, Any]]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            found: list[dict[str, Any]] = []
            for n, text in texts.items():
                row = await api_keys.of_secret(session, hub.pepper, text)
                if row is None:
                    continue
                shown = await key_views.view(session, row)
                if is_revoking and row.revoked_at is None:
                    before = shown
                    await api_keys.revoke(session, row.team_id, row.id)
                    await session.refresh(row)
                    shown = await key_views.view(session, row)
                    what = f"{shown['team']}/{row.name}"
                    deed.tell("key.revoke", "key", row.id, what, team_id=row.team_id, before=before, after=shown)
                is_old = api_keys.digest(hub.pepper, text) != row.digest
                found.append({"line": n, **shown, "is_old_secret": is_old})
            if not deed.events:
                deed.did_nothing()
            return found

    found = console.run(work())
    if as_json:
        console.print_json(found)
        return
    console.print_table(
        ["line", "key", "begins with", "secret", "state"],
        [
            [row["line"], f"{row['team']}/{row['name']}", row["prefix"], _secret_state(row), row["state"]]
            for row in found
        ],
        empty="None of them is a key of this hub.",
    )
    for row in found:
        if row["state"] != "revoked":
            what = shlex.quote(f"{row['team']}/{row['name']}")
            console.say(f"Stop it: hub key revoke {what}     Or give it another secret: hub key roll {what}")


def _change(
    action: str,
    which: str | tuple[str, str],
    work: Callable[[AsyncSession, ApiKey], Awaitable[None]],
    as_json: bool,
    outcome: str,
) -> None:
    """Do this to a key, tell the trail, and say what became of it. `which` is KEY, or team and name."""
    from app.gateway.desk import explaining
    from app.ops import house, key_views

    async def carry_out() -> dict[str, Any]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            row = await explaining.find_key(session, which) if isinstance(which, str) else await _named(session, *which)
            before = await key_views.view(session, row)
            await work(session, row)
            await session.refresh(row)
            shown = await key_views.view(session, row)
            if before == shown:
                deed.did_nothing()
            else:
                what = f"{shown['team']}/{row.name}"
                deed.tell(action, "key", row.id, what, team_id=row.team_id, before=before, after=shown)
            return shown

    shown = console.run(carry_out())
    if as_json:
        console.print_json(shown)
    else:
        console.say(f"Key {shown['name']} of team {shown['team']} {outcome}.")


def _say_secret(sentence: str, shown: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        console.print_json({**shown, "key": text})
        return
    console.say(sentence)
    console.say(text)


def _secret_state(row: dict[str, Any]) -> str:
    if not row["is_old_secret"]:
        return "in force"
    return "ended" if row["old_secret_until"] is None else f"until {console.show_moment(row['old_secret_until'])}"


async def _named(session: Any, team_name: str, name: str) -> ApiKey:
    from app.base.errors import NotFound
    from app.domain.identity import api_keys

    team = await _team(session, team_name)
    row = await api_keys.find_by_name(session, team.id, name)
    if row is None:
        raise NotFound(f"Team {team_name} has no key {name}. List them with: hub key list --team {team_name}")
    return row


async def _team(session: Any, name: str) -> Team:
    from app.base.errors import NotFound
    from app.domain.identity import teams

    team = await teams.find_by_name(session, name)
    if team is None:
        raise NotFound(f"There is no team {name}.", param="team")
    return team
