"""The door for programs: `/v1/…` and whatever else speaks a format of models.

One raw ASGI handler: on this path every microsecond counts, and nothing of a page's machinery is needed. It finds the
route, and the route's format reads the request and says the errors.
"""

from __future__ import annotations

from collections.abc import Awaitable
from time import monotonic
from typing import cast

import structlog
from litestar.types import HTTPScope, Receive, Scope, Send

from app.base.config import Settings
from app.base.errors import AppError, NotFound, WrongMethod
from app.gateway.gateway import Gateway
from app.web.api import routes
from app.web.api.array_door import ArrayDoor
from app.web.api.asgi_door import AsgiDoor
from app.web.api.authentication import Authentication
from app.web.api.visit import Visit, path_of
from app.web.mount_point import address_for, client_address
from app.wire.faces import Speaker

_log = structlog.stdlib.get_logger(__name__)


class ProgramsDoor:
    """The ASGI application below `routes.ROOTS`."""

    def __init__(self, settings: Settings, gateway: Gateway, authentication: Authentication) -> None:
        self._gateway = gateway
        self._authentication = authentication
        self._max_body_bytes = settings.max_body_bytes
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. `scope["path"]` is what follows the hub's mount point."""
        arrived_at = monotonic()
        http = cast(HTTPScope, scope)
        path = path_of(http)
        called = routes.CALLS.get(path)
        if called is not None and (http["method"] == "POST" or path not in routes.ALSO_READ):
            door = _door(send, called.speaker)
            visit = self._visit(http, path, receive, door, arrived_at)
            await self._guard(visit, _call_of(visit, called))
            return
        await self._other(http, path, receive, send, arrived_at)

    async def _other(self, scope: HTTPScope, path: str, receive: Receive, send: Send, arrived_at: float) -> None:
        for row in (*routes.CALL_PATTERNS, *routes.RESOURCES):
            found = row.pattern.fullmatch(path)
            if found is not None:
                door = _door_of(row, send, scope)
                visit = self._visit(scope, path, receive, door, arrived_at)
                visit.variables = {name: value for name, value in found.groupdict().items() if value is not None}
                is_call = isinstance(row, routes.PatternRoute)
                answering = _call_of(visit, row) if is_call else _resource_of(visit, row)
                await self._guard(visit, answering)
                return
        visit = self._visit(scope, path, receive, _door(send, routes.speaker_of(path)), arrived_at)
        await self._guard(visit, _nothing(visit))

    def _visit(self, scope: HTTPScope, path: str, receive: Receive, door: AsgiDoor, arrived_at: float) -> Visit:
        headers = dict(scope["headers"])
        return Visit(
            gateway=self._gateway,
            authentication=self._authentication,
            max_body_bytes=self._max_body_bytes,
            arrived_at=arrived_at,
            method=str(scope["method"]),
            path=path,
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            receive=receive,
            door=door,
            address_of_hub=lambda: address_for(self._settings, scope, headers),
            address_of_client=lambda: client_address(self._settings, scope),
        )

    async def _guard(self, visit: Visit, answering: Awaitable[None]) -> None:
        """Whatever goes wrong is said in the format of the path."""
        door = visit.door
        try:
            await answering
        except AppError as error:
            if not door.has_started:
                await door.refuse(error)
        except Exception:
            _log.exception("request.crashed", path=visit.path)
            if not door.has_started:
                await door.refuse(AppError("Something in the hub went wrong; its administrator finds it in the log."))


def _door_of(row: routes.PatternRoute | routes.Resource, send: Send, scope: HTTPScope) -> AsgiDoor:
    if isinstance(row, routes.PatternRoute) and row.streams_arrays and b"alt=sse" not in scope["query_string"]:
        return ArrayDoor(send, error_body=row.speaker.error_body, error_event=row.speaker.error_event)
    return _door(send, row.speaker)


def _door(send: Send, speaker: Speaker) -> AsgiDoor:
    return AsgiDoor(send, error_body=speaker.error_body, error_event=speaker.error_event)


async def _call_of(visit: Visit, row: routes.CallRoute | routes.PatternRoute) -> None:
    if visit.method != "POST":
        raise WrongMethod(visit.method, visit.path, ("POST",))
    await visit.authentication.meet(visit.headers)
    await visit.call(row.endpoint, row.speaker)


async def _resource_of(visit: Visit, row: routes.Resource) -> None:
    handler = row.handlers.get("GET" if visit.method == "HEAD" else visit.method)
    if handler is None:
        raise WrongMethod(visit.method, visit.path, tuple(row.handlers))
    await visit.authentication.meet(visit.headers)
    visit.task = row.task
    await handler(visit)


async def _nothing(visit: Visit) -> None:
    raise NotFound(f"There is nothing at {visit.method} {visit.path[:200]}.", code="unknown_path")
