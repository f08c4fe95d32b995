"""What keeps the call tables true and small: ending the calls of dead processes, forgetting what has expired."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import MICROSECONDS, now_us
from app.domain.calls import handed_over
from app.domain.calls.models import Call, CallContent, IdempotentAnswer, Process

BEAT_SECONDS = 10
LEASE_SECONDS = 60
"""A process on another machine that has not beaten for this long is dead."""


class Presence:
    """This process, as others see it: a row with a beat, and a locked file for those on the same machine.

    The lock ends with the process however it ends, so after `kill -9` the next start knows at once.
    """

    def __init__(self, data_dir: Path, boot_id: str) -> None:
        self.boot_id = boot_id
        self._path = _lock_path(data_dir, boot_id)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    async def announce(self, session: AsyncSession) -> None:
        await session.execute(
            insert(Process).values(
                boot_id=self.boot_id,
                host=socket.gethostname()[:200],
                pid=os.getpid(),
                started_us=now_us(),
                beat_us=now_us(),
            )
        )

    async def beat(self, session: AsyncSession) -> None:
        beaten = update(Process).where(Process.boot_id == self.boot_id).values(beat_us=now_us())
        if await session.scalar(beaten.returning(Process.boot_id)) is None:
            # Silent for so long (a database that was away, a machine that slept) that another one has ended our calls.
            # From here on they are ours again.
            await self.announce(session)

    async def leave(self, session: AsyncSession) -> None:
        """All calls of this process have ended: forget it."""
        await session.execute(delete(Process).where(Process.boot_id == self.boot_id))
        self._file.close()
        self._path.unlink(missing_ok=True)


async def end_orphans(session: AsyncSession, data_dir: Path) -> int:
    """End the `running` calls of processes that are gone, as `interrupted`; how many there were.

    Their Idempotency-Keys become free: nobody will ever store their answers.
    """
    known = {row.boot_id: row.beat_us for row in await session.execute(select(Process.boot_id, Process.beat_us))}
    running = await session.scalars(
        select(Call.boot_id).where(Call.status == "running", Call.boot_id != handed_over.NO_PROCESS).distinct()
    )
    dead = [boot_id for boot_id in {*known, *running} if _is_dead(data_dir, boot_id, known.get(boot_id))]
    if not dead:
        return 0
    orphans = select(Call.id).where(Call.status == "running", Call.boot_id.in_(dead))
    await session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.call_id.in_(orphans)))
    ended = await session.execute(
        update(Call)
        .where(Call.status == "running", Call.boot_id.in_(dead))
        .values(
            status="interrupted",
            error_code="hub_stopped",
            error_owner="hub",
            error_text="The hub's process ended while the call was running.",
            usage_source="none",
        )
        .returning(Call.id)
    )
    count = len(ended.all())
    await session.execute(delete(Process).where(Process.boot_id.in_(dead)))
    for boot_id in dead:
        _lock_path(data_dir, boot_id).unlink(missing_ok=True)
    return count


async def forget_expired(session: AsyncSession) -> int:
    """Delete stored contents and idempotent answers whose time is over; how many rows went."""
    moment_us = now_us()
    contents = await session.execute(
        delete(CallContent).where(CallContent.expires_us < moment_us).returning(CallContent.call_id)
    )
    answers = await session.execute(
        delete(IdempotentAnswer).where(IdempotentAnswer.expires_us < moment_us).returning(IdempotentAnswer.call_id)
    )
    return len(contents.all()) + len(answers.all())


def _is_dead(data_dir: Path, boot_id: str, beat_us: int | None) -> bool:
    path = _lock_path(data_dir, boot_id)
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        # Of another machine, or already tidied away: only its beat can tell.
        return beat_us is None or beat_us < now_us() - LEASE_SECONDS * MICROSECONDS
    except BlockingIOError:
        return False
    return True


def _lock_path(data_dir: Path, boot_id: str) -> Path:
    return data_dir / "run" / f"{boot_id}.lock"
