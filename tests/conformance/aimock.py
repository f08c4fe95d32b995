"""aimock, a stand-in made by others: an answer that our own emulator got wrong would show here."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
from google import genai
from google.genai import types

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
"""Where the kinds answer that speak OpenAI's format. For Ollama the hub is given the bare root: it must add `/v1`."""
OTHERS = {"anthropic": "", "google": "/v1beta", "bedrock": ""}
"""Where the kinds answer that have a format of their own."""
KINDS = {**PREFIXES, **OTHERS}
CHAT_PATHS = {kind: f"{prefix}/chat/completions" for kind, prefix in PREFIXES.items()} | {
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/any-model:generateContent",
    "bedrock": "/model/any-model/converse",
}
FAULTS = ("broken", "cut", "garbage", "hung-up")
"""Each is a model of every kind, with a provider of its own: one that rests must not disturb the others."""
MODELS = {"any-model": "chat", "limited": "chat", "embedder": "embedding", "painter": "image", "speaker": "speech"}
MODELS |= {"listener": "transcription"}


class Aimock:
    """A running aimock, with the part of `Upstream` that a door needs."""

    def __init__(self, root: str) -> None:
        self.root = root

    def base_url(self, kind: str = "openai") -> str:
        return self.root + KINDS[kind]

    def key(self, kind: str = "openai") -> str:
        return f"sk-aimock-{kind}-0123456789abcdef"

    def calls(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.root}/__aimock/journal", trust_env=False).raise_for_status().json()

    def last(self, kind: str | None = None) -> dict[str, Any]:
        return self.calls()[-1]


def hub_yaml(aimock: Aimock) -> dict[str, Any]:
    """A hub whose providers of all ten kinds are this aimock."""
    providers: list[dict[str, Any]] = []
    models: list[dict[str, Any]] = []
    for kind in KINDS:
        providers.append(_provider(aimock, kind, kind))
        offered = MODELS if kind == "openai" else {"any-model": "chat", "limited": "chat"}
        models += [_model(kind, name, kind, type_) for name, type_ in offered.items()]
        for fault in FAULTS:
            providers.append(_provider(aimock, kind, f"{kind}-{fault}"))
            models.append(_model(kind, fault, f"{kind}-{fault}", "chat"))
    key = {"name": "conformance", "secret": "env:CONFORMANCE_KEY", "models": ["*"]}
    team = {"name": "acme", "members": [{"email": "ada@example.com", "role": "admin"}], "keys": [key]}
    return {"billing": "off", "providers": providers, "models": models, "teams": [team]}


def _provider(aimock: Aimock, kind: str, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "kind": kind, "base_url": aimock.base_url(kind)}
    if kind == "ollama":
        return row | {"base_url": aimock.root}
    credential = {"label": "main", "secret": aimock.key(kind)}
    if kind == "bedrock":
        row["region"] = "us-east-1"
        credential = {"label": "main", "access_key_id": "AKIAAIMOCK0123456789", "secret_access_key": aimock.key(kind)}
    return row | {"credentials": [credential]}


def _model(kind: str, name: str, provider: str, type_: str) -> dict[str, Any]:
    return {"model": f"{kind}/{name}", "type": type_, "routes": [{"provider": provider, "upstream_model": name}]}


class AimockDoor(Door):
    """A door with aimock behind it, for the clients of three vendors."""

    def __init__(self, aimock: Aimock, hub: Hub | None) -> None:
        super().__init__(aimock, hub)  # type: ignore[arg-type]

    def anthropic_client(self) -> anthropic.Anthropic:
        web = anthropic.DefaultHttpxClient(trust_env=False, event_hooks={"response": [self._note]})
        return anthropic.Anthropic(base_url=self._root, api_key=self.key("anthropic"), max_retries=0, http_client=web)

    @contextmanager
    def google_client(self) -> Generator[genai.Client]:
        # Its own connections would outlive the test: it does not close those that it was given.
        with httpx.Client(trust_env=False, timeout=20, event_hooks={"response": [self._note]}) as web:
            options = types.HttpOptions(base_url=self._root, api_version="v1beta", httpx_client=web)
            with genai.Client(api_key=self.key("google"), http_options=options) as client:
                yield client

    @property
    def _root(self) -> str:
        return self.hub.root if self.hub else self.upstream.root

    def _note(self, response: httpx.Response) -> None:
        self.last_headers = {name.lower(): value for name, value in response.headers.items()}


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
