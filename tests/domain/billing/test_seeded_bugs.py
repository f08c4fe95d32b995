"""Bugs that are put into the ledger's code one by one: each is found by the check of the books, or stopped by the
database before anything is written."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest
from msgspec import Struct
from sqlalchemy import text

from app.base import money
from app.base.writer import Movement, Undecided
from app.base.wrongs import Report
from app.domain.billing import book, verifying, verifying_holds
from app.domain.billing.giving import Sweep, TakeBack
from app.domain.billing.movements import Settle
from tests.domain.billing.ledger_desk import MINUTE, NOW, LedgerDesk, give, opened_desk, settle, take

LATER = NOW + 60 * MINUTE
_REFUND = TakeBack(
    team_id="acme",
    source="test",
    source_ref="sale",
    number="r1",
    amount_nano=900,
    reason="test",
    actor="hub",
    now_us=LATER,
)


class Bug(Struct, frozen=True, kw_only=True):
    """A method of the ledger with other lines in it."""

    where: type
    method: str
    lines: dict[str, str]
    """Line of the code → what stands there instead."""
    then: tuple[Movement, ...]
    found_by: str
    """The name of the check; `database` where a constraint stops it, `ledger` where the ledger's own code does."""


_FORGETS_HOLDS = {'hold.state == "settled":': "False:", 'and f"settle:{self.call_id}" not in ledger.refs': ""}

BUGS = {
    "a settlement forgets to give the hold back": Bug(
        where=Settle,
        method="decide",
        lines={"account.held -= hold.amount": "pass"},
        then=(settle("c1", 10),),
        found_by="held",
    ),
    "a settlement is not idempotent": Bug(
        where=Settle,
        method="decide",
        lines=_FORGETS_HOLDS,
        then=(settle("c1", 10), settle("c1", 10)),
        found_by="database",
    ),
    "a settlement is not idempotent, and its name is another each time": Bug(
        where=Settle,
        method="_charge",
        lines={'f"settle:{self.call_id}",': 'f"settle:{self.call_id}:{account.journals}",'},
        then=(settle("c1", 10),),
        found_by="settled",
    ),
    "a settlement takes what the team has not got, and nobody owes it": Bug(
        where=Settle,
        method="_charge",
        lines={"account.overage += over": "pass"},
        then=(settle("c1", 1_200, overdraft_nano=500),),
        found_by="posted",
    ),
    "a late settlement gives the hold back again": Bug(
        where=Settle,
        method="decide",
        lines={'hold.state == "open":': "True:"},
        then=(settle("c1"), settle("c1", 10)),
        found_by="held",
    ),
    "a late settlement gives back what nobody holds": Bug(
        where=Settle,
        method="decide",
        lines={'hold.state == "open":': "True:"},
        then=(settle("c1"), settle("c2"), settle("c1", 10)),
        found_by="database",
    ),
    "a grant counts twice": Bug(
        where=book.Book,
        method="journal",
        lines={"account.posted += sum": "account.posted += 2 * sum"},
        then=(give("more", 5),),
        found_by="posted",
    ),
    "a refund takes back more than was bought": Bug(
        where=TakeBack,
        method="decide",
        lines={"amount = min(self.amount_nano, grant.amount - grant.taken_back)": "amount = self.amount_nano"},
        then=(_REFUND,),
        found_by="database",
    ),
    "a refund takes back more than was bought, and does not note it": Bug(
        where=TakeBack,
        method="decide",
        lines={
            "amount = min(self.amount_nano, grant.amount - grant.taken_back)": "amount = self.amount_nano",
            "grant.taken_back += amount": "grant.taken_back = grant.amount",
        },
        then=(_REFUND,),
        found_by="taken",
    ),
    "what has ended stays in the balance": Bug(
        where=Sweep,
        method="decide",
        lines={"steps.append(book.write_grant(grant))": "pass"},
        then=(Sweep(team_id="acme", now_us=LATER),),
        found_by="grant",
    ),
    "an overdraft has no end": Bug(
        where=Settle,
        method="_charge",
        lines={"over = min(left, max(0, account.credit_line + self.overdraft_nano - account.overage))": "over = left"},
        then=(settle("c1", 5_000, overdraft_nano=500),),
        found_by="overdraft",
    ),
    "entries do not balance": Bug(
        where=Settle,
        method="_charge",
        lines={'EntryLine("revenue", self.charge_nano)': 'EntryLine("revenue", self.charge_nano + 1)'},
        then=(settle("c1", 10),),
        found_by="ledger",
    ),
    "entries do not balance, and the ledger does not look": Bug(
        where=book.Book,
        method="journal",
        lines={
            "assert sum(line.amount for line in lines) == 0, (ref, lines)": "lines[0] = EntryLine('granted', -1)",
        },
        then=(give("more", 5),),
        found_by="sum",
    ),
}


