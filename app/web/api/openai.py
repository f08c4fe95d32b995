"""The door for programs that speak OpenAI's format: `/v1/…`.

One raw ASGI handler: on this path every microsecond counts, and nothing of a page's machinery is needed. It reads the
request, hands it to the gateway, and says errors as OpenAI's clients expect them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import monotonic
from typing import cast

import structlog
from litestar.types import HTTPScope, Receive, Scope, Send

from app.base.config import Settings
from app.base.errors import AppError, BadRequest, NotFound, WrongMethod
from app.domain.catalog.serving import CallableModel
from app.domain.identity.callers import Caller
from app.gateway.gateway import Gateway
from app.gateway.request import CallRequest
from app.web.api import models
from app.web.api.asgi_door import AsgiDoor
from app.web.api.authentication import Authentication
from app.web.api.request_body import read_body
from app.wire.openai import body, client
from app.wire.openai.endpoints import BY_PATH, Endpoint

_log = structlog.stdlib.get_logger(__name__)

_MAX_CLIENT = 200
_MAX_PROJECT = 200
_PROJECT = re.compile(r"[\x20-\x7e]{1,200}")
_IDEMPOTENCY_KEY = re.compile(rb"[\x21-\x7e]{1,255}")


class OpenAIDoor:
    """The ASGI application below `/v1`."""

    def __init__(self, settings: Settings, gateway: Gateway, authentication: Authentication) -> None:
        self._gateway = gateway
        self._authentication = authentication
        self._max_body_bytes = settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. `scope["path"]` is what follows `/v1`."""
        door = AsgiDoor(send, error_body=client.error_body, error_event=client.error_event)
        arrived_at = monotonic()
        try:
            await self._route(cast(HTTPScope, scope), receive, door, arrived_at)
        except AppError as error:
            if not door.has_started:
                await door.refuse(error)
        except Exception:
            _log.exception("request.crashed", path=scope["path"])
            if not door.has_started:
                await door.refuse(AppError("Something in the hub went wrong; its administrator finds it in the log."))

    async def _route(self, scope: HTTPScope, receive: Receive, door: AsgiDoor, arrived_at: float) -> None:
        path, method = scope["path"].rstrip("/"), str(scope["method"])
        headers = dict(scope["headers"])
        endpoint = BY_PATH.get(path)
        if endpoint is not None:
            if method != "POST":
                raise WrongMethod(method, f"/v1{path}", ("POST",))
            caller = self._authentication.caller(headers)
            await self._call(endpoint, caller, headers, receive, door, arrived_at)
            return
        if path == "/models" or path.startswith("/models/"):
            if method not in ("GET", "HEAD"):
                raise WrongMethod(method, f"/v1{path}", ("GET",))
            caller = self._authentication.caller(headers)
            await self._models(caller, path.removeprefix("/models").lstrip("/"), door)
            return
        raise NotFound(f"There is nothing at {method} /v1{path[:200]}.", code="unknown_path")

    async def _call(
        self,
        endpoint: Endpoint,
        caller: Caller,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        door: AsgiDoor,
        arrived_at: float,
    ) -> None:
        raw_body = await read_body(headers, receive, self._max_body_bytes)
        request = CallRequest(
            endpoint=endpoint,
            body=body.read(endpoint, headers.get(b"content-type", b"").decode("latin-1"), raw_body),
            raw_body=raw_body,
            arrived_at=arrived_at,
            client=_text(headers.get(b"user-agent"), _MAX_CLIENT),
            project=_project(headers),
            timeout_seconds=_timeout(headers.get(b"x-hub-timeout-ms")),
            idempotency_key=_idempotency_key(headers.get(b"idempotency-key")),
        )

        async def until_client_left() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        await self._gateway.carry(caller, request, door, until_client_left)

    async def _models(self, caller: Caller, name: str, door: AsgiDoor) -> None:
        snapshot = self._gateway.snapshots.current
        if not name:
            content = models.listed(snapshot, caller)
        else:
            model: CallableModel = models.found(snapshot, caller, name)
            content = models.shown(model)
        await door.answer(200, [(b"content-type", b"application/json")], content)


def _text(value: bytes | None, longest: int) -> str | None:
    return None if value is None else value[:longest].decode("latin-1")


def _project(headers: Mapping[bytes, bytes]) -> str | None:
    """`x-hub-project`, or the header by which AIGNE applications say who they are."""
    value = headers.get(b"x-hub-project") or headers.get(b"x-aigne-hub-client-did")
    if not value:
        return None
    text = value.decode("latin-1")
    if not _PROJECT.fullmatch(text):
        raise BadRequest(
            f"The header x-hub-project must be 1 to {_MAX_PROJECT} printable characters.", param="x-hub-project"
        )
    return text


def _timeout(value: bytes | None) -> float | None:
    if value is None:
        return None
    if not value.isdigit() or len(value) > 7 or not 1 <= int(value) <= 3_600_000:
        raise BadRequest(
            "The header x-hub-timeout-ms must be a whole number from 1 to 3600000.", param="x-hub-timeout-ms"
        )
    return int(value) / 1000


def _idempotency_key(value: bytes | None) -> str | None:
    if value is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(value):
        raise BadRequest("The header Idempotency-Key must be 1 to 255 printable characters.", param="Idempotency-Key")
    return value.decode("ascii")
