"""Files that models made, and generations that take minutes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_IS_OPEN = "state IN ('queued', 'in_progress')"


def upgrade() -> None:
    op.create_table(
        "stored_file",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=200), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stored_file"),
    )
    op.create_index("ix_stored_file_expires_us", "stored_file", ["expires_us"], unique=False)

    op.create_table(
        "generation",
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("size", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=200), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(length=200), nullable=False),
        sa.Column("deployment_id", sa.String(length=32), nullable=False),
        sa.Column("credential_id", sa.String(length=32), nullable=False),
        sa.Column("upstream_model", sa.String(length=200), nullable=False),
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("file_id", sa.String(length=32), nullable=True),
        sa.Column("error_code", sa.String(length=200), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("poll_after_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_generation"),
    )
    op.create_index(
        "ix_generation_poll_after_us",
        "generation",
        ["poll_after_us"],
        unique=False,
        sqlite_where=sa.text(_IS_OPEN),
        postgresql_where=sa.text(_IS_OPEN),
    )
    op.create_index("ix_generation_team_id_call_id", "generation", ["team_id", "call_id"], unique=False)
    op.create_index("ix_generation_expires_us", "generation", ["expires_us"], unique=False)


def downgrade() -> None:
    op.drop_table("generation")
    op.drop_table("stored_file")
