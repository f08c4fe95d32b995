"""`hub apply` and `hub export`: the hub as a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.ops.apply import Draft


@click.command()
@console.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@console.option("--prune", is_flag=True, help="Also remove what is in the hub and not in the file.")
@console.option("--dry-run", is_flag=True, help="Only print the plan.")
@console.option("--yes", "-y", is_flag=True, help="Do not ask before something is removed.")
@console.json_option
def apply(file: str, prune: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Make the hub as FILE says: print a plan, then carry it out in one transaction. Run again, it changes nothing.

    FILE is YAML or JSON, - is standard input. A part that it leaves out is left alone, also with --prune: a whole
    section (billing, providers, models, teams, budgets), or the credentials of a provider, the aliases, routes, cost or
    price of a model, the members, keys or credits of a team. An empty list [] is not left out: with --prune it removes
    all.

    env:NAME in place of a secret takes it from the environment.
    """
    from app.adapters.providers.registry import KINDS
    from app.ops import apply as applying
    from app.ops import house

    raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    source = "standard input" if file == "-" else file

    async def work() -> tuple[Draft, bool]:
        async with house.opened(console.settings()) as hub:
            draft = await applying.prepare(hub, raw, source, environ=os.environ, kinds=KINDS, is_pruning=prune)
            if not as_json:
                _print_plan(draft)
            is_done = bool(draft.plan.changes) and not dry_run
            if is_done:
                if draft.plan.is_removing and not yes and not as_json and console.is_terminal():
                    click.confirm("Something is removed. Go on?", abort=True)
                await applying.carry_out(hub, draft)
            return draft, is_done

    draft, is_done = console.run(work())
    if as_json:
        console.print_json(_as_json(draft, is_done=is_done))
    elif is_done:
        count = len(draft.plan.changes)
        console.say(f"Done: {count} {'change' if count == 1 else 'changes'}.")
    elif draft.plan.changes:
        console.say("Nothing was changed: this was a dry run.")


@click.command()
@console.json_option
def export(as_json: bool) -> None:
    """Print the hub as a file for `hub apply`.

    Secrets are not in it: each is a placeholder such as env:HUB_SECRET_OPENAI_MAIN.
    """
    from app.ops import export as exporting
    from app.ops import house

    async def work() -> dict[str, Any]:
        async with house.opened(console.settings()) as hub:
            exported = await exporting.document(hub)
            async with hub.changing() as deed:
                deed.tell("hub.export", "hub", "hub", "hub")
            return exported

    exported = console.run(work())
    if as_json:
        console.print_json(exported)
    else:
        click.echo(exporting.text(exported), nl=False)


def _print_plan(draft: Draft) -> None:
    for change in draft.plan.changes:
        console.say(change.text())
    if draft.plan.kept:
        console.say(f"Not in the file, kept (--prune removes): {', '.join(draft.plan.kept)}")
    if not draft.plan.changes:
        console.say("Nothing to change.")


def _as_json(draft: Draft, *, is_done: bool) -> dict[str, Any]:
    return {
        "changes": [
            {
                "action": change.action,
                "what": change.what,
                "name": change.name,
                "fields": [{"field": one.field, "old": one.old, "new": one.new} for one in change.fields],
            }
            for change in draft.plan.changes
        ],
        "kept": list(draft.plan.kept),
        "is_applied": is_done,
    }
