"""`hub seed`."""

from __future__ import annotations

import rich_click as click

from app.ops import console


@click.command()
@console.option(
    "--calls", type=click.IntRange(0, 1_000_000), default=500, show_default=True, help="Calls of the past two weeks."
)
@console.option("--force", is_flag=True, help="Also into a hub that has data.")
@console.json_option
def seed(calls: int, force: bool, as_json: bool) -> None:
    """Fill an empty hub with demo data: teams, people, keys, providers, models and calls."""
    from app.ops import house
    from app.ops import seed as planter

    settings = console.settings()

    async def work() -> planter.Seeded:
        async with house.opened(settings) as hub:
            return await planter.plant(hub, calls=calls, is_forced=force)

    seeded = console.run(work())
    if as_json:
        console.print_json(seeded)
        return
    console.say(f"Made {len(seeded.teams)} teams, {len(seeded.models)} models and {seeded.calls} calls.")
    if seeded.keys:
        console.say("Keys, shown only now:")
        for name, key in seeded.keys.items():
            console.say(f"  {name:<20} {key}")
