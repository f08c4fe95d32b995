"""`hub rotate-master-key`."""

from __future__ import annotations

import rich_click as click

from app.ops import console


@click.command()
@console.json_option
def rotate_master_key(as_json: bool) -> None:
    """Put everything that is sealed under a new master key, while the hub runs.

    With the key file of the data folder it makes the new key itself. With HUB_MASTER_KEY, give the new key there and
    the old one in HUB_MASTER_KEY_OLD, to this command and to every running process; afterwards HUB_MASTER_KEY_OLD can
    go. Cut short, run it again.
    """
    from app.ops import house, rotation

    settings = console.settings()

    async def work() -> rotation.Rotated:
        async with house.opened(settings) as hub:
            old_id = hub.vault.primary_id
            done = await rotation.rotate(settings, hub.db, hub.vault)
            async with hub.changing() as deed:
                after = {"key_id": done.key_id, "rewrapped": done.rewrapped, "unopened": len(done.unopened)}
                deed.tell("master_key.rotate", "hub", "hub", "hub", before={"key_id": old_id}, after=after)
            return done

    done = console.run(work())
    if as_json:
        console.print_json(done)
        return
    total = sum(done.rewrapped.values())
    console.say(f"Master key {done.key_id} seals now. Re-wrapped: {total}.")
    if settings.master_key_old is not None:
        console.say("HUB_MASTER_KEY_OLD is no longer needed.")
    else:
        console.say("Copy the new master.key to where you keep the old one: backups made from now on need it.")
    for sentence in done.unopened:
        console.complain(sentence)
