"""The hub as it is installed: migrated, given a catalog by `hub apply`, and served as a process of its own."""

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Generator
from pathlib import Path

from bench import payloads, process


class Hub:
    """A hub with a fresh data folder whose only provider is the stand-in."""

    def __init__(self, folder: Path, upstream_port: int, database_url: str | None) -> None:
        self.folder = folder
        self.key = f"hk-bench-{secrets.token_urlsafe(32)}"
        self._upstream_port = upstream_port
        # Only the path is inherited: a provider's key or a setting of the shell must not change the figures.
        self._env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "HUB_DATA_DIR": str(folder / "data"),
            "BENCH_HUB_KEY": self.key,
        } | ({"DATABASE_URL": database_url} if database_url else {})

    def migrate(self) -> dict[str, str]:
        """Make the tables; gives the environment in which a program finds them.

        Raises:
            NotStarted: `hub migrate` failed.
        """
        (self.folder / "data").mkdir()
        process.finish([program(), "migrate"], self.folder / "migrate.log", env=self._env)
        return self._env

    @property
    def database_url(self) -> str | None:
        return self._env.get("DATABASE_URL")

    @property
    def sqlite_path(self) -> Path:
        return self.folder / "data" / "hub.db"

    def prepare(self, *, charges: bool = False) -> None:
        """Make the tables and the catalog; a hub that charges has prices, a team with credits, and a budget.

        Raises:
            NotStarted: `hub migrate` or `hub apply` failed.
        """
        self.migrate()
        path = self.folder / "hub.yaml"
        # Every JSON document is a YAML document.
        path.write_text(json.dumps(_catalog(self._upstream_port, charges=charges), indent=2))
        process.finish([program(), "apply", str(path)], self.folder / "apply.log", env=self._env)

    @contextlib.contextmanager
    def serving(self, port: int, *, wait: bool = True) -> Generator[int]:
        """The pid of `hub serve` with one worker; with `wait` it accepts connections already."""
        argv = [program(), "serve", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        log_path = self.folder / f"serve-{port}.log"
        with process.running(argv, log_path, env=self._env, port=port if wait else None) as pid:
            yield pid


def program() -> str:
    """The `hub` command of the environment that runs the harness.

    Raises:
        NotStarted: the package is not installed there.
    """
    path = Path(sys.executable).parent / "hub"
    if not path.exists():
        raise process.NotStarted("the command `hub` is not installed beside this Python (pip install -e .)")
    return str(path)


def _catalog(upstream_port: int, *, charges: bool) -> dict[str, object]:
    provider = {
        "name": "stand-in",
        "kind": "custom",
        "base_url": f"http://127.0.0.1:{upstream_port}/v1",
        "credentials": [{"label": "main", "secret": "bench-upstream-secret", "weight": 100}],
    }
    models = [
        {
            "model": f"bench/{name}",
            "type": "chat",
            "aliases": [name],
            "routes": [{"provider": "stand-in", "upstream_model": name, "weight": 100, "priority": 0}],
        }
        for name in (payloads.CHAT_MODEL, payloads.SLOW_MODEL)
    ]
    key = {"name": "bench", "secret": "env:BENCH_HUB_KEY", "models": ["*"]}
    team = {"name": "bench", "members": [{"email": "bench@example.com", "role": "admin"}], "keys": [key]}
    if not charges:
        return {"billing": "off", "providers": [provider], "models": models, "teams": [team]}
    prices = {"cost": {"input": "0.15", "output": "0.6"}, "price": {"markup_percent": "20"}}
    return {
        "billing": "credits",
        "providers": [provider],
        "models": [model | prices for model in models],
        "teams": [team | {"credits": "1000000"}],
        "budgets": [{"scope": "team", "of": "bench", "amount": "1000000", "unit": "credits", "window": "month"}],
    }
