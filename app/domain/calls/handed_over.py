"""Calls that outlive their request: a provider works at them, and any process of the hub may end them.

Such a call has no process of its own. So `upkeep.end_orphans`, which ends what a dead process has left, does not touch
it; it ends with its generation, once, by whoever finds that the generation has ended.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import ColumnElement, bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.usage import METERS, Usage
from app.base.writer import Statement, Step
from app.domain.calls.models import Call

NO_PROCESS = "generations"
"""Stands as the `boot_id` of these calls."""


class HandingOver(Struct, frozen=True, kw_only=True):
    """What is known when the provider has taken the order. Names and units as in `Call`."""

    queue_us: int | None
    provider: str
    deployment_id: str
    credential_id: str
    upstream_model: str
    upstream_id: str
    attempts: int
    http_status: int
    fidelity: str | None
    card_id: str | None
    price_facts: str | None


class LateEnding(Struct, frozen=True, kw_only=True):
    """What it came to. Names and units as in `Call`."""

    status: str
    total_us: int
    finish_reason: str | None
    error_code: str | None
    error_owner: str | None
    error_text: str | None
    usage_source: str
    provider_cost_nano: int | None
    charged_as: str | None
    cost_nano: int | None
    charge_nano: int | None


_RUNNING: ColumnElement[str] = literal_column("'running'")
_HAND_OVER_FIELDS = HandingOver.__struct_fields__
_HAND_OVER = Statement(
    update(Call)
    .where(Call.id == bindparam("call_id"), Call.status == _RUNNING)
    .values(
        boot_id=literal_column(f"'{NO_PROCESS}'"), **{name: bindparam(f"new_{name}") for name in _HAND_OVER_FIELDS}
    ),
    ("call_id", *(f"new_{name}" for name in _HAND_OVER_FIELDS)),
)
_END_FIELDS = (*LateEnding.__struct_fields__, *METERS)
_END = Statement(
    update(Call)
    .where(Call.id == bindparam("call_id"), Call.status == _RUNNING)
    .values({name: bindparam(f"new_{name}") for name in _END_FIELDS}),
    ("call_id", *(f"new_{name}" for name in _END_FIELDS)),
)


class Pinned(Struct, frozen=True, kw_only=True):
    """By what a call that was handed over is charged. Names as in `Call`."""

    team_id: str
    api_key_id: str
    user_id: str | None
    project: str | None
    model: str
    billing: str | None
    card_id: str | None
    price_facts: str | None
    started_us: int


async def pinned(session: AsyncSession, call_id: str) -> Pinned | None:
    """None where there is no such call."""
    rows = await session.execute(
        select(
            Call.team_id,
            Call.api_key_id,
            Call.user_id,
            Call.project,
            Call.model,
            Call.billing,
            Call.card_id,
            Call.price_facts,
            Call.started_us,
        ).where(Call.id == call_id)
    )
    row = rows.mappings().first()
    return None if row is None else Pinned(**row)


def hand_over(call_id: str, facts: HandingOver) -> Step:
    return Step(_HAND_OVER, (call_id, *astuple(facts)), must_touch=1)


def end(call_id: str, ending: LateEnding, usage: Usage) -> Step:
    """The whole posting is refused where the call has ended before."""
    return Step(_END, (call_id, *astuple(ending), *astuple(usage)), must_touch=1)
