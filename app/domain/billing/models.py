"""Money: accounts with their grants, the ledger that explains them, holds of running calls, budgets, vouchers.

Amounts are nano-credits, moments microseconds. `journal` and `entry` are added to and never changed (triggers refuse
it). Everything else here is a projection that `hub verify` derives again from them. An account's id is its team's.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.base.orm import Base, Count, Id, Json, LongText, Moment, MomentUs, Name, Nano, Ref


class Account(Base):
    """What a team can spend. Changed only by a movement of the ledger, under a lock on this row."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("held_nano >= 0", name="held"),
        CheckConstraint("overage_nano >= 0", name="overage"),
        CheckConstraint("credit_line_nano >= 0", name="credit_line"),
    )

    team_id: Mapped[Ref] = mapped_column(primary_key=True)
    """No foreign key: the books outlive the team."""
    posted_nano: Mapped[Count]
    """What all entries come to: the rest of all grants less `overage_nano`. Holds are not taken off."""
    held_nano: Mapped[Count]
    """Set aside for calls that run."""
    overage_nano: Mapped[Count]
    """Spent beyond the grants. The next grant pays it first."""
    credit_line_nano: Mapped[Count]
    """How far below zero the team may go; 0 is prepaid."""
    is_frozen: Mapped[bool] = mapped_column(default=False)
    """Takes no new calls until somebody has looked."""
    next_expiry_us: Mapped[MomentUs | None]
    """When the first of its grants ends."""
    journals: Mapped[Count]
    """The `seq` of its newest journal."""
    head: Mapped[bytes] = mapped_column(LargeBinary(32))
    """The hash of its newest journal; 32 zero bytes before the first."""
    created_us: Mapped[MomentUs]


class CreditGrant(Base):
    """Credits that a team was given or has bought. They burn by priority, then by the earlier end, then by age."""

    __tablename__ = "credit_grant"
    __table_args__ = (
        UniqueConstraint("source", "source_ref"),
        CheckConstraint("amount_nano > 0", name="amount"),
        CheckConstraint("remaining_nano >= 0 AND remaining_nano <= amount_nano", name="remaining"),
        CheckConstraint("taken_back_nano >= 0 AND taken_back_nano <= amount_nano", name="taken_back"),
        Index("ix_credit_grant_team_id", "team_id", "created_us"),
        Index(
            "ix_credit_grant_burning",
            "team_id",
            sqlite_where=text("remaining_nano > 0"),
            postgresql_where=text("remaining_nano > 0"),
        ),
        Index(
            "ix_credit_grant_expires_us",
            "expires_us",
            sqlite_where=text("remaining_nano > 0"),
            postgresql_where=text("remaining_nano > 0"),
        ),
    )

    id: Mapped[Id]
    team_id: Mapped[Ref]
    category: Mapped[Name]
    """`paid` (bought) or `promo` (given): of equal priority and end, what was given burns first."""
    source: Mapped[Name]
    """Who gave it: `file`, `console`, `starter`, `voucher`, `refund`, the name of a payment rail."""
    source_ref: Mapped[Name]
    """The giver's own number of it: the same is never given twice."""
    priority: Mapped[int]
    """0 to 100; lower burns first."""
    amount_nano: Mapped[Nano]
    remaining_nano: Mapped[Nano]
    taken_back_nano: Mapped[Count]
    """Of a purchase that was paid back or disputed."""
    reason: Mapped[LongText]
    effective_us: Mapped[MomentUs]
    expires_us: Mapped[MomentUs | None]
    created_us: Mapped[MomentUs]


class Journal(Base):
    """One movement of an account; its entries come to zero. Added, never changed."""

    __tablename__ = "journal"
    __table_args__ = (
        UniqueConstraint("team_id", "seq"),
        {"sqlite_with_rowid": False},
    )

    ref: Mapped[Name] = mapped_column(primary_key=True)
    """What it is, once: `settle:<call>`, `grant:<source>:<ref>`, `expire:<grant>`."""
    team_id: Mapped[Ref]
    seq: Mapped[int] = mapped_column(BigInteger)
    """Counts up from 1 within an account."""
    kind: Mapped[Name]
    """`settle grant expire deduct refund take_back cover correct`"""
    actor: Mapped[Name]
    """Who caused it: `hub`, `user:<id>`, `file`."""
    reason: Mapped[LongText]
    created_us: Mapped[MomentUs]
    prev: Mapped[bytes] = mapped_column(LargeBinary(32))
    """The hash of the account's journal before it."""
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class Entry(Base):
    """One line of a journal: so much into (or, below zero, out of) one account. Added, never changed."""

    __tablename__ = "entry"
    __table_args__ = (
        CheckConstraint("amount_nano <> 0", name="amount"),
        {"sqlite_with_rowid": False},
    )

    ref: Mapped[Name] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account: Mapped[Name]
    """`wallet` is the team's; the house has `revenue granted sold expired refunded adjusted written_off`."""
    grant_id: Mapped[Ref | None]
    """Of a wallet's entry: which grant it fills or burns; None is overage."""
    amount_nano: Mapped[Nano]


