"""What all commands share: fast help, one clear sentence for what a person can mend, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.base.vault import key_file
from app.ops import cli
from tests.ops.conftest import HubCommand

ROOT = Path(__file__).resolve().parents[2]


def _hub(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.ops.cli", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_names_every_command() -> None:
    done = _hub("--help")

    assert done.returncode == 0
    for command in cli.Hub().list_commands(None):  # type: ignore[arg-type]
        assert command in done.stdout


def test_help_does_not_load_the_database_or_the_network() -> None:
    """They take more than a second, which nobody wants to wait for a list of commands."""
    code = (
        "import sys; from click.testing import CliRunner; from app.ops import cli; "
        "assert CliRunner().invoke(cli.hub, ['--help']).exit_code == 0; "
        "print([name for name in ('sqlalchemy', 'aiohttp', 'httpx', 'litestar', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "[]", done.stderr


def test_every_command_can_print_json() -> None:
    import rich_click as click

    def leaves(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            names = command.list_commands(None)  # type: ignore[arg-type]
            return [leaf for name in names for leaf in leaves(command.get_command(None, name), f"{path} {name}")]  # type: ignore[arg-type]
        return [(path, command)]

    without = [
        path
        for path, command in leaves(cli.hub, "hub")
        if not any("--json" in parameter.opts for parameter in command.params)
    ]
    assert without == []


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (("key", "list"), {}, "hub migrate"),
        (("migrate",), {"DATABASE_URL": "mysql://somewhere/hub"}, "must begin with postgresql://"),
        (("migrate",), {"DATABASE_URL": "postgresql://u:secretword@127.0.0.1:1/hub"}, "The database does not answer"),
        (("migrate",), {"HUB_PROT": "8080"}, "There is no setting HUB_PROT"),
        (("migrate",), {"HUB_PORT": "many"}, 'HUB_PORT is "many"'),
    ],
)
def test_what_a_person_can_mend_is_one_sentence_and_exit_code_1(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], words: str
) -> None:
    done = _hub(*arguments, HUB_DATA_DIR=str(tmp_path / "data"), **environ)

    assert done.returncode == 1
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "secretword" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_wrong_usage_is_exit_code_2() -> None:
    assert _hub("key", "create").returncode == 2
    assert _hub("no-such-command").returncode == 2


def test_the_data_folder_can_be_given_before_the_command(tmp_path: Path) -> None:
    assert _hub("--data-dir", str(tmp_path / "elsewhere"), "migrate").returncode == 0

    assert (tmp_path / "elsewhere" / "hub.db").exists()


def test_migrating_twice_says_that_there_is_nothing_to_do(hub: HubCommand) -> None:
    assert hub("migrate").stdout == "Nothing to migrate.\n"
    assert hub.json("migrate") == {"applied": []}


def test_another_master_key_is_refused_with_what_to_do(hub: HubCommand) -> None:
    hub("key", "list")
    key_file(hub.settings).unlink()

    refused = hub("key", "list", expect=1)

    assert "does not open this hub's secrets" in refused.stderr
    assert "HUB_MASTER_KEY" in refused.stderr
