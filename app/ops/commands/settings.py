"""`hub settings list|get|set`."""

from __future__ import annotations

import rich_click as click

from app.ops import console


@click.group()
def settings() -> None:
    """What an owner sets at run time: the billing mode, what a credit costs, markups, how calls are charged."""


@settings.command("list")
@console.json_option
def list_settings(as_json: bool) -> None:
    """List the settings in force."""
    from app.domain.catalog import settings
    from app.ops import house

    async def work() -> dict[str, str]:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            return dict(await settings.values(session))

    values = console.run(work())
    if as_json:
        console.print_json(values)
        return
    console.print_table(
        ["setting", "is", "means"],
        [[name, value, settings.SETTINGS[name].about] for name, value in values.items()],
        empty="",
    )


@settings.command("get")
@console.argument("name")
@console.json_option
def get_setting(name: str, as_json: bool) -> None:
    """Print the setting NAME."""
    from app.domain.catalog import settings
    from app.ops import house

    async def work() -> str:
        async with house.opened(console.settings()) as hub, hub.db.reading() as session:
            return await settings.get(session, name)

    value = console.run(work())
    if as_json:
        console.print_json({"name": name, "value": value})
        return
    console.say(value)


@settings.command("set")
@console.argument("name")
@console.argument("value")
@console.json_option
def set_setting(name: str, value: str, as_json: bool) -> None:
    """Set NAME to VALUE. Running hubs hear of it within a second; what was recorded before stays as it is."""
    from app.domain.catalog import settings
    from app.ops import house

    async def work() -> tuple[str, str]:
        async with house.opened(console.settings()) as hub, hub.changing() as deed:
            session = deed.session
            await settings.lock(session)
            before = await settings.get(session, name)
            await settings.put(session, name, value)
            after = await settings.get(session, name)
            if before == after:
                deed.did_nothing()
            else:
                deed.tell("settings.set", "setting", name, name, before={name: before}, after={name: after})
            return before, after

    before, after = console.run(work())
    if as_json:
        console.print_json({"name": name, "before": before, "value": after})
        return
    console.say(f"{name}: {before or 'empty'} → {after or 'empty'}")
