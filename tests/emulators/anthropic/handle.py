"""Starts the emulated Anthropic in a process of its own; the handle is used like that of the OpenAI-compatible one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.emulators.anthropic.server import KEY
from tests.emulators.handle import Upstream

_ROOT = Path(__file__).resolve().parents[3]


class AnthropicUpstream(Upstream):
    def base_url(self, kind: str = "anthropic") -> str:
        return self.root

    def key(self, kind: str = "anthropic") -> str:
        return KEY


@contextmanager
def running_anthropic() -> Generator[AnthropicUpstream]:
    """A fresh one on a free port of 127.0.0.1, gone at the end of the block."""
    command = [sys.executable, "-m", "tests.emulators.anthropic.server", "--port", "0", "--until-stdin-ends"]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        upstream = AnthropicUpstream(json.loads(process.stdout.readline())["port"], process.pid)
        yield upstream
        upstream.close()
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
