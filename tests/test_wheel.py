"""The wheel that people install: what is in it, what is not, and that its command finds what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ("templates", "static", "migrations")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("folder", ["app", *ASSETS])
def test_the_wheel_carries_every_file_of(folder: str, names: set[str]) -> None:
    inside = folder if folder == "app" else f"app/_assets/{folder}"
    wanted = {
        f"{inside}/{path.relative_to(ROOT / folder).as_posix()}"
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted, f"{folder}/ is empty."
    assert not wanted - names


def test_the_wheel_carries_nothing_else(names: set[str]) -> None:
    strangers = {name for name in names if not name.startswith(("app/", "aigne_hub_py-"))}
    leftovers = {name for name in names if name.endswith((".pth", ".pyc", ".db", ".env"))}
    misplaced = {name for name in names if "/tests/" in name or "/bench/" in name}
    assert not strangers | leftovers | misplaced


def test_the_wheel_asks_for_the_libraries_of_the_pins(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    asked = Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist", [])
    lines = (ROOT / "requirements" / "base.in").read_text().splitlines()
    assert sorted(asked) == sorted(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def test_the_command_of_the_wheel_migrates_a_fresh_database(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    _run(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"),
        *("--root-user-action", "ignore", "--target", str(target), str(wheel)),
    )
    # From another folder, and with the wheel before everything else, so that the checkout cannot help out.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "BLOCKLET_"))}
    environ.pop("DATABASE_URL", None)
    environ |= {"PYTHONPATH": str(target), "HUB_DATA_DIR": str(tmp_path / "data")}

    where = _run(sys.executable, "-c", "import app; print(app.__file__)", cwd=tmp_path, environ=environ)
    assert where.startswith(str(target))

    _run(sys.executable, str(target / "bin" / "hub"), "migrate", cwd=tmp_path, environ=environ)
    assert (tmp_path / "data" / "hub.db").stat().st_size > 0


def _run(*command: str, cwd: Path | None = None, environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{' '.join(command)} gave {done.returncode}:\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout
