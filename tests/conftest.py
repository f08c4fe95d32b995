"""Databases for the tests. A test that asks for one, directly or through another fixture, runs on each kind.

`hub_environ` is the environment of a hub with a migrated database of its own, for `read_settings` or for a child
process; `database_url` is the same database as a URL; `empty_database_url` has no table yet. Each test has its own
database, each process of pytest its own PostgreSQL, started at the first test that needs it.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import hypothesis
import pytest

from tests.throwaway_postgres import ThrowawayPostgres

DatabaseKind = Literal["sqlite", "postgresql"]

ROOT = Path(__file__).resolve().parent.parent
# A busy machine is no fault of an example.
hypothesis.settings.register_profile("hub", deadline=None)
hypothesis.settings.load_profile("hub")

_KINDS: tuple[DatabaseKind, ...] = ("sqlite", "postgresql")
_TEMPLATE = "migrated"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("databases")
    kinds = marker.args if marker else _KINDS
    assert set(kinds) <= set(_KINDS), f"There is no database kind {kinds}."
    metafunc.parametrize("database_kind", kinds, indirect=True)


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> DatabaseKind:
    return request.param


@pytest.fixture
def empty_database_url(database_kind: DatabaseKind, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database without tables; of SQLite, a file that does not exist yet in a data folder that does."""
    if database_kind == "sqlite":
        yield _sqlite_url(_data_dir(tmp_path))
        return
    postgres: ThrowawayPostgres = request.getfixturevalue("postgres")
    with postgres.database() as url:
        yield url


@pytest.fixture
def database_url(database_kind: DatabaseKind, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database without rows of anybody else."""
    if database_kind == "sqlite":
        data_dir = _data_dir(tmp_path)
        # A copy by SQLite itself, so that what may stand in the log of the template comes along.
        with (
            closing(sqlite3.connect(request.getfixturevalue("migrated_sqlite"))) as template,
            closing(sqlite3.connect(data_dir / "hub.db")) as copy,
        ):
            template.backup(copy)
        yield _sqlite_url(data_dir)
        return
    postgres: ThrowawayPostgres = request.getfixturevalue("postgres")
    with postgres.database(template=request.getfixturevalue("migrated_postgres")) as url:
        yield url


@pytest.fixture
def hub_environ(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a hub on `database_url`, with a data folder that only this test uses."""
    return _environ(database_url, _data_dir(tmp_path))


@pytest.fixture(scope="session")
def postgres() -> Iterator[ThrowawayPostgres]:
    server = ThrowawayPostgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file from which the SQLite database of each test is copied."""
    data_dir = tmp_path_factory.mktemp("migrated")
    _migrate(_sqlite_url(data_dir), data_dir)
    return data_dir / "hub.db"


@pytest.fixture(scope="session")
def migrated_postgres(postgres: ThrowawayPostgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the database from which that of each test is copied."""
    postgres.execute(f"CREATE DATABASE {_TEMPLATE}")
    _migrate(postgres.url(_TEMPLATE), tmp_path_factory.mktemp("migrated"))
    return _TEMPLATE


def _migrate(url: str, data_dir: Path) -> None:
    """`hub migrate` as an operator runs it, in a process of its own: no connection to the template stays open."""
    done = subprocess.run(
        [sys.executable, "-c", "from app.ops.cli import main; main()", "migrate"],
        cwd=ROOT,
        env=_outside_settings() | _environ(url, data_dir),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        pytest.fail(f"`hub migrate` on {url} gave {done.returncode}:\n{done.stdout}{done.stderr}", pytrace=False)


def _environ(url: str, data_dir: Path) -> dict[str, str]:
    environ = {"HUB_DATA_DIR": str(data_dir)}
    if not url.startswith("sqlite"):
        environ["DATABASE_URL"] = url
    return environ


def _outside_settings() -> dict[str, str]:
    """The environment of this process without anything that configures a hub."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HUB_", "BLOCKLET_")) and name != "DATABASE_URL"
    }


def _data_dir(tmp_path: Path) -> Path:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700, exist_ok=True)
    return data_dir


def _sqlite_url(data_dir: Path) -> str:
    return f"sqlite:///{data_dir / 'hub.db'}"
