"""The movements of a running call: what it sets aside, and what it comes to. Those of grants are in `giving.py`.

    Take      a hold, before a provider is asked: credits of the team's account, and room in budgets
    Extend    more of it, while a stream goes on
    Settle    the end: the hold is given up, the charge burns grants, budgets count what was spent. Once.

Each is decided under the locks of the account, the hold and the spends (`book.py`), and each may be posted twice: the
second changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import bindparam, insert, literal_column, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.base import money
from app.base.writer import Found, Lookup, Refused, Statement, Step
from app.domain.billing import book
from app.domain.billing.book import ACCOUNTS, GRANTS, HOLDS, SPENDS, Book, EntryLine
from app.domain.billing.models import BudgetSpend, Hold

_encode = msgspec.json.Encoder().encode
_decode_budgets = msgspec.json.Decoder(tuple[tuple[str, int], ...]).decode

_ADD_HOLD = Statement(
    insert(Hold).values(
        state=literal_column("'open'"),
        progress=literal_column("''"),
        **{
            name: bindparam(name)
            for name in ("call_id", "team_id", "boot_id", "amount_nano", "budgets", "created_us", "expires_us")
        },
    ),
    ("call_id", "team_id", "boot_id", "amount_nano", "budgets", "created_us", "expires_us"),
    is_independent=True,
)
_GROW_HOLD = Statement(
    update(Hold).where(Hold.call_id == bindparam("of_call")).values(amount_nano=bindparam("new_amount")),
    ("of_call", "new_amount"),
    is_independent=True,
    replaces=True,
)
_END_HOLD = Statement(
    update(Hold)
    .where(Hold.call_id == bindparam("of_call"))
    .values(state=bindparam("new_state"), ended_us=bindparam("new_ended_us")),
    ("of_call", "new_state", "new_ended_us"),
    is_independent=True,
)
_adding = upsert(BudgetSpend).values(
    {name: bindparam(name) for name in ("id", "budget_id", "begins_us", "spent", "held")}
)
_ADD_SPEND = Statement(
    _adding.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "spent": BudgetSpend.spent + _adding.excluded.spent,
            "held": BudgetSpend.held + _adding.excluded.held,
        },
    ),
    ("id", "budget_id", "begins_us", "spent", "held"),
    is_independent=True,
)
_GIVE_UP_ROOM = Statement(
    update(BudgetSpend)
    .where(BudgetSpend.id == bindparam("of_spend"))
    .values(held=BudgetSpend.held - bindparam("less_held")),
    ("of_spend", "less_held"),
    is_independent=True,
)


class Insufficient(Refused):
    """The account has not got what the call needs."""

    def __init__(self, free_nano: int, least_nano: int) -> None:
        super().__init__(f"{free_nano} of {least_nano} nano-credits")
        self.free_nano = free_nano
        """What could be spent; below zero where the team owes something."""
        self.least_nano = least_nano


class Frozen(Refused):
    """The account takes no calls until somebody has looked."""


class OverBudget(Refused):
    """A budget that blocks has no room."""

    def __init__(self, room: Room, used: int) -> None:
        super().__init__(room.spend_id)
        self.room = room
        self.used = used
        """Spent and held, in the budget's unit."""


class Room(Struct, frozen=True):
    """What a call wants of one budget, in the budget's unit."""

    spend_id: str
    budget_id: str
    begins_us: int
    amount: int
    limit: int
    blocks: bool


class Spent(Struct, frozen=True):
    """What a call has used of one budget, in the budget's unit."""

    spend_id: str
    budget_id: str
    begins_us: int
    amount: int


