"""The command line of the harness; `make bench` runs it with the defaults."""

import os
import platform
import resource
import signal
import sys
import typing
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from msgspec import structs

from bench import client, nginx, process, report, stage
from bench.cases import CASES
from bench.stage import NAMES, Name


@click.command()
@click.option("--quick", is_flag=True, help="Small counts: shows that everything runs; the figures are rough.")
@click.option("--only", "cases", multiple=True, type=click.Choice(list(CASES)), help="This case; may be repeated.")
@click.option("--subject", "chosen", multiple=True, type=click.Choice(NAMES), help="This server; may be repeated.")
@click.option("--postgres", is_flag=True, help="The hub on PostgreSQL instead of SQLite.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="Length of each load.  [default: 5, quick: 1]")
@click.option("--history", type=click.IntRange(min=1), help="Calls in the old hub's database.  [default: 5,000,000]")
@click.option(
    "--client", "choice", type=click.Choice(typing.get_args(client.Choice)), default="auto", help="Who makes the load."
)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def main(
    *,
    quick: bool,
    cases: tuple[str, ...],
    chosen: tuple[Name, ...],
    postgres: bool,
    seconds: float | None,
    history: int | None,
    choice: client.Choice,
    json_path: Path | None,
) -> None:
    """Measure the hub beside nginx and the bare stand-in, on the loopback of this machine."""
    if not sys.platform.startswith("linux"):
        raise click.ClickException("CPU and memory are read from /proc, so the harness runs on Linux only.")
    if choice == "wrk" and not client.has_wrk():
        raise click.ClickException("wrk is not installed. Install it or leave out --client.")
    # A plain `kill` of the harness must still run the blocks that stop its processes.
    signal.signal(signal.SIGTERM, _exit)
    _raise_file_limit()
    names, notes = _subjects(chosen)
    scale = stage.QUICK if quick else stage.Scale()
    if seconds is not None:
        scale = structs.replace(scale, load_seconds=seconds)
    if history is not None:
        scale = structs.replace(scale, history_calls=history)
    rows: list[report.Row] = []
    try:
        with stage.opened(names, scale, choice, on_postgres=postgres) as opened:
            for case in cases or CASES:
                click.echo(f"{case} …", err=True)
                rows += CASES[case](opened)
    except (process.NotStarted, client.Broken) as error:
        raise click.ClickException(str(error)) from error
    by_wrk = choice != "own" and client.has_wrk() and scale.load_seconds >= 1
    made = report.Report(
        machine=f"{os.cpu_count()} × {_processor()}, Linux {platform.release()}, Python {platform.python_version()}",
        client="wrk" if by_wrk else "the own client",
        database="PostgreSQL" if postgres else "SQLite",
        is_quick=quick,
        rows=rows,
        notes=notes,
    )
    click.echo(report.text(made))
    if json_path is not None:
        json_path.write_bytes(report.as_json(made))


def _exit(signal_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal_number)


def _subjects(chosen: tuple[Name, ...]) -> tuple[list[Name], list[str]]:
    """The servers to measure, and what has to be said about them."""
    notes: list[str] = []
    # What is added is a difference to the bare stand-in, so it takes part in every run.
    names: list[Name] = [name for name in NAMES if not chosen or name in chosen or name == "direct"]
    if "nginx" in names and nginx.program() is None:
        names.remove("nginx")
        notes.append("nginx is not installed, so there is no ratio to it")
    return names, notes


def _raise_file_limit() -> None:
    """A thousand streams are two thousand sockets of a proxy; the children inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(16_384, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