class Hold(Base):
    """What a running call has set aside: credits of its account, and room in its budgets."""

    __tablename__ = "hold"
    __table_args__ = (
        CheckConstraint("amount_nano >= 0", name="amount"),
        Index(
            "ix_hold_open",
            "expires_us",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        {"sqlite_with_rowid": False},
    )

    call_id: Mapped[Ref] = mapped_column(primary_key=True)
    team_id: Mapped[Ref]
    boot_id: Mapped[Ref]
    amount_nano: Mapped[Nano]
    """0 where no credits are charged and only budgets hold."""
    budgets: Mapped[LongText]
    """What is held of budgets: a JSON array of `[spend id, amount]`; empty text for none."""
    state: Mapped[Name]
    """`open`, then `settled` or `released` (nothing was charged)."""
    progress: Mapped[LongText]
    """The last checkpoint of a stream, as `recovery` reads it; empty before the first."""
    created_us: Mapped[MomentUs]
    expires_us: Mapped[MomentUs]
    ended_us: Mapped[MomentUs | None]


class Budget(Base):
    """A bound on what somebody may spend in a window of time."""

    __tablename__ = "budget"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)

    id: Mapped[Id]
    scope: Mapped[Name]
    """`hub team project key user model`"""
    scope_id: Mapped[Name]
    """The id of a team, key or user; `<team id>/<name>` of a project; a model's public name; empty for the hub."""
    unit: Mapped[Name]
    """`cost` (nano-USD), `credits` (nano-credits), `calls`, `tokens`"""
    amount: Mapped[Nano]
    window: Mapped[Name]
    """`day week month total`"""
    timezone: Mapped[Name]
    """IANA name: where the window's days begin."""
    warn_percents: Mapped[Json]
    """Ascending, such as `[80, 95]`: at each a notice, once a window."""
    action: Mapped[Name]
    """`warn` or `block`"""
    note: Mapped[LongText]
    created_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]
    """Taken out of force; its spends stay."""


class BudgetSpend(Base):
    """What was spent of a budget in one window: a sum, keyed by when the window began. There is nothing to reset."""

    __tablename__ = "budget_spend"
    __table_args__ = (
        CheckConstraint("held >= 0", name="held"),
        Index("ix_budget_spend_budget_id", "budget_id"),
    )

    id: Mapped[Name] = mapped_column(primary_key=True)
    """`<budget id>@<begin in seconds>`"""
    budget_id: Mapped[Ref]
    begins_us: Mapped[MomentUs]
    spent: Mapped[Count]
    held: Mapped[Count]
    """By calls that run."""


class BudgetNotice(Base):
    """A warn level that was reached in a window: told once."""

    __tablename__ = "budget_notice"
    __table_args__ = (UniqueConstraint("spend_id", "percent"),)

    id: Mapped[Id]
    budget_id: Mapped[Ref]
    spend_id: Mapped[Name]
    percent: Mapped[int]
    created_us: Mapped[MomentUs]


class Voucher(Base):
    """A code that gives credits to the team that redeems it. Only a digest of the code is stored."""

    __tablename__ = "voucher"
    __table_args__ = (
        CheckConstraint("amount_nano > 0", name="amount"),
        CheckConstraint("uses >= 0 AND uses <= max_uses", name="uses"),
    )

    id: Mapped[Id]
    batch: Mapped[Name]
    """What codes made together are called."""
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    hint: Mapped[Name]
    """The first characters, for lists."""
    amount_nano: Mapped[Nano]
    grant_days: Mapped[int | None]
    """How long the credits last once redeemed; None for ever."""
    max_uses: Mapped[int]
    uses: Mapped[int]
    expires_us: Mapped[MomentUs | None]
    """Not redeemed after that."""
    created_us: Mapped[MomentUs]
    disabled_us: Mapped[MomentUs | None]


class VoucherUse(Base):
    """A team redeems a voucher once."""

    __tablename__ = "voucher_use"

    voucher_id: Mapped[Ref] = mapped_column(primary_key=True)
    team_id: Mapped[Ref] = mapped_column(primary_key=True)
    used_us: Mapped[MomentUs]


class LedgerRoot(Base):
    """One hash a day over the heads of all accounts that moved: whoever keeps it can prove the whole past."""

    __tablename__ = "ledger_root"

    day: Mapped[Name] = mapped_column(primary_key=True)
    """`2026-11-20`, UTC."""
    prev: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    heads: Mapped[int]
    created_us: Mapped[MomentUs]


class LedgerHead(Base):
    """The newest journal of an account when a day's root was made; only accounts that moved since the last one."""

    __tablename__ = "ledger_head"

    day: Mapped[Name] = mapped_column(primary_key=True)
    team_id: Mapped[Ref] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
