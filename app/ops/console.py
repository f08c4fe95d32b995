"""How commands talk: settings from the environment and the options, tables for people, JSON for programs."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar

import rich_click as click

from app.base.config import Settings, read_settings
from app.base.secret import Secret

_Result = TypeVar("_Result")
_Command = TypeVar("_Command", bound=Callable[..., Any])

# Wide enough for any table that a pipe reads; a terminal says its own width.
_PIPE_WIDTH = 240


def option(*names: str, **settings: Any) -> Callable[[_Command], _Command]:
    """`click.option`, which does not say all of its types."""
    return click.option(*names, **settings)  # pyright: ignore[reportUnknownMemberType]


def argument(*names: str, **settings: Any) -> Callable[[_Command], _Command]:
    """`click.argument`, likewise."""
    return click.argument(*names, **settings)  # pyright: ignore[reportUnknownMemberType]


json_option = option("--json", "as_json", is_flag=True, help="Print JSON.")


def environment(**options: object) -> dict[str, str]:
    """The environment, with what was given as options in its place; None means: not given."""
    context = click.get_current_context(silent=True)
    overrides: dict[str, str] = dict(context.obj or {}) if context else {}
    overrides |= {name: str(value) for name, value in options.items() if value is not None}
    return {**os.environ, **overrides}


def settings() -> Settings:
    """The settings that the environment and the options before the command give."""
    return read_settings(environment())


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a command's coroutine to its end. What is logged meanwhile goes to stderr, so that JSON stays JSON."""
    import structlog

    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=False)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=_log_to_stderr,
        cache_logger_on_first_use=False,
    )
    return asyncio.run(work)


def is_terminal() -> bool:
    """Whether a person sits on both ends, so that a question makes sense."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def say(text: str = "") -> None:
    click.echo(text)


def complain(sentence: str) -> None:
    """One sentence on stderr."""
    click.echo(click.style("Error: ", fg="red", bold=True) + sentence, err=True)


def print_json(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=_encode), indent=2).decode())


def print_json_line(value: object) -> None:
    """For what goes on: one object per line."""
    import msgspec

    click.echo(msgspec.json.encode(value, enc_hook=_encode))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """A table, or the sentence `empty` when it has no rows."""
    if not rows:
        click.echo(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else _shown(cell) for cell in row))
    is_pipe = not sys.stdout.isatty()
    Console(width=_PIPE_WIDTH if is_pipe else None, highlight=False, markup=False).print(table)


def show_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Names and values below each other; None is left out."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        if value is not None:
            click.echo(f"{name:<{width}}  {_shown(value)}")


def harmless(text: str) -> str:
    """Text from outside for a terminal: line ends stay, other control characters, which could steer it, do not."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def show_moment(moment: datetime) -> str:
    """UTC, to the second."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _log_to_stderr(*_names: object) -> object:
    import structlog

    return structlog.PrintLogger(sys.stderr)


def _shown(cell: object) -> str:
    if isinstance(cell, datetime):
        return show_moment(cell)
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return harmless(str(cell))


def _encode(value: object) -> object:
    if isinstance(value, Secret):
        # A bug that must not become a leak.
        raise TypeError("A Secret is not printed; reveal it where it is meant to be seen.")
    raise TypeError(f"{type(value).__name__} has no JSON form.")