class Take(Struct, kw_only=True):
    """Set aside `wish_nano`; less, but not below `least_nano`, where there is not so much.

    Raises when decided:
        NoAccount, Frozen, Insufficient, OverBudget: nothing is held.
    """

    call_id: str
    team_id: str
    boot_id: str
    now_us: int
    expires_us: int
    wish_nano: int = 0
    least_nano: int = 0
    charges: bool = True
    """Whether credits are held at all, or budgets alone."""
    rooms: Sequence[Room] = ()
    held_nano: int = 0
    """Once decided: what is set aside."""
    free_nano: int = 0
    """Once decided: what the account has beside that."""

    def __post_init__(self) -> None:
        money.check_amounts(self.wish_nano, self.least_nano, *(room.amount for room in self.rooms))

    def reads(self) -> Iterable[tuple[Lookup, Sequence[str]]]:
        if self.charges:
            yield ACCOUNTS, (self.team_id,)
        yield HOLDS, (self.call_id,)
        if self.rooms:
            yield SPENDS, [room.spend_id for room in self.rooms]
        if self.charges:
            yield GRANTS, (self.team_id,)

    def opens(self, found: Found) -> Book:
        return Book(found)

    def decide(self, ledger: Book) -> list[Step]:
        known = ledger.holds.get(self.call_id)
        if known is not None:
            # A commit whose answer was lost: it is this call's own.
            self.held_nano = known.amount
            return []
        amount = self._amount(ledger) if self.charges else 0
        self._check_rooms(ledger)
        steps: list[Step] = []
        if self.charges:
            account = ledger.account(self.team_id)
            account.held += amount
            steps.append(book.write_account(account))
        for room in self.rooms:
            spend = ledger.spends.setdefault(room.spend_id, book.SpendState(room.spend_id, 0, 0))
            spend.held += room.amount
            steps.append(Step(_ADD_SPEND, (room.spend_id, room.budget_id, room.begins_us, 0, room.amount)))
        budgets = _encode([(room.spend_id, room.amount) for room in self.rooms]).decode() if self.rooms else ""
        ledger.holds[self.call_id] = book.HoldState(self.call_id, self.team_id, amount, budgets, "open", self.now_us)
        steps.append(
            Step(
                _ADD_HOLD,
                (self.call_id, self.team_id, self.boot_id, amount, budgets, self.now_us, self.expires_us),
            )
        )
        self.held_nano = amount
        return steps

    def _amount(self, ledger: Book) -> int:
        account = ledger.account(self.team_id)
        if account.is_frozen:
            raise Frozen(self.team_id)
        free = ledger.free(account, self.now_us)
        amount = max(0, min(self.wish_nano, free))
        if amount < self.least_nano:
            raise Insufficient(free, self.least_nano)
        self.free_nano = free - amount
        return amount

    def _check_rooms(self, ledger: Book) -> None:
        for room in self.rooms:
            spend = ledger.spends.get(room.spend_id)
            used = 0 if spend is None else spend.spent + spend.held
            if room.blocks and used + room.amount > room.limit:
                raise OverBudget(room, used)


class Extend(Struct, kw_only=True):
    """Let a call's hold grow to `wish_nano`, or as far as the account allows; at least beyond `least_nano`.

    Raises when decided:
        Frozen, Insufficient: the hold is as it was. Refused: the call has been ended by somebody else.
    """

    call_id: str
    team_id: str
    now_us: int
    wish_nano: int
    least_nano: int
    held_nano: int = 0
    """Once decided: the whole hold."""

    def __post_init__(self) -> None:
        money.check_amounts(self.wish_nano, self.least_nano)

    def reads(self) -> Iterable[tuple[Lookup, Sequence[str]]]:
        yield ACCOUNTS, (self.team_id,)
        yield HOLDS, (self.call_id,)
        yield GRANTS, (self.team_id,)

    def opens(self, found: Found) -> Book:
        return Book(found)

    def decide(self, ledger: Book) -> list[Step]:
        hold = ledger.holds.get(self.call_id)
        if hold is None or hold.state != "open" or hold.team_id != self.team_id:
            raise Refused("The call has ended.")
        account = ledger.account(self.team_id)
        if account.is_frozen:
            raise Frozen(self.team_id)
        free = ledger.free(account, self.now_us)
        amount = max(hold.amount, min(self.wish_nano, hold.amount + free))
        if amount < self.least_nano:
            raise Insufficient(free, self.least_nano - hold.amount)
        account.held += amount - hold.amount
        hold.amount = self.held_nano = amount
        return [Step(_GROW_HOLD, (self.call_id, amount)), book.write_account(account)]


