"""Sums over the calls of one team: by time, by project, by model. Always within a range of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.calls.models import Call

MOST_ROWS = 5_000


class Range(Struct, frozen=True, kw_only=True):
    team_id: str
    since_us: int
    until_us: int
    """Not included."""


class Sums(Struct, frozen=True, kw_only=True):
    """What some calls came to together. Times are averages of those that have one."""

    calls: int = 0
    succeeded: int = 0
    total_us: float | None = None
    first_byte_us: float | None = None
    tokens: int = 0
    """In and out, cached or not."""
    last_us: int | None = None
    """When the newest of them began."""
    charged_nano: int = 0
    """nano-credits, less what was given back."""

    @property
    def success_rate(self) -> float:
        """0 to 1; of no calls 0."""
        return self.succeeded / self.calls if self.calls else 0.0


class InBucket(Struct, frozen=True):
    start_us: int
    project: str
    """`""` where none was named, or where projects are not told apart."""
    sums: Sums


class OfProject(Struct, frozen=True):
    project: str
    sums: Sums


class OfModel(Struct, frozen=True):
    provider: str
    model: str
    calls: int


async def by_time(
    session: AsyncSession,
    range_: Range,
    *,
    size_us: int,
    offset_us: int = 0,
    project: str | None = None,
    tells_projects_apart: bool = False,
) -> Sequence[InBucket]:
    """Buckets of `size_us`, whose borders are moved by `offset_us`, in order; those without calls are not there."""
    bucket = ((Call.started_us - offset_us) // size_us).label("bucket")
    of_project = func.coalesce(Call.project, "").label("project")
    groups: list[ColumnElement[Any]] = [bucket, of_project] if tells_projects_apart else [bucket]
    query = select(bucket, *([of_project] if tells_projects_apart else []), *_SUMS).where(_within(range_))
    if project is not None:
        query = query.where(_of_project(project))
    rows = await session.execute(query.group_by(*groups).order_by(*groups).limit(MOST_ROWS))
    return [
        InBucket(
            int(row.bucket) * size_us + offset_us,
            row.project if tells_projects_apart else (project or ""),
            _sums(row),
        )
        for row in rows
    ]


async def by_project(
    session: AsyncSession,
    range_: Range,
    *,
    order: Literal["calls", "credits", "last"] = "calls",
    is_descending: bool = True,
) -> Sequence[OfProject]:
    """Every project that made calls, at most `MOST_ROWS`."""
    of_project = func.coalesce(Call.project, "").label("project")
    keys = {"calls": func.count(), "credits": _CHARGED, "last": func.max(Call.started_us)}
    key = keys[order]
    query = select(of_project, *_SUMS).where(_within(range_)).group_by(of_project)
    query = query.order_by(key.desc() if is_descending else key.asc(), of_project)
    return [OfProject(row.project, _sums(row)) for row in await session.execute(query.limit(MOST_ROWS))]


async def by_model(session: AsyncSession, range_: Range) -> Sequence[OfModel]:
    """How often each model was called at each provider, most called first, at most `MOST_ROWS`."""
    provider = func.coalesce(Call.provider, "").label("provider")
    query = (
        select(provider, Call.model, func.count().label("calls"))
        .where(_within(range_))
        .group_by(provider, Call.model)
        .order_by(func.count().desc(), Call.model)
        .limit(MOST_ROWS)
    )
    return [OfModel(row.provider, row.model, row.calls) for row in await session.execute(query)]


_TOKENS = (
    Call.input
    + Call.cache_read
    + Call.cache_write_5m
    + Call.cache_write_1h
    + Call.audio_in
    + Call.output
    + Call.audio_out
)
_CHARGED = func.coalesce(func.sum(Call.charge_nano - Call.refunded_nano), 0)
_SUMS: tuple[ColumnElement[Any], ...] = (
    func.count().label("calls"),
    func.sum(case((Call.status == "succeeded", 1), else_=0)).label("succeeded"),
    func.avg(Call.total_us).label("total_us"),
    func.avg(Call.first_byte_us).label("first_byte_us"),
    func.sum(_TOKENS).label("tokens"),
    func.max(Call.started_us).label("last_us"),
    _CHARGED.label("charged_nano"),
)


def _sums(row: Any) -> Sums:
    """PostgreSQL gives sums and averages of big integers as decimals."""
    return Sums(
        calls=int(row.calls),
        succeeded=int(row.succeeded or 0),
        total_us=None if row.total_us is None else float(row.total_us),
        first_byte_us=None if row.first_byte_us is None else float(row.first_byte_us),
        tokens=int(row.tokens or 0),
        last_us=None if row.last_us is None else int(row.last_us),
        charged_nano=int(row.charged_nano),
    )


def _within(range_: Range) -> ColumnElement[bool]:
    return and_(Call.team_id == range_.team_id, Call.started_us >= range_.since_us, Call.started_us < range_.until_us)


def _of_project(project: str) -> ColumnElement[bool]:
    return Call.project == project if project else Call.project.is_(None)
