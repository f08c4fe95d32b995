"""Starts the upstream in a process of its own and talks to its steering routes.

with running_upstream() as upstream:
    upstream.base_url("deepseek"), upstream.key("deepseek"), upstream.calls("deepseek")
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

from tests.emulators.kinds import BY_NAME

_ROOT = Path(__file__).resolve().parents[2]


class Upstream:
    def __init__(self, port: int, pid: int) -> None:
        self.root, self.pid = f"http://127.0.0.1:{port}", pid
        self._http = httpx.Client(base_url=self.root, timeout=10, trust_env=False)

    def base_url(self, kind: str = "openai") -> str:
        return self.root + BY_NAME[kind].prefix

    def key(self, kind: str = "openai") -> str:
        return BY_NAME[kind].key

    def calls(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The journal, oldest first; see `journal.Entry` for the fields."""
        params = {} if kind is None else {"kind": kind}
        return self._http.get("/_journal", params=params).raise_for_status().json()["entries"]

    def last(self, kind: str | None = None) -> dict[str, Any]:
        """The newest request seen."""
        return self.calls(kind)[-1]

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

    def clear(self) -> None:
        """Empties the journal only."""
        self._http.delete("/_journal").raise_for_status()

    def reset(self) -> None:
        """Journal, script, keys and counted faults as at the start."""
        self._http.post("/_reset").raise_for_status()

    def script(self, *answers: dict[str, Any]) -> None:
        """Queues answers for the next matching requests; see `journal.Scripted`."""
        self._http.post("/_script", json={"answers": list(answers)}).raise_for_status()

    def set_keys(self, keys: dict[str, str | None]) -> None:
        """{key: "" good, "fault-429" good but faulty, None no longer known}."""
        self._http.post("/_keys", json=keys).raise_for_status()

    def close(self) -> None:
        self._http.close()


@contextmanager
def running_upstream() -> Generator[Upstream]:
    """A fresh upstream on a free port of 127.0.0.1, gone at the end of the block."""
    command = [sys.executable, "-m", "tests.emulators.openai_upstream", "--port", "0", "--until-stdin-ends"]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        upstream = Upstream(json.loads(process.stdout.readline())["port"], process.pid)
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
