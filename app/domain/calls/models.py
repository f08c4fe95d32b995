"""What happened: one row per call, child rows per attempt, and the two things that may be kept of their content.

Written by the group-commit writer, so the columns hold plain integers and text, moments in microseconds. A call's row
is there before its provider is asked (`running`) and gets its end once. There are no foreign keys: a call outlives the
key, the provider and the deployment that it names.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.base.orm import Base, Count, DurationUs, Id, LongText, MomentUs, Name, Nano, Ref


class Call(Base):
    """One request for a model."""

    __tablename__ = "call"
    __table_args__ = (
        Index("ix_call_team_id_started_us", "team_id", "started_us"),
        Index("ix_call_started_us", "started_us"),
        Index(
            "ix_call_running",
            "boot_id",
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
        {"sqlite_with_rowid": False},
    )

    id: Mapped[Ref] = mapped_column(primary_key=True)
    boot_id: Mapped[Ref]
    """The process that carries it; tells after a crash which calls have nobody."""
    team_id: Mapped[Ref]
    api_key_id: Mapped[Ref]
    project: Mapped[Name | None]
    endpoint: Mapped[Name]
    """`chat.completions`, `embeddings`, …"""
    model: Mapped[Name]
    """The public name, aliases resolved."""
    is_streamed: Mapped[bool]
    client: Mapped[Name | None]
    """The caller's User-Agent, cut."""
    status: Mapped[Name]
    """`running`, then one of `succeeded refused failed client_gone interrupted`."""
    started_us: Mapped[MomentUs]
    queue_us: Mapped[DurationUs | None]
    """From the request's arrival until the provider is asked."""
    first_byte_us: Mapped[DurationUs | None]
    total_us: Mapped[DurationUs | None]
    provider: Mapped[Name | None]
    """Name of the provider that answered, or was tried last."""
    deployment_id: Mapped[Ref | None]
    credential_id: Mapped[Ref | None]
    upstream_model: Mapped[Name | None]
    upstream_id: Mapped[Name | None]
    """The provider's own id of the call, for its support."""
    attempts: Mapped[int] = mapped_column(default=0)
    http_status: Mapped[int | None]
    """What the client was answered."""
    finish_reason: Mapped[Name | None]
    error_code: Mapped[Name | None]
    error_owner: Mapped[Name | None]
    error_text: Mapped[LongText | None]
    usage_source: Mapped[Name | None]
    """Who counted: see `UsageSource`."""
    billing: Mapped[Name | None]
    """The hub's mode when it was admitted: `off cost credits`."""
    user_id: Mapped[Ref | None]
    """Whose key made it."""
    card_id: Mapped[Ref | None]
    """The price card that was pinned at its admission; None where the deployment has no rates."""
    price_facts: Mapped[LongText | None]
    """What conditions of rates ask about it, as JSON: service tier, picture's size and quality."""
    charged_as: Mapped[Name | None]
    """The row of the charging policy that applied, such as `client_gone.some charge`."""
    cost_nano: Mapped[Nano | None]
    """nano-USD that the provider charges for it by its rates; None: nobody knows."""
    charge_nano: Mapped[Nano | None]
    """nano-credits; None where credits are off."""
    refunded_nano: Mapped[Count] = mapped_column(server_default=text("0"))
    """Of the charge, given back later."""
    fidelity: Mapped[LongText | None]
    """What the provider could not be told as it was asked: a JSON array of `{path, what, why}`; None when all was."""
    provider_cost_nano: Mapped[Count | None] = mapped_column(default=None)
    """nano-USD as the provider itself reports it (OpenRouter, xAI)."""
    input: Mapped[Count]
    cache_read: Mapped[Count]
    cache_write_5m: Mapped[Count]
    cache_write_1h: Mapped[Count]
    output: Mapped[Count]
    reasoning: Mapped[Count]
    audio_in: Mapped[Count]
    audio_out: Mapped[Count]
    images: Mapped[Count]
    seconds: Mapped[Count]
    characters: Mapped[Count]
    requests: Mapped[Count]
    web_searches: Mapped[Count]


