"""`/api/user/model-calls` and `/api/usage/projects/calls`: the calls of the caller's team, as AIGNE shows them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from app.base import clock
from app.base.clock import MICROSECONDS
from app.base.money import show_nano
from app.base.usage import Usage
from app.domain.calls import history, statistics
from app.domain.calls.history import Wanted
from app.domain.calls.models import Call
from app.domain.identity.callers import Caller
from app.gateway.formats import FORMATS
from app.web.api.aigne_query import Query, caller_of, credit_number, encode
from app.web.api.visit import Visit

_TYPE_OF_TASK = {
    "conversation": "chatCompletion",
    "embedding": "embedding",
    "image": "imageGeneration",
    "video": "video",
}
_STATUSES = {"running": "processing", "succeeded": "success"}
_ASKED_STATUSES = ("all", "success", "failed", "processing")
_PAGE_SIZE, _PAGE_SIZE_OF_PROJECT = 50, 20
_MOST_EXPORTED = 10_000
_MAX_REASON = 1000
_TOP_MODELS = 5
_COLUMNS = (
    *("timestamp", "requestId", "userDid", "userName", "userEmail", "model", "provider", "type", "status"),
    *("inputTokens", "outputTokens", "totalUsage", "credits", "duration", "appDid", "errorReason"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def model_calls(visit: Visit) -> None:
    """`count` ends at 10000: what lies behind is reached by a shorter time."""
    caller, query = caller_of(visit), Query(visit)
    query.refuse_all_users()
    page, size = query.paging(_PAGE_SIZE)
    wanted = _wanted(query, caller)
    rows, count = await _page(visit, wanted, page, size)
    shown = [_row(row, caller) for row in rows]
    await visit.answer(encode({"count": count, "list": shown, "paging": {"page": page, "pageSize": size}}))


async def calls_of_project(visit: Visit) -> None:
    """`GET /api/usage/projects/calls?appDid=`: the same for one project; without one, calls that name none."""
    caller, query = caller_of(visit), Query(visit)
    query.refuse_all_users()
    page, size = query.paging(_PAGE_SIZE_OF_PROJECT)
    wanted = _wanted(query, caller, project=query.text("appDid") or "")
    rows, count = await _page(visit, wanted, page, size)
    shown = [_row(row, caller) for row in rows]
    await visit.answer(encode({"list": shown, "count": count, "page": page, "pageSize": size}))


async def export(visit: Visit) -> None:
    """CSV of at most 10000 calls, newest first. Cells that a spreadsheet would run as a formula are marked as text."""
    caller, query = caller_of(visit), Query(visit)
    query.refuse_all_users()
    async with visit.gateway.shared.db.reading() as session:
        rows = await history.page(session, _wanted(query, caller), limit=_MOST_EXPORTED)
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(_COLUMNS)
    for row in rows:
        shown = _row(row, caller)
        cells: dict[str, Any] = {**shown, **shown["usageMetrics"], "timestamp": shown["createdAt"]}
        cells |= {"provider": row.provider or "", "userName": caller.team_name, "userEmail": ""}
        cells["credits"] = show_nano(_charged(row))
        table.writerow([_cell(cells[column]) for column in _COLUMNS])
    name = f"model-calls-{clock.now():%Y-%m-%d}.csv"
    headers = [
        (b"content-type", b"text/csv; charset=utf-8"),
        (b"content-disposition", f'attachment; filename="{name}"'.encode()),
    ]
    await visit.door.answer(200, headers, written.getvalue().encode())


async def usage_stats(visit: Visit) -> None:
    """`GET /api/user/usage-stats`: the models that were called most."""
    caller, query = caller_of(visit), Query(visit)
    query.refuse_all_users()
    async with visit.gateway.shared.db.reading() as session:
        models = await statistics.by_model(session, query.range_of(caller))
    top = [
        {
            "providerId": row.provider,
            "provider": _provider(row.provider),
            "model": _bare(row.model),
            "totalCalls": row.calls,
        }
        for row in models[:_TOP_MODELS]
    ]
    distinct = len({row.model for row in models})
    await visit.answer(encode({"modelStats": {"list": top, "totalModelCount": distinct}}))


def _wanted(query: Query, caller: Caller, project: str | None = None) -> Wanted:
    status = query.word("status", _ASKED_STATUSES, "all")
    type_ = query.text("type")
    until_us = query.moment_us("endTime")
    seconds = query.whole("minDurationSeconds", 0, low=0, high=86_400)
    endpoints = None if type_ is None else [name for name in FORMATS if _type(name).lower() == type_.lower()]
    return Wanted(
        team_id=caller.team_id,
        since_us=query.moment_us("startTime"),
        until_us=None if until_us is None else until_us + MICROSECONDS,
        has_succeeded=None if status in ("all", "processing") else status == "success",
        endpoints=endpoints,
        provider=query.text("providerId"),
        project=project if project is not None else query.text("appDid"),
        model=query.text("model"),
        search=query.text("search"),
        least_us=seconds * MICROSECONDS or None,
    )


async def _page(visit: Visit, wanted: Wanted, page: int, size: int) -> tuple[Sequence[Call], int]:
    async with visit.gateway.shared.db.reading() as session:
        count = await history.count(session, wanted)
        return await history.page(session, wanted, limit=size, skip=(page - 1) * size), count


def _row(call: Call, caller: Caller) -> dict[str, Any]:
    usage = Usage(**{meter: getattr(call, meter) for meter in Usage.__struct_fields__})
    output = usage.output + usage.audio_out
    tokens = usage.input_total + output
    type_ = _type(call.endpoint)
    project = call.project or ""
    return {
        "id": call.id,
        "callTime": call.started_us // MICROSECONDS,
        "createdAt": _iso(call.started_us),
        "requestId": call.id,
        "traceId": call.upstream_id,
        "model": _bare(call.model),
        "providerId": call.provider or "",
        "provider": _provider(call.provider or ""),
        "credentialId": "",
        "type": type_,
        "status": _STATUSES.get(call.status, "failed"),
        "duration": _seconds(call.total_us),
        "ttfb": _seconds(call.first_byte_us),
        "totalUsage": usage.images if type_ == "imageGeneration" else usage.seconds if type_ == "video" else tokens,
        "usageMetrics": {
            "inputTokens": usage.input + usage.audio_in,
            "outputTokens": output,
            "cacheReadInputTokens": usage.cache_read,
            "cacheCreationInputTokens": usage.cache_write_5m + usage.cache_write_1h,
            "totalTokens": tokens,
            "numberOfImageGeneration": usage.images,
        },
        "credits": credit_number(_charged(call)),
        "errorReason": None if call.error_text is None else call.error_text[:_MAX_REASON],
        "appDid": project,
        "appInfo": {"appDid": project, "appName": project, "appLogo": "", "appUrl": ""},
        "userDid": caller.team_id,
        "userInfo": {"did": caller.team_id, "fullName": caller.team_name, "email": ""},
    }


def _charged(call: Call) -> int:
    """Less what was given back."""
    return (call.charge_nano or 0) - call.refunded_nano


def _type(endpoint: str) -> str:
    format_ = FORMATS.get(endpoint)
    if format_ is not None and format_.task is not None:
        return _TYPE_OF_TASK[format_.task]
    if endpoint == "completions":
        return "chatCompletion"
    return "audioGeneration" if endpoint.startswith("audio.") else "custom"


def _provider(name: str) -> dict[str, str]:
    return {"id": name, "name": name, "displayName": name}


def _bare(model: str) -> str:
    return model.partition("/")[2] or model


def _seconds(duration_us: int | None) -> float | None:
    return None if duration_us is None else round(duration_us / MICROSECONDS, 1)


def _iso(moment_us: int) -> str:
    moment = datetime.fromtimestamp(moment_us / MICROSECONDS, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