class Settle(Struct, kw_only=True):
    """End a call's hold with what it came to. Once: a call that is settled already stays as it is.

    What the grants do not cover is overage, down to `overdraft_nano` below the account's line; beyond that the house
    writes it off.

    Raises when decided:
        Refused: it is another team's call.
    """

    call_id: str
    team_id: str
    now_us: int
    charge_nano: int = 0
    overdraft_nano: int = 0
    is_held: bool = False
    """Whether a hold was posted with the call's beginning."""
    spends: Sequence[Spent] = ()
    actor: str = "hub"
    reason: str = ""
    totals: dict[str, int] = {}
    """Once decided: what each of `spends` has come to with this, by spend id."""

    def __post_init__(self) -> None:
        money.check_amounts(self.charge_nano, self.overdraft_nano, *(spent.amount for spent in self.spends))

    def reads(self) -> Iterable[tuple[Lookup, Sequence[str]]]:
        yield ACCOUNTS, (self.team_id,)
        yield HOLDS, (self.call_id,)
        if self.spends:
            yield SPENDS, [spend.spend_id for spend in self.spends]
        yield GRANTS, (self.team_id,)

    def opens(self, found: Found) -> Book:
        return Book(found)

    def decide(self, ledger: Book) -> list[Step]:
        hold = ledger.holds.get(self.call_id)
        if hold is not None and hold.team_id != self.team_id:
            raise Refused("It is another team's call.")
        if hold is not None and hold.state == "settled":
            return []
        if hold is not None and hold.state == "released" and not self.charge_nano:
            return []
        if hold is None and self.is_held and not self.charge_nano:
            # Its beginning never came to be, so there is no call that a budget could count.
            return []
        steps: list[Step] = []
        account = ledger.accounts.get(self.team_id)
        if hold is None:
            # Nothing was held. The row is there all the same, so that a second settlement sees the first.
            hold = ledger.holds[self.call_id] = book.HoldState(self.call_id, self.team_id, 0, "", "open", self.now_us)
            steps.append(Step(_ADD_HOLD, (self.call_id, self.team_id, "", 0, "", self.now_us, self.now_us)))
        begun_us = hold.created_us
        if hold.state == "open":
            if account is not None:
                account.held -= hold.amount
            for spend_id, amount in _decode_budgets(hold.budgets) if hold.budgets else ():
                if (held := ledger.spends.get(spend_id)) is not None:
                    held.held -= amount
                steps.append(Step(_GIVE_UP_ROOM, (spend_id, amount)))
        hold.state = "settled" if self.charge_nano else "released"
        steps.append(Step(_END_HOLD, (self.call_id, hold.state, self.now_us)))
        for spent in self.spends:
            spend = ledger.spends.setdefault(spent.spend_id, book.SpendState(spent.spend_id, 0, 0))
            spend.spent += spent.amount
            self.totals[spent.spend_id] = spend.spent
            if spent.amount:
                steps.append(Step(_ADD_SPEND, (spent.spend_id, spent.budget_id, spent.begins_us, spent.amount, 0)))
        if account is None:
            return steps
        if self.charge_nano and f"settle:{self.call_id}" not in ledger.refs:
            steps += self._charge(ledger, account, begun_us)
        steps.append(book.write_account(account))
        return steps

    def _charge(self, ledger: Book, account: book.AccountState, begun_us: int) -> list[Step]:
        # A call that was let in on a grant may burn it although it has ended since.
        lines, steps, left = ledger.burn(
            account, self.charge_nano, begun_us=max(self.now_us, begun_us), unexpired_at_us=begun_us
        )
        over = min(left, max(0, account.credit_line + self.overdraft_nano - account.overage))
        account.overage += over
        lines += [
            EntryLine("wallet", -over),
            EntryLine("written_off", over - left),
            EntryLine("revenue", self.charge_nano),
        ]
        journal = ledger.journal(
            account,
            f"settle:{self.call_id}",
            "settle",
            lines,
            actor=self.actor,
            reason=self.reason,
            now_us=self.now_us,
        )
        return [*journal, *steps]
