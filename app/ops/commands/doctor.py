"""`hub doctor`."""

from __future__ import annotations

import rich_click as click

from app.ops import console

_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "fatal": ("FATAL", "red")}


@click.command()
@console.json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look for what is wrong and say how to mend it. Exit code 1 when the hub cannot work."""
    from app.ops import doctor as checks

    diagnoses = console.run(checks.examine(console.settings()))
    if as_json:
        console.print_json(diagnoses)
    else:
        width = max(len(one.check) for one in diagnoses)
        for one in diagnoses:
            mark, color = _MARKS[one.level]
            console.say(f"{click.style(f'{mark:<8}', fg=color)} {one.check:<{width}}  {console.harmless(one.sentence)}")
            if one.mend:
                console.say(f"{'':<{width + 10}} → {one.mend}")
    if checks.is_fatal(diagnoses):
        ctx.exit(1)
