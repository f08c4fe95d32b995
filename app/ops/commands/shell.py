"""`hub shell`."""

from __future__ import annotations

import rich_click as click

from app.ops import console

_BANNER = """\
The hub's Python: `hub` (settings, db, vault, pepper), the domain's modules by their names, and top-level await.
    async with hub.db.reading() as session: print(await teams.listed(session))
    async with hub.db.writing() as session: ...         one transaction
Ctrl-D leaves."""


@click.command()
@console.option("--command", "-c", "code", help="Run this Python instead of asking.")
@console.json_option
def shell(code: str | None, as_json: bool) -> None:
    """Python with the hub's database, vault and functions at hand.

    With --command and --json, the variable `result` is printed.
    """
    from app.ops import python_shell

    if as_json and code is None:
        raise click.UsageError("--json needs --command: an interactive shell has no JSON.")
    settings = console.settings()
    variables = console.run(python_shell.run(settings, code, _BANNER))
    if as_json:
        console.print_json(variables.get("result"))
