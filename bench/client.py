"""Drives a server: by wrk where it is installed, else by the own client; always in a process of its own."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from bench import orders
from bench.orders import Latency, LatencyResult, Load, LoadResult, Order, Streams, StreamsResult, Target

Choice = Literal["auto", "wrk", "own"]

_TIMEOUT_SECONDS = 1800
_POLL_SECONDS = 0.5

_WRK_SCRIPT = """
local file = io.open("{body_path}", "rb")
wrk.method = "POST"
wrk.path = "{path}"
wrk.body = file:read("*all")
file:close()
{headers}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {{"calls":%d,"errors":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f}}\\n',
    summary.requests - e.status, e.status + e.connect + e.read + e.write + e.timeout, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


class Broken(Exception):
    """The client itself failed; the message carries what it said."""


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def load(order: Load, choice: Choice = "auto") -> LoadResult:
    """As many calls as go through.

    wrk counts in whole seconds and cannot count calls, so an order of calls or of a part of a second goes to the own
    client even where wrk is installed.
    """
    fits_wrk = order.calls is None and order.seconds is not None and order.seconds >= 1
    if choice != "own" and has_wrk() and fits_wrk:
        return _load_by_wrk(order.target, order.connections, int(order.seconds or 1))
    return msgspec.json.decode(_drive(order), type=LoadResult)


def latency(order: Latency) -> LatencyResult:
    """One call after the other, over one connection."""
    return msgspec.json.decode(_drive(order), type=LatencyResult)


def streams(order: Streams, meanwhile: Callable[[], None]) -> StreamsResult:
    """Many slow streams at once; `meanwhile` is called twice a second as long as they run."""
    return msgspec.json.decode(_drive(order, meanwhile), type=StreamsResult)


def _drive(order: Order, meanwhile: Callable[[], None] | None = None) -> bytes:
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write(orders.encode(order))
        stdin.seek(0)
        popen = subprocess.Popen([sys.executable, "-m", "bench.drive"], stdin=stdin, stdout=stdout, stderr=stderr)
        try:
            _wait(popen, meanwhile)
        finally:
            popen.kill()
            popen.wait()
        stdout.seek(0)
        stderr.seek(0)
        if popen.returncode != 0:
            raise Broken(f"the client ended with code {popen.returncode}: {stderr.read().decode(errors='replace')}")
        return stdout.read()


def _wait(popen: subprocess.Popen[bytes], meanwhile: Callable[[], None] | None) -> None:
    if meanwhile is None:
        popen.wait(_TIMEOUT_SECONDS)
        return
    while popen.poll() is None:
        meanwhile()
        time.sleep(_POLL_SECONDS)


def _load_by_wrk(target: Target, connections: int, seconds: int) -> LoadResult:
    with tempfile.TemporaryDirectory() as folder:
        body_path = Path(folder, "body")
        body_path.write_bytes(target.body)
        script_path = Path(folder, "post.lua")
        pairs = (line.partition(": ") for line in target.header_lines())
        # wrk counts the body itself.
        headers = [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, _, value in pairs if name != "Content-Length"]
        script_path.write_text(_WRK_SCRIPT.format(path=target.path, body_path=body_path, headers="\n".join(headers)))
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
        done = subprocess.run(
            [*argv, "-s", str(script_path), f"http://127.0.0.1:{target.port}"],
            capture_output=True,
            text=True,
            timeout=seconds + 120,
            check=False,
        )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return msgspec.json.decode(line.removeprefix("RESULT "), type=LoadResult)
    raise Broken(f"wrk ended with code {done.returncode}: {done.stdout}{done.stderr}")


def _lua(text: str) -> str:
    # A JSON string of plain ASCII is a Lua string too.
    return json.dumps(text)
