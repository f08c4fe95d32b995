"""The command line as people run it: in this process, on the database of the test."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.adapters.providers.registry import KINDS
from app.base.config import Settings, read_settings
from app.ops import cli


class HubCommand:
    """Runs `hub …`. `json` adds `--json` and gives what was printed."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ

    def __call__(self, *arguments: str, expect: int = 0, **options: Any) -> Result:
        result = CliRunner().invoke(cli.hub, arguments, env=self.environ, catch_exceptions=False, **options)
        assert result.exit_code == expect, f"exit code {result.exit_code}\n{result.output}"
        return result

    def json(self, *arguments: str, expect: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", expect=expect).stdout)

    @property
    def settings(self) -> Settings:
        return read_settings(self.environ)


@pytest.fixture(autouse=True)
def a_clean_environment() -> Iterator[None]:
    """No setting and no provider key of whoever runs the tests; what a command sets for its server does not stay."""
    before = dict(os.environ)
    provider_keys = {name for kind in KINDS.values() for name in kind.environment}
    for name in before:
        if name.startswith(("HUB_", "BLOCKLET_")) or name == "DATABASE_URL" or name in provider_keys:
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def hub(hub_environ: dict[str, str]) -> HubCommand:
    return HubCommand(hub_environ)


@pytest.fixture
def without_ollama(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where none runs."""

    async def nobody(host: str, port: int) -> bool:
        return False

    monkeypatch.setattr("app.ops.discovery.is_ollama", nobody)
