"""Health: is the process there, is it ready for calls, what do its numbers say."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any

from litestar import Controller, MediaType, Request, Response, get

from app.base.config import Settings
from app.base.db import Database
from app.gateway.gateway import Gateway

MAX_SNAPSHOT_AGE_SECONDS = 10.0


class HealthController(Controller):
    """`/healthz`, `/readyz`, `/metrics`."""

    include_in_schema = False

    @get("/healthz", media_type=MediaType.JSON, sync_to_thread=False)
    def alive(self) -> dict[str, str]:
        """The process answers. Asks nothing of anybody."""
        return {"status": "ok"}

    @get("/readyz", media_type=MediaType.JSON)
    async def ready(self, gateway: Gateway, db: Database) -> Response[dict[str, Any]]:
        """200 when calls can be taken, else 503 naming what stands against it."""
        parts = {
            "database": await db.is_reachable(),
            "vault": not gateway.snapshots.current.unusable_credentials,
            "snapshot": gateway.snapshots.age_seconds <= MAX_SNAPSHOT_AGE_SECONDS,
            "draining": not gateway.is_draining,
        }
        is_ready = all(ok for name, ok in parts.items() if name != "vault")
        content = {
            "status": "ready" if is_ready else "not ready",
            "checks": {name: "ok" if ok else "failing" for name, ok in parts.items()},
        }
        return Response(content, status_code=200 if is_ready else 503, media_type=MediaType.JSON)

    @get("/metrics", media_type=MediaType.TEXT, sync_to_thread=False)
    def metrics(self, request: Request[Any, Any, Any], gateway: Gateway) -> Response[bytes]:
        """Prometheus' text format: for the machine itself, and for whoever has the token of `HUB_METRICS_TOKEN`."""
        if not _may_read(request, request.app.state.settings):
            return Response(b"Send the token of HUB_METRICS_TOKEN as Authorization: Bearer.\n", status_code=401)
        return Response(gateway.shared.metrics.text(), media_type="text/plain; version=0.0.4")


def _may_read(request: Request[Any, Any, Any], settings: Settings) -> bool:
    if settings.metrics_token is not None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), settings.metrics_token.reveal().encode())
    # Without a token only this machine may look, and a proxy on it does not count.
    if "x-forwarded-for" in request.headers or "x-real-ip" in request.headers or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
