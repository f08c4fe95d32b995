"""`hub key create|list|revoke`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.domain.identity.models import ApiKey, Team


@click.group()
def key() -> None:
    """API keys: each lets a program call for one team."""


@key.command()
@console.option("--team", "team_name", required=True, help="The team that it calls for.")
@console.option("--name", required=True, help="What the key is for; one of its kind within the team.")
@console.option("--models", "-m", multiple=True, default=("*",), help="Models that it may call, such as openai/*.")
@console.option("--expires", type=click.DateTime(), help="When it stops working, in UTC.")
@console.option(
    "--strict",
    is_flag=True,
    help="Refuse a call with 400 when its provider cannot be told all that it asks, rather than leave something out.",
)
@console.option("--user", metavar="EMAIL", help="Whose key it is, for the budgets of people.")
@console.json_option
def create(
    team_name: str,
    name: str,
    models: tuple[str, ...],
    expires: datetime | None,
    strict: bool,
    user: str | None,
    as_json: bool,
) -> None:
    """Make a key and print it. It is shown this once: the hub keeps only a digest.

    A team that is not there yet is made.
    """
    from datetime import UTC

    from app.domain.identity import api_keys, teams, users
    from app.ops import house

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
            )
            shown = _shown(row, team, None if owner is None else owner.email)
            deed.tell("key.create", "key", row.id, f"{team.name}/{row.name}", team_id=team.id, after=shown)
            return shown, secret.reveal()

    shown, text = console.run(work())
    if as_json:
        console.print_json({**shown, "key": text})
        return
    console.say(f"Key {name} of team {team_name}. It is shown only now:")
    console.say(text)


@key.command("list")
@console.option("--team", "team_name", help="Only this team's keys.")
@console.json_option
def list_keys(team_name: str | None, as_json: bool) -> None:
    """List the keys: their first characters, never the keys themselves."""
    from app.domain.identity import api_keys, teams, users
    from app.ops import house

    async def work() -> list[dict[str, Any]]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            wanted = [await _team(session, team_name)] if team_name else await teams.listed(session)
            found = [(row, team) for team in wanted for row in await api_keys.listed(session, team.id)]
            people = await users.addresses(session, {row.user_id for row, _ in found if row.user_id is not None})
            return [_shown(row, team, people.get(row.user_id or "")) for row, team in found]

    keys = console.run(work())
    if as_json:
        console.print_json(keys)
        return
    console.print_table(
        ["team", "name", "begins with", "models", "user", "made", "state"],
        [
            [
                row["team"],
                row["name"],
                row["prefix"],
                " ".join(row["models"]),
                row["user"],
                row["created_at"],
                row["state"],
            ]
            for row in keys
        ],
        empty="No keys yet. Make one with: hub key create --team TEAM --name NAME",
    )


@key.command()
@console.option("--team", "team_name", required=True, help="The team whose key it is.")
@console.option("--name", required=True, help="Name of the key.")
@console.json_option
def revoke(team_name: str, name: str, as_json: bool) -> None:
    """Stop a key for good; every process of the hub knows within a second."""
    from app.base.errors import NotFound
    from app.domain.identity import api_keys, users
    from app.ops import house

    async def work() -> dict[str, Any]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            team = await _team(session, team_name)
            row = await api_keys.find_by_name(session, team.id, name)
            if row is None:
                raise NotFound(f"Team {team_name} has no key {name}. List them with: hub key list --team {team_name}")
            people = await users.addresses(session, {row.user_id} if row.user_id is not None else ())
            before = _shown(row, team, people.get(row.user_id or ""))
            await api_keys.revoke(session, team.id, row.id)
            await session.refresh(row)
            shown = _shown(row, team, people.get(row.user_id or ""))
            if before == shown:
                deed.did_nothing()
            else:
                deed.tell("key.revoke", "key", row.id, f"{team.name}/{row.name}", team_id=team.id, before=before, after=shown)
            return shown

    shown = console.run(work())
    if as_json:
        console.print_json(shown)
    else:
        console.say(f"Key {name} of team {team_name} is revoked.")


async def _team(session: Any, name: str) -> Team:
    from app.base.errors import NotFound
    from app.domain.identity import teams

    team = await teams.find_by_name(session, name)
    if team is None:
        raise NotFound(f"There is no team {name}.", param="team")
    return team


def _shown(row: ApiKey, team: Team, user: str | None) -> dict[str, Any]:
    from app.base import clock

    if row.revoked_at is not None:
        state = "revoked"
    elif row.expires_at is not None and row.expires_at <= clock.now():
        state = "expired"
    else:
        state = "active"
    return {
        "id": row.id,
        "team": team.name,
        "name": row.name,
        "prefix": row.prefix,
        "models": row.models,
        "user": user,
        "is_strict": row.is_strict,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "state": state,
    }
