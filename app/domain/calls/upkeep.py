"""What keeps the call tables true and small: ending the calls of dead processes, forgetting what has expired."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import MICROSECONDS, now_us
from app.base.usage import Usage
from app.domain.calls import handed_over
from app.domain.calls.models import Call, CallContent, IdempotentAnswer, Process

_INTERRUPTED = {
    "status": "interrupted",
    "error_code": "hub_stopped",
    "error_owner": "hub",
    "error_text": "The hub's process ended while the call was running.",
}

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


async def alive(session: AsyncSession) -> int:
    """Processes of this hub that run now, on whatever machine."""
    since_us = now_us() - LEASE_SECONDS * MICROSECONDS
    query = select(func.count()).select_from(Process).where(Process.beat_us >= since_us)
    return await session.scalar(query) or 0


class Orphan(Struct, frozen=True, kw_only=True):
    """A running call whose process is gone. Names as in `Call`."""

    id: str
    team_id: str
    api_key_id: str
    user_id: str | None
    project: str | None
    model: str
    billing: str | None
    started_us: int


class Recovered(Struct, frozen=True, kw_only=True):
    """What is known of an orphan's end. Names and units as in `Call`."""

    provider: str | None
    deployment_id: str | None
    credential_id: str | None
    upstream_model: str | None
    usage_source: str
    card_id: str | None
    price_facts: str | None
    charged_as: str | None
    cost_nano: int | None
    charge_nano: int | None


async def dead_processes(session: AsyncSession, data_dir: Path) -> list[str]:
    """The boot ids of processes that have rows and are gone."""
    known = {row.boot_id: row.beat_us for row in await session.execute(select(Process.boot_id, Process.beat_us))}
    running = await session.scalars(
        select(Call.boot_id).where(Call.status == "running", Call.boot_id != handed_over.NO_PROCESS).distinct()
    )
    return [boot_id for boot_id in {*known, *running} if _is_dead(data_dir, boot_id, known.get(boot_id))]


async def orphans(session: AsyncSession, dead: Collection[str]) -> Sequence[Orphan]:
    """The running calls of those processes."""
    rows = await session.execute(
        select(
            Call.id,
            Call.team_id,
            Call.api_key_id,
            Call.user_id,
            Call.project,
            Call.model,
            Call.billing,
            Call.started_us,
        ).where(Call.status == "running", Call.boot_id.in_(dead))
    )
    return [Orphan(**row) for row in rows.mappings()]


async def end_orphan(session: AsyncSession, call_id: str, recovered: Recovered, usage: Usage) -> bool:
    """End a call, as `interrupted`, with what it came to; False where somebody else has."""
    ended = await session.execute(
        update(Call)
        .where(Call.id == call_id, Call.status == "running")
        .values(**_INTERRUPTED, **asdict(recovered), **asdict(usage))
        .returning(Call.id)
    )
    return ended.scalar_one_or_none() is not None


async def is_running(session: AsyncSession, call_id: str) -> bool:
    return await session.scalar(select(Call.status).where(Call.id == call_id)) == "running"


async def forget_processes(session: AsyncSession, data_dir: Path, dead: Collection[str]) -> int:
    """End what those processes have left behind: their other calls, which used nothing that anybody knows of; how many
    there were.

    Idempotency-Keys of ended calls become free: nobody will ever store their answers.
    """
    is_orphan = and_(Call.status == "running", Call.boot_id.in_(dead))
    ended = await session.execute(
        update(Call).where(is_orphan).values(**_INTERRUPTED, usage_source="none").returning(Call.id)
    )
    count = len(ended.all())
    interrupted = select(Call.id).where(Call.status == "interrupted", Call.boot_id.in_(dead))
    await session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.call_id.in_(interrupted)))
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
