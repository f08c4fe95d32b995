"""The check of limits: are they counted for all processes of the hub, or by each for itself?"""

from __future__ import annotations

from collections.abc import Sequence

from app.adapters.counting.counts import Addition, CountsUnavailable
from app.base import clock
from app.base.clock import MICROSECONDS
from app.base.secret import Secret
from app.domain.calls import limits, upkeep
from app.ops.doctor_hub import Hub
from app.ops.findings import Finding, ok, warning


async def limits_(hub: Hub) -> Sequence[Finding]:
    async with hub.db.reading() as session:
        count = len(await limits.in_force(session))
        processes = max(hub.settings.workers, await upkeep.alive(session))
    if not count:
        return [ok("There are none.")]
    if hub.settings.redis_url is not None:
        return await _shared(hub.settings.redis_url, count)
    if processes > 1:
        return [
            warning(
                f"{processes} processes count limits each for itself, so up to {processes} times as much may pass.",
                "Set HUB_REDIS_URL to a Redis or Valkey that all of them reach, or run one process.",
            )
        ]
    return [ok(f"{count} in force, counted by one process.")]


async def _shared(url: Secret, count: int) -> Sequence[Finding]:
    from app.adapters.counting.shared_counts import SharedCounts

    counts = SharedCounts(url, "doctor")
    now_us = clock.now_us()
    try:
        await counts.add([Addition("doctor", now_us, now_us + MICROSECONDS, 0)])
    except CountsUnavailable as failure:
        return [
            warning(
                f"Redis at HUB_REDIS_URL does not count within 50 ms: {failure}.",
                "Look whether it runs and can be reached from here. HUB_LIMITS_ON_FAILURE says what becomes of calls.",
            )
        ]
    finally:
        await counts.close()
    return [ok(f"{count} in force, counted by Redis for all processes.")]
