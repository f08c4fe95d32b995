"""Files that models made: kept for a while, linked, given out again and swept away."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from app.adapters.files.store import FileStore
from app.base.clock import MICROSECONDS, now_us
from app.base.config import Settings
from app.base.db import Database
from app.base.ids import new_id
from app.domain.media import files, links
from app.domain.media.files import FileFacts

_DAY_US = 24 * 3600 * MICROSECONDS
_MOST_SWEPT = 500
"""Files at one time; the rest goes the next time."""


class Media:
    """One per process."""

    def __init__(self, db: Database, store: FileStore, pepper: bytes, keep_days: int) -> None:
        self._db = db
        self._store = store
        self._link_key = links.key_from(pepper)
        self._keep_us = keep_days * _DAY_US

    async def keep(self, content: bytes, media_type: str, *, team_id: str, call_id: str) -> str:
        """Store a file; its id.

        Raises:
            StoreFailed, or what the database raises: nothing can be linked.
        """
        file = FileFacts(
            id=new_id(),
            team_id=team_id,
            call_id=call_id,
            media_type=media_type[:200],
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            expires_us=now_us() + self._keep_us,
        )
        async with self._db.writing() as session:
            await files.add(session, file)
        await self._store.save(file.key, content, media_type)
        return file.id

    def link(self, file_id: str, address: str) -> str:
        """An absolute URL at the hub's `address` that works as long as a file that is stored now is kept."""
        expires = (now_us() + self._keep_us) // MICROSECONDS
        return f"{address}/files/{file_id}?{links.query(self._link_key, file_id, expires)}"

    async def linked(self, file_id: str, expires: str, signature: str) -> FileFacts | None:
        """The file of a link; None where the link is not ours or over, or the file is gone."""
        if not links.is_valid(self._link_key, file_id, expires, signature, now_us() / MICROSECONDS):
            return None
        return await self.found(file_id)

    async def found(self, file_id: str) -> FileFacts | None:
        async with self._db.reading() as session:
            return await files.get(session, file_id)

    def pieces(self, file: FileFacts, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`.

        Raises:
            StoreFailed
        """
        return self._store.pieces(file.key, start, end)

    async def content(self, file: FileFacts) -> bytes:
        """All of it.

        Raises:
            StoreFailed
        """
        return b"".join([piece async for piece in self.pieces(file, 0, file.size)]) if file.size else b""

    async def remove(self, file: FileFacts) -> None:
        """
        Raises:
            StoreFailed: it stays, and goes when its time is over.
        """
        await self._store.delete([file.key])
        async with self._db.writing() as session:
            await files.forget(session, [file.id])


def store_of(settings: Settings) -> FileStore:
    return FileStore(folder=Path(settings.data_dir) / "files", url=settings.files_url)


async def sweep(db: Database, settings: Settings) -> int:
    """Delete the files whose time is over; how many.

    Raises:
        StoreFailed: the rows stay, for the next time.
    """
    async with db.reading() as session:
        gone = await files.expired(session, _MOST_SWEPT)
    if not gone:
        return 0
    await store_of(settings).delete([file.key for file in gone])
    async with db.writing() as session:
        return await files.forget(session, [file.id for file in gone])
