"""One request of a program, on its way through a door."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from litestar.types import HTTPScope, Receive
from msgspec import Struct

from app.base import clock
from app.base.addresses import Address
from app.base.errors import BadRequest, NotAuthenticated
from app.domain.identity.callers import Caller
from app.gateway import admission
from app.gateway.gateway import Gateway
from app.gateway.request import CallRequest
from app.web.api.asgi_door import AsgiDoor
from app.web.api.authentication import Authentication
from app.web.api.request_body import read_body
from app.wire.endpoint import Endpoint
from app.wire.faces import Speaker
from app.wire.request import Incoming

_MAX_CLIENT = 200
_MAKES_FILES = ("image", "video")
_MAX_PROJECT = 200
_PROJECT = re.compile(r"[\x20-\x7e]{1,200}")
_KEY_IN_ADDRESS = re.compile(r"(?:^|&)key=")
"""As Gemini's clients may send it."""
_IDEMPOTENCY_KEY = re.compile(rb"[\x21-\x7e]{1,255}")


class Visit(Struct):
    gateway: Gateway
    authentication: Authentication
    max_body_bytes: int
    arrived_at: float
    method: str
    path: str
    """Below the hub's mount point: `/v1/models`."""
    query: str
    headers: Mapping[bytes, bytes]
    receive: Receive
    door: AsgiDoor
    address_of_hub: Callable[[], str]
    """Where this client reaches the hub, for links."""
    address_of_client: Callable[[], Address | None]
    """Where it comes from, as far as that is known."""
    variables: Mapping[str, str] = {}
    """What stood in the path."""
    task: str | None = None
    """What a key has to be allowed, as in `admission.task_of`; None: nothing that can be forbidden."""

    def caller(self) -> Caller:
        """Who asks, once nothing stands against that key, this address and this task.

        Raises:
            NotAuthenticated: no key, or one that opens nothing (any more).
            NotAllowed: not from there, or not for this.
        """
        if _KEY_IN_ADDRESS.search(self.query):
            raise NotAuthenticated(
                "A key does not belong into an address, which logs keep. Send it in the header x-goog-api-key or "
                "Authorization, without ?key=.",
                code="missing_api_key",
            )
        caller = self.authentication.caller(self.headers)
        admission.check_caller(caller, clock.now())
        admission.check_address(caller, self.address_of_client)
        if self.task is not None:
            admission.check_task(caller, self.task)
        self.gateway.shared.last_uses.note(caller.key_id, self.address_of_client, self._client)
        return caller

    def _client(self) -> str | None:
        """The User-Agent, cut."""
        return _text(self.headers.get(b"user-agent"), _MAX_CLIENT)

    async def body(self) -> bytes:
        """
        Raises:
            BodyTooLarge, BodyTooSlow, ClientLeft, MediaTypeRefused, BadRequest
        """
        return await read_body(self.headers, self.receive, self.max_body_bytes)

    async def answer(self, content: bytes, *, status: int = 200, content_type: bytes = b"application/json") -> None:
        await self.door.answer(status, [(b"content-type", content_type)], content)

    async def incoming(self) -> Incoming:
        return Incoming(
            path=self.path, query=self.query, headers=self.headers, variables=self.variables, body=await self.body()
        )

    async def call(self, endpoint: Endpoint, speaker: Speaker, incoming: Incoming | None = None) -> None:
        """Read the request as a model call and let the gateway carry it; `incoming` where its body was read before."""
        self.task = admission.task_of(endpoint)
        caller = self.caller()
        if incoming is None:
            incoming = await self.incoming()
        request = CallRequest(
            endpoint=endpoint,
            body=speaker.read(endpoint, incoming),
            raw_body=incoming.body,
            arrived_at=self.arrived_at,
            client=self._client(),
            project=_project(self.headers),
            address=self.address_of_hub() if endpoint.task in _MAKES_FILES else "",
            timeout_seconds=_timeout(self.headers.get(b"x-hub-timeout-ms")),
            idempotency_key=_idempotency_key(self.headers.get(b"idempotency-key")),
        )
        await self.gateway.carry(caller, request, self.door, self._until_client_left)

    async def _until_client_left(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


Handler = Callable[[Visit], Awaitable[None]]


def path_of(scope: HTTPScope) -> str:
    return scope["path"].rstrip("/")


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
