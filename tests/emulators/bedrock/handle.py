"""Starts the emulator in a process of its own.

with running_bedrock() as bedrock:
    bedrock.root, bedrock.calls(), bedrock.last()
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.emulators.bedrock import signatures

_ROOT = Path(__file__).resolve().parents[3]


class Bedrock:
    def __init__(self, port: int, pid: int) -> None:
        self.root, self.pid = f"http://127.0.0.1:{port}", pid
        self._http = httpx.Client(base_url=self.root, timeout=10, trust_env=False)

    @property
    def access_key(self) -> dict[str, str]:
        """As a credential of the file format."""
        return {
            "access_key_id": signatures.ACCESS_KEY_ID,
            "secret_access_key": signatures.SECRET_ACCESS_KEY,
            "session_token": signatures.SESSION_TOKEN,
        }

    @property
    def api_key(self) -> dict[str, str]:
        return {"api_key": signatures.API_KEY}

    def calls(self) -> list[dict[str, Any]]:
        """The journal, oldest first; see `tests/emulators/journal.py` for the fields."""
        return self._http.get("/_journal").raise_for_status().json()["entries"]

    def last(self) -> dict[str, Any]:
        return self.calls()[-1]

    def wait_for(self, fact: Callable[[list[dict[str, Any]]], bool], seconds: float = 3) -> list[dict[str, Any]]:
        """The journal as soon as `fact` holds for it.

        Raises:
            AssertionError: it did not within `seconds`.
        """
        ends_at = time.monotonic() + seconds
        while not fact(seen := self.calls()):
            assert time.monotonic() < ends_at, f"not within {seconds} s; the journal's end: {seen[-2:]}"
            time.sleep(0.02)
        return seen

    def reset(self) -> None:
        """Journal and counted faults as at the start."""
        self._http.post("/_reset").raise_for_status()

    def close(self) -> None:
        self._http.close()


@contextmanager
def running_bedrock() -> Generator[Bedrock]:
    """A fresh emulator on a free port of 127.0.0.1, gone at the end of the block."""
    command = [sys.executable, "-m", "tests.emulators.bedrock.upstream", "--port", "0", "--until-stdin-ends"]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        bedrock = Bedrock(json.loads(process.stdout.readline())["port"], process.pid)
        yield bedrock
        bedrock.close()
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
