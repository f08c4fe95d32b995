"""`verify`: books that are right pass, and every kind of damage is found at the row where it was done."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.db import Database
from app.base.wrongs import Report, Wrong
from app.gateway.desk import verifying
from tests.billed_calls import LATER, fill
from tests.domain.billing.ledger_desk import MINUTE, NOW, LedgerDesk, give, opened_desk
from tests.gateway.desk.damages import ANY, DAMAGES, REFUSED

AT = NOW + 10 * MINUTE
"""While the running call may run."""


class _Undone(Exception):
    pass


@pytest.fixture
async def desk(hub_environ: dict[str, str]) -> AsyncIterator[LedgerDesk]:
    async with opened_desk(hub_environ) as made:
        await fill(made)
        yield made


async def found(db: Database, *, since_us: int | None = None, with_calls: bool = True) -> list[Wrong]:
    report = await verifying.verify(db, now_us=AT, since_us=since_us, with_calls=with_calls, most=100)
    return report.wrong


async def found_after(db: Database, statements: tuple[str, ...]) -> list[Wrong]:
    """What is found once these have run; then they are undone."""
    report = Report(100)
    try:
        async with db.writing() as session:
            await _allow_changes(session)
            for statement in statements:
                await session.execute(text(statement))
            await verifying.check(session, report, now_us=AT)
            raise _Undone
    except _Undone:
        return report.wrong


async def _allow_changes(session: AsyncSession) -> None:
    for table in ("journal", "entry", "price_card", "rate"):
        if session.get_bind().dialect.name == "postgresql":
            await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        else:
            for verb in ("update", "delete"):
                await session.execute(text(f"DROP TRIGGER append_only_{table}_{verb}"))


async def test_books_with_something_of_everything_are_right(desk: LedgerDesk) -> None:
    report = await verifying.verify(desk.db, now_us=AT)

    assert report.wrong == []
    assert report.checked == {
        "accounts": 2,
        "journals": 14,
        "entries": 33,
        "grants": 8,
        "holds": 5,
        "spends": 1,
        "roots": 2,
        "cards": 1,
        "calls": 4,
    }


async def test_every_kind_of_damage_is_found_where_it_was_done(desk: LedgerDesk) -> None:
    missed: dict[str, list[Wrong]] = {}
    for name, (check, table, key, *statements) in DAMAGES.items():
        wrong = await found_after(desk.db, tuple(statements))
        if not any((one.check, one.table) == (check, table) and key in (one.key, ANY) for one in wrong):
            missed[name] = wrong

    assert missed == {}
    assert await found(desk.db, with_calls=False) == [], "the damage was undone"


async def test_what_no_book_may_say_is_refused_by_the_database(desk: LedgerDesk) -> None:
    for name, (statement,) in REFUSED.items():
        with pytest.raises(DBAPIError):
            async with desk.db.writing() as session:
                await session.execute(text(statement))
                pytest.fail(name)


async def test_journals_entries_cards_and_rates_are_never_changed(desk: LedgerDesk) -> None:
    for statement in (
        "UPDATE journal SET reason = 'other'",
        "DELETE FROM journal",
        "UPDATE entry SET amount_nano = 1",
        "DELETE FROM entry",
        "UPDATE price_card SET content = ''",
        "DELETE FROM rate",
    ):
        with pytest.raises(DBAPIError, match="append-only"):
            async with desk.db.writing() as session:
                await session.execute(text(statement))


async def test_it_ends_at_the_first_wrong_row_unless_more_are_wanted(desk: LedgerDesk) -> None:
    async with desk.db.writing() as session:
        await session.execute(text("UPDATE account SET posted_nano = posted_nano + 1"))

    report = await verifying.verify(desk.db, now_us=AT)

    [first] = report.wrong
    assert (first.check, first.table, first.key) == ("posted", "account", "acme")
    assert isinstance(first.says, int) and isinstance(first.should, int) and first.says == first.should + 1
    assert {one.key for one in await found(desk.db)} == {"acme", "globex"}


async def test_since_a_day_only_what_has_moved_since_is_looked_at(desk: LedgerDesk) -> None:
    since_us = LATER + MINUTE
    assert (await verifying.verify(desk.db, now_us=AT, since_us=since_us)).checked.get("accounts") is None

    await desk.done(give("new", 5, team="globex", now=since_us))
    report = await verifying.verify(desk.db, now_us=AT, since_us=since_us)
    assert (report.wrong, report.checked["accounts"]) == ([], 1)

    async with desk.db.writing() as session:
        await session.execute(text("UPDATE account SET posted_nano = posted_nano + 1"))
    assert {one.key for one in await found(desk.db, since_us=since_us)} == {"globex"}


async def test_a_hold_has_two_minutes_of_grace(desk: LedgerDesk) -> None:
    ends = NOW + 15 * MINUTE
    for now_us, wrong in ((ends + 2 * MINUTE, 0), (ends + 2 * MINUTE + 1, 1)):
        report = await verifying.verify(desk.db, now_us=now_us)
        assert len(report.wrong) == wrong


async def test_holds_that_were_forgotten_are_no_fault(desk: LedgerDesk) -> None:
    async with desk.db.writing() as session:
        await session.execute(text("DELETE FROM hold WHERE state <> 'open'"))

    assert (await verifying.verify(desk.db, now_us=AT)).wrong == []
