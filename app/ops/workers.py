"""Several server processes on one socket: started, watched, stopped together. Each is a whole hub of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from types import FrameType

import structlog

_SOCKET = "HUB_LISTENING_FD"
_WATCH_SECONDS = 0.2
_QUICK_DEATH_SECONDS = 5.0
"""A process that ends sooner than this after its start will not do better the next time."""

_log = structlog.stdlib.get_logger(__name__)


def run(host: str, port: int, count: int, command: Sequence[str]) -> int:
    """Run `count` processes of `command` until a signal; 0 when all ended well.

    One that dies is replaced. One that cannot even start ends them all, with exit code 1.
    """
    listening = socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
    )
    listening.set_inheritable(True)
    environ = {**os.environ, _SOCKET: str(listening.fileno()), "HUB_WORKERS": "1"}
    stop = threading.Event()
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)

    def start() -> tuple[subprocess.Popen[bytes], float]:
        # A session of its own: a terminal's Ctrl-C reaches it through us, once.
        child = subprocess.Popen(command, env=environ, pass_fds=[listening.fileno()], start_new_session=True)
        return child, time.monotonic()

    children = [start() for _ in range(count)]
    is_broken = False
    while not stop.wait(_WATCH_SECONDS):
        for place, (child, began_at) in enumerate(children):
            if child.poll() is None:
                continue
            _log.error("worker.died", pid=child.pid, exit_code=child.returncode)
            if time.monotonic() - began_at < _QUICK_DEATH_SECONDS:
                is_broken = True
                stop.set()
                break
            children[place] = start()
    for child, _ in children:
        if child.poll() is None:
            child.send_signal(received[0] if received else signal.SIGTERM)
    codes = [child.wait() for child, _ in children]
    listening.close()
    return 1 if is_broken or any(codes) else 0


def inherited_socket() -> socket.socket:
    """The socket that the parent has bound, in one of its processes."""
    return socket.socket(fileno=int(os.environ.pop(_SOCKET)))
