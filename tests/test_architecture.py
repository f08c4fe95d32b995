"""What machines can check about the code, so that plain `pytest` tells: floors, style, layout, types."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = Path(sys.executable).parent

# For each contract of pyproject.toml the smallest breach: a file to add, and what it imports.
BREACHES = {
    "floors": ("app/utils.py", ""),
    "domains": ("app/domain/billing/breach.py", "import app.domain.catalog"),
    "adapters": ("app/adapters/second/__init__.py", "import app.adapters.providers"),
    "doors": ("app/web/api/breach.py", "import app.web.admin"),
    "circles": ("app/base/breach/one.py", "import app.base.breach.two"),
    "web-framework": ("app/gateway/breach.py", "import litestar"),
    "sql": ("app/web/breach.py", "import sqlalchemy"),
    "drivers": ("app/domain/calls/breach.py", "import sqlite3"),
    "network": ("app/base/breach/network.py", "import httpx"),
    "books": ("app/domain/calls/breach_of_books.py", "import app.domain.billing.models"),
}


def test_every_import_goes_down_the_floors() -> None:
    done = _run("lint-imports", "--no-cache", "--no-logo", cwd=ROOT)
    _expect_success(done, "An import contract is broken. The contracts stand in pyproject.toml.")


def test_every_import_contract_catches_its_breach(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, code in BREACHES.values():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
    (tmp_path / "app/base/breach/__init__.py").touch()
    (tmp_path / "app/base/breach/two.py").write_text("import app.base.breach.one")

    done = _run("lint-imports", "--no-cache", "--no-logo", cwd=tmp_path)

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == set(BREACHES), "A contract has no breach that it must catch."
    verdicts = {contract["name"]: f"{contract['name']} BROKEN" in done.stdout for contract in contracts}
    asleep = [name for name, is_broken in verdicts.items() if not is_broken]
    if asleep:
        pytest.fail(f"These contracts let a breach pass: {asleep}\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff_finds_nothing() -> None:
    done = _run("ruff", "check", "--no-cache", "--output-format=concise", ".", cwd=ROOT)
    _expect_success(done, "Ruff has found something; `make format` mends what it can.")


def test_the_code_is_laid_out_by_ruff() -> None:
    done = _run("ruff", "format", "--check", "--no-cache", ".", cwd=ROOT)
    _expect_success(done, "These files are not laid out; `make format` does it.")


@pytest.mark.timeout(300)
def test_types_are_strict() -> None:
    done = _run("pyright", "--pythonpath", sys.executable, cwd=ROOT)
    _expect_success(done, "Pyright has found something.")


def _run(command: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMANDS / command, *arguments], cwd=cwd, capture_output=True, text=True)


def _expect_success(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    if done.returncode:
        output = re.sub(r"\n{3,}", "\n\n", done.stdout + done.stderr).replace(f"{ROOT}/", "")
        pytest.fail(f"{sentence}\n\n{output.strip()}", pytrace=False)
