"""The snapshot: everything a model call needs to know, in memory, built from the tables and swapped whole.

A warm call reads no SQL. Triggers count up `snapshot_revision` with every change, whoever makes it; each process looks
at that number a few times a second, so a revoked key stops everywhere within one second. Balances are never in here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog
from msgspec import Struct

from app.base import clock
from app.base.db import Database
from app.base.vault import Vault
from app.domain.billing import budgets
from app.domain.billing.budget_rules import Budgets
from app.domain.calls import limits
from app.domain.calls.limit_rules import Limits
from app.domain.catalog import policy, pricing, serving, settings
from app.domain.catalog.policy import Policy
from app.domain.catalog.pricing import Prices
from app.domain.catalog.serving import CallableModel, Opener
from app.domain.identity import callers
from app.domain.identity.callers import Caller

POLL_SECONDS = 0.4

_log = structlog.stdlib.get_logger(__name__)


class Snapshot(Struct, frozen=True, kw_only=True):
    revision: int
    callers: Mapping[bytes, Caller]
    """By the digest of the key."""
    models: Mapping[str, CallableModel]
    """By public name and by alias."""
    billing: str
    prices: Prices
    """By deployment and the team's markup. They change with time, too: see `Prices.changes_at`."""
    budgets: Budgets
    """Those in force. What was spent of them is never in here."""
    limits: Limits
    """Those in force. What is counted of them is never in here."""
    policy: Policy
    """What a call is charged by how it ended."""
    purchase_link: str | None
    """Where people buy credits who have none."""
    unusable_credentials: tuple[str, ...]
    """Ids of credentials that the vault could not open."""

    def catalogue(self) -> list[CallableModel]:
        """Every model once, by name."""
        return sorted({model.name: model for model in self.models.values()}.values(), key=lambda model: model.name)


class SnapshotKeeper:
    """Holds the current snapshot of one process and replaces it when the database says so."""

    def __init__(self, db: Database, vault: Vault, reload_ring: Callable[[], None]) -> None:
        self._db = db
        self._reload_ring = reload_ring
        self._opener = Opener(vault)
        self._current: Snapshot | None = None
        self._seen_at = 0.0
        # Two at once could put the older snapshot in the place of the newer one.
        self._refreshing = asyncio.Lock()

    @property
    def current(self) -> Snapshot:
        assert self._current is not None, "load() comes first"
        return self._current

    @property
    def age_seconds(self) -> float:
        """Since the database last confirmed that this snapshot is the newest."""
        return time.monotonic() - self._seen_at

    async def load(self) -> Snapshot:
        # Another process may have rotated the master key; that, too, counts the revision up.
        self._reload_ring()
        async with self._db.reading() as session:
            # The revision first: a change while the rest is read makes the next round load again.
            revision = await serving.current_revision(session)
            parents = await callers.parents(session)
            models, unusable = await serving.all_models(session, self._opener)
            self._current = Snapshot(
                revision=revision,
                callers=await callers.all_callers(session),
                models=models,
                billing=await settings.billing_mode(session),
                prices=await pricing.load(session, None if self._current is None else self._current.prices),
                budgets=Budgets(await budgets.in_force(session), parents),
                limits=Limits(await limits.in_force(session), parents),
                policy=policy.read(await settings.get(session, "charging_policy")),
                purchase_link=await settings.get(session, "purchase_link") or None,
                unusable_credentials=unusable,
            )
        self._seen_at = time.monotonic()
        return self._current

    async def refresh(self) -> bool:
        """Load again if anything changed, or a rate comes into force now; whether it was loaded."""
        async with self._refreshing:
            async with self._db.reading() as session:
                revision = await serving.current_revision(session)
            if self._current is not None and revision == self._current.revision and not _is_due(self._current.prices):
                self._seen_at = time.monotonic()
                return False
            await self.load()
            return True

    async def watch(self) -> None:
        """Refresh for ever. A database that does not answer leaves the old snapshot in force; readiness tells."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                if await self.refresh():
                    _log.info("snapshot.loaded", revision=self.current.revision)
            except Exception as failure:  # whatever the driver raises, the next round tries again
                _log.warning(
                    "snapshot.unreachable", reason=type(failure).__name__, age_seconds=round(self.age_seconds, 1)
                )


def _is_due(prices: Prices) -> bool:
    return prices.changes_at is not None and clock.now() >= prices.changes_at