class Attempt(Base):
    """One try at one provider within a call."""

    __tablename__ = "attempt"
    # Both tables are kept in the order of their keys, which is that of time: one page less to write for each row.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012

    call_id: Mapped[Ref] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1 is the first."""
    provider: Mapped[Name]
    deployment_id: Mapped[Ref]
    credential_id: Mapped[Ref]
    started_us: Mapped[MomentUs]
    first_byte_us: Mapped[DurationUs | None]
    total_us: Mapped[DurationUs]
    http_status: Mapped[int | None]
    error_code: Mapped[Name | None]
    error_text: Mapped[LongText | None]


class CallContent(Base):
    """Prompt and answer of a call, sealed, for teams that asked for it."""

    __tablename__ = "call_content"
    __table_args__ = (Index("ix_call_content_expires_us", "expires_us"),)

    call_id: Mapped[Ref] = mapped_column(primary_key=True)
    team_id: Mapped[Ref]
    sealed_request: Mapped[LongText]
    sealed_answer: Mapped[LongText]
    expires_us: Mapped[MomentUs]


class IdempotentAnswer(Base):
    """The answer to a call that carried an Idempotency-Key, kept so that a repeat gets the same one."""

    __tablename__ = "idempotent_answer"
    __table_args__ = (Index("ix_idempotent_answer_expires_us", "expires_us"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256 of API key id and Idempotency-Key."""
    body_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    call_id: Mapped[Ref]
    http_status: Mapped[int | None]
    """None while the first call is still running."""
    content_type: Mapped[Name | None]
    sealed_answer: Mapped[LongText | None]
    expires_us: Mapped[MomentUs]


class TurnState(Base):
    """What only its provider understands of an assistant's turn (signatures of thoughts, encrypted items), for clients
    that do not give it back; and with which credential it was made."""

    __tablename__ = "turn_state"
    __table_args__ = (Index("ix_turn_state_expires_us", "expires_us"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256 of team, kind of provider and tool call, or of an opaque value that the client itself carries."""
    team_id: Mapped[Ref]
    credential_id: Mapped[Ref]
    """Some values work only with the organisation whose credential made them."""
    sealed: Mapped[LongText | None]
    """None for what the client carries."""
    expires_us: Mapped[MomentUs]


class StoredResponse(Base):
    """One turn of a caller of the Responses API: what they sent and what they got, so that the next can build on it."""

    __tablename__ = "stored_response"
    __table_args__ = (Index("ix_stored_response_expires_us", "expires_us"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256 of team and response id."""
    team_id: Mapped[Ref]
    previous: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """The digest of the turn before."""
    origin: Mapped[Name]
    """The kind of provider whose encrypted thoughts are in it unmarked."""
    sealed: Mapped[LongText]
    """`{"input": […], "response": {…}}`"""
    expires_us: Mapped[MomentUs]


class StoredItem(Base):
    """In which stored response an output item is, for callers that name items instead of sending them again."""

    __tablename__ = "stored_item"
    __table_args__ = (
        Index("ix_stored_item_expires_us", "expires_us"),
        Index("ix_stored_item_response", "response"),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256 of team and item id."""
    response: Mapped[bytes] = mapped_column(LargeBinary(32))
    """The digest of its response."""
    expires_us: Mapped[MomentUs]


class Process(Base):
    """A running hub process. Its beat tells others that its calls are alive."""

    __tablename__ = "process"

    boot_id: Mapped[Ref] = mapped_column(primary_key=True)
    host: Mapped[Name]
    pid: Mapped[int]
    started_us: Mapped[MomentUs]
    beat_us: Mapped[MomentUs]


class JobLease(Base):
    """Which process runs the periodic jobs."""

    __tablename__ = "job_lease"

    name: Mapped[Name] = mapped_column(primary_key=True)
    boot_id: Mapped[Ref]
    until_us: Mapped[MomentUs]


class LimitRule(Base):
    """How much somebody may ask for at a time. Not a budget: what is over in a minute costs nothing."""

    __tablename__ = "limit_rule"

    id: Mapped[Id]
    scope: Mapped[Name]
    """`hub team key user model credential`"""
    scope_id: Mapped[Name]
    """The id of a team, key, user or credential; a model's public name; empty for the hub. `*`: for each one."""
    unit: Mapped[Name]
    """`requests`, `tokens` or `streams` (under way at once)"""
    amount: Mapped[int] = mapped_column(BigInteger)
    per: Mapped[Name]
    """`minute`, `day`; `once` for streams"""
    note: Mapped[LongText]
    created_us: Mapped[MomentUs]
    ended_us: Mapped[MomentUs | None]
