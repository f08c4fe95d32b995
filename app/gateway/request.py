"""What a door hands to the gateway: a request that is read, and what its headers ask for."""

from __future__ import annotations

from msgspec import Struct

from app.wire.endpoint import Endpoint
from app.wire.request import Request


class CallRequest(Struct, frozen=True, kw_only=True):
    endpoint: Endpoint
    body: Request
    raw_body: bytes
    """As it came, decompressed; for the digest of an idempotent call and for teams that keep contents."""
    arrived_at: float
    """On the monotonic clock."""
    client: str | None = None
    """The User-Agent, cut."""
    project: str | None = None
    address: str = ""
    """Where the client reaches the hub, without a slash at its end, for links to files; known where files are made."""
    timeout_seconds: float | None = None
    """The caller's own deadline, from its arrival."""
    idempotency_key: str | None = None
