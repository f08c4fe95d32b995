"""Money: accounts, the ledger, holds, budgets, vouchers; price cards and changes; what a call cost and was charged."""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")

_IS_OPEN = "state = 'open'"

_ADDED_TO = ("entry", "journal", "price_card", "rate")
_SNAPSHOT_TABLES = ("budget",)
_TABLES = (
    "account",
    "budget",
    "budget_notice",
    "budget_spend",
    "entry",
    "hold",
    "journal",
    "ledger_head",
    "ledger_root",
    "price_card",
    "price_change",
    "price_notice",
    "voucher",
    "voucher_use",
)


def upgrade() -> None:
    _create_tables()
    _add_columns()
    _renew_grants()
    is_postgres = op.get_bind().dialect.name == "postgresql"
    for table in _ADDED_TO:
        _refuse_changes(table, is_postgres=is_postgres)
    for table in _SNAPSHOT_TABLES:
        _count_revision(table, is_postgres=is_postgres)


def _create_tables() -> None:
    op.create_table(
        "account",
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("posted_nano", sa.BigInteger(), nullable=False),
        sa.Column("held_nano", sa.BigInteger(), nullable=False),
        sa.Column("overage_nano", sa.BigInteger(), nullable=False),
        sa.Column("credit_line_nano", sa.BigInteger(), nullable=False),
        sa.Column("is_frozen", sa.Boolean(), nullable=False),
        sa.Column("next_expiry_us", sa.BigInteger(), nullable=True),
        sa.Column("journals", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("credit_line_nano >= 0", name="ck_account_credit_line"),
        sa.CheckConstraint("held_nano >= 0", name="ck_account_held"),
        sa.CheckConstraint("overage_nano >= 0", name="ck_account_overage"),
        sa.PrimaryKeyConstraint("team_id", name="pk_account"),
    )
    op.create_table(
        "budget",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("scope_id", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("window", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=200), nullable=False),
        sa.Column("warn_percents", _JSON, nullable=False),
        sa.Column("action", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name="ck_budget_amount"),
        sa.PrimaryKeyConstraint("id", name="pk_budget"),
    )
    op.create_table(
        "budget_notice",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("budget_id", sa.String(length=32), nullable=False),
        sa.Column("spend_id", sa.String(length=200), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_budget_notice"),
        sa.UniqueConstraint("spend_id", "percent", name="uq_budget_notice_spend_id_percent"),
    )
    op.create_table(
        "budget_spend",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("budget_id", sa.String(length=32), nullable=False),
        sa.Column("begins_us", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("held >= 0", name="ck_budget_spend_held"),
        sa.PrimaryKeyConstraint("id", name="pk_budget_spend"),
    )
    op.create_index("ix_budget_spend_budget_id", "budget_spend", ["budget_id"], unique=False)
    op.create_table(
        "entry",
        sa.Column("ref", sa.String(length=200), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=200), nullable=False),
        sa.Column("grant_id", sa.String(length=32), nullable=True),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_nano <> 0", name="ck_entry_amount"),
        sa.PrimaryKeyConstraint("ref", "n", name="pk_entry"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hold",
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("boot_id", sa.String(length=32), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("budgets", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=200), nullable=False),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("amount_nano >= 0", name="ck_hold_amount"),
        sa.PrimaryKeyConstraint("call_id", name="pk_hold"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_hold_open",
        "hold",
        ["expires_us"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "journal",
        sa.Column("ref", sa.String(length=200), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("prev", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("ref", name="pk_journal"),
        sa.UniqueConstraint("team_id", "seq", name="uq_journal_team_id_seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_head",
        sa.Column("day", sa.String(length=200), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("day", "team_id", name="pk_ledger_head"),
    )
    op.create_table(
        "ledger_root",
        sa.Column("day", sa.String(length=200), nullable=False),
        sa.Column("prev", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("heads", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_ledger_root"),
    )
    op.create_table(
        "price_card",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("deployment_id", sa.String(length=32), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_price_card"),
    )
    op.create_table(
        "price_change",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("scope", _JSON, nullable=False),
        sa.Column("rule", _JSON, nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("reverted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("before", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_price_change"),
    )
    op.create_table(
        "price_notice",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("deployment_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_price_notice"),
        sa.UniqueConstraint("deployment_id", "kind", name="uq_price_notice_deployment_id_kind"),
    )
    op.create_table(
        "voucher",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("batch", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hint", sa.String(length=200), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("grant_days", sa.Integer(), nullable=True),
        sa.Column("max_uses", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("disabled_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("amount_nano > 0", name="ck_voucher_amount"),
        sa.CheckConstraint("uses >= 0 AND uses <= max_uses", name="ck_voucher_uses"),
        sa.PrimaryKeyConstraint("id", name="pk_voucher"),
        sa.UniqueConstraint("digest", name="uq_voucher_digest"),
    )
    op.create_table(
        "voucher_use",
        sa.Column("voucher_id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("used_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("voucher_id", "team_id", name="pk_voucher_use"),
    )


def _add_columns() -> None:
    op.add_column("api_key", sa.Column("user_id", sa.String(length=32), nullable=True))
    op.add_column("call", sa.Column("billing", sa.String(length=200), nullable=True))
    op.add_column("call", sa.Column("user_id", sa.String(length=32), nullable=True))
    op.add_column("call", sa.Column("card_id", sa.String(length=32), nullable=True))
    op.add_column("call", sa.Column("price_facts", sa.Text(), nullable=True))
    op.add_column("call", sa.Column("charged_as", sa.String(length=200), nullable=True))
    op.add_column("call", sa.Column("cost_nano", sa.BigInteger(), nullable=True))
    op.add_column("call", sa.Column("charge_nano", sa.BigInteger(), nullable=True))
    op.add_column("call", sa.Column("refunded_nano", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("provider", sa.Column("markup_basis_points", sa.Integer(), nullable=True))
    op.add_column("rate", sa.Column("review_cost_nano", sa.BigInteger(), nullable=True))
    op.add_column("rate", sa.Column("change_id", sa.String(length=32), nullable=True))
    op.add_column("team", sa.Column("markup_basis_points", sa.Integer(), nullable=True))


def _renew_grants() -> None:
    """The signed rows of before become one grant for each team, with the journal that explains it."""
    connection = op.get_bind()
    totals = connection.execute(
        sa.text("SELECT team_id, sum(amount_nano) FROM credit_grant GROUP BY team_id HAVING sum(amount_nano) > 0")
    ).all()
    op.drop_table("credit_grant")
    op.create_table(
        "credit_grant",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("category", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("source_ref", sa.String(length=200), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("remaining_nano", sa.BigInteger(), nullable=False),
        sa.Column("taken_back_nano", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("effective_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_nano > 0", name="ck_credit_grant_amount"),
        sa.CheckConstraint("remaining_nano >= 0 AND remaining_nano <= amount_nano", name="ck_credit_grant_remaining"),
        sa.CheckConstraint(
            "taken_back_nano >= 0 AND taken_back_nano <= amount_nano", name="ck_credit_grant_taken_back"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credit_grant"),
        sa.UniqueConstraint("source", "source_ref", name="uq_credit_grant_source_source_ref"),
    )
    rest = sa.text("remaining_nano > 0")
    op.create_index("ix_credit_grant_team_id", "credit_grant", ["team_id", "created_us"])
    op.create_index("ix_credit_grant_burning", "credit_grant", ["team_id"], sqlite_where=rest, postgresql_where=rest)
    op.create_index(
        "ix_credit_grant_expires_us", "credit_grant", ["expires_us"], sqlite_where=rest, postgresql_where=rest
    )
    for team_id, total in totals:
        _open_account(connection, team_id, int(total))


def _open_account(connection: sa.Connection, team_id: str, amount: int) -> None:
    moment_us = 0
    source_ref = f"before:{team_id}"
    ref, reason = f"grant:file:{source_ref}", "Granted before the hub kept a ledger."
    prev = bytes(32)
    said = [prev.hex(), ref, team_id, 1, "grant", "file", reason, moment_us]
    entries = [["granted", None, -amount], ["wallet", team_id, amount]]
    text = json.dumps([*said, entries], ensure_ascii=False, separators=(",", ":"))
    head = hashlib.sha256(text.encode()).digest()
    values = {"team": team_id, "amount": amount, "us": moment_us, "ref": ref, "prev": prev, "head": head}
    values |= {"source_ref": source_ref, "reason": reason}
    connection.execute(
        sa.text(
            "INSERT INTO account (team_id, posted_nano, held_nano, overage_nano, credit_line_nano, is_frozen, "
            "journals, head, created_us) VALUES (:team, :amount, 0, 0, 0, false, 1, :head, :us)"
        ),
        values,
    )
    connection.execute(
        sa.text(
            "INSERT INTO credit_grant (id, team_id, category, source, source_ref, priority, amount_nano, "
            "remaining_nano, taken_back_nano, reason, effective_us, created_us) VALUES "
            "(:team, :team, 'promo', 'file', :source_ref, 50, :amount, :amount, 0, :reason, :us, :us)"
        ),
        values,
    )
    connection.execute(
        sa.text(
            "INSERT INTO journal (ref, team_id, seq, kind, actor, reason, created_us, prev, hash) "
            "VALUES (:ref, :team, 1, 'grant', 'file', :reason, :us, :prev, :head)"
        ),
        values,
    )
    for n, (account, grant_id, entry) in enumerate(entries):
        connection.execute(
            sa.text("INSERT INTO entry (ref, n, account, grant_id, amount_nano) VALUES (:ref, :n, :account, :g, :e)"),
            {"ref": ref, "n": n, "account": account, "g": grant_id, "e": entry},
        )


def _refuse_changes(table: str, *, is_postgres: bool) -> None:
    """Rows are added and never changed, whoever tries."""
    if not is_postgres:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER append_only_{table}_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION append_only_{table}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER append_only_{table} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION append_only_{table}()"
    )


def _count_revision(table: str, *, is_postgres: bool) -> None:
    if is_postgres:
        op.execute(
            f"CREATE TRIGGER snapshot_{table} AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION count_up_snapshot_revision()"
        )
        return
    for verb in ("INSERT", "UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER snapshot_{table}_{verb.lower()} AFTER {verb} ON {table} "
            "BEGIN UPDATE snapshot_revision SET revision = revision + 1 WHERE id = 1; END"
        )


def downgrade() -> None:
    """What was granted goes back to one signed row for each team; the ledger goes."""
    connection = op.get_bind()
    balances = connection.execute(sa.text("SELECT team_id, posted_nano FROM account WHERE posted_nano <> 0")).all()
    is_postgres = connection.dialect.name == "postgresql"
    for table in _SNAPSHOT_TABLES:
        for suffix in ("",) if is_postgres else ("_insert", "_update", "_delete"):
            op.execute(f"DROP TRIGGER snapshot_{table}{suffix}" + (f" ON {table}" if is_postgres else ""))
    for table in _ADDED_TO:
        if is_postgres:
            op.execute(f"DROP FUNCTION append_only_{table} CASCADE")
        else:
            op.execute(f"DROP TRIGGER append_only_{table}_update")
            op.execute(f"DROP TRIGGER append_only_{table}_delete")
    op.drop_table("credit_grant")
    op.create_table(
        "credit_grant",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="fk_credit_grant_team_id", ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name="pk_credit_grant"),
    )
    op.create_index("ix_credit_grant_team_id_source", "credit_grant", ["team_id", "source"], unique=False)
    for team_id, balance in balances:
        connection.execute(
            sa.text(
                "INSERT INTO credit_grant (id, team_id, amount_nano, source, reason, created_at) "
                "SELECT id, id, :amount, 'file', 'From the ledger.', created_at FROM team WHERE id = :team"
            ),
            {"team": team_id, "amount": balance},
        )
    op.drop_column("team", "markup_basis_points")
    op.drop_column("rate", "change_id")
    op.drop_column("rate", "review_cost_nano")
    op.drop_column("provider", "markup_basis_points")
    op.drop_column("call", "refunded_nano")
    op.drop_column("call", "charge_nano")
    op.drop_column("call", "cost_nano")
    op.drop_column("call", "charged_as")
    op.drop_column("call", "price_facts")
    op.drop_column("call", "card_id")
    op.drop_column("call", "user_id")
    op.drop_column("call", "billing")
    op.drop_column("api_key", "user_id")
    for table in reversed(_TABLES):
        op.drop_table(table)
