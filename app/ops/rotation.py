"""Rotation of the master key while the hub runs: a new key seals, the old ones still open, data keys are re-wrapped.

The secrets themselves are not touched. Cut short, it goes on where it was at the next run. A running server reads the
key file again when its snapshot changes, which re-wrapping causes; with keys in the environment it must have been
started with both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from app.base import resealing, vault
from app.base.config import Settings
from app.base.db import Database
from app.base.errors import BadValue
from app.base.resealing import SealedColumn
from app.base.vault import KeyRing, Vault, VaultError
from app.ops.sealed import SEALED

BATCH = 100
SERVERS_RELOAD_SECONDS = 3


class Rotated(Struct, frozen=True, kw_only=True):
    """What a rotation came to."""

    key_id: str
    """The id of the master key that seals now."""
    rewrapped: dict[str, int]
    """Column → texts that were put under it."""
    unopened: list[str]
    """What no key of the ring opens, in the vault's words. It was so before."""


async def rotate(
    settings: Settings, db: Database, opener: Vault, *, wait_seconds: float = SERVERS_RELOAD_SECONDS
) -> Rotated:
    """Put everything that is sealed under a new master key, and drop the old ones where the hub keeps them itself.

    Raises:
        BadValue: the keys come from elsewhere and the new one was not given; the sentence says how.
    """
    is_own_file = begin(settings)
    opener.reload(vault.load_ring(settings))
    rewrapped, unopened = await _pass(db, opener)
    if is_own_file:
        await asyncio.sleep(wait_seconds)
    # Until a pass finds nothing: before it had the new key, a server may have sealed something under the old one.
    is_clean = False
    while not is_clean:
        changed, unopened = await _pass(db, opener)
        is_clean = not any(changed.values())
        for name, count in changed.items():
            rewrapped[name] += count
    if is_own_file:
        vault.keep_first_key(vault.key_file(settings))
        opener.reload(vault.load_ring(settings))
    return Rotated(key_id=opener.primary_id, rewrapped=rewrapped, unopened=unopened)


def begin(settings: Settings) -> bool:
    """Make the new key the first of the ring; True when the hub's own file holds the keys.

    Raises:
        BadValue: as `rotate`.
    """
    if settings.master_key is not None:
        if settings.master_key_old is None:
            raise BadValue(
                "To rotate a key from the environment, restart every process of the hub with the new key in "
                "HUB_MASTER_KEY and the present one in HUB_MASTER_KEY_OLD, then run this again with both."
            )
        return False
    if settings.blocklet_app_ek is not None:
        raise BadValue("The master key comes from Blocklet Server (BLOCKLET_APP_EK), which does not rotate it.")
    path = vault.key_file(settings)
    if not _is_unfinished(vault.load_ring(settings)):
        vault.prepend_key(path)
    return True


def _is_unfinished(ring: KeyRing) -> bool:
    """Whether an earlier rotation was cut short: its new key is already there."""
    return len(ring.keys) > 1


async def _pass(db: Database, opener: Vault) -> tuple[dict[str, int], list[str]]:
    changed: dict[str, int] = {}
    unopened: list[str] = []
    for sealed in SEALED:
        changed[sealed.name] = 0
        after: object = None
        while True:
            async with db.reading() as session:
                texts = await resealing.next_texts(session, sealed, after, BATCH)
            if not texts:
                break
            after = texts[-1].key
            changed[sealed.name] += await _rewrap(db, opener, sealed, texts, unopened)
    return changed, unopened


async def _rewrap(
    db: Database,
    opener: Vault,
    sealed: SealedColumn,
    texts: Sequence[resealing.SealedText],
    unopened: list[str],
) -> int:
    """One batch in one short transaction; how many texts were swapped."""
    fresh: list[tuple[resealing.SealedText, str]] = []
    for old in texts:
        try:
            text = opener.rewrap(old.text, old.place)
        except VaultError as error:
            unopened.append(str(error))
            continue
        if text != old.text:
            fresh.append((old, text))
    if not fresh:
        return 0
    async with db.writing() as session:
        return sum([await resealing.swap(session, sealed, old, text) for old, text in fresh])
