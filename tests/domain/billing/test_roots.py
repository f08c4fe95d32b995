"""The daily root: one a day, over what has moved, on top of the one before."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, select

from app.base.config import read_settings
from app.base.wrongs import Report
from app.domain.billing import roots
from app.domain.billing.models import Account, LedgerHead, LedgerRoot
from app.ops import jobs
from tests.domain.billing.ledger_desk import NOW, LedgerDesk, give

DAY = 24 * 3600 * 1_000_000


async def make(desk: LedgerDesk, now_us: int) -> roots.Root | None:
    async with desk.db.writing() as session:
        root = await roots.due(session, now_us)
        if root is not None:
            assert await roots.add(session, root)
    return root


async def test_a_day_has_one_root_over_the_accounts_that_moved(desk: LedgerDesk) -> None:
    await desk.open("acme", "globex", "idle")
    await desk.done(give("a", 5), give("b", 6), give("c", 7, team="globex"))

    first = await make(desk, NOW)
    await desk.done(give("d", 8, team="globex"))
    again = await make(desk, NOW + 60)
    second = await make(desk, NOW + DAY)

    assert first is not None and second is not None
    assert (first.day, [(head.team_id, head.seq) for head in sorted(first.heads)]) == (
        "2027-01-15",
        [("acme", 2), ("globex", 1)],
    )
    assert again is None
    assert (second.day, second.prev, [head.team_id for head in second.heads]) == ("2027-01-16", first.hash, ["globex"])
    async with desk.db.reading() as session:
        assert second.heads[0].hash == await session.scalar(select(Account.head).where(Account.team_id == "globex"))


async def test_a_root_can_be_worked_out_by_anybody_who_has_the_heads(desk: LedgerDesk) -> None:
    await desk.open("acme", "globex")
    await desk.done(give("a", 5), give("c", 7, team="globex"))
    root = await make(desk, NOW)

    assert root is not None
    lines = [f'["{"00" * 32}","2027-01-15"]']
    lines += [f'["{head.team_id}",{head.seq},"{head.hash.hex()}"]' for head in sorted(root.heads)]
    assert root.hash == hashlib.sha256("\n".join(lines).encode()).digest()


async def test_a_day_on_which_nothing_moved_has_none_and_neither_has_a_clock_that_was_set_back(
    desk: LedgerDesk,
) -> None:
    await desk.open("acme")
    assert await make(desk, NOW) is None
    await desk.done(give("a", 5))
    assert await make(desk, NOW) is not None
    assert await make(desk, NOW + DAY) is None
    await desk.done(give("b", 5))
    assert await make(desk, NOW - DAY) is None
    assert await make(desk, NOW + DAY) is not None


async def test_of_two_processes_that_make_it_at_once_one_does(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 5))
    async with desk.db.reading() as session:
        root = await roots.due(session, NOW)
    assert root is not None

    async with desk.db.writing() as session:
        assert await roots.add(session, root)
    async with desk.db.writing() as session:
        assert not await roots.add(session, root)

    async with desk.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(LedgerHead)) == 1
        report = Report()
        await roots.check(session, report)
    assert report.checked == {"roots": 1}


async def test_the_job_makes_todays(desk: LedgerDesk, hub_environ: dict[str, str]) -> None:
    await desk.open("acme")
    await desk.done(give("a", 5))
    settings = read_settings(hub_environ)

    assert [await jobs.make_root(desk.db, settings) for _ in range(2)] == [1, 0]

    async with desk.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(LedgerRoot)) == 1
