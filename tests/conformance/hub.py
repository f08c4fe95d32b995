"""A real hub for these tests: a process, data folder and hub.yaml of its own, with the emulator as all providers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, Any

import httpx
import yaml

from tests.emulators.handle import Upstream
from tests.emulators.kinds import KINDS

_ROOT = Path(__file__).resolve().parents[2]
HUB_KEY = "hk-conformance-0123456789abcdef0123456789abcdef"
LIMITED_KEY, GOOD_KEY = "sk-two-keys-limited-0123456789", "sk-two-keys-good-0123456789"
FAULTS = (
    *("429-after-9", "400", "401", "403", "500", "503", "leaky-error", "leaky-error-500", "content-policy"),
    *("html-502", "redirect", "close-before-answer", "wrong-type", "empty-200"),
    *("cut-after-4", "reset-after-4", "error-mid-stream-after-4", "no-done", "garbage", "half-utf8"),
    *("no-usage", "negative-usage", "huge-usage", "string-usage", "usage-twice", "zero-usage"),
    *("crlf", "no-space", "gzip", "one-byte-chunks"),
)
"""Each gets a provider of its own: one that is cooled or disabled must not disturb the others."""
_TYPES = {
    "embed": "embedding",
    "image": "image",
    "dall-e": "image",
    "seedream": "image",
    "tts": "speech",
    "whisper": "transcription",
    "transcribe": "transcription",
    "moderation": "moderation",
}
Json = dict[str, Any]


class Hub:
    """A serving hub: where it is, the key of its team, and what it wrote down."""

    def __init__(self, port: int, environ: dict[str, str], pid: int, tail: Tail) -> None:
        self.root, self.base_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/v1"
        self.key, self.pid = HUB_KEY, pid
        self._environ, self._tail = environ, tail

    def run(self, *arguments: str) -> str:
        """What a `hub` command beside the running server prints; see `run_hub`."""
        return run_hub(self._environ, *arguments)

    def calls(self) -> list[Json]:
        """The latest calls as `hub calls tail --json` tells them."""
        return [json.loads(line) for line in self.run("calls", "tail", "--json").splitlines()]

    def call(self, call_id: str, seconds: float = 10) -> Json:
        """The record of one call, waited for until it has an end.

        Raises:
            AssertionError: there is none, or it is still `running` after `seconds`.
        """
        ends_at = time.monotonic() + seconds
        while True:
            found = self._tail.rows.get(call_id)
            if found is not None and found["status"] != "running":
                return found
            assert time.monotonic() < ends_at, f"call {call_id} has no finished record: {found}"
            time.sleep(0.02)


class Tail:
    """`hub calls tail --follow --json`, read as it comes: one process for all tests instead of one for each look."""

    def __init__(self, output: IO[str]) -> None:
        self.rows: dict[str, Json] = {}
        """By call id, as last told."""
        self._output = output
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._output:
            row = json.loads(line)
            self.rows[row["id"]] = row


def hub_yaml(upstream: Upstream) -> Json:
    """A hub.yaml with a provider of each kind, a model of each type, and a broken provider for each fault."""
    providers: list[Json] = []
    models: list[Json] = []
    for kind in KINDS:
        credentials = [{"label": "main", "secret": kind.key}] if kind.needs_key else []
        providers.append(_provider(kind.name, kind.name, upstream.base_url(kind.name), credentials))
        models += [_model(f"{kind.name}/{name}", kind.name, name) for name in kind.models]
    models += [_model(f"openai/slow-{ms}", "openai", f"slow-{ms}") for ms in (20, 200)]
    models.append(_model("poe/slow-20", "poe", "slow-20"))
    _named(models, "openai/gpt-4o-mini")["aliases"] = ["gpt-4o-mini"]

    upstream.set_keys({f"sk-fault-{fault}-0123456789": "" for fault in FAULTS})
    for fault in FAULTS:
        name = _slug(fault)
        credentials = [{"label": "main", "secret": f"sk-fault-{fault}-0123456789"}]
        providers.append(_provider(name, "openai", upstream.base_url("openai"), credentials))
        # With a pause between its events, so that some have gone out before the fault strikes.
        pace = "slow-20+" if "-after-4" in fault else ""
        models.append(_model(f"fault/{fault}", name, f"{pace}fault-{fault}"))
    models.append(_model("fault/image-content-policy", _slug("content-policy"), "fault-content-policy"))

    upstream.set_keys({LIMITED_KEY: "fault-429-after-60", GOOD_KEY: ""})
    keys = [{"label": "limited", "secret": LIMITED_KEY}, {"label": "good", "secret": GOOD_KEY}]
    providers.append(_provider("two-keys", "openai", upstream.base_url("openai"), keys))
    models.append(_model("failover/second-key", "two-keys", "gpt-4o-mini"))
    for broken in ("500", "cut-after-4", "close-before-answer", "400"):
        name = f"first-{_slug(broken)}"
        upstream.set_keys({f"sk-{name}-0123456789": ""})
        providers.append(
            _provider(
                name, "openai", upstream.base_url("openai"), [{"label": "main", "secret": f"sk-{name}-0123456789"}]
            )
        )
        model = _model(f"failover/{broken}", name, f"slow-20+fault-{broken}")
        model["routes"].append({"provider": "custom", "upstream_model": "gpt-4o-mini", "priority": 1})
        models.append(model)
    team = {
        "name": "acme",
        "members": [{"email": "ada@example.com", "role": "admin"}],
        "keys": [{"name": "conformance", "secret": "env:CONFORMANCE_KEY", "models": ["*"]}],
    }
    return {"billing": "off", "providers": providers, "models": models, "teams": [team]}


def _slug(fault: str) -> str:
    return f"broken-{fault}"


def _provider(name: str, kind: str, base_url: str, credentials: list[Json]) -> Json:
    row: Json = {"name": name, "kind": kind, "base_url": base_url}
    return row | {"credentials": credentials} if credentials else row


def _model(public: str, provider: str, upstream_model: str) -> Json:
    type_ = next((type_ for part, type_ in _TYPES.items() if part in public), "chat")
    return {"model": public, "type": type_, "routes": [{"provider": provider, "upstream_model": upstream_model}]}


def _named(models: list[Json], public: str) -> Json:
    return next(model for model in models if model["model"] == public)


def run_hub(environ: dict[str, str], *arguments: str) -> str:
    """Runs the `hub` command to its end and gives what it printed.

    Raises:
        AssertionError: it failed; the message is what it said.
    """
    done = subprocess.run(
        [*_HUB, *arguments], cwd=_ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"hub {' '.join(arguments)} gave {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


_HUB = [sys.executable, "-c", "from app.ops.cli import main; main()"]


@contextmanager
def running_hub(config: Json, data_dir: Path) -> Generator[Hub]:
    """A hub on a free port of 127.0.0.1, set up by `hub apply`, stopped by SIGTERM at the end of the block."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "BLOCKLET_"))}
    outside.pop("DATABASE_URL", None)
    environ = outside | {"HUB_DATA_DIR": str(data_dir), "CONFORMANCE_KEY": HUB_KEY}
    file = data_dir.parent / "hub.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    run_hub(environ, "migrate")
    run_hub(environ, "apply", str(file))
    port = _free_port()
    command = [*_HUB, "serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", str(data_dir)]
    log = data_dir.parent / "hub.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=_ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(port, process, log)
            with _following(environ) as tail:
                yield Hub(port, environ, process.pid, tail)
        finally:
            _end(process)


@contextmanager
def _following(environ: dict[str, str]) -> Generator[Tail]:
    command = [*_HUB, "calls", "tail", "--follow", "--json", "--limit", "0"]
    unbuffered = environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=_ROOT, env=unbuffered, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Tail(process.stdout)
    finally:
        _end(process)
        process.stdout.close()


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the hub did not become ready:\n{log.read_text()[-4000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
