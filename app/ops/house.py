"""The house as commands find it: settings, database, vault and pepper, opened and checked, closed at the end.

Whoever opens it may trust that the schema is this version's and that the master key opens what is sealed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from msgspec import Struct

from app.base.config import Settings
from app.base.db import Database
from app.base.vault import Vault, load_ring
from app.domain.identity import hub_secrets
from app.ops import schema, trail
from app.ops.trail import Deed


class House(Struct, frozen=True):
    """What commands and jobs work with."""

    settings: Settings
    db: Database
    vault: Vault
    pepper: bytes
    """Of the digests of API keys."""

    def changing(self) -> AbstractAsyncContextManager[Deed]:
        """One transaction of a command, which says in it what it changes. See `trail`."""
        return trail.changing(self.db)

    def __repr__(self) -> str:
        return f"House({self.settings.data_dir})"


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[House]:
    """The house, ready for use.

    Raises:
        DatabaseUnreachable: nobody answers at DATABASE_URL, or the file cannot be opened.
        MigrationsPending: `hub migrate` has to run first.
        VaultError: the master key is not the one that sealed what is stored.
    """
    await schema.check(settings)
    vault = Vault(load_ring(settings))
    db = Database(settings)
    try:
        async with db.writing() as session:
            pepper = await hub_secrets.prepare(session, vault)
        yield House(settings, db, vault, pepper)
    finally:
        await db.close()
