"""The periodic jobs: a table, and the loop that runs what is due. Of all processes of a hub one holds the lease.

Each job is safe to repeat and to cut short, so a process that dies in the middle leaves nothing to mend.
Every table either loses its old rows in a job or is in `KEPT` with the reason; a test compares both with the schema.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from msgspec import Struct

from app.base import clock
from app.base.config import Settings
from app.base.db import Database
from app.domain.calls import leases, stored_responses, turns, upkeep
from app.domain.identity import retention
from app.domain.media import generations
from app.gateway import media
from app.gateway.generations import STARTING_SECONDS

LEASE = "jobs"
LEASE_SECONDS = 30
TICK_SECONDS = 5

_log = structlog.stdlib.get_logger(__name__)


class Job(Struct, frozen=True):
    name: str
    every_seconds: int
    work: Callable[[Database, Settings], Awaitable[int]]
    """Gives how many rows it changed."""


async def end_orphans(db: Database, settings: Settings) -> int:
    """Calls whose process has died get their end."""
    async with db.writing() as session:
        return await upkeep.end_orphans(session, settings.data_dir)


async def forget_contents(db: Database, _settings: Settings) -> int:
    """Stored prompts, answers and idempotent answers whose time is over."""
    async with db.writing() as session:
        return await upkeep.forget_expired(session)


async def forget_responses(db: Database, _settings: Settings) -> int:
    """Stored responses whose time is over."""
    async with db.writing() as session:
        return await stored_responses.forget_expired(session)


async def forget_turns(db: Database, _settings: Settings) -> int:
    """Signatures and encrypted items of turns whose time is over."""
    async with db.writing() as session:
        return await turns.forget_expired(session)


async def forget_ways_in(db: Database, _settings: Settings) -> int:
    """One-time links and sessions whose time is over."""
    async with db.writing() as session:
        return await retention.forget_expired(session)


async def sweep_files(db: Database, settings: Settings) -> int:
    """Files that models made, rows and bytes, whose time is over."""
    return await media.sweep(db, settings)


async def forget_generations(db: Database, _settings: Settings) -> int:
    """Generations that ended long ago, and those that no provider has ever taken."""
    async with db.writing() as session:
        return await generations.forget_expired(session, clock.now_us() - STARTING_SECONDS * clock.MICROSECONDS)


JOBS = (
    Job("calls.end_orphans", 15, end_orphans),
    Job("calls.forget_contents", 300, forget_contents),
    Job("calls.forget_responses", 3600, forget_responses),
    Job("calls.forget_turns", 300, forget_turns),
    Job("identity.forget_ways_in", 3600, forget_ways_in),
    Job("media.forget_generations", 600, forget_generations),
    Job("media.sweep_files", 600, sweep_files),
)

FORGOTTEN = {
    "call_content": "calls.forget_contents",
    "generation": "media.forget_generations",
    "idempotent_answer": "calls.forget_contents",
    "one_time_link": "identity.forget_ways_in",
    "process": "calls.end_orphans",
    "session": "identity.forget_ways_in",
    "stored_file": "media.sweep_files",
    "stored_item": "calls.forget_responses",
    "stored_response": "calls.forget_responses",
    "turn_state": "calls.forget_turns",
}
"""Table → the job that deletes its old rows."""

KEPT = {
    "api_key": "a revoked key explains the calls that were made with it",
    "attempt": "belongs to its call; holds no content",
    "call": "the account of what was used, for invoices and reports; holds no content",
    "credential": "lives until an admin removes it",
    "credit_grant": "a book: added to, never edited",
    "deployment": "lives until an admin removes it",
    "hub_setting": "one row per setting",
    "job_lease": "one row per lease",
    "membership": "goes with its user or team",
    "model": "lives until an admin removes it",
    "model_alias": "goes with its model",
    "provider": "lives until an admin removes it",
    "rate": "old lines explain what old calls cost",
    "snapshot_revision": "one row",
    "team": "lives until an admin removes it",
    "user_account": "lives until an admin removes it",
}
"""Table → why its rows stay."""


async def run(db: Database, settings: Settings, boot_id: str) -> None:
    """Run what is due, while this process holds the lease, until cancelled. Then the next process may at once."""
    due_at = dict.fromkeys((job.name for job in JOBS), 0.0)
    try:
        while True:
            if await _holds_lease(db, boot_id):
                for job in JOBS:
                    if time.monotonic() >= due_at[job.name]:
                        due_at[job.name] = time.monotonic() + job.every_seconds
                        await _run_one(job, db, settings)
            await asyncio.sleep(TICK_SECONDS)
    finally:
        await _give_back(db, boot_id)


async def _holds_lease(db: Database, boot_id: str) -> bool:
    try:
        async with db.writing() as session:
            return await leases.take(session, LEASE, boot_id, LEASE_SECONDS)
    except Exception as error:  # a database that is away must not end the loop
        _log.warning("jobs.lease_failed", error=str(error))
        return False


async def _run_one(job: Job, db: Database, settings: Settings) -> None:
    started = time.monotonic()
    try:
        changed = await job.work(db, settings)
    except Exception:  # one job's fault is not the others'; it runs again when it is due
        _log.exception("job.failed", job=job.name)
        return
    if changed:
        _log.info("job.done", job=job.name, changed=changed, seconds=round(time.monotonic() - started, 3))


async def _give_back(db: Database, boot_id: str) -> None:
    try:
        async with db.writing() as session:
            await leases.give_back(session, LEASE, boot_id)
    except Exception as error:  # it runs out by itself
        _log.warning("jobs.lease_failed", error=str(error))