@pytest.fixture
async def desk(hub_environ: dict[str, str]) -> AsyncIterator[LedgerDesk]:
    """A team with a purchase and a gift that ends, and two calls that run."""
    async with opened_desk(hub_environ) as made:
        await made.open("acme")
        await made.done(
            give("sale", 600, category="paid"),
            give("gift", 400, expires_us=NOW + MINUTE),
            take("c1", 100),
            take("c2", 200),
        )
        assert await found(made) == []
        yield made


async def found(desk: LedgerDesk, overdraft_nano: int | None = 500) -> list[str]:
    """The checks that find something."""
    report = Report(100)
    async with desk.db.reading() as session:
        held = await verifying_holds.open_holds(session, report, NOW)
        await verifying.accounts(session, report, held, overdraft_nano=overdraft_nano)
        await verifying_holds.ended_holds(session, report)
    return [wrong.check for wrong in report.wrong]


def seed(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the bug in the place of the method, for this test."""
    module = sys.modules[bug.where.__module__]
    assert module.__file__ is not None
    source = Path(module.__file__).read_text()
    for line, instead in bug.lines.items():
        assert line in source, line
        source = source.replace(line, instead)
    changed = ModuleType(module.__name__)
    exec(compile(source, module.__file__, "exec"), changed.__dict__)
    monkeypatch.setattr(bug.where, bug.method, getattr(getattr(changed, bug.where.__name__), bug.method))


def _anything(*_amounts: int, **_bounds: int) -> None:
    """Every amount is fine."""


@pytest.mark.parametrize("name", BUGS)
async def test_a_bug_in_the_ledger_does_not_stay_unseen(
    desk: LedgerDesk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = BUGS[name]
    seed(bug, monkeypatch)

    failures = [failure for one in bug.then if (failure := await desk.refusal(one)) is not None]

    if bug.found_by in ("database", "ledger"):
        assert failures, "it is stopped"
        assert isinstance(failures[0], Undecided) == (bug.found_by == "ledger")
        assert await found(desk) == [], "nothing of it is written"
    else:
        assert failures == []
        assert bug.found_by in await found(desk)


async def test_without_a_bug_the_same_movements_leave_nothing_to_find(desk: LedgerDesk) -> None:
    for bug in BUGS.values():
        for one in bug.then:
            assert await desk.refusal(one) is None

    assert await found(desk, overdraft_nano=None) == []


async def test_a_negative_charge_is_refused_and_would_be_found(
    desk: LedgerDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="-5"):
        settle("c1", -5)
    monkeypatch.setattr(money, "check_amounts", _anything)

    await desk.done(settle("c2", 20), settle("c1", -5))

    assert set(await found(desk)) >= {"charge"}


async def test_a_constraint_that_was_dropped_is_not_missed(desk: LedgerDesk) -> None:
    async with desk.db.writing() as session:
        if desk.db.is_sqlite:
            await session.execute(text("PRAGMA ignore_check_constraints = ON"))
        else:
            checks = "SELECT conname FROM pg_constraint WHERE conrelid = 'credit_grant'::regclass AND contype = 'c'"
            for name in (await session.scalars(text(checks))).all():
                await session.execute(text(f"ALTER TABLE credit_grant DROP CONSTRAINT {name}"))
        await session.execute(
            text("UPDATE credit_grant SET taken_back_nano = 601, remaining_nano = 601 WHERE source_ref = 'sale'")
        )
        if desk.db.is_sqlite:
            await session.execute(text("PRAGMA ignore_check_constraints = OFF"))

    assert {"taken", "grant"} <= set(await found(desk))
