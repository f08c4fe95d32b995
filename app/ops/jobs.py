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
from app.domain.billing import roots, sweeping
from app.domain.calls import leases, stored_responses, turns, upkeep
from app.domain.catalog import settings as hub_settings
from app.domain.identity import audit_upkeep, retention
from app.domain.media import generations
from app.gateway import media
from app.gateway.charging import recovery
from app.gateway.generations import STARTING_SECONDS

LEASE = "jobs"
LEASE_SECONDS = 30
TICK_SECONDS = 5
MOST_ACCOUNTS = 500
"""That one run sweeps; the next goes on."""
HOLDS_AT_ONCE = 2_000
MOST_HOLD_BATCHES = 500

_log = structlog.stdlib.get_logger(__name__)


class Job(Struct, frozen=True):
    name: str
    every_seconds: int
    work: Callable[[Database, Settings], Awaitable[int]]
    """Gives how many rows it changed."""


async def end_orphans(db: Database, settings: Settings) -> int:
    """Calls whose process has died get their end."""
    return await recovery.end_orphans(db, settings.data_dir)


async def release_holds(db: Database, _settings: Settings) -> int:
    """Holds whose time is over and whose call has ended."""
    return await recovery.release_expired(db)


async def make_root(db: Database, _settings: Settings) -> int:
    """Once a day, one hash over the newest journals of all accounts."""
    # Looked for in a session that keeps nobody waiting: there may be many accounts.
    async with db.reading() as session:
        root = await roots.due(session, clock.now_us())
    if root is None:
        return 0
    async with db.writing() as session:
        return int(await roots.add(session, root))


async def sweep_grants(db: Database, _settings: Settings) -> int:
    """Accounts with grants that have ended, or with debt that they can pay: one transaction each."""
    async with db.reading() as session:
        team_ids = await sweeping.due(session, MOST_ACCOUNTS)
    for team_id in team_ids:
        async with db.writing() as session:
            await sweeping.sweep(session, team_id)
    return len(team_ids)


async def forget_holds(db: Database, _settings: Settings) -> int:
    """Holds that ended long ago, in transactions that keep nobody waiting."""
    gone = 0
    for _ in range(MOST_HOLD_BATCHES):
        async with db.writing() as session:
            batch = await sweeping.forget_holds(session, HOLDS_AT_ONCE)
        gone += batch
        if batch < HOLDS_AT_ONCE:
            break
    return gone


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
    """One-time links, sessions and counted tries whose time is over."""
    async with db.writing() as session:
        return await retention.forget_expired(session)


async def keep_audit(db: Database, _settings: Settings) -> int:
    """Events of the audit trail whose time is over go, and its newest is noted."""
    async with db.reading() as session:
        days = await hub_settings.audit_keep_days(session)
        is_noted = await audit_upkeep.is_head_noted(session)
    if not days and is_noted:
        return 0
    async with db.writing() as session:
        gone = await audit_upkeep.forget(session, days, clock.now_us())
        if not is_noted:
            await audit_upkeep.note_head(session)
    return gone


async def sweep_files(db: Database, settings: Settings) -> int:
    """Files that models made, rows and bytes, whose time is over."""
    return await media.sweep(db, settings)


async def forget_generations(db: Database, _settings: Settings) -> int:
    """Generations that ended long ago, and those that no provider has ever taken."""
    async with db.writing() as session:
        return await generations.forget_expired(session, clock.now_us() - STARTING_SECONDS * clock.MICROSECONDS)


JOBS = (
    Job("billing.release_holds", 30, release_holds),
    Job("billing.root", 600, make_root),
    Job("billing.sweep_grants", 60, sweep_grants),
    Job("billing.forget_holds", 600, forget_holds),
    Job("calls.end_orphans", 15, end_orphans),
    Job("calls.forget_contents", 300, forget_contents),
    Job("calls.forget_responses", 3600, forget_responses),
    Job("calls.forget_turns", 300, forget_turns),
    Job("identity.keep_audit", 600, keep_audit),
    Job("identity.forget_ways_in", 3600, forget_ways_in),
    Job("media.forget_generations", 600, forget_generations),
    Job("media.sweep_files", 600, sweep_files),
)

FORGOTTEN = {
    "audit_event": "identity.keep_audit",
    "call_content": "calls.forget_contents",
    "generation": "media.forget_generations",
    "hold": "billing.forget_holds",
    "idempotent_answer": "calls.forget_contents",
    "one_time_link": "identity.forget_ways_in",
    "process": "calls.end_orphans",
    "session": "identity.forget_ways_in",
    "sign_in_tries": "identity.forget_ways_in",
    "stored_file": "media.sweep_files",
    "stored_item": "calls.forget_responses",
    "stored_response": "calls.forget_responses",
    "turn_state": "calls.forget_turns",
}
"""Table → the job that deletes its old rows."""

KEPT = {
    "account": "what a team has; the books outlive the team",
    "api_key": "a revoked key explains the calls that were made with it",
    "attempt": "belongs to its call; holds no content",
    "budget": "one that has ended explains why calls were refused",
    "budget_notice": "a few per budget and window, so that each is told once",
    "budget_spend": "one row per budget and window: reports compare windows",
    "call": "the account of what was used, for invoices and reports; holds no content",
    "credential": "lives until an admin removes it",
    "credit_grant": "one that was used up explains where its credits went",
    "deployment": "lives until an admin removes it",
    "entry": "a book: added to, never edited",
    "hub_setting": "one row per setting",
    "job_lease": "one row per lease",
    "journal": "a book: added to, never edited",
    "ledger_head": "what the day's root was made of",
    "ledger_root": "proves that nothing before it was changed",
    "limit_rule": "one that has ended explains why calls were refused",
    "membership": "goes with its user or team",
    "model": "lives until an admin removes it",
    "model_alias": "goes with its model",
    "password": "goes with its user",
    "price_card": "shows what priced old calls",
    "price_change": "tells who changed which prices, and how to revert it",
    "price_notice": "at most one of a kind per deployment, so that each is told once",
    "provider": "lives until an admin removes it",
    "rate": "old lines explain what old calls cost",
    "recovery_code": "ten per user; they go with their user",
    "second_factor": "goes with its user; one that was never confirmed is forgotten by identity.forget_ways_in",
    "snapshot_revision": "one row",
    "team": "lives until an admin removes it",
    "user_account": "lives until an admin removes it",
    "voucher": "a used code stays used for ever",
    "voucher_use": "a team redeems a voucher once for ever",
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
