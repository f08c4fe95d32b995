"""The periodic jobs: every table has a rule, one process at a time runs them, and a job that fails stops no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.base.clock import MICROSECONDS, now_us
from app.base.config import Settings, read_settings
from app.base.db import Database
from app.base.wrongs import Report
from app.domain.calls import leases
from app.domain.calls.models import CallContent, JobLease
from app.domain.catalog import settings as hub_settings
from app.domain.identity import audit, audit_upkeep
from app.ops import jobs
from app.ops.jobs import Job
from app.ops.tables import METADATA


@pytest.fixture
def settings(hub_environ: dict[str, str]) -> Settings:
    return read_settings(hub_environ)


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings)
    yield database
    await database.close()


def test_every_table_is_forgotten_by_a_job_or_kept_for_a_reason() -> None:
    assert sorted([*jobs.FORGOTTEN, *jobs.KEPT]) == sorted(METADATA.tables)
    assert set(jobs.FORGOTTEN.values()) <= {job.name for job in jobs.JOBS}
    assert all(jobs.KEPT.values())


def test_jobs_have_names_of_their_own() -> None:
    assert len({job.name for job in jobs.JOBS}) == len(jobs.JOBS)


async def test_of_processes_that_want_the_lease_at_once_one_gets_it(db: Database) -> None:
    async def wants(boot_id: str) -> bool:
        async with db.writing() as session:
            return await leases.take(session, "jobs", boot_id, 30)

    outcomes = await asyncio.gather(*(wants(f"boot{n}") for n in range(6)))

    assert sorted(outcomes) == [False] * 5 + [True]


async def test_a_lease_is_prolonged_by_its_holder_and_lost_by_a_dead_one(db: Database) -> None:
    async with db.writing() as session:
        assert await leases.take(session, "jobs", "first", 30)
        assert await leases.take(session, "jobs", "first", 30)
        assert not await leases.take(session, "jobs", "second", 30)

    async with db.writing() as session:
        row = await session.get(JobLease, "jobs")
        assert row is not None
        row.until_us = now_us() - MICROSECONDS
    async with db.writing() as session:
        assert await leases.take(session, "jobs", "second", 30)
        assert not await leases.take(session, "jobs", "first", 30)


async def test_a_lease_that_is_given_back_can_be_taken_at_once(db: Database) -> None:
    async with db.writing() as session:
        assert await leases.take(session, "jobs", "first", 30)
        await leases.give_back(session, "jobs", "second")
        assert not await leases.take(session, "jobs", "second", 30)
        await leases.give_back(session, "jobs", "first")
        assert await leases.take(session, "jobs", "second", 30)


async def test_expired_content_is_gone_after_the_job(db: Database, settings: Settings) -> None:
    async with db.writing() as session:
        for call_id, expires_us in (("old", now_us() - 1), ("new", now_us() + 60 * MICROSECONDS)):
            session.add(
                CallContent(call_id=call_id, team_id="t", sealed_request="", sealed_answer="", expires_us=expires_us)
            )

    assert await jobs.forget_contents(db, settings) == 1

    async with db.reading() as session:
        assert await session.get(CallContent, "old") is None
        assert await session.get(CallContent, "new") is not None


async def test_the_trail_is_kept_for_ever_or_for_as_long_as_the_setting_says(db: Database, settings: Settings) -> None:
    async with db.writing() as session:
        for object in ("old", "new"):
            await audit.record(session, audit.HUB, "hub.test", "hub", object, object, source="hub")
    # Ten days later.
    later_us = now_us() + 10 * 86_400 * MICROSECONDS

    assert await jobs.keep_audit(db, settings) == 0
    async with db.writing() as session:
        assert await audit_upkeep.is_head_noted(session)
        await hub_settings.put(session, "audit_keep_days", "9")
    assert await jobs.keep_audit(db, settings) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.base.clock.now_us", lambda: later_us)
        assert await jobs.keep_audit(db, settings) == 2
        assert await jobs.keep_audit(db, settings) == 0

    async with db.reading() as session:
        report = Report(most=10)
        head = await audit_upkeep.verify(session, report)
        assert (head.seq, report.wrong, await audit_upkeep.is_head_noted(session)) == (3, [], True)


@pytest.mark.parametrize("job", jobs.JOBS, ids=lambda job: job.name)
async def test_every_job_runs_on_an_empty_hub_and_again(job: Job, db: Database, settings: Settings) -> None:
    for _ in range(2):
        assert await job.work(db, settings) == 0


async def test_the_loop_goes_on_after_a_job_that_fails_and_frees_the_lease_at_its_end(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    async def fails(_db: Database, _settings: Settings) -> int:
        ran.append("fails")
        raise RuntimeError("broken")

    async def works(_db: Database, _settings: Settings) -> int:
        ran.append("works")
        return 1

    monkeypatch.setattr(jobs, "JOBS", (Job("fails", 0, fails), Job("works", 3600, works)))
    monkeypatch.setattr(jobs, "TICK_SECONDS", 0.01)
    loop = asyncio.create_task(jobs.run(db, settings, "boot"))
    async with asyncio.timeout(10):
        while ran.count("fails") < 2:
            await asyncio.sleep(0.01)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)

    assert ran[:3] == ["fails", "works", "fails"]
    async with db.reading() as session:
        assert await session.get(JobLease, jobs.LEASE) is None


async def test_a_process_without_the_lease_runs_nothing(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    async def works(_db: Database, _settings: Settings) -> int:
        ran.append("works")
        return 0

    monkeypatch.setattr(jobs, "JOBS", (Job("works", 0, works),))
    monkeypatch.setattr(jobs, "TICK_SECONDS", 0.01)
    async with db.writing() as session:
        assert await leases.take(session, jobs.LEASE, "other", 30)
    loop = asyncio.create_task(jobs.run(db, settings, "boot"))
    await asyncio.sleep(0.2)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)

    assert ran == []
    async with db.reading() as session:
        assert await session.get(JobLease, jobs.LEASE) is not None
