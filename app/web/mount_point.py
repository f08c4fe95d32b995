"""The mount point: the hub answers at its own root and, where it is configured, under a path prefix as well.

Every link on a page begins with `prefix_of(connection)`. It comes from the settings: a header that strangers can send
would end up in links. Only on Blocklet Server, which strips the prefix itself and says it in a header, is that header
believed, and only from the server on this machine.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.types import HTTPScope, Receive, Scope, Send

from app.base import addresses
from app.base.addresses import Address
from app.base.config import Settings

Connection = ASGIConnection[Any, Any, Any, Any]

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?")


class MountPoint:
    """The outermost ASGI application. Model calls go from here straight to their door, everything else to Litestar.

    What Litestar does for a page (its router, its error handling around `send`) costs a call more than its own routing
    and authentication together, and a call needs none of it.
    """

    def __init__(self, app: Litestar, prefix: str, roots: tuple[str, ...]) -> None:
        """`roots` are the paths below which programs are answered, without a slash at their ends."""
        self.app = app
        self._prefix = prefix
        self._prefix_bytes = prefix.encode()
        self._roots = frozenset(roots)
        self._below = tuple(f"{root}/" for root in roots)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = self._prefix
        # The lifespan has no path.
        if prefix and "path" in scope:
            path = scope["path"]
            if path == prefix or path.startswith(f"{prefix}/"):
                scope["path"] = path[len(prefix) :] or "/"
                if "raw_path" in scope:
                    scope["raw_path"] = scope["raw_path"].removeprefix(self._prefix_bytes) or b"/"
        if scope["type"] == "http" and (scope["path"].startswith(self._below) or scope["path"] in self._roots):
            await self.app.state.programs_door(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def prefix_of(connection: Connection) -> str:
    """What every link of the answer begins with: `""`, or a path such as `/hub`."""
    settings: Settings = connection.app.state.settings
    client = connection.client.host if connection.client is not None else None
    return _prefix(settings, connection.headers.get("x-path-prefix", ""), client)


def _prefix(settings: Settings, told: str, client: str | None) -> str:
    if settings.is_blocklet and _is_this_machine(client):
        told = told.rstrip("/")
        if told and _PREFIX.fullmatch(told) and not {".", ".."}.intersection(told.split("/")):
            return told
    return settings.mount_prefix


def url(connection: Connection, path: str, **query: str) -> str:
    """The link to a page or endpoint of the hub: `path` begins with a slash; empty values of `query` are left out."""
    given = {name: value for name, value in query.items() if value}
    return f"{prefix_of(connection)}{path}" + (f"?{urlencode(given)}" if given else "")


def address_of(connection: Connection) -> str:
    """Where whoever looks at this page reaches the hub, without a slash at its end."""
    settings: Settings = connection.app.state.settings
    host = connection.headers.get("host", "")
    return _address(settings, prefix_of(connection), host, connection.scope["scheme"])


def address_for(settings: Settings, scope: HTTPScope, headers: Mapping[bytes, bytes]) -> str:
    """The same for a program, whose requests do not pass through Litestar."""

    def header(name: bytes) -> str:
        return headers.get(name, b"").decode("latin-1")

    client = scope["client"][0] if scope["client"] else None
    return _address(settings, _prefix(settings, header(b"x-path-prefix"), client), header(b"host"), scope["scheme"])


def client_address(settings: Settings, scope: HTTPScope) -> Address | None:
    """Where whoever sent this request comes from; None where that is not known."""
    peer = scope["client"][0] if scope["client"] else None
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return addresses.of_client(peer, forwarded, settings.trusted_proxies)


def _address(settings: Settings, prefix: str, host: str, scheme: str) -> str:
    if settings.public_url:
        # On Blocklet Server the setting is the whole app's address, of which we are one component.
        told = settings.public_url.rstrip("/")
        return told if not settings.is_blocklet or urlsplit(told).path.endswith(prefix) else f"{told}{prefix}"
    if not _HOST.fullmatch(host):
        host = f"{settings.host}:{settings.port}"
    return f"{scheme}://{host}{prefix}"


def _is_this_machine(client: str | None) -> bool:
    try:
        return client is not None and ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False
