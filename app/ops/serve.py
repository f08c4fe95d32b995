"""Serve: uvicorn, with a stop that loses nothing and an exit code of 0.

On SIGTERM the hub stops accepting, lets running calls finish for the grace time, interrupts the rest with an error that
their clients understand, settles them and exits. SIGINT does the same in less time: Blocklet Server kills 1.6 s later.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.supervisors import ChangeReload

from app.base.config import Settings, read_settings
from app.ops import workers

if TYPE_CHECKING:
    from app.gateway.gateway import Gateway

_SWITCH_INTERVAL_SECONDS = 0.0005
"""The writer's thread and the event loop take turns; Python's 5 ms would make each wait for the other that long."""
_GENERATION_SIZES = (20_000, 20, 50)
"""A call makes some hundred objects that die with it; the usual 700 would look for garbage several times a call."""
_LAST_MOMENT_SECONDS = 0.4
"""Kept of the grace time for interrupting and settling."""
_SAME_SIGNAL_SECONDS = 1.0
"""Process managers signal a whole tree, so one stop may arrive twice."""


def serve(settings: Settings, *, reload: bool = False) -> int:
    """Run until a signal; the exit code."""
    # The options of the command line, for `create` here and in every process that is started from here.
    os.environ.update(
        HUB_DATA_DIR=str(settings.data_dir),
        HUB_HOST=settings.host,
        HUB_PORT=str(settings.port),
        HUB_MOUNT_PREFIX=settings.mount_prefix,
    )
    if reload:
        config = _config(settings, reload=True)
        ChangeReload(config, target=HubServer(config, settings).run, sockets=[config.bind_socket()]).run()
        return 0
    if settings.workers > 1:
        return workers.run(settings.host, settings.port, settings.workers, [sys.executable, "-m", "app.ops.serve"])
    return _serve_here(settings, None)


def serve_worker() -> int:
    """One of several processes: serves the socket that its parent has bound."""
    # The socket first: it leaves the environment, in which the settings refuse what they do not know.
    listening = workers.inherited_socket()
    return _serve_here(read_settings(os.environ), listening)


def _serve_here(settings: Settings, listening: socket.socket | None) -> int:
    # Before the application is loaded: that makes a hundred thousand objects, hardly one of them garbage.
    gc.set_threshold(*_GENERATION_SIZES)
    server = HubServer(_config(settings, reload=False), settings)
    server.run(sockets=[listening] if listening is not None else None)
    return 0 if server.started else 1


def _config(settings: Settings, *, reload: bool) -> uvicorn.Config:
    return uvicorn.Config(
        "app.asgi:create",
        factory=True,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        backlog=2048,
        reload=reload,
        # All there is to watch; in the folder that it is started from lies .venv with its thousands of files.
        reload_dirs=str(Path(__file__).resolve().parents[1]) if reload else None,
    )


class HubServer(uvicorn.Server):
    """uvicorn's server, which drains the gateway while it waits for its connections."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings
        self._grace_seconds = settings.shutdown_grace_seconds
        self._signalled_at = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
        await super().startup(sockets)
        # What is alive now stays alive: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn's, but a signal that was obeyed is not raised again at the end: the exit code is 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.should_exit:
            # Somebody insists.
            self.force_exit = self.force_exit or now - self._signalled_at > _SAME_SIGNAL_SECONDS
            return
        self._signalled_at = now
        if sig == signal.SIGINT:
            self._grace_seconds = self._settings.interrupt_grace_seconds
        self.config.timeout_graceful_shutdown = int(self._grace_seconds) + 3
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loaded = cast(Any, self.config.loaded_app)  # pyright: ignore[reportUnknownMemberType]
        gateway: Gateway = loaded.app.state.gateway
        draining = asyncio.create_task(gateway.drain(max(0.0, self._grace_seconds - _LAST_MOMENT_SECONDS)))
        await super().shutdown(sockets)
        await draining


if __name__ == "__main__":
    sys.exit(serve_worker())
