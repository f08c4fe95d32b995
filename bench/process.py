"""Processes of the harness: started with a log file, measured through /proc, and never left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 10.0


class NotStarted(Exception):
    """A process ended or stayed silent before it was ready; the message carries the end of its log."""


@contextlib.contextmanager
def running(
    argv: Sequence[str], log_path: Path, *, env: Mapping[str, str] | None = None, port: int | None = None
) -> Generator[int]:
    """The pid of a process that ends with the block, together with all its children.

    With `port` the block begins when something accepts connections there.

    Raises:
        NotStarted: it did not come up within 30 seconds.
    """
    with log_path.open("wb") as log:
        popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
    try:
        if port is not None:
            _wait_for_port(popen, port, log_path)
        yield popen.pid
    finally:
        _stop(popen)


def finish(argv: Sequence[str], log_path: Path, *, env: Mapping[str, str]) -> None:
    """Run a command to its end.

    Raises:
        NotStarted: it ended with another code than 0, or did not end within 120 seconds.
    """
    with log_path.open("wb") as log:
        try:
            code = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, timeout=120, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
    if code != 0:
        how = "did not end" if code is None else f"ended with code {code}"
        raise NotStarted(f"`{' '.join(argv)}` {how}:\n{log_tail(log_path)}")


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its living and reaped children, all threads included.

    The kernel gives it in ticks of 10 ms, so what is measured should last a second or longer.
    """
    ticks = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            # proc(5): utime, stime, cutime and cstime are fields 14 to 17; the name before them may contain spaces.
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS_PER_SECOND


def rss_mb(pid: int) -> float:
    """Resident memory of the process and its children in MB of 1,000,000 bytes; shared pages count in each."""
    kib = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    kib += int(line.split()[1])
    return kib * 1024 / 1e6


def tree(pid: int) -> list[int]:
    """The process and all its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def free_port() -> int:
    """A port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) or "(its log is empty)"


def _wait_for_port(popen: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and popen.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.005)
    state = "is silent" if popen.poll() is None else f"ended with code {popen.returncode}"
    raise NotStarted(f"`{popen.args!r}` {state}:\n{log_tail(log_path)}")


def _stop(popen: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then kill; children that outlive their parent are killed too."""
    members = tree(popen.pid)[1:] if popen.poll() is None else []
    popen.terminate()
    try:
        popen.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        members += tree(popen.pid)[1:]
        popen.kill()
        popen.wait()
    for member in members:
        with contextlib.suppress(OSError):
            os.kill(member, signal.SIGKILL)
