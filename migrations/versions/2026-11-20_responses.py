"""Responses that their callers build on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stored_response",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=True),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_stored_response"),
    )
    op.create_index("ix_stored_response_expires_us", "stored_response", ["expires_us"])
    op.create_table(
        "stored_item",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("response", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_stored_item"),
    )
    op.create_index("ix_stored_item_expires_us", "stored_item", ["expires_us"])
    op.create_index("ix_stored_item_response", "stored_item", ["response"])


def downgrade() -> None:
    op.drop_index("ix_stored_item_response", "stored_item")
    op.drop_index("ix_stored_item_expires_us", "stored_item")
    op.drop_table("stored_item")
    op.drop_index("ix_stored_response_expires_us", "stored_response")
    op.drop_table("stored_response")
