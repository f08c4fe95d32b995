"""aimock, a stand-in made by others: an answer that our own emulator got wrong would show here."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conformance.doors import Door
from tests.conformance.hub import Hub
from tests.conformance.node_clients import FOLDER

PREFIXES = {
    "openai": "/v1",
    "deepseek": "/v1",
    "ollama": "/v1",
    "openrouter": "/api/v1",
    "xai": "/v1",
    "doubao": "/api/v3",
    "poe": "/v1",
}
"""Where each kind answers. For Ollama the hub is given the bare root: it must add `/v1` by itself."""
MODELS = {"any-model": "chat", "limited": "chat", "embedder": "embedding", "painter": "image", "speaker": "speech"}
MODELS |= {"listener": "transcription"}


class Aimock:
    """A running aimock, with the part of `Upstream` that a door needs."""

    def __init__(self, root: str) -> None:
        self.root = root

    def base_url(self, kind: str = "openai") -> str:
        return self.root + PREFIXES[kind]

    def key(self, kind: str = "openai") -> str:
        return f"sk-aimock-{kind}-0123456789abcdef"

    def calls(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.root}/__aimock/journal", trust_env=False).raise_for_status().json()

    def last(self, kind: str | None = None) -> dict[str, Any]:
        return self.calls()[-1]


def hub_yaml(aimock: Aimock) -> dict[str, Any]:
    """A hub whose seven providers all are this aimock."""
    providers: list[dict[str, Any]] = []
    models: list[dict[str, Any]] = []
    for kind in PREFIXES:
        provider: dict[str, Any] = {"name": kind, "kind": kind, "base_url": aimock.base_url(kind)}
        if kind == "ollama":
            provider["base_url"] = aimock.root
        else:
            provider["credentials"] = [{"label": "main", "secret": aimock.key(kind)}]
        providers.append(provider)
        offered = MODELS if kind == "openai" else {"any-model": "chat", "limited": "chat"}
        models += [
            {"model": f"{kind}/{name}", "type": type_, "routes": [{"provider": kind, "upstream_model": name}]}
            for name, type_ in offered.items()
        ]
    key = {"name": "conformance", "secret": "env:CONFORMANCE_KEY", "models": ["*"]}
    team = {"name": "acme", "members": [{"email": "ada@example.com", "role": "admin"}], "keys": [key]}
    return {"billing": "off", "providers": providers, "models": models, "teams": [team]}


class AimockDoor(Door):
    """A door with aimock behind it."""

    def __init__(self, aimock: Aimock, hub: Hub | None) -> None:
        super().__init__(aimock, hub)  # type: ignore[arg-type]


@contextmanager
def running_aimock(log: Path) -> Generator[Aimock]:
    """aimock on a free port of 127.0.0.1, ended by its process id."""
    command = ["node", "node_modules/@copilotkit/aimock/dist/cli.js", "-h", "127.0.0.1", "-p", "0", "--strict"]
    command += ["-f", "aimock_fixtures.json", "--validate-on-load", "--log-level", "info"]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=FOLDER, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield Aimock(_root(process, log))
        finally:
            process.terminate()
            process.wait(timeout=10)


def _root(process: subprocess.Popen[bytes], log: Path) -> str:
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at and process.poll() is None:
        found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"aimock did not start:\n{log.read_text()}")
