"""`hub migrate`."""

from __future__ import annotations

import rich_click as click

from app.ops import console


@click.command()
@console.json_option
def migrate(as_json: bool) -> None:
    """Bring the database to this version's schema. Safe to run again."""
    from app.base.migrations import upgrade
    from app.ops.schema import check_reachable

    settings = console.settings()

    async def work() -> list[str]:
        await check_reachable(settings)
        return await upgrade(settings)

    applied = console.run(work())
    if as_json:
        console.print_json({"applied": applied})
    elif applied:
        console.say(f"Migrated: {', '.join(applied)}.")
    else:
        console.say("Nothing to migrate.")
