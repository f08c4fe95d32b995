"""The cases of hubs that charge credits: beside one that charges nothing, and with a long history beside a short."""

import contextlib
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct, field

from bench import client, payloads, process
from bench.history import median_wait_ms, seed
from bench.hub import Hub
from bench.orders import Latency, Load, LoadResult
from bench.report import Row
from bench.stage import Stage, Subject, bearer, call_once

_SETTLE_SECONDS = 0.5
"""Between the last answer and reading the CPU: what is still being written belongs to the calls."""


class _Side(Struct):
    """One of those that take turns: a hub, served by one process or more."""

    case: str
    hub: Hub
    subjects: list[Subject]
    loads: list[LoadResult] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)


def credits(stage: Stage) -> list[Row]:
    """The same chat where nothing is charged and where it is: held, settled, journaled, counted in a budget.

    On PostgreSQL each hub has two processes.
    """
    if "hub" not in stage.names:
        return []
    processes = 2 if stage.on_postgres else 1
    with contextlib.ExitStack() as stack:
        sides = [_side(stage, stack, "free", stage.hub(), processes)]
        sides.append(_side(stage, stack, "credits", stage.hub(charges=True), processes))
        _take_turns(stage, sides)
        return _rows(sides, "what it takes uncharged")


def history(stage: Stage) -> list[Row]:
    """A charged call in a hub that has had few calls and in one that has had very many. On SQLite."""
    if "hub" not in stage.names or stage.on_postgres:
        return []
    with contextlib.ExitStack() as stack:
        sides: list[_Side] = []
        for case, calls in (("young", stage.scale.young_calls), ("old", stage.scale.history_calls)):
            hub = stage.hub(charges=True)
            with contextlib.ExitStack() as first:
                # A few real ones, to be copied.
                _warm(stage, _side(stage, first, case, hub, 1))
            seed(hub.sqlite_path, calls)
            sides.append(_side(stage, stack, case, hub, 1))
        _take_turns(stage, sides)
        return _rows(sides, "what it takes in a young hub")


def _side(stage: Stage, stack: contextlib.ExitStack, case: str, hub: Hub, processes: int) -> _Side:
    subjects: list[Subject] = []
    for _ in range(processes):
        port = process.free_port()
        pid = stack.enter_context(hub.serving(port))
        subjects.append(Subject(name="hub", port=port, pid=pid, headers=bearer(hub.key)))
    return _Side(case, hub, subjects)


def _warm(stage: Stage, side: _Side) -> None:
    for subject in side.subjects:
        target = subject.target(payloads.chat())
        call_once(subject, payloads.chat())
        client.load(Load(target=target, connections=8, calls=stage.scale.warm_calls), "own")


def _take_turns(stage: Stage, sides: Sequence[_Side]) -> None:
    scale = stage.scale
    for side in sides:
        _warm(stage, side)
    for _ in range(scale.rounds):
        for side in sides:
            before = time.time_ns() // 1000
            target = side.subjects[0].target(payloads.chat())
            client.latency(Latency(target=target, calls=scale.latency_calls))
            time.sleep(_SETTLE_SECONDS)
            side.waits_ms.append(median_wait_ms(side.hub, before))
            cpu_before = _cpu_seconds(side)
            loads = _load(stage, side)
            time.sleep(_SETTLE_SECONDS)
            side.cpu_us.append((_cpu_seconds(side) - cpu_before) * 1e6 / max(1, sum(load.calls for load in loads)))
            side.loads += loads


def _load(stage: Stage, side: _Side) -> list[LoadResult]:
    """At each process at once, the connections shared out."""
    connections = stage.scale.charged_connections // len(side.subjects)
    with ThreadPoolExecutor(len(side.subjects)) as pool:
        orders = [
            Load(target=one.target(payloads.chat()), connections=connections, seconds=stage.scale.load_seconds)
            for one in side.subjects
        ]
        return list(pool.map(lambda order: client.load(order, stage.choice), orders))


def _cpu_seconds(side: _Side) -> float:
    return sum(process.cpu_seconds(subject.pid) for subject in side.subjects)


def _rows(sides: Sequence[_Side], base: str) -> list[Row]:
    base_us = statistics.median(sides[0].cpu_us)
    return [
        Row(
            case=side.case,
            subject="hub",
            calls=sum(load.calls for load in side.loads),
            errors=sum(load.errors for load in side.loads),
            calls_per_second=len(side.subjects) * statistics.median(load.calls / load.seconds for load in side.loads),
            cpu_us_per_call=statistics.median(side.cpu_us),
            times_base=None if side is sides[0] else statistics.median(side.cpu_us) / base_us,
            base=base,
            wait_p50_ms=statistics.median(side.waits_ms),
            load_p50_ms=statistics.median(load.p50_ms for load in side.loads),
            load_p99_ms=statistics.median(load.p99_ms for load in side.loads),
            rss_mb=sum(process.rss_mb(subject.pid) for subject in side.subjects),
        )
        for side in sides
    ]
