"""Files that models made: written down before their bytes are stored, forgotten after their bytes are deleted.

So every byte in the store has a row that tells when it goes, whatever breaks in between.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import now_us
from app.domain.media.models import StoredFile


class FileFacts(Struct, frozen=True, kw_only=True):
    id: str
    team_id: str
    call_id: str
    media_type: str
    size: int
    sha256: str
    expires_us: int

    @property
    def key(self) -> str:
        """Its name in the store. The first digits of an id are its time, the last are random: folders stay small."""
        return f"{self.id[-2:]}/{self.id}"


async def add(session: AsyncSession, file: FileFacts) -> None:
    session.add(
        StoredFile(
            id=file.id,
            team_id=file.team_id,
            call_id=file.call_id,
            media_type=file.media_type,
            size=file.size,
            sha256=file.sha256,
            created_us=now_us(),
            expires_us=file.expires_us,
        )
    )


async def get(session: AsyncSession, file_id: str) -> FileFacts | None:
    """For whoever shows a valid signature, or has found the id through its team. None: gone, or its time is over."""
    row = await session.get(StoredFile, file_id)
    return None if row is None or row.expires_us <= now_us() else _facts(row)


async def expired(session: AsyncSession, most: int) -> list[FileFacts]:
    """Those whose time is over, at most so many."""
    rows = await session.scalars(
        select(StoredFile).where(StoredFile.expires_us <= now_us()).order_by(StoredFile.expires_us).limit(most)
    )
    return [_facts(row) for row in rows]


async def forget(session: AsyncSession, file_ids: Sequence[str]) -> int:
    """Delete the rows; how many there were."""
    gone = await session.execute(delete(StoredFile).where(StoredFile.id.in_(file_ids)).returning(StoredFile.id))
    return len(gone.all())


def _facts(row: StoredFile) -> FileFacts:
    return FileFacts(
        id=row.id,
        team_id=row.team_id,
        call_id=row.call_id,
        media_type=row.media_type,
        size=row.size,
        sha256=row.sha256,
        expires_us=row.expires_us,
    )
