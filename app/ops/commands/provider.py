"""`hub provider adopt|list|check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.ops.adoption import Adopted
    from app.ops.checks import Checked


@click.group()
def provider() -> None:
    """Providers: the companies and servers that run models."""


@provider.command()
@console.argument("name", required=False)
@console.option("--all", "is_all", is_flag=True, help="Everything that is found and that this version can call.")
@console.json_option
def adopt(name: str | None, is_all: bool, as_json: bool) -> None:
    """Add the provider NAME from a key in the environment, or the Ollama that runs here.

    Its models get the names NAME/MODEL. Give no NAME to see what there is.
    """
    import os

    from app.base.errors import NotFound
    from app.ops import adoption, discovery, house

    settings = console.settings()

    async def work() -> list[Adopted]:
        found = await discovery.find(os.environ)
        if not is_all and not any(one.name == name for one in found):
            raise NotFound(f"Nothing to adopt{f' as {name}' if name else ''}. {_what_there_is(found)}")
        wanted = [one for one in found if one.name == name or is_all]
        async with house.opened(settings) as hub:
            if is_all:
                wanted = await adoption.not_yet_there(hub, wanted)
            return [await adoption.adopt(hub, one) for one in wanted]

    adopted = console.run(work())
    if as_json:
        console.print_json(adopted)
        return
    if not adopted:
        console.say("Nothing to adopt that is not there already.")
    for one in adopted:
        console.say(f"Added {one.provider} ({one.source}) with {len(one.models)} models. {one.note}".rstrip())


def _what_there_is(found: list[Any]) -> str:
    if not found:
        return "There is no provider key in the environment that the hub knows, and no Ollama runs here."
    return "Found: " + ", ".join(f"{one.name} ({one.source})" for one in found) + "."


@provider.command("list")
@console.json_option
def list_providers(as_json: bool) -> None:
    """List providers with their credentials, never the secrets."""
    from app.ops import house, inventory

    settings = console.settings()

    async def work() -> list[inventory.ProviderRow]:
        async with house.opened(settings) as hub:
            return await inventory.providers_of(hub)

    rows = console.run(work())
    if as_json:
        console.print_json(rows)
        return
    table: list[list[object]] = []
    for row in rows:
        state = "demo" if row.is_demo else "enabled" if row.is_enabled else "disabled"
        shown = [row.name, row.kind, state, row.deployments]
        for place, credential in enumerate(row.credentials or [None]):
            about = ["", "", ""]
            if credential is not None:
                usable = "usable" if credential.is_usable else f"disabled: {credential.reason}"
                about = [credential.label, credential.hint, usable]
            table.append([*(shown if place == 0 else [""] * len(shown)), *about])
    console.print_table(
        ["provider", "kind", "state", "deployments", "credential", "secret", "credential's state"],
        table,
        empty="No providers.",
    )
    if all(row.is_demo for row in rows):
        console.say("")
        console.say("The demo answers with made-up text and goes when you add a provider: hub provider adopt NAME")


@provider.command()
@console.argument("name", required=False)
@console.option("--enable", is_flag=True, help="Use a credential again that was disabled and works now.")
@console.json_option
@click.pass_context
def check(ctx: click.Context, name: str | None, enable: bool, as_json: bool) -> None:
    """Try each credential of NAME, or of all providers, at its provider. Exit code 1 when one fails."""
    from app.ops import checks, house

    settings = console.settings()

    async def work() -> list[Checked]:
        async with house.opened(settings) as hub:
            return await checks.check_providers(hub, name, enable=enable)

    results = console.run(work())
    if as_json:
        console.print_json(results)
    else:
        console.print_table(
            ["provider", "credential", "secret", "result", ""],
            [
                [
                    one.provider,
                    one.credential,
                    one.hint,
                    "works" if one.is_ok else "fails",
                    one.sentence + (" Enabled again." if one.was_enabled else ""),
                ]
                for one in results
            ],
            empty="No providers to check; the built-in demo needs no check.",
        )
    if not all(one.is_ok for one in results):
        ctx.exit(1)
