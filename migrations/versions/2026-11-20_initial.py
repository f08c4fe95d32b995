"""The first schema, with the triggers that count up the snapshot's revision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


_SNAPSHOT_TABLES = (
    "team",
    "api_key",
    "provider",
    "credential",
    "model",
    "model_alias",
    "deployment",
    "rate",
    "hub_setting",
)
"""Whatever changes here, by whichever program, is in every process's memory within a second."""


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.String(length=200), nullable=False),
        sa.Column("deployment_id", sa.String(length=32), nullable=False),
        sa.Column("credential_id", sa.String(length=32), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("first_byte_us", sa.BigInteger(), nullable=True),
        sa.Column("total_us", sa.BigInteger(), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(length=200), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("call_id", "n", name="pk_attempt"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "call",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("boot_id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("api_key_id", sa.String(length=32), nullable=False),
        sa.Column("project", sa.String(length=200), nullable=True),
        sa.Column("endpoint", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("is_streamed", sa.Boolean(), nullable=False),
        sa.Column("client", sa.String(length=200), nullable=True),
        sa.Column("status", sa.String(length=200), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("queue_us", sa.BigInteger(), nullable=True),
        sa.Column("first_byte_us", sa.BigInteger(), nullable=True),
        sa.Column("total_us", sa.BigInteger(), nullable=True),
        sa.Column("provider", sa.String(length=200), nullable=True),
        sa.Column("deployment_id", sa.String(length=32), nullable=True),
        sa.Column("credential_id", sa.String(length=32), nullable=True),
        sa.Column("upstream_model", sa.String(length=200), nullable=True),
        sa.Column("upstream_id", sa.String(length=200), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("finish_reason", sa.String(length=200), nullable=True),
        sa.Column("error_code", sa.String(length=200), nullable=True),
        sa.Column("error_owner", sa.String(length=200), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.Column("usage_source", sa.String(length=200), nullable=True),
        sa.Column("provider_cost_nano", sa.BigInteger(), nullable=True),
        sa.Column("input", sa.BigInteger(), nullable=False),
        sa.Column("cache_read", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_5m", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_1h", sa.BigInteger(), nullable=False),
        sa.Column("output", sa.BigInteger(), nullable=False),
        sa.Column("reasoning", sa.BigInteger(), nullable=False),
        sa.Column("audio_in", sa.BigInteger(), nullable=False),
        sa.Column("audio_out", sa.BigInteger(), nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("characters", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("web_searches", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_call"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_call_running",
        "call",
        ["boot_id"],
        unique=False,
        sqlite_where=sa.text("status = 'running'"),
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index("ix_call_started_us", "call", ["started_us"], unique=False)
    op.create_index("ix_call_team_id_started_us", "call", ["team_id", "started_us"], unique=False)

    op.create_table(
        "call_content",
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("sealed_request", sa.Text(), nullable=False),
        sa.Column("sealed_answer", sa.Text(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_call_content"),
    )
    op.create_index("ix_call_content_expires_us", "call_content", ["expires_us"], unique=False)

    op.create_table(
        "hub_setting",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_hub_setting"),
    )
    op.create_table(
        "idempotent_answer",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("content_type", sa.String(length=200), nullable=True),
        sa.Column("sealed_answer", sa.Text(), nullable=True),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_idempotent_answer"),
    )
    op.create_index("ix_idempotent_answer_expires_us", "idempotent_answer", ["expires_us"], unique=False)

    op.create_table(
        "job_lease",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("boot_id", sa.String(length=32), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_job_lease"),
    )
    op.create_table(
        "model",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("markup_basis_points", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model"),
        sa.UniqueConstraint("name", name="uq_model_name"),
    )
    op.create_table(
        "process",
        sa.Column("boot_id", sa.String(length=32), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("beat_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("boot_id", name="pk_process"),
    )
    op.create_table(
        "provider",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("region", sa.String(length=200), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_provider"),
        sa.UniqueConstraint("name", name="uq_provider_name"),
    )
    op.create_table(
        "rate",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("deployment_id", sa.String(length=32), nullable=False),
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("per_units", sa.Integer(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=True),
        sa.Column("price_nano", sa.BigInteger(), nullable=True),
        sa.Column(
            "condition", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rate"),
    )
    op.create_index("ix_rate_deployment_id_meter", "rate", ["deployment_id", "meter", "effective_from"], unique=False)

    op.create_table(
        "snapshot_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_snapshot_revision"),
    )
    op.create_table(
        "team",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("keep_content_days", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_team"),
        sa.UniqueConstraint("name", name="uq_team_name"),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=200), nullable=False),
        sa.Column("hub_role", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_user_account"),
        sa.UniqueConstraint("email", name="uq_user_account_email"),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("prefix", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column(
            "models", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("is_strict", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="fk_api_key_team_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("digest", name="uq_api_key_digest"),
        sa.UniqueConstraint("team_id", "name", name="uq_api_key_team_id_name"),
    )
    op.create_index("ix_api_key_prefix", "api_key", ["prefix"], unique=False)

    op.create_table(
        "credential",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("provider_id", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=200), nullable=False),
        sa.Column("hint", sa.String(length=200), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["provider.id"], name="fk_credential_provider_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_credential"),
        sa.UniqueConstraint("provider_id", "label", name="uq_credential_provider_id_label"),
    )
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

    op.create_table(
        "deployment",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("provider_id", sa.String(length=32), nullable=False),
        sa.Column("upstream_model", sa.String(length=200), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name="fk_deployment_model_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["provider_id"], ["provider.id"], name="fk_deployment_provider_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_deployment"),
        sa.UniqueConstraint(
            "model_id", "provider_id", "upstream_model", name="uq_deployment_model_id_provider_id_upstream_model"
        ),
    )
    op.create_table(
        "membership",
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="fk_membership_team_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_membership_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "user_id", name="pk_membership"),
    )
    op.create_table(
        "model_alias",
        sa.Column("alias", sa.String(length=200), nullable=False),
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name="fk_model_alias_model_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alias", name="pk_model_alias"),
    )
    op.create_table(
        "one_time_link",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_one_time_link_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name="pk_one_time_link"),
    )
    op.create_table(
        "session",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("csrf_token", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_session_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name="pk_session"),
    )

    op.execute("INSERT INTO snapshot_revision (id, revision) VALUES (1, 1)")
    if op.get_bind().dialect.name == "postgresql":
        _add_postgres_triggers()
    else:
        _add_sqlite_triggers()


def _add_sqlite_triggers() -> None:
    for table in _SNAPSHOT_TABLES:
        for verb in ("INSERT", "UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER snapshot_{table}_{verb.lower()} AFTER {verb} ON {table} "
                "BEGIN UPDATE snapshot_revision SET revision = revision + 1 WHERE id = 1; END"
            )


def _add_postgres_triggers() -> None:
    op.execute(
        """
        CREATE FUNCTION count_up_snapshot_revision() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE snapshot_revision SET revision = revision + 1 WHERE id = 1;
            PERFORM pg_notify('hub_snapshot', '');
            RETURN NULL;
        END $$
        """
    )
    for table in _SNAPSHOT_TABLES:
        op.execute(
            f"CREATE TRIGGER snapshot_{table} AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION count_up_snapshot_revision()"
        )


def downgrade() -> None:
    op.drop_table("session")
    op.drop_table("one_time_link")
    op.drop_table("model_alias")
    op.drop_table("membership")
    op.drop_table("deployment")
    op.drop_index("ix_credit_grant_team_id_source", "credit_grant")

    op.drop_table("credit_grant")
    op.drop_table("credential")
    op.drop_index("ix_api_key_prefix", "api_key")

    op.drop_table("api_key")
    op.drop_table("user_account")
    op.drop_table("team")
    op.drop_table("snapshot_revision")
    op.drop_index("ix_rate_deployment_id_meter", "rate")

    op.drop_table("rate")
    op.drop_table("provider")
    op.drop_table("process")
    op.drop_table("model")
    op.drop_table("job_lease")
    op.drop_index("ix_idempotent_answer_expires_us", "idempotent_answer")

    op.drop_table("idempotent_answer")
    op.drop_table("hub_setting")
    op.drop_index("ix_call_content_expires_us", "call_content")

    op.drop_table("call_content")
    op.drop_index("ix_call_team_id_started_us", "call")
    op.drop_index("ix_call_started_us", "call")
    op.drop_index("ix_call_running", "call")

    op.drop_table("call")
    op.drop_table("attempt")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION count_up_snapshot_revision()")
