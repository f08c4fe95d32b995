"""`/api/usage/*`: what a team called over time and by project, in AIGNE's shapes.

A project is what a program names itself by in `x-aigne-hub-client-did` or `x-hub-project`; `""` is none. Durations and
times to the first byte are seconds with one decimal, averages over the calls that have one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.base.clock import MICROSECONDS
from app.domain.calls import statistics
from app.domain.calls.statistics import InBucket, OfProject, Range, Sums
from app.web.api.aigne_query import DAY_US, HOUR_US, Query, caller_of, credit_number, encode
from app.web.api.visit import Visit

_PAGE_SIZE = 20


async def projects(visit: Visit) -> None:
    """`GET /api/usage/projects`, a page at a time."""
    caller, query = caller_of(visit), Query(visit)
    query.refuse_all_users()
    page, size = query.paging(_PAGE_SIZE)
    by_credits = query.word("sortBy", ("totalCalls", "totalCredits"), "totalCalls") == "totalCredits"
    is_descending = query.word("sortOrder", ("asc", "desc"), "desc") == "desc"
    async with visit.gateway.shared.db.reading() as session:
        found = await statistics.by_project(
            session,
            query.range_of(caller),
            order="credits" if by_credits else "calls",
            is_descending=is_descending,
        )
    shown = [_project_row(row) for row in found[(page - 1) * size : page * size]]
    await visit.answer(encode({"projects": shown, "total": len(found), "page": page, "pageSize": size}))


async def group_trends(visit: Visit) -> None:
    """`GET /api/usage/projects/group-trends`: each bucket by project."""
    caller, query = caller_of(visit), Query(visit)
    query.refuse_all_users()
    range_ = query.range_of(caller)
    size_us, offset_us = _bucket_of(range_), query.offset_us()
    async with visit.gateway.shared.db.reading() as session:
        rows = await statistics.by_time(
            session, range_, size_us=size_us, offset_us=offset_us, tells_projects_apart=True
        )
        found = await statistics.by_project(session, range_, order="last")
    by_start: dict[int, dict[str, Any]] = {start: {} for start in _starts(range_, size_us, offset_us)}
    for row in rows:
        by_start.setdefault(row.start_us, {})[row.project] = {
            "totalUsage": row.sums.tokens,
            "totalCredits": credit_number(row.sums.charged_nano),
            "totalCalls": row.sums.calls,
            "successCalls": row.sums.succeeded,
            **_times(row.sums),
        }
    await visit.answer(
        encode(
            {
                "projects": [_project(row.project) | {"lastCallTime": _second(row.sums)} for row in found],
                "trends": [
                    {"timestamp": start // MICROSECONDS, "byProject": by_start[start]} for start in sorted(by_start)
                ],
                "granularity": "hour" if size_us == HOUR_US else "day",
            }
        )
    )


async def trends(visit: Visit) -> None:
    """`GET /api/usage/trends`: of the caller's team, not of the whole hub as for an administrator of the original."""
    await visit.answer(encode({"trends": await _trends(visit, None)}))


async def project_trends(visit: Visit) -> None:
    """`GET /api/usage/projects/trends?appDid=`."""
    project = Query(visit).text("appDid") or ""
    await visit.answer(encode({"project": _project(project), "trends": await _trends(visit, project)}))


async def _trends(visit: Visit, project: str | None) -> list[dict[str, Any]]:
    """Every bucket of the range, those without calls too."""
    caller, query = caller_of(visit), Query(visit)
    query.refuse_all_users()
    range_ = query.range_of(caller)
    size_us, offset_us = _bucket_of(range_), query.offset_us()
    async with visit.gateway.shared.db.reading() as session:
        rows = await statistics.by_time(session, range_, size_us=size_us, offset_us=offset_us, project=project)
    return _filled(rows, _starts(range_, size_us, offset_us))


def _filled(rows: Iterable[InBucket], starts: Iterable[int]) -> list[dict[str, Any]]:
    by_start = {start: Sums() for start in starts} | {row.start_us: row.sums for row in rows}
    return [
        {
            "timestamp": start // MICROSECONDS,
            "calls": sums.calls,
            "successCalls": sums.succeeded,
            "successRate": round(100 * sums.success_rate, 2),
            **_times(sums),
            "totalCredits": credit_number(sums.charged_nano),
            "totalUsage": sums.tokens,
        }
        for start, sums in sorted(by_start.items())
    ]


def _bucket_of(range_: Range) -> int:
    """Hours for a day, days for more."""
    return HOUR_US if range_.until_us - range_.since_us <= DAY_US + MICROSECONDS else DAY_US


def _starts(range_: Range, size_us: int, offset_us: int) -> range:
    first = (range_.since_us - offset_us) // size_us * size_us + offset_us
    return range(first, range_.until_us, size_us)


def _project_row(row: OfProject) -> dict[str, Any]:
    return _project(row.project) | {
        "totalCalls": row.sums.calls,
        "totalCredits": credit_number(row.sums.charged_nano),
        "avgDuration": _times(row.sums)["avgDuration"],
        "successRate": round(100 * row.sums.success_rate, 2),
        "lastCallTime": _second(row.sums),
    }


def _project(project: str) -> dict[str, Any]:
    return {"appDid": project, "appName": project, "appLogo": "", "appUrl": ""}


def _times(sums: Sums) -> dict[str, float]:
    return {
        "avgDuration": round((sums.total_us or 0) / MICROSECONDS, 1),
        "avgTtfb": round((sums.first_byte_us or 0) / MICROSECONDS, 1),
    }


def _second(sums: Sums) -> int | None:
    return None if sums.last_us is None else sums.last_us // MICROSECONDS
