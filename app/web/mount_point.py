"""The mount point: the hub answers at its own root and, where it is configured, under a path prefix as well.

The prefix comes from the settings, never from a header: a header that strangers can send would end up in links.
"""

from __future__ import annotations

from litestar import Litestar
from litestar.types import Receive, Scope, Send


class MountPoint:
    """The outermost ASGI application."""

    def __init__(self, app: Litestar, prefix: str) -> None:
        self.app = app
        self._prefix = prefix
        self._prefix_bytes = prefix.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = self._prefix
        if prefix and scope["type"] != "lifespan":
            path = scope["path"]
            if path == prefix or path.startswith(f"{prefix}/"):
                scope["path"] = path[len(prefix) :] or "/"
                raw: bytes = scope.get("raw_path") or b""
                scope["raw_path"] = raw.removeprefix(self._prefix_bytes) or b"/"
        await self.app(scope, receive, send)
