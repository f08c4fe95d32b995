"""Random life of a ledger: anything that may be posted, in any order, also again, also after the process has died.

Chance comes from whoever drives: Hypothesis (`test_ledger_machine.py`), or a seed for a long run. What each movement
may do to an account is judged from the tables before and after it; what must always hold is in `invariants.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from copy import copy
from typing import Any

import asyncpg
from sqlalchemy import text

from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.base.writer import Movement, Refused
from app.domain.billing.giving import SWEEP_AFTER_US, Deduct, Sweep, TakeBack
from app.domain.billing.movements import Extend, Room, Spent
from tests.domain.billing.ledger_desk import MINUTE, NOW, LedgerDesk, extend, give, settle, take
from tests.domain.billing.ledger_seen import Grant, Seen

TEAMS = ("t0", "t1", "t2")
LINES = {"t0": 0, "t1": 0, "t2": 5_000}
HOUR = 60 * MINUTE
BUDGET_LIMIT = 250
"""Of one budget, whose windows are hours."""
_EVERYTHING = (
    "SELECT * FROM account ORDER BY team_id",
    "SELECT count(*), sum(remaining_nano), sum(taken_back_nano) FROM credit_grant",
    "SELECT state, count(*), sum(amount_nano), sum(ended_us) FROM hold GROUP BY state ORDER BY state",
    "SELECT count(*) FROM journal",
    "SELECT count(*) FROM entry",
    "SELECT * FROM budget_spend ORDER BY id",
)


class RandomLedger:
    def __init__(self, desk: LedgerDesk) -> None:
        self.desk = desk
        self.now = NOW
        self.calls: list[tuple[str, str]] = []
        """Calls with their teams, ended ones too."""
        self.orders: list[tuple[str, str]] = []
        """Numbers of grants with their teams."""
        self.log: list[Movement] = []
        """What has been posted and taken, to be posted again."""
        self.replays = 0
        self.refusals = 0
        self._n = 0
        self._connection: asyncpg.Connection[Any] | None = None

    async def start(self) -> None:
        await self.desk.start()
        for team, line in LINES.items():
            await self.desk.open(team, line=line)

    async def seen(self, team: str) -> Seen:
        async with self.desk.db.reading() as session:
            account = (
                await session.execute(
                    text(
                        "SELECT posted_nano, held_nano, overage_nano, credit_line_nano, is_frozen FROM account"
                        " WHERE team_id = :team"
                    ),
                    {"team": team},
                )
            ).one()
            grants = await session.execute(
                text(
                    "SELECT id, priority, category, remaining_nano, effective_us, expires_us, created_us"
                    " FROM credit_grant WHERE team_id = :team AND remaining_nano > 0"
                ),
                {"team": team},
            )
            return Seen(*account[:4], bool(account[4]), [Grant(*row) for row in grants])

    # What may happen

    async def take(self, team: str, wish: int, least: int, budget: int) -> None:
        call = self._number("c")
        before = await self.seen(team)
        spend_id, begins_us = self._window()
        rooms = [Room(spend_id, "b", begins_us, budget, BUDGET_LIMIT, True)] if budget else []
        used = await self._used(spend_id)
        movement = take(call, wish, least, team=team, now=self.now, rooms=rooms)
        failure = await self._post(movement)
        may = max(0, min(wish, before.free(self.now)))
        fits = may >= least and not before.is_frozen and (not budget or used + budget <= BUDGET_LIMIT)
        assert (failure is None) == fits, (failure, before, movement)
        after = await self.seen(team)
        assert after.held - before.held == (may if fits else 0)
        assert after.posted == before.posted
        if fits:
            self.calls.append((call, team))

    async def extend(self, which: int, wish: int, least: int) -> None:
        if not self.calls:
            return
        call, team = self.calls[which % len(self.calls)]
        before = await self.seen(team)
        failure = await self._post(extend(call, wish, least, team=team, now=self.now))
        after = await self.seen(team)
        grown = after.held - before.held
        assert 0 <= grown <= max(0, before.free(self.now))
        assert failure is None or not grown
        assert after.posted == before.posted

    async def settle(self, which: int, charge: int, overdraft: int, budget: int) -> None:
        """Also a second time, also more than is held, also after a release."""
        if not self.calls:
            return
        call, team = self.calls[which % len(self.calls)]
        before, written_off = await self.seen(team), await self._written_off(call)
        was, held_at, held = await self._hold(call)
        spends = [Spent(self._window()[0], "b", self._window()[1], budget)] if budget else []
        movement = settle(call, charge, team=team, now=self.now, overdraft_nano=overdraft, spends=spends)
        assert await self._post(movement) is None
        after = await self.seen(team)
        lost = written_off - await self._written_off(call)
        counts = was == "open" or (was == "released" and charge > 0)
        paid = charge - lost if counts else 0
        assert before.posted - after.posted == paid and lost >= 0
        assert before.held - after.held == (held if was == "open" else 0)
        assert after.overage <= max(before.overage, before.line + overdraft)
        if lost:
            assert after.overage >= before.line + overdraft
        self._assert_burnt_in_order(before, after, begun=max(self.now, held_at), unexpired_at=held_at)

    async def give(self, team: str, amount: int, priority: int, category: str, begins: int, ends: int | None) -> None:
        before = await self.seen(team)
        movement = give(
            self._number("o"),
            amount,
            team=team,
            now=self.now,
            category=category,
            priority=priority,
            effective_us=self.now + begins,
            expires_us=None if ends is None else self.now + ends,
        )
        assert await self._post(movement) is None and movement.is_new
        after = await self.seen(team)
        is_usable = begins <= 0 and (ends is None or ends > 0)
        assert after.posted == before.posted + amount
        assert after.overage == before.overage - (min(amount, before.overage) if is_usable else 0)
        self.orders.append((movement.source_ref, team))

    async def sweep(self, team: str) -> None:
        before = await self.seen(team)
        movement = Sweep(team_id=team, now_us=self.now)
        assert await self._post(movement) is None
        after = await self.seen(team)
        gone = sum(grant.remaining for grant in before.grants if grant.has_ended(self.now - SWEEP_AFTER_US))
        assert movement.expired_nano == gone == before.posted - after.posted
        assert not after.overage or not any(grant.is_usable(self.now) for grant in after.grants)

    async def deduct(self, team: str, amount: int) -> None:
        before = await self.seen(team)
        movement = Deduct(
            team_id=team, number=self._number("d"), amount_nano=amount, reason="", actor="hub", now_us=self.now
        )
        failure = await self._post(movement)
        after = await self.seen(team)
        usable = sum(grant.remaining for grant in before.grants if grant.is_usable(self.now))
        assert (failure is None) == (amount <= min(usable, before.free(self.now) - before.line))
        assert before.posted - after.posted == (amount if failure is None else 0)
        assert after.overage == before.overage
        self._assert_burnt_in_order(before, after, begun=self.now, unexpired_at=self.now)

    async def take_back(self, which: int, amount: int, freezes: bool) -> None:
        if not self.orders:
            return
        ref, team = self.orders[which % len(self.orders)]
        before = await self.seen(team)
        movement = TakeBack(
            team_id=team,
            source="test",
            source_ref=ref,
            number=self._number("r"),
            amount_nano=amount,
            reason="",
            actor="hub",
            now_us=self.now,
            freezes=freezes,
        )
        assert await self._post(movement) is None
        after = await self.seen(team)
        assert before.posted - after.posted == movement.taken_nano <= amount
        assert (
            not after.overage
            or not any(grant.is_usable(self.now) for grant in after.grants)
            or (after.overage <= before.overage)
        )

    async def thaw(self, team: str) -> None:
        async with self.desk.db.writing() as session:
            await session.execute(
                text("UPDATE account SET is_frozen = false WHERE team_id = :team AND overage_nano = 0"), {"team": team}
            )

    async def replay(self, which: int) -> None:
        """What was taken once changes nothing when it is posted again."""
        if not self.log:
            return
        movement = copy(self.log[which % len(self.log)])
        before = await self.everything()
        failure = await self.desk.refusal(movement)
        assert failure is None or isinstance(failure, Refused)
        assert await self.everything() == before
        self.replays += 1

    async def batch(self, team: str, amounts: Sequence[int]) -> None:
        """Many calls in one turn of the loop, begun and ended: they never get more than was free."""
        free = max(0, (await self.seen(team)).free(self.now))
        taking = [take(self._number("c"), amount, team=team, now=self.now) for amount in amounts]
        postings = [self.desk.post(movement) for movement in taking]
        ending = [
            self.desk.post(settle(taken.call_id, taken.wish_nano // 2, team=team, now=self.now)) for taken in taking
        ]
        for posting in [*postings, *ending]:
            assert await posting.ended_within(30)
        held = sum(taken.held_nano for taken, posting in zip(taking, postings, strict=True) if posting.is_committed)
        assert held <= free
        assert all(posting.is_committed for posting in ending)
        self.calls += [(taken.call_id, team) for taken in taking]

    async def hostile(self, team: str, amount: Any) -> None:
        for make in (
            lambda: take("x", amount, 0, team=team),
            lambda: settle("x", amount, team=team),
            lambda: give("x", amount, team=team),
            lambda: Deduct(team_id=team, number="x", amount_nano=amount, reason="", actor="", now_us=self.now),
        ):
            try:
                make()
            except ValueError:
                self.refusals += 1
            else:
                raise AssertionError(f"{amount!r} was taken for an amount")

    async def crash(self, team: str, amount: int, turns: int) -> None:
        """The process dies with postings under way: each is there or not, and none by half."""
        self._post_unheard([take(self._number("c"), amount, team=team, now=self.now) for _ in range(3)])
        if self.calls:
            call, of_team = self.calls[amount % len(self.calls)]
            self._post_unheard([settle(call, amount, team=of_team, now=self.now)])
        self._post_unheard([give(self._number("lost"), 1 + amount, team=team, now=self.now)])
        for _ in range(turns):
            await asyncio.sleep(0)
        await drop(self.desk)
        await self.desk.start()

    def wait(self, seconds: float) -> None:
        """Time passes; below zero, somebody sets the clock back."""
        self.now += int(seconds * 1_000_000)

    async def everything(self) -> list[list[Any]]:
        """All that could change, short: an account's head stands for its journals."""
        async with self.desk.db.reading() as session:
            return [[tuple(row) for row in await session.execute(text(sql))] for sql in _EVERYTHING]

    # What is asked along the way

    async def _post(self, movement: Movement) -> BaseException | None:
        again = copy(movement)
        failure = await self.desk.refusal(movement)
        assert failure is None or isinstance(failure, Refused), failure
        if failure is not None:
            self.refusals += 1
        elif not isinstance(movement, Extend | Sweep):
            self.log.append(again)
        return failure

    def _post_unheard(self, movements: Sequence[Movement]) -> None:
        for movement in movements:
            self.desk.post(movement)

    def _number(self, kind: str) -> str:
        self._n += 1
        return f"{kind}{self._n}"

    def _window(self) -> tuple[str, int]:
        begins_us = self.now // HOUR * HOUR
        return f"b@{begins_us // 1_000_000}", begins_us

    async def _used(self, spend_id: str) -> int:
        async with self.desk.db.reading() as session:
            found = text("SELECT spent + held FROM budget_spend WHERE id = :id")
            return (await session.scalar(found, {"id": spend_id})) or 0

    async def _written_off(self, call: str) -> int:
        async with self.desk.db.reading() as session:
            found = text("SELECT amount_nano FROM entry WHERE ref = :ref AND account = 'written_off'")
            return (await session.scalar(found, {"ref": f"settle:{call}"})) or 0

    async def _hold(self, call: str) -> tuple[str, int, int]:
        async with self.desk.db.reading() as session:
            row = await session.execute(
                text("SELECT state, created_us, amount_nano FROM hold WHERE call_id = :call"), {"call": call}
            )
            state, created_us, amount = row.one()
            return state, created_us, amount

    def _assert_burnt_in_order(self, before: Seen, after: Seen, *, begun: int, unexpired_at: int) -> None:
        """Only what was usable has burnt, and nothing before what burns earlier was gone."""
        left = {grant.id: grant.remaining for grant in after.grants}
        order = sorted(
            before.grants,
            key=lambda g: (
                g.priority,
                g.expires_us is None,
                g.expires_us or 0,
                g.category == "paid",
                g.created_us,
                g.id,
            ),
        )
        is_over = False
        for grant in order:
            burnt = grant.remaining - left.get(grant.id, 0)
            is_usable = grant.effective_us <= begun and not grant.has_ended(unexpired_at)
            assert burnt >= 0 and (is_usable or not burnt) and (not is_over or not burnt), (grant, before, after)
            is_over = is_over or (is_usable and grant.id in left)
        if after.overage > before.overage:
            assert not is_over, "debt beside credit that could have been spent"


