"""`hub create-admin`."""

from __future__ import annotations

import rich_click as click

from app.ops import console


@click.command()
@console.argument("email")
@console.option(
    "--role", type=click.Choice(["owner", "admin"]), default="owner", show_default=True, help="What they may do."
)
@console.json_option
def create_admin(email: str, role: str, as_json: bool) -> None:
    """Make EMAIL an admin, or let them in again: prints a link that signs in once.

    Whoever exists already gets the role and the link; nobody is signed out.
    """
    from typing import cast

    from app.domain.identity import links, users
    from app.ops import first_start, house

    hub_role = cast(users.HubRole, role)
    settings = console.settings()

    async def work() -> tuple[str, str]:
        async with house.opened(settings) as hub, hub.changing() as deed:
            session = deed.session
            known = await users.find(session, email)
            before = None if known is None else {"role": known.hub_role}
            user = await users.ensure(session, email, hub_role)
            await users.set_role(session, user.id, hub_role)
            token = await links.create(session, user.id)
            after = {"role": role, "link_valid_seconds": int(links.LIFETIME.total_seconds())}
            deed.tell("user.let_in", "user", user.id, user.email, before=before, after=after)
            return user.email, first_start.sign_in_address(settings, token)

    address, link = console.run(work())
    if as_json:
        console.print_json(
            {
                "email": address,
                "role": role,
                "link": link,
                "valid_seconds": int(links.LIFETIME.total_seconds()),
            }
        )
        return
    console.say(f"{address} is {role} of this hub. This link signs in once, within one hour:")
    console.say(f"  {link}")
