"""Serve: uvicorn, with a stop that loses nothing and an exit code of 0.

On SIGTERM the hub stops accepting, lets running calls finish for the grace time, interrupts the rest with an error that
their clients understand, settles them and exits. SIGINT does the same in less time: Blocklet Server kills 1.6 s after it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from uvicorn.supervisors import ChangeReload, Multiprocess

from app.base.config import Settings

_SWITCH_INTERVAL_SECONDS = 0.0005
"""The writer's thread and the event loop take turns; Python's 5 ms would make each wait for the other that long."""
_LAST_MOMENT_SECONDS = 0.2
"""Kept of the grace time for interrupting and settling."""


def serve(settings: Settings, *, reload: bool = False) -> int:
    """Run until a signal; the exit code."""
    # The options of the command line, for `create` here and in every process that uvicorn starts.
    os.environ.update(
        HUB_DATA_DIR=str(settings.data_dir),
        HUB_HOST=settings.host,
        HUB_PORT=str(settings.port),
        HUB_WORKERS=str(settings.workers),
        HUB_MOUNT_PREFIX=settings.mount_prefix,
    )
    config = uvicorn.Config(
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
        workers=settings.workers,
        reload=reload,
        backlog=2048,
    )
    if reload:
        ChangeReload(config, target=HubServer(config, settings).run, sockets=[config.bind_socket()]).run()
        return 0
    if settings.workers > 1:
        Multiprocess(config, target=HubServer(config, settings).run, sockets=[config.bind_socket()]).run()
        return 0
    server = HubServer(config, settings)
    server.run()
    return 0 if server.started else 1


class HubServer(uvicorn.Server):
    """uvicorn's server, which drains the gateway before it gives up on connections."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings
        self._grace_seconds = settings.shutdown_grace_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
        await super().startup(sockets)
        # What is alive now stays alive: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn's, but a signal that was obeyed is not raised again at the end: the exit code is 0."""
        loop_signals = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in loop_signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGINT:
            self._grace_seconds = self._settings.interrupt_grace_seconds
        self.config.timeout_graceful_shutdown = int(self._grace_seconds) + 3
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain while the server waits for its connections: they end when their calls do."""
        gateway = self.config.loaded_app.app.state.gateway
        draining = asyncio.create_task(gateway.drain(max(0.0, self._grace_seconds - _LAST_MOMENT_SECONDS)))
        await super().shutdown(sockets)
        await draining