async def drop(desk: LedgerDesk) -> None:
    """End the writer as a kill would: what is not committed by now is lost."""
    old = desk.writer
    old._gathered.clear()
    if isinstance(old, SqliteWriter):
        old._orders.put("end")
        await asyncio.to_thread(old._thread.join)
        if old._quick is not None:
            old._quick.close()
        desk.writer = SqliteWriter(desk.db)
        return
    assert isinstance(old, PostgresWriter)
    if old._task is not None and not old._task.done():
        old._task.cancel()
        await asyncio.wait([old._task])
    old._drop_connection()
    desk.writer = PostgresWriter(desk.settings)


async def live(ledger: RandomLedger, chance: random.Random, operations: int) -> None:
    """So many random operations."""
    amounts = (0, 1, 7, 100, 999, 4_000)
    for _ in range(operations):
        team, which = chance.choice(TEAMS), chance.randrange(1 << 30)
        some = chance.choice(amounts) or chance.randint(0, 4_000)
        ledger.wait(chance.random() * 60)
        match chance.choices(range(13), weights=(300, 60, 300, 90, 40, 20, 30, 10, 60, 10, 15, 10, 4))[0]:
            case 0:
                await ledger.take(team, some, chance.randint(0, some), chance.choice((0, 0, 100)))
            case 1:
                await ledger.extend(which, some, chance.randint(0, some))
            case 2:
                # Mostly calls that may still run.
                near = max(0, len(ledger.calls) - 1 - which % 12) if chance.random() < 0.8 else which
                charge = chance.choice((0, some, some + chance.randint(0, 30_000)))
                await ledger.settle(near, charge, chance.choice((0, 0, 1_000)), chance.choice((0, 0, 10)))
            case 3:
                ends = chance.choice((None, None, chance.randint(-HOUR, 2 * HOUR)))
                begins = chance.choice((0, 0, 0, chance.randint(-HOUR, HOUR)))
                amount, priority = chance.randint(1, 20_000), chance.choice((0, 50, 50, 100))
                await ledger.give(team, amount, priority, chance.choice(("paid", "promo")), begins, ends)
            case 4:
                await ledger.sweep(team)
            case 5:
                await ledger.deduct(team, 1 + some)
            case 6:
                await ledger.take_back(which, chance.randint(1, 30_000), chance.random() < 0.2)
            case 7:
                await ledger.thaw(team)
            case 8:
                await ledger.replay(which)
            case 9:
                ledger.wait(chance.choice((-3600, 3600, 86_400)))
            case 10:
                await ledger.batch(team, [chance.choice(amounts) for _ in range(chance.randint(2, 8))])
            case 11:
                await ledger.hostile(team, chance.choice((-1, 2**63, -(2**70), 1.5, True, "1", None)))
            case _:
                await ledger.crash(team, some, chance.randint(0, 6))
