"""Writes calls down, through the group-commit writer: a beginning before the provider is asked, an end exactly once.

The end applies only to a row that is still `running`, so whatever tries to end a call twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, literal_column, update

from app.base.orm import Base
from app.base.usage import METERS, Usage
from app.base.writer import Statement, Step
from app.domain.calls.models import Attempt, Call, CallContent, IdempotentAnswer

_ZERO: ColumnElement[int] = literal_column("0")

_BEGIN_FIELDS = (
    "id",
    "boot_id",
    "team_id",
    "api_key_id",
    "project",
    "endpoint",
    "model",
    "is_streamed",
    "client",
    "started_us",
    "billing",
    "user_id",
)

_BEGIN = Statement(
    insert(Call).values(
        **{name: bindparam(name) for name in _BEGIN_FIELDS},
        status=literal_column("'running'"),
        attempts=_ZERO,
        refunded_nano=_ZERO,
        **dict[str, ColumnElement[int]].fromkeys(METERS, _ZERO),
    ),
    _BEGIN_FIELDS,
    is_independent=True,
)


class Beginning(Struct, frozen=True, kw_only=True):
    """What is known when a call is admitted."""

    id: str
    boot_id: str
    team_id: str
    api_key_id: str
    project: str | None
    endpoint: str
    model: str
    is_streamed: bool
    client: str | None
    started_us: int
    billing: str
    user_id: str | None


class Ending(Struct, frozen=True, kw_only=True):
    """What a call came to. Names and units as in `Call`."""

    status: str
    queue_us: int | None
    first_byte_us: int | None
    total_us: int
    provider: str | None
    deployment_id: str | None
    credential_id: str | None
    upstream_model: str | None
    upstream_id: str | None
    attempts: int
    http_status: int | None
    finish_reason: str | None
    error_code: str | None
    error_owner: str | None
    error_text: str | None
    usage_source: str
    provider_cost_nano: int | None
    fidelity: str | None = None
    card_id: str | None = None
    price_facts: str | None = None
    charged_as: str | None = None
    cost_nano: int | None = None
    charge_nano: int | None = None


class Tried(Struct, frozen=True, kw_only=True):
    """One attempt of a call. Names and units as in `Attempt`."""

    n: int
    provider: str
    deployment_id: str
    credential_id: str
    started_us: int
    first_byte_us: int | None
    total_us: int
    http_status: int | None
    error_code: str | None
    error_text: str | None


class Content(Struct, frozen=True, kw_only=True):
    """Prompt and answer of a call whose team keeps them, sealed already."""

    team_id: str
    sealed_request: str
    sealed_answer: str
    expires_us: int


class KeptAnswer(Struct, frozen=True, kw_only=True):
    """The answer that a repeat with the same Idempotency-Key will get, sealed already."""

    http_status: int
    content_type: str
    sealed_answer: str


_END_FIELDS = (*Ending.__struct_fields__, *METERS)
_END = Statement(
    update(Call)
    .where(Call.id == bindparam("call_id"), Call.status == literal_column("'running'"))
    .values({name: bindparam(f"new_{name}") for name in _END_FIELDS}),
    ("call_id", *(f"new_{name}" for name in _END_FIELDS)),
    is_independent=True,
)


def _insert(table: type[Base], names: Sequence[str], *, is_independent: bool = False) -> Statement:
    return Statement(
        insert(table).values({name: bindparam(name) for name in names}), names, is_independent=is_independent
    )


_ATTEMPT = _insert(Attempt, ("call_id", *Tried.__struct_fields__), is_independent=True)
_CONTENT = _insert(CallContent, ("call_id", *Content.__struct_fields__), is_independent=True)
_CLAIM = _insert(IdempotentAnswer, ("digest", "body_digest", "call_id", "expires_us"))

_IS_CLAIM_OF_CALL = and_(
    IdempotentAnswer.call_id == bindparam("of_call"), IdempotentAnswer.digest == bindparam("of_digest")
)
_KEEP_ANSWER = Statement(
    update(IdempotentAnswer)
    .where(_IS_CLAIM_OF_CALL)
    .values({name: bindparam(f"new_{name}") for name in KeptAnswer.__struct_fields__}),
    ("of_digest", "of_call", *(f"new_{name}" for name in KeptAnswer.__struct_fields__)),
)
_RELEASE_CLAIM = Statement(delete(IdempotentAnswer).where(_IS_CLAIM_OF_CALL), ("of_digest", "of_call"))
_DROP_EXPIRED_CLAIM = Statement(
    delete(IdempotentAnswer).where(
        IdempotentAnswer.digest == bindparam("of_digest"), IdempotentAnswer.expires_us < bindparam("now_us")
    ),
    ("of_digest", "now_us"),
)


def begin(beginning: Beginning) -> Step:
    """The call's row, `running`."""
    return Step(_BEGIN, astuple(beginning))


def end(call_id: str, ending: Ending, usage: Usage) -> Step:
    """The call's end, its usage with it."""
    return Step(_END, (call_id, *astuple(ending), *astuple(usage)))


def tried(call_id: str, attempts: Sequence[Tried]) -> list[Step]:
    """A row for each attempt."""
    return [Step(_ATTEMPT, (call_id, *astuple(attempt))) for attempt in attempts]


def keep_content(call_id: str, content: Content) -> Step:
    return Step(_CONTENT, (call_id, *astuple(content)))


def claim(digest: bytes, body_digest: bytes, call_id: str, expires_us: int) -> Step:
    """Take an Idempotency-Key for this call. The posting fails on its unique key when another call has it."""
    return Step(_CLAIM, (digest, body_digest, call_id, expires_us))


def drop_expired_claim(digest: bytes, now_us: int) -> Step:
    return Step(_DROP_EXPIRED_CLAIM, (digest, now_us))


def keep_answer(digest: bytes, call_id: str, answer: KeptAnswer) -> Step:
    return Step(_KEEP_ANSWER, (digest, call_id, *astuple(answer)))


def release_claim(digest: bytes, call_id: str) -> Step:
    """A call that failed leaves its Idempotency-Key free, so that the client's next try is a real one."""
    return Step(_RELEASE_CLAIM, (digest, call_id))
