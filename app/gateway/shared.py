"""What all calls of a process share: the connections, the memory of who is doing well, and the vault."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import structlog
from msgspec import Struct, field

from app.adapters.fetching.fetcher import Fetcher
from app.adapters.providers.client import ProviderClient
from app.base.db import Database
from app.base.vault import Vault
from app.base.writer import Writer
from app.domain.catalog import credentials
from app.domain.identity import audit
from app.gateway.forecasts import Forecasts
from app.gateway.health import Health
from app.gateway.last_uses import LastUses
from app.gateway.limits.limiter import Limiter
from app.gateway.media import Media
from app.gateway.metrics import Metrics
from app.gateway.routing import Candidate, Router
from app.gateway.snapshot import SnapshotKeeper
from app.gateway.turn_memory import TurnMemory

_log = structlog.stdlib.get_logger(__name__)


class Shared(Struct, kw_only=True):
    boot_id: str
    db: Database
    vault: Vault
    writer: Writer
    client: ProviderClient
    fetcher: Fetcher
    media: Media
    health: Health
    router: Router
    metrics: Metrics
    turn_memory: TurnMemory
    snapshots: SnapshotKeeper
    forecasts: Forecasts
    limiter: Limiter
    last_uses: LastUses = field(default_factory=LastUses)
    known_cards: set[str] = set()
    """Price cards whose row this process has written."""
    drifted: set[str | None] = set()
    """Price cards that did not agree with what the provider charges, told once."""
    draining: int = 0
    """Calls whose client has left and whose answer is still read to its end."""
    errands: set[asyncio.Task[None]] = set()
    """What a call has set off and nobody waits for."""

    def disable(self, candidate: Candidate, reason: str) -> None:
        """A provider refused this credential: nobody uses it again until an admin has looked."""
        source, credential = candidate.route.source, candidate.credential
        _log.error("credential.disabled", provider=source.name, credential=credential.label, reason=reason)
        self.errand(self._store_disabled(credential.id, f"{source.name}/{credential.label}", reason))

    def errand(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside the call."""
        errand = asyncio.create_task(work)
        self.errands.add(errand)
        errand.add_done_callback(self.errands.discard)

    async def finish_errands(self) -> None:
        for errand in list(self.errands):
            with contextlib.suppress(Exception):
                await errand

    async def _store_disabled(self, credential_id: str, name: str, reason: str) -> None:
        try:
            async with self.db.writing() as session:
                if await credentials.disable(session, credential_id, reason):
                    await audit.record(
                        session,
                        audit.HUB,
                        "credential.disable",
                        "credential",
                        credential_id,
                        name,
                        before={"disabled": None},
                        after={"disabled": reason},
                        source=audit.HUB.name,
                    )
        except Exception as failure:  # this process rests it anyway; the next refusal tries again
            _log.warning("credential.not_stored", credential=credential_id, reason=type(failure).__name__)
