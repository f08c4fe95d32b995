"""What only its provider understands of a turn, and what a provider could not be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "turn_state",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("credential_id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_turn_state"),
    )
    op.create_index("ix_turn_state_expires_us", "turn_state", ["expires_us"])
    op.add_column("call", sa.Column("fidelity", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("call", "fidelity")
    op.drop_index("ix_turn_state_expires_us", "turn_state")
    op.drop_table("turn_state")
