"""Passwords, second factors, sessions with two lifetimes, and how often somebody tried to sign in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _digest() -> sa.Column[bytes]:
    return sa.Column("digest", sa.LargeBinary(length=32), nullable=False)


def _user() -> sa.Column[str]:
    return sa.Column("user_id", sa.String(length=32), nullable=False)


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=f"fk_{table}_user_id", ondelete="CASCADE")


def upgrade() -> None:
    purpose = sa.Column("purpose", sa.String(length=200), server_default=sa.text("'sign_in'"), nullable=False)
    op.add_column("one_time_link", purpose)
    # Sessions are signed-in browsers: whoever is signed in does it once more.
    op.drop_table("session")
    op.create_table(
        "session",
        _digest(),
        _user(),
        sa.Column("level", sa.String(length=200), nullable=False),
        sa.Column("csrf_token", sa.String(length=200), nullable=False),
        _moment("created_at"),
        _moment("proved_at"),
        _moment("seen_at"),
        _moment("idle_until"),
        _moment("expires_at"),
        sa.Column("network", sa.String(length=200), nullable=True),
        sa.Column("client", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("digest", name="pk_session"),
        _of_user("session"),
    )
    op.create_index("ix_session_user_id", "session", ["user_id"])
    op.create_table(
        "password",
        _user(),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("is_long", sa.Boolean(), nullable=False),
        _moment("changed_at"),
        sa.PrimaryKeyConstraint("user_id", name="pk_password"),
        _of_user("password"),
    )
    op.create_table(
        "second_factor",
        _user(),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        _moment("created_at"),
        _moment("confirmed_at", nullable=True),
        sa.PrimaryKeyConstraint("user_id", name="pk_second_factor"),
        _of_user("second_factor"),
    )
    op.create_table(
        "recovery_code",
        _digest(),
        _user(),
        _moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("digest", name="pk_recovery_code"),
        _of_user("recovery_code"),
    )
    op.create_index("ix_recovery_code_user_id", "recovery_code", ["user_id"])
    op.create_table(
        "sign_in_tries",
        sa.Column("bucket", sa.String(length=200), nullable=False),
        sa.Column("began_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name="pk_sign_in_tries"),
    )


def downgrade() -> None:
    for table in ("sign_in_tries", "recovery_code", "second_factor", "password", "session"):
        op.drop_table(table)
    op.create_table(
        "session",
        _digest(),
        _user(),
        sa.Column("csrf_token", sa.String(length=200), nullable=False),
        _moment("created_at"),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_session"),
        _of_user("session"),
    )
    op.drop_column("one_time_link", "purpose")
