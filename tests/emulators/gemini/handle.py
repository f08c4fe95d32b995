"""Starts the emulator of Gemini in a process of its own and talks to its steering routes.

with running_gemini() as gemini:
    gemini.base_url(), gemini.key(), gemini.calls()
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.emulators.gemini.server import KEY
from tests.emulators.handle import Upstream

_ROOT = Path(__file__).resolve().parents[3]


class GeminiUpstream(Upstream):
    def base_url(self, kind: str = "google") -> str:
        return self.root

    def key(self, kind: str = "google") -> str:
        return KEY


@contextmanager
def running_gemini() -> Generator[GeminiUpstream]:
    """A fresh emulator on a free port of 127.0.0.1, gone at the end of the block."""
    command = [sys.executable, "-m", "tests.emulators.gemini.server", "--port", "0", "--until-stdin-ends"]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        upstream = GeminiUpstream(json.loads(process.stdout.readline())["port"], process.pid)
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
