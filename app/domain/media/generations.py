"""Generations: begun with their call, taken by a provider, asked for until they end.

Steps go through the writer, in one posting with what happens to the call; the rest are looks and claims.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import ColumnElement, bindparam, delete, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.clock import now_us
from app.base.writer import Statement, Step
from app.domain.media.models import Generation

OPEN = ("queued", "in_progress")


def _text(word: str) -> ColumnElement[str]:
    return literal_column(f"'{word}'")


class Begun(Struct, frozen=True, kw_only=True):
    call_id: str
    team_id: str
    model: str
    created_us: int
    expires_us: int


class Accepted(Struct, frozen=True, kw_only=True):
    """What is known when a provider has taken it. Names and units as in `Generation`."""

    seconds: int
    size: str
    format: str
    deployment_id: str
    credential_id: str
    upstream_model: str
    job_id: str
    poll_after_us: int


class Ended(Struct, frozen=True, kw_only=True):
    state: str
    progress: int
    seconds: int
    file_id: str | None
    error_code: str | None
    error_text: str | None
    ended_us: int


_STARTING, _EMPTY = _text("starting"), _text("")
_NOUGHT: ColumnElement[int] = literal_column("0")

_BEGIN = Statement(
    insert(Generation).values(
        **{name: bindparam(name) for name in Begun.__struct_fields__},
        state=_STARTING,
        **dict[str, ColumnElement[int]].fromkeys(("seconds", "progress", "poll_after_us"), _NOUGHT),
        **dict[str, ColumnElement[str]].fromkeys(
            ("size", "format", "deployment_id", "credential_id", "upstream_model", "job_id"), _EMPTY
        ),
    ),
    Begun.__struct_fields__,
)


def _update(names: Sequence[str], from_states: Sequence[str], **fixed: str) -> Statement:
    return Statement(
        update(Generation)
        .where(Generation.call_id == bindparam("of_call"), Generation.state.in_([_text(s) for s in from_states]))
        .values(
            **{name: bindparam(f"new_{name}") for name in names},
            **{name: _text(word) for name, word in fixed.items()},
        ),
        ("of_call", *(f"new_{name}" for name in names)),
    )


_ACCEPT = _update(Accepted.__struct_fields__, ("starting",), state="queued")
_END = _update(Ended.__struct_fields__, OPEN)
_GIVE_UP = _update(("error_code", "error_text", "ended_us"), ("starting",), state="failed")


def begin(begun: Begun) -> Step:
    return Step(_BEGIN, astuple(begun))


def accept(call_id: str, accepted: Accepted) -> Step:
    return Step(_ACCEPT, (call_id, *astuple(accepted)), must_touch=1)


def end(call_id: str, ended: Ended) -> Step:
    """The whole posting is refused where it has ended before."""
    return Step(_END, (call_id, *astuple(ended)), must_touch=1)


def give_up(call_id: str, *, error_code: str, error_text: str) -> Step:
    """No provider has taken it."""
    return Step(_GIVE_UP, (call_id, error_code, error_text, now_us()))


class Facts(Struct, frozen=True, kw_only=True):
    """A row. Names and units as in `Generation`."""

    call_id: str
    team_id: str
    model: str
    seconds: int
    size: str
    state: str
    progress: int
    format: str
    deployment_id: str
    credential_id: str
    upstream_model: str
    job_id: str
    file_id: str | None
    error_code: str | None
    error_text: str | None
    created_us: int
    poll_after_us: int
    ended_us: int | None
    expires_us: int


async def of_team(session: AsyncSession, team_id: str, call_id: str) -> Facts | None:
    row = await session.scalar(select(Generation).where(Generation.call_id == call_id, Generation.team_id == team_id))
    return None if row is None else _facts(row)


async def list_of_team(
    session: AsyncSession, team_id: str, *, after: str | None, most: int, is_newest_first: bool
) -> list[Facts]:
    """In the order of their making; `after` is the id of the last one of the list before."""
    found = select(Generation).where(Generation.team_id == team_id).limit(most)
    if after is not None:
        found = found.where(Generation.call_id < after if is_newest_first else Generation.call_id > after)
    found = found.order_by(Generation.call_id.desc() if is_newest_first else Generation.call_id)
    return [_facts(row) for row in await session.scalars(found)]


async def due(session: AsyncSession, most: int) -> list[Facts]:
    """Those whose provider is to be asked now."""
    rows = await session.scalars(
        select(Generation)
        .where(Generation.state.in_([_text(state) for state in OPEN]))
        .where(Generation.poll_after_us <= now_us())
        .order_by(Generation.poll_after_us)
        .limit(most)
    )
    return [_facts(row) for row in rows]


async def claim(session: AsyncSession, facts: Facts, until_us: int) -> bool:
    """Keep others away until a moment; False when one of them was quicker."""
    claimed = await session.scalar(
        update(Generation)
        .where(Generation.call_id == facts.call_id, Generation.poll_after_us == facts.poll_after_us)
        .where(Generation.state.in_(OPEN))
        .values(poll_after_us=until_us)
        .returning(Generation.call_id)
    )
    return claimed is not None


async def note(session: AsyncSession, call_id: str, *, state: str, progress: int, poll_after_us: int) -> None:
    """How far it is, and when to ask again."""
    await session.execute(
        update(Generation)
        .where(Generation.call_id == call_id, Generation.state.in_(OPEN))
        .values(state=state, progress=progress, poll_after_us=poll_after_us)
    )


async def remove(session: AsyncSession, call_id: str) -> None:
    await session.execute(delete(Generation).where(Generation.call_id == call_id))


async def forget_expired(session: AsyncSession, starting_before_us: int) -> int:
    """Delete what has ended and whose time is over; end what no provider has taken since. How many rows changed.

    What still says `starting` then was begun by a process that died before it heard from a provider.
    """
    lost = await session.execute(
        update(Generation)
        .where(Generation.state == "starting", Generation.created_us < starting_before_us)
        .values(
            state="failed",
            error_code="hub_stopped",
            error_text="The hub's process ended while the video was being ordered.",
            ended_us=now_us(),
        )
        .returning(Generation.call_id)
    )
    gone = await session.execute(
        delete(Generation)
        .where(Generation.expires_us < now_us(), Generation.state.in_(("completed", "failed")))
        .returning(Generation.call_id)
    )
    return len(lost.all()) + len(gone.all())


def _facts(row: Generation) -> Facts:
    return Facts(**{name: getattr(row, name) for name in Facts.__struct_fields__})
