"""`hub`: what people run. Each command lives in a file of its own and is imported when it is asked for.

An error that a person can mend is one sentence on stderr and exit code 1; wrong usage gives 2. Anything else is a bug
and shows its traceback.
"""

from __future__ import annotations

import importlib
from typing import Any

import rich_click as click

from app.base.errors import AppError
from app.base.vault import VaultError
from app.ops import console

_COMMANDS = {
    "serve": "serve:serve",
    "migrate": "migrate:migrate",
    "doctor": "doctor:doctor",
    "create-admin": "people:create_admin",
    "apply": "file:apply",
    "export": "file:export",
    "provider": "provider:provider",
    "key": "key:key",
    "calls": "calls:calls",
    "budget": "budget:budget",
    "limit": "limit:limit",
    "explain": "explain:explain",
    "settings": "settings:settings",
    "prices": "prices:prices",
    "reprice": "reprice:reprice",
    "verify": "verify:verify",
    "receipt": "receipt:receipt",
    "credits": "credits:credits_",
    "voucher": "voucher:voucher",
    "audit": "audit:audit",
    "rotate-master-key": "rotate:rotate_master_key",
    "seed": "seed:seed",
    "shell": "shell:shell",
}
"""Command → module below `app.ops.commands` and the name of the command in it, in the order of `hub --help`."""


class Hub(click.RichGroup):
    """Finds commands by name without importing the others, and turns known errors into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = _COMMANDS.get(cmd_name)
        if found is None:
            return None
        module, _, attribute = found.partition(":")
        return getattr(importlib.import_module(f"app.ops.commands.{module}"), attribute)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AppError as error:
            sentence = error.sentence
        except VaultError as error:
            sentence = str(error)
        except OSError as error:
            if error.filename is None:
                raise
            sentence = f"{error.filename}: {error.strerror}."
        console.complain(sentence)
        ctx.exit(1)


@click.group(cls=Hub, context_settings={"help_option_names": ["-h", "--help"]})
@console.option(
    "--data-dir",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Data folder, instead of HUB_DATA_DIR (default: ./data).",
)
@click.version_option(package_name="aigne-hub-py", prog_name="hub")  # pyright: ignore[reportUnknownMemberType]
@click.pass_context
def hub(ctx: click.Context, data_dir: str | None) -> None:
    """A gateway for AI models: one address and one key for many providers.

    Settings come from the environment; `.env.example` lists them.
    """
    ctx.obj = {"HUB_DATA_DIR": data_dir} if data_dir else {}


def main() -> None:
    """The entry point of the `hub` script."""
    hub(prog_name="hub")


if __name__ == "__main__":
    main()
