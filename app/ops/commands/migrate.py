"""`hub migrate`."""

from __future__ import annotations

import rich_click as click

from app.ops import console

_FIRST = "0001"
"""The revision that makes the tables of a new hub."""


@click.command()
@console.json_option
def migrate(as_json: bool) -> None:
    """Bring the database to this version's schema. Safe to run again."""
    from app.base.db import Database
    from app.base.migrations import upgrade
    from app.ops import trail
    from app.ops.schema import check_reachable

    settings = console.settings()

    async def work() -> list[str]:
        await check_reachable(settings)
        applied = await upgrade(settings)
        # A hub that is new has nothing that could have been changed.
        if applied and applied[0] != _FIRST:
            db = Database(settings)
            try:
                async with trail.changing(db) as deed:
                    deed.tell("hub.migrate", "hub", "hub", "hub", after={"revisions": applied})
            finally:
                await db.close()
        return applied

    applied = console.run(work())
    if as_json:
        console.print_json({"applied": applied})
    elif applied:
        console.say(f"Migrated: {', '.join(applied)}.")
    else:
        console.say("Nothing to migrate.")
