"""`hub serve`."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.base.config import Settings
    from app.ops.discovery import Found
    from app.ops.first_start import Greeting
    from app.ops.house import House


@click.command()
@console.option("--host", help="Address to listen on, instead of HUB_HOST (default: 127.0.0.1).")
@console.option(
    "--port", type=click.IntRange(0, 65535), help="Port, instead of HUB_PORT (default: 8080); 0 takes a free one."
)
@console.option("--data-dir", type=click.Path(file_okay=False), help="Data folder, instead of HUB_DATA_DIR.")
@console.option("--workers", type=click.IntRange(1, 64), help="Processes, instead of HUB_WORKERS (default: 1).")
@console.option("--mount-prefix", metavar="PATH", help="Serve under this path too, instead of HUB_MOUNT_PREFIX.")
@console.option("--reload", is_flag=True, help="Start again when a file of the hub changes.")
@console.json_option
@click.pass_context
def serve(
    ctx: click.Context,
    host: str | None,
    port: int | None,
    data_dir: str | None,
    workers: int | None,
    mount_prefix: str | None,
    reload: bool,
    as_json: bool,
) -> None:
    """Start the hub and say how to reach it."""
    import os

    from app.base.config import read_settings
    from app.ops import serve as server

    given = {"HUB_HOST": host, "HUB_PORT": port, "HUB_DATA_DIR": data_dir, "HUB_WORKERS": workers}
    environ = console.environment(**given, HUB_MOUNT_PREFIX=mount_prefix)
    wanted = read_settings(environ)
    environ["HUB_PORT"] = str(_free_port(wanted.host, wanted.port))
    settings = read_settings(environ)
    greeting, offers = console.run(_prepare(settings, environ))
    if as_json:
        console.print_json({**_plain(greeting), "offers": [found.name for found in offers]})
    else:
        from app.ops import first_start

        command = first_start.hub_command()
        if data_dir is not None:
            command += f" --data-dir {data_dir}"
        for line in first_start.lines(greeting, offers, command):
            console.say(line)
    # Each process of the server reads its settings by itself.
    os.environ.update(environ)
    ctx.exit(server.serve(settings, reload=reload))


async def _prepare(settings: Settings, environ: dict[str, str]) -> tuple[Greeting, list[Found]]:
    """The greeting, and what was found on this machine and is not in use."""
    from app.domain.catalog import providers
    from app.ops import discovery, first_start, house

    async with house.opened(settings) as hub:
        async with hub.db.reading() as session:
            has_provider = bool(await providers.listed(session))
        offers = [] if has_provider else await discovery.find(environ)
        if offers and console.is_terminal() and await first_start.is_first(hub):
            offers = [found for found in offers if not await _accepted(hub, found)]
        return await first_start.greet(hub), offers


async def _accepted(hub: House, found: Found) -> bool:
    """Ask, and add the provider if the answer is yes. One that cannot be added is said and stays an offer."""
    from app.base.errors import AppError
    from app.ops import adoption

    if not click.confirm(f"Found {found.source}. Use {found.kind.title}?", default=True):
        return False
    try:
        adopted = await adoption.adopt(hub, found)
    except AppError as error:
        console.complain(error.sentence)
        return False
    console.say(f"Added {adopted.provider} with {len(adopted.models)} models. {adopted.note}".rstrip())
    return True


def _free_port(host: str, port: int) -> int:
    """The port itself if nobody listens there; for 0, one that is free.

    Raises:
        Conflict: it is taken, or the address is not of this machine; the sentence says what to do.
    """
    from app.base.errors import Conflict

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Conflict(
                f"Cannot listen on {host}:{port} ({error.strerror}). "
                "Choose another port with --port or HUB_PORT, or stop what uses it."
            ) from None
        return int(probe.getsockname()[1])


def _plain(greeting: Greeting) -> dict[str, object]:
    from msgspec.structs import asdict

    return asdict(greeting)
