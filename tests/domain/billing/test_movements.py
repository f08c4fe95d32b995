"""The movements of a call: what may be set aside, and what a call's end takes from whom."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from app.domain.billing.book import NoAccount
from app.domain.billing.models import BudgetSpend
from app.domain.billing.movements import Frozen, Insufficient, OverBudget, Room, Spent
from tests.domain.billing.ledger_desk import (
    MINUTE,
    NOW,
    Balance,
    LedgerDesk,
    extend,
    give,
    is_refused,
    settle,
    take,
)

WINDOW = NOW // 1_000_000


def room(budget: str, amount: int, limit: int, *, blocks: bool = True) -> Room:
    return Room(f"{budget}@{WINDOW}", budget, WINDOW * 1_000_000, amount, limit, blocks)


def spent(budget: str, amount: int) -> Spent:
    return Spent(f"{budget}@{WINDOW}", budget, WINDOW * 1_000_000, amount)


async def spends(desk: LedgerDesk) -> dict[str, tuple[int, int]]:
    async with desk.db.reading() as session:
        rows = await session.execute(select(BudgetSpend.budget_id, BudgetSpend.spent, BudgetSpend.held))
        return {budget_id: (spent, held) for budget_id, spent, held in rows}


async def test_a_hold_sets_aside_and_a_settlement_charges(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 1000), take("c1", 300))
    assert await desk.balance() == Balance(1000, 300, 0)

    await desk.done(settle("c1", 120))

    assert await desk.balance() == Balance(880, 0, 0)
    assert await desk.house() == {"granted": -1000, "revenue": 120}
    assert await desk.holds() == {"c1": ("settled", 300)}


async def test_a_call_that_cost_nothing_gives_its_hold_back(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 1000), take("c1", 300), settle("c1"))

    assert await desk.balance() == Balance(1000, 0, 0)
    assert await desk.holds() == {"c1": ("released", 300)}


async def test_grants_burn_by_priority_then_end_then_given_before_bought_then_age(desk: LedgerDesk) -> None:
    await desk.open("acme")
    soon, later = NOW + MINUTE, NOW + 2 * MINUTE
    await desk.done(
        give("bought", 10, category="paid"),
        give("younger", 10, now=NOW + 2),
        give("older", 10, now=NOW + 1),
        give("later", 10, expires_us=later),
        give("soon bought", 10, expires_us=soon, category="paid"),
        give("soon", 10, expires_us=soon),
        give("first", 10, priority=0, category="paid"),
        give("last", 10, priority=100, expires_us=soon),
    )
    order = ["first", "soon", "soon bought", "later", "older", "younger", "bought", "last"]

    burnt = []
    for n in range(len(order)):
        before = await desk.left()
        await desk.done(take(f"c{n}", 10, now=NOW + 3), settle(f"c{n}", 10, now=NOW + 3))
        burnt.append((before.keys() - (await desk.left()).keys()).pop())

    assert burnt == order


async def test_one_charge_may_burn_several_grants(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 10, priority=1), give("b", 10, priority=2), give("c", 10, priority=3))

    await desk.done(take("c1", 25), settle("c1", 25))

    assert await desk.left() == {"c": 5}


async def test_a_call_may_burn_what_ended_while_it_ran(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("ends", 100, expires_us=NOW + MINUTE), take("c1", 80))

    await desk.done(settle("c1", 80, now=NOW + 2 * MINUTE))

    assert await desk.left() == {"ends": 20}
    assert await desk.balance() == Balance(20, 0, 0)


@pytest.mark.parametrize("after", [0, 1])
async def test_what_has_ended_lets_no_call_in(desk: LedgerDesk, after: int) -> None:
    await desk.open("acme")
    await desk.done(give("ends", 100, expires_us=NOW))

    refusal = await desk.refusal(take("c1", 10, now=NOW + after))

    assert isinstance(refusal, Insufficient)
    assert (refusal.free_nano, refusal.least_nano) == (0, 10)


async def test_what_has_not_begun_lets_no_call_in(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("begins", 100, effective_us=NOW + MINUTE))

    assert isinstance(await desk.refusal(take("early", 10)), Insufficient)
    await desk.done(take("in time", 10, now=NOW + MINUTE))


async def test_a_wish_is_met_as_far_as_it_can_be(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 100), take("c1", 70))
    partial, refused = take("c2", 50, 20), take("c3", 50, 31)

    assert isinstance(await desk.refusal(refused), Insufficient)
    await desk.done(partial)

    assert (partial.held_nano, partial.free_nano) == (30, 0)
    assert await desk.balance() == Balance(100, 100, 0)


async def test_a_credit_line_can_be_spent_and_no_more(desk: LedgerDesk) -> None:
    await desk.open("acme", line=50)
    await desk.done(give("a", 100))

    assert isinstance(await desk.refusal(take("too much", 151)), Insufficient)
    await desk.done(take("c1", 150), settle("c1", 150))

    assert await desk.balance() == Balance(-50, 0, 50)
    assert isinstance(await desk.refusal(take("c2", 1)), Insufficient)


async def test_a_team_in_debt_may_still_make_calls_that_are_free(desk: LedgerDesk) -> None:
    await desk.open("acme", line=50)
    await desk.done(take("c1", 50), settle("c1", 50))

    free = take("c2", 0)
    await desk.done(free, settle("c2"))

    assert free.held_nano == 0


async def test_a_frozen_account_takes_no_calls_and_settles_those_that_run(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 100), take("c1", 60))
    await desk.freeze("acme")

    assert isinstance(await desk.refusal(take("c2", 1)), Frozen)
    assert isinstance(await desk.refusal(extend("c1", 90, 61)), Frozen)
    await desk.done(settle("c1", 60))

    assert await desk.balance() == Balance(40, 0, 0, is_frozen=True)


async def test_who_has_no_account_has_nothing_to_spend(desk: LedgerDesk) -> None:
    assert isinstance(await desk.refusal(take("c1", 1)), NoAccount)
    assert await desk.holds() == {}


async def test_a_hold_grows_as_far_as_the_account_allows(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 100), take("c1", 40), take("other", 30))
    whole, part, none = extend("c1", 60, 41), extend("c1", 90, 61), extend("c1", 120, 71)

    await desk.done(whole, part)
    assert isinstance(await desk.refusal(none), Insufficient)

    assert (whole.held_nano, part.held_nano) == (60, 70)
    assert await desk.balance() == Balance(100, 100, 0)


async def test_a_hold_never_shrinks_by_being_extended(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 100), take("c1", 40))

    await desk.done(extend("c1", 10, 5))

    assert await desk.balance() == Balance(100, 40, 0)


async def test_a_call_that_has_ended_is_not_extended(desk: LedgerDesk) -> None:
    await desk.open("acme", "rival")
    await desk.done(give("a", 100), take("c1", 40), take("c2", 10))
    await desk.done(settle("c1", 10))

    assert is_refused(await desk.refusal(extend("c1", 60, 41)))
    assert is_refused(await desk.refusal(extend("nobody", 60, 41)))
    assert is_refused(await desk.refusal(extend("c2", 60, 41, team="rival")))
    assert await desk.balance() == Balance(90, 10, 0)


async def test_more_than_was_held_is_overage_up_to_the_overdraft_and_then_the_houses_loss(
    desk: LedgerDesk,
) -> None:
    await desk.open("acme", line=5)
    await desk.done(give("a", 100), take("c1", 100))

    await desk.done(settle("c1", 150, overdraft_nano=20))

    assert await desk.balance() == Balance(-25, 0, 25)
    assert await desk.house() == {"granted": -100, "revenue": 150, "written_off": -25}


async def test_debt_stays_within_its_bound_however_many_calls_run_over(desk: LedgerDesk) -> None:
    """Also where credit that has ended and was not swept, or has not begun, makes the account look richer."""
    await desk.open("acme")
    await desk.done(
        give("ends", 100, expires_us=NOW + MINUTE),
        give("begins", 100, effective_us=NOW + 99 * MINUTE),
        give("a", 30, priority=90),
        take("c1", 10, now=NOW + 2 * MINUTE),
        take("c2", 10, now=NOW + 2 * MINUTE),
    )

    for call in ("c1", "c2"):
        await desk.done(settle(call, 500, now=NOW + 3 * MINUTE, overdraft_nano=20))

    assert await desk.balance() == Balance(180, 0, 20)
    assert (await desk.house())["written_off"] == -(1000 - 30 - 20)


async def test_a_late_settlement_after_a_release_charges_and_gives_nothing_back_twice(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 100), take("c1", 40), settle("c1"), take("c2", 50))

    await desk.done(settle("c1", 30))

    assert await desk.balance() == Balance(70, 50, 0)
    assert (await desk.holds())["c1"] == ("settled", 40)


async def test_a_call_whose_beginning_was_not_written_leaves_nothing_behind(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 100))

    await desk.done(settle("c1", is_held=True, spends=[spent("b", 1)]))

    assert await desk.balance() == Balance(100, 0, 0)
    assert await desk.holds() == {}
    assert set((await spends(desk)).values()) <= {(0, 0)}


async def test_what_is_posted_twice_changes_nothing_the_second_time(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 100))
    rooms = [room("b", 3, 10)]
    for _ in range(2):
        again = take("c1", 40, rooms=rooms)
        await desk.done(again)
        assert again.held_nano == 40
    assert await desk.balance() == Balance(100, 40, 0)

    for _ in range(2):
        await desk.done(settle("c1", 30, spends=[spent("b", 2)]))
        await desk.done(settle("c1", 99, spends=[spent("b", 9)]))
    await desk.done(take("c1", 40, rooms=rooms))

    assert await desk.balance() == Balance(70, 0, 0)
    assert await spends(desk) == {"b": (2, 0)}


async def test_a_call_that_held_nothing_is_charged_and_counted_once(desk: LedgerDesk) -> None:
    """A budget made while it ran, a price that came up in between."""
    await desk.open("acme")
    await desk.done(give("a", 100))

    for _ in range(2):
        await desk.done(settle("c1", 30, spends=[spent("b", 1)]), settle("c2", 0, spends=[spent("b", 1)]))

    assert await desk.balance() == Balance(70, 0, 0)
    assert await spends(desk) == {"b": (2, 0)}


async def test_nobody_settles_the_call_of_another_team(desk: LedgerDesk) -> None:
    await desk.open("acme", "rival")
    await desk.done(give("a", 100), give("r", 100, team="rival"), take("c1", 40))

    assert is_refused(await desk.refusal(settle("c1", 30, team="rival")))

    assert await desk.balance("rival") == Balance(100, 0, 0)
    assert await desk.balance() == Balance(100, 40, 0)


async def test_a_budget_that_blocks_counts_what_running_calls_hold(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 1000))
    await desk.done(take("c1", 10, rooms=[room("b", 6, 10)]))

    refusal = await desk.refusal(take("c2", 10, rooms=[room("warns", 99, 1, blocks=False), room("b", 5, 10)]))

    assert isinstance(refusal, OverBudget)
    assert (refusal.room.budget_id, refusal.used) == ("b", 6)
    assert await desk.balance() == Balance(1000, 10, 0)
    assert (await spends(desk))["b"] == (0, 6)
    await desk.done(settle("c1", 5, spends=[spent("b", 4)]), take("c3", 10, rooms=[room("b", 6, 10)]))
    assert (await spends(desk))["b"] == (4, 6)


async def test_budgets_hold_without_credits(desk: LedgerDesk) -> None:
    """Where nothing is charged, no account is needed."""
    await desk.done(take("c1", 0, charges=False, rooms=[room("b", 6, 10)]))
    assert isinstance(await desk.refusal(take("c2", 0, charges=False, rooms=[room("b", 5, 10)])), OverBudget)

    await desk.done(settle("c1", 0, spends=[spent("b", 3)]))

    assert await spends(desk) == {"b": (3, 0)}


async def test_what_a_call_spent_counts_for_the_next_one_of_the_same_batch(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 1000), take("c1", 10, rooms=[room("b", 2, 10)]))

    # In one turn of the loop, so in one transaction.
    end = desk.post(settle("c1", 10, spends=[spent("b", 9)]))
    next_ = desk.post(take("c2", 10, rooms=[room("b", 2, 10)]))
    await end.committed()
    await next_.ended_within(10)

    assert isinstance(next_.failure, OverBudget)
    assert next_.failure.used == 9


async def test_a_batch_decides_in_the_order_in_which_it_was_posted(desk: LedgerDesk) -> None:
    await desk.open("acme")
    await desk.done(give("a", 100))

    postings = [desk.post(take(f"c{n}", 30)) for n in range(5)]
    await asyncio.gather(*(posting.ended_within(10) for posting in postings))

    assert [posting.failure is None for posting in postings] == [True, True, True, False, False]
    assert await desk.balance() == Balance(100, 90, 0)


async def test_a_grant_and_all_that_follows_may_come_in_one_batch(desk: LedgerDesk) -> None:
    """What is added in a transaction is there before it is changed in the same."""
    await desk.open("acme", "rival")
    await desk.done(give("r", 100, team="rival"), take("r1", 50, team="rival"), take("r2", 50, team="rival"))

    await asyncio.gather(
        *(
            desk.done(movement)
            for movement in (
                settle("r1", 10, team="rival"),
                give("a", 100),
                take("c1", 40),
                extend("c1", 60, 50),
                settle("c1", 55),
                settle("r2", 20, team="rival"),
            )
        )
    )

    assert await desk.balance() == Balance(45, 0, 0)
    assert await desk.left() == {"a": 45}
    assert await desk.balance("rival") == Balance(70, 0, 0)


@pytest.mark.parametrize("amount", [-1, 1.5, True, 2**62 + 1, 2**63, -(2**70), "1"])
def test_what_is_not_an_amount_is_not_even_posted(amount: int) -> None:
    for make in (
        lambda: take("c1", amount, 0),
        lambda: take("c1", 0, amount),
        lambda: extend("c1", amount, 0),
        lambda: settle("c1", amount),
        lambda: settle("c1", 1, overdraft_nano=amount),
        lambda: settle("c1", 1, spends=[spent("b", amount)]),
        lambda: take("c1", 1, rooms=[room("b", amount, 10)]),
        lambda: give("a", amount),
    ):
        with pytest.raises(ValueError, match="not an amount"):
            make()


async def test_more_than_a_column_can_hold_is_refused_alone(desk: LedgerDesk) -> None:
    await desk.open("acme", "rival")
    most = 2**62
    await desk.done(give("a", most))

    too_much, other = desk.post(give("b", most)), desk.post(give("r", 10, team="rival"))
    await other.committed()
    assert await too_much.ended_within(10) and too_much.failure is not None

    assert await desk.balance() == Balance(most, 0, 0)
    assert await desk.balance("rival") == Balance(10, 0, 0)
