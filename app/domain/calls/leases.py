"""Leases: which of several processes does what only one may do. A holder that dies loses it when its time is over."""

from __future__ import annotations

from sqlalchemy import delete, or_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import MICROSECONDS, now_us
from app.domain.calls.models import JobLease


async def take(session: AsyncSession, name: str, boot_id: str, seconds: int) -> bool:
    """Take the lease or prolong it; False when another process holds it. Of several at once exactly one gets it."""
    moment_us = now_us()
    until_us = moment_us + seconds * MICROSECONDS
    taken = await session.scalar(
        update(JobLease)
        .where(JobLease.name == name, or_(JobLease.boot_id == boot_id, JobLease.until_us < moment_us))
        .values(boot_id=boot_id, until_us=until_us)
        .returning(JobLease.name)
    )
    if taken is not None:
        return True
    if await session.get(JobLease, name) is not None:
        return False
    try:
        async with session.begin_nested():
            session.add(JobLease(name=name, boot_id=boot_id, until_us=until_us))
    except IntegrityError:
        return False
    return True


async def give_back(session: AsyncSession, name: str, boot_id: str) -> None:
    """Let the next process take it at once."""
    await session.execute(delete(JobLease).where(JobLease.name == name, JobLease.boot_id == boot_id))
