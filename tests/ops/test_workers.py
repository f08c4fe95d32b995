"""Several processes on one port, as an operator starts them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.ops.serving import serving


def test_two_processes_serve_one_port_and_stop_together(hub_environ: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "two"
    log = output.with_suffix(".log")
    with serving({**hub_environ, "HUB_WORKERS": "2"}, output) as (process, lines):
        _wait_for(log, "hub.ready", 2)
        address = next(line.split()[-1] for line in lines if line.startswith("The hub is at"))
        # Each on a connection of its own: whichever process takes it, answers.
        for _ in range(10):
            assert httpx.get(f"{address}/readyz", trust_env=False).status_code == 200

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=30) == 0
    said = log.read_text()
    assert said.count("hub.stopped") == 2
    assert "Traceback" not in said


@pytest.mark.databases("sqlite")
def test_a_process_that_dies_is_replaced(hub_environ: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "two"
    log = output.with_suffix(".log")
    with serving({**hub_environ, "HUB_WORKERS": "2"}, output) as (process, _):
        _wait_for(log, "hub.ready", 2)
        # One that ends within seconds of its start is taken for one that cannot start.
        time.sleep(5.5)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 2

        os.kill(int(children[0]), signal.SIGKILL)

        _wait_for(log, "hub.ready", 3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def _wait_for(log: Path, words: str, times: int) -> None:
    ends_at = time.monotonic() + 30
    while log.read_text().count(words) < times:
        assert time.monotonic() < ends_at, log.read_text()
        time.sleep(0.05)
