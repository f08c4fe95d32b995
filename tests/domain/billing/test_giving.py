"""The movements of grants: what is given, what ends, what is taken out and taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.base.writer import AlreadyThere
from app.domain.billing.book import NoAccount
from app.domain.billing.giving import SWEEP_AFTER_US, Deduct, Sweep, TakeBack, UnknownGrant
from app.domain.billing.movements import Insufficient
from tests.domain.billing.ledger_desk import MINUTE, NOW, Balance, LedgerDesk, give, settle, take


def sweep(now: int, *, team: str = "acme") -> Sweep:
    return Sweep(team_id=team, now_us=now)


def deduct(number: str, amount: int, *, now: int = NOW) -> Deduct:
    return Deduct(team_id="acme", number=number, amount_nano=amount, reason="test", actor="hub", now_us=now)


def take_back(ref: str, number: str, amount: int, *, team: str = "acme", now: int = NOW, **fields: Any) -> TakeBack:
    return TakeBack(
        team_id=team,
        source="test",
        source_ref=ref,
        number=number,
        amount_nano=amount,
        reason="test",
        actor="hub",
        now_us=now,
        **fields,
    )


async def in_debt(desk: LedgerDesk, amount: int) -> None:
    await desk.open("acme")
    await desk.done(take("debt", 0), settle("debt", amount, overdraft_nano=amount))
    assert await desk.balance() == Balance(-amount, 0, amount)


async def test_a_gift_and_a_purchase_come_from_different_accounts_of_the_house(desk: LedgerDesk) -> None:
    await desk.open("acme")

    await desk.done(give("a", 10), give("b", 20, category="paid"), give("c", 3, house="revenue"))

    assert await desk.house() == {"granted": -10, "sold": -20, "revenue": -3}
    assert await desk.balance() == Balance(33, 0, 0)


async def test_the_same_number_is_given_once(desk: LedgerDesk) -> None:
    await desk.open("acme", "rival")
    first, again, elsewhere = give("a", 10), give("a", 99), give("a", 10, team="rival")

    await desk.done(first, again, elsewhere)

    assert (first.is_new, again.is_new, elsewhere.is_new) == (True, False, False)
    assert (await desk.balance(), await desk.balance("rival")) == (Balance(10, 0, 0), Balance(0, 0, 0))


async def test_the_same_number_posted_by_many_at_once_is_given_once(desk: LedgerDesk) -> None:
    await desk.open("acme")

    gifts = [give("a", 10) for _ in range(50)]
    await asyncio.gather(*(desk.done(gift) for gift in gifts))

    assert sum(gift.is_new for gift in gifts) == 1
    assert await desk.balance() == Balance(10, 0, 0)


async def test_a_grant_whose_row_is_there_under_another_kind_is_refused_alone(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 10))

    clash, other = desk.post(give("a", 5, house="revenue")), desk.post(give("b", 7))
    await other.committed()
    assert await clash.ended_within(10)

    assert isinstance(clash.failure, AlreadyThere)
    assert await desk.balance() == Balance(17, 0, 0)


async def test_who_has_no_account_is_given_nothing(desk: LedgerDesk) -> None:
    assert isinstance(await desk.refusal(give("a", 10)), NoAccount)


@pytest.mark.parametrize(("amount", "posted", "overage"), [(30, -20, 20), (50, 0, 0), (80, 30, 0)])
async def test_what_is_given_pays_debt_first(desk: LedgerDesk, amount: int, posted: int, overage: int) -> None:
    await in_debt(desk, 50)

    await desk.done(give("a", amount))

    assert await desk.balance() == Balance(posted, 0, overage)
    assert await desk.left() == ({"a": posted} if posted > 0 else {})


async def test_a_grant_that_begins_later_pays_debt_when_it_has_begun(desk: LedgerDesk) -> None:
    await in_debt(desk, 50)
    await desk.done(give("a", 80, effective_us=NOW + MINUTE))
    assert await desk.balance() == Balance(30, 0, 50)

    await desk.done(sweep(NOW), sweep(NOW + MINUTE))

    assert await desk.balance() == Balance(30, 0, 0)
    assert await desk.left() == {"a": 30}


async def test_what_has_ended_goes_a_while_later_and_once(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("ends", 100, expires_us=NOW + MINUTE), give("stays", 5))
    early, due, again = (sweep(NOW + MINUTE + SWEEP_AFTER_US + n) for n in (-1, 0, 1))

    await desk.done(early, due, again)

    assert (early.expired_nano, due.expired_nano, again.expired_nano) == (0, 100, 0)
    assert await desk.left() == {"stays": 5}
    assert (await desk.house())["expired"] == 100


async def test_a_call_that_runs_keeps_what_it_was_let_in_on_until_the_sweep(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("ends", 100, expires_us=NOW + MINUTE), take("c1", 60))

    await desk.done(sweep(NOW + 5 * MINUTE), settle("c1", 60, now=NOW + 6 * MINUTE))

    assert await desk.balance() == Balance(40, 0, 0)


async def test_a_deduction_takes_what_can_be_spent_and_not_what_calls_hold(desk: LedgerDesk) -> None:
    await desk.open("acme", line=1000)
    await desk.done(
        give("a", 100),
        give("ended", 50, expires_us=NOW),
        give("begins", 50, effective_us=NOW + MINUTE),
        take("c1", 30),
    )

    refusal = await desk.refusal(deduct("1", 71))
    await desk.done(deduct("2", 70), deduct("2", 70))

    assert isinstance(refusal, Insufficient) and refusal.free_nano == 70
    assert await desk.left() == {"a": 30, "ended": 50, "begins": 50}
    assert (await desk.house())["adjusted"] == 70


async def test_what_is_left_of_a_purchase_goes_back_without_debt(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("order", 100, category="paid"), give("gift", 10, priority=0))

    await desk.done(take_back("order", "r1", 60))

    assert await desk.balance() == Balance(50, 0, 0)
    assert await desk.left() == {"order": 40, "gift": 10}
    assert (await desk.house())["refunded"] == 60


async def test_what_was_used_of_a_purchase_becomes_debt_and_freezes_the_account(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("order", 100, category="paid"), take("c1", 70), settle("c1", 70))

    await desk.done(take_back("order", "r1", 100))

    assert await desk.balance() == Balance(-70, 0, 70, is_frozen=True)


async def test_debt_never_stands_beside_credit_that_can_be_spent(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("order", 100, category="paid"), take("c1", 70), settle("c1", 70), give("gift", 50))

    await desk.done(take_back("order", "r1", 100))

    assert await desk.balance() == Balance(-20, 0, 20, is_frozen=True)
    assert await desk.left() == {}


async def test_never_more_is_taken_back_than_was_bought(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("order", 100, category="paid"))
    backs = [take_back("order", f"r{n}", 40) for n in range(4)]

    await desk.done(*backs, take_back("order", "r0", 40))

    assert [back.taken_nano for back in backs] == [40, 40, 20, 0]
    assert await desk.balance() == Balance(0, 0, 0)


async def test_a_dispute_freezes_whatever_is_left(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("order", 100, category="paid"), give("gift", 10))

    await desk.done(take_back("order", "d1", 100, freezes=True))

    assert await desk.balance() == Balance(10, 0, 0, is_frozen=True)


async def test_what_was_never_given_or_is_anothers_is_not_taken_back(desk: LedgerDesk) -> None:
    await desk.open("acme", "rival")
    await desk.done(give("order", 100, team="rival"), give("order", 5, source="elsewhere"))

    assert isinstance(await desk.refusal(take_back("nothing", "r1", 10)), UnknownGrant)
    assert isinstance(await desk.refusal(take_back("order", "r1", 10)), UnknownGrant)

    assert (await desk.balance("rival"), await desk.balance()) == (Balance(100, 0, 0), Balance(5, 0, 0))


async def test_what_a_movement_found_out_is_right_after_a_second_attempt(desk: LedgerDesk) -> None:
    """A batch with a poisoned posting is decided twice."""
    await desk.open("acme")
    await desk.done(give("ends", 100, expires_us=NOW), give("order", 10))
    swept, back, gift = sweep(NOW + SWEEP_AFTER_US), take_back("order", "r1", 4), give("new", 7)

    postings = [desk.post(movement) for movement in (swept, back, gift)]
    poisoned = desk.post(give("order", 1, house="revenue"))
    await asyncio.gather(*(posting.committed() for posting in postings))
    assert await poisoned.ended_within(10) and poisoned.failure is not None

    assert (swept.expired_nano, back.taken_nano, gift.is_new) == (100, 4, True)
    assert await desk.balance() == Balance(13, 0, 0)
