"""What API keys may do and when they were used, limits per minute and day, and the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
_EMPTY = sa.text("'[]'")
_USE = ("used_us", "used_from", "used_by")


def upgrade() -> None:
    _extend_keys()
    _add_limits()
    _add_audit()
    for statement in _TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def _extend_keys() -> None:
    for name in ("denied_models", "endpoints", "addresses"):
        op.add_column("api_key", sa.Column(name, _JSON, server_default=_EMPTY, nullable=False))
    op.add_column("api_key", sa.Column("parent_id", sa.String(length=32), nullable=True))
    op.add_column("api_key", sa.Column("previous_digest", sa.LargeBinary(length=32), nullable=True))
    op.add_column("api_key", sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_key", sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_key", sa.Column("used_us", sa.BigInteger(), nullable=True))
    op.add_column("api_key", sa.Column("used_from", sa.String(length=200), nullable=True))
    op.add_column("api_key", sa.Column("used_by", sa.String(length=200), nullable=True))
    op.create_index("ix_api_key_parent_id", "api_key", ["parent_id"])
    # That a key was used is no change of what the snapshot holds: the trigger of its updates passes over it.
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("api_key")]
    _watch_keys(f" OF {', '.join(name for name in columns if name not in _USE)}")


def _watch_keys(of: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER snapshot_api_key ON api_key")
        op.execute(
            f"CREATE TRIGGER snapshot_api_key AFTER INSERT OR DELETE OR UPDATE{of} ON api_key "
            "FOR EACH STATEMENT EXECUTE FUNCTION count_up_snapshot_revision()"
        )
        return
    op.execute("DROP TRIGGER snapshot_api_key_update")
    op.execute(
        f"CREATE TRIGGER snapshot_api_key_update AFTER UPDATE{of} ON api_key "
        "BEGIN UPDATE snapshot_revision SET revision = revision + 1 WHERE id = 1; END"
    )


def _add_limits() -> None:
    op.create_table(
        "limit_rule",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("scope_id", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("per", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_limit_rule"),
    )


def _add_audit() -> None:
    op.create_table(
        "audit_event",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor_kind", sa.String(length=200), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("as_whom", sa.String(length=200), nullable=True),
        sa.Column("action", sa.String(length=200), nullable=False),
        sa.Column("object_kind", sa.String(length=200), nullable=False),
        sa.Column("object_id", sa.String(length=200), nullable=False),
        sa.Column("object", sa.String(length=200), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("request_id", sa.String(length=200), nullable=True),
        sa.Column("prev", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_event"),
    )
    op.create_index("ix_audit_event_at_us", "audit_event", ["at_us"])
    op.create_index("ix_audit_event_object", "audit_event", ["object_kind", "object_id"])
    op.create_index("ix_audit_event_actor_id", "audit_event", ["actor_id"])


# Events of the audit trail are never changed; those whose time is over may be deleted.
_TRIGGERS = {
    "postgresql": (
        "CREATE TRIGGER snapshot_limit_rule AFTER INSERT OR UPDATE OR DELETE ON limit_rule "
        "FOR EACH STATEMENT EXECUTE FUNCTION count_up_snapshot_revision()",
        "CREATE FUNCTION refuse_audit_event() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit_event is not changed'; END $$",
        "CREATE TRIGGER append_only_audit_event BEFORE UPDATE ON audit_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_event()",
    ),
    "sqlite": (
        *(
            f"CREATE TRIGGER snapshot_limit_rule_{verb.lower()} AFTER {verb} ON limit_rule "
            "BEGIN UPDATE snapshot_revision SET revision = revision + 1 WHERE id = 1; END"
            for verb in ("INSERT", "UPDATE", "DELETE")
        ),
        "CREATE TRIGGER append_only_audit_event_update BEFORE UPDATE ON audit_event "
        "BEGIN SELECT RAISE(ABORT, 'audit_event is not changed'); END",
    ),
}


def downgrade() -> None:
    op.drop_table("audit_event")
    op.drop_table("limit_rule")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_audit_event")
    _watch_keys("")
    op.drop_index("ix_api_key_parent_id", "api_key")
    for name in ("used_by", "used_from", "used_us", "disabled_at", "previous_until", "previous_digest", "parent_id"):
        op.drop_column("api_key", name)
    for name in ("addresses", "endpoints", "denied_models"):
        op.drop_column("api_key", name)
