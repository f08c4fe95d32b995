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
@console.json_option
def create(
    team_name: str, name: str, models: tuple[str, ...], expires: datetime | None, strict: bool, as_json: bool
) -> None:
    """Make a key and print it. It is shown this once: the hub keeps only a digest.

    A team that is not there yet is made.
    """
    from datetime import UTC

    from app.domain.identity import api_keys, teams
    from app.ops import house

    expires_at = None if expires is None else expires.replace(tzinfo=UTC)

    async def work() -> tuple[dict[str, Any], str]:
        async with house.opened(console.settings()) as hub, hub.db.writing() as session:
            team = await teams.find_by_name(session, team_name) or await teams.create(session, name=team_name)
            row, secret = await api_keys.create(
                session,
                hub.pepper,
                team_id=team.id,
                name=name,
                models=list(models),
                secret=None,
                expires_at=expires_at,
                is_strict=strict,
            )
            return _shown(row, team), secret.reveal()

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
    from app.domain.identity import api_keys, teams
    from app.ops import house

    async def work() -> list[dict[str, Any]]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            wanted = [await _team(session, team_name)] if team_name else await teams.listed(session)
            return [_shown(row, team) for team in wanted for row in await api_keys.listed(session, team.id)]

    keys = console.run(work())
    if as_json:
        console.print_json(keys)
        return
    console.print_table(
        ["team", "name", "begins with", "models", "made", "state"],
        [
            [row["team"], row["name"], row["prefix"], " ".join(row["models"]), row["created_at"], row["state"]]
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
    from app.domain.identity import api_keys
    from app.ops import house

    async def work() -> dict[str, Any]:
        async with house.opened(console.settings()) as hub, hub.db.writing() as session:
            team = await _team(session, team_name)
            row = await api_keys.find_by_name(session, team.id, name)
            if row is None:
                raise NotFound(f"Team {team_name} has no key {name}. List them with: hub key list --team {team_name}")
            await api_keys.revoke(session, team.id, row.id)
            await session.refresh(row)
            return _shown(row, team)

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


def _shown(row: ApiKey, team: Team) -> dict[str, Any]:
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
        "is_strict": row.is_strict,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "state": state,
    }
