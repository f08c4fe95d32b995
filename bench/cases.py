"""The cases: what is done to each subject, and the rows that come of it."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench import charged, client, payloads, process
from bench.ledger import LedgerResult
from bench.orders import Latency, LatencyResult, Load, LoadResult, Streams
from bench.report import Row
from bench.stage import Stage, Subject, bearer, call_once

_ROOT = Path(__file__).resolve().parent.parent
_SETTLE_SECONDS = 0.3
"""Between the last answer and reading the CPU: records that are still being written belong to the calls."""
_IDLE_RAMP_SECONDS = 2.0
_COLD_LIMIT_SECONDS = 30.0


def chat(stage: Stage) -> list[Row]:
    """Calls answered in one piece."""
    return _compare(stage, "chat", payloads.chat())


def stream(stage: Stage) -> list[Row]:
    """Streams of 53 events, each of them a write of its own."""
    return _compare(stage, "stream", payloads.stream())


def across(stage: Stage) -> list[Row]:
    """The same stream through the hub twice: passed on as it is, and translated from one format into another."""
    if "hub" not in stage.names:
        return []
    scale = stage.scale
    ways = {"pass": (payloads.stream(), payloads.CHAT_PATH), "across": (payloads.messages(), payloads.MESSAGES_PATH)}
    loads: dict[str, list[LoadResult]] = {way: [] for way in ways}
    cpu_us: dict[str, list[float]] = {way: [] for way in ways}
    with stage.subjects() as subjects:
        hub = next(subject for subject in subjects if subject.name == "hub")
        for body, path in ways.values():
            _warm(hub, body, scale.warm_calls, path)
        for _ in range(scale.rounds):
            for way, (body, path) in ways.items():
                order = Load(
                    target=hub.target(body, path), connections=scale.load_connections, seconds=scale.load_seconds
                )
                cpu_before = process.cpu_seconds(hub.pid)
                load = client.load(order, stage.choice)
                time.sleep(_SETTLE_SECONDS)
                cpu_us[way].append(_per_call_us(process.cpu_seconds(hub.pid) - cpu_before, load.calls))
                loads[way].append(load)
        memory_mb = process.rss_mb(hub.pid)
    passed_us = statistics.median(cpu_us["pass"])
    return [
        Row(
            case=way,
            subject="hub",
            calls=sum(load.calls for load in loads[way]),
            errors=sum(load.errors for load in loads[way]),
            calls_per_second=statistics.median(load.calls / load.seconds for load in loads[way]),
            cpu_us_per_call=statistics.median(cpu_us[way]),
            times_passed=statistics.median(cpu_us[way]) / passed_us if way == "across" else None,
            load_p50_ms=statistics.median(load.p50_ms for load in loads[way]),
            load_p99_ms=statistics.median(load.p99_ms for load in loads[way]),
            rss_mb=memory_mb,
        )
        for way in ways
    ]


def big(stage: Stage) -> list[Row]:
    """Calls with a body of 300 KB."""
    return _compare(stage, "big", payloads.big())


def idle(stage: Stage) -> list[Row]:
    """Many streams at once that have little to say: what one of them costs, and how late its words are."""
    scale = stage.scale
    rows: list[Row] = []
    with stage.subjects() as subjects:
        for subject in subjects:
            _warm(subject, payloads.stream(), scale.warm_calls)
            rows.append(_idle_row(stage, subject))
    return rows


def soak(stage: Stage) -> list[Row]:
    """So many calls that a leak shows: the memory at the mark against the memory at the end."""
    scale = stage.scale
    rows: list[Row] = []
    with stage.subjects() as subjects:
        for subject in subjects:
            call_once(subject, payloads.chat())
            part = Load(
                target=subject.target(payloads.chat()), connections=scale.load_connections, calls=scale.soak_mark
            )
            cpu_before = process.cpu_seconds(subject.pid)
            loads: list[LoadResult] = []
            memory_mb: list[float] = []
            for _ in range(max(2, scale.soak_calls // scale.soak_mark)):
                # Calls are counted here, so the parts go to the own client.
                loads.append(client.load(part, "own"))
                time.sleep(_SETTLE_SECONDS)
                memory_mb.append(process.rss_mb(subject.pid))
            calls = sum(load.calls for load in loads)
            rows.append(
                Row(
                    case="soak",
                    subject=subject.name,
                    calls=calls,
                    errors=sum(load.errors for load in loads),
                    calls_per_second=calls / sum(load.seconds for load in loads),
                    cpu_us_per_call=_per_call_us(process.cpu_seconds(subject.pid) - cpu_before, calls),
                    rss_mb=memory_mb[-1],
                    rss_growth_percent=(memory_mb[-1] / memory_mb[0] - 1) * 100,
                )
            )
    return rows


def cold(stage: Stage) -> list[Row]:
    """From the start of `hub serve` on a migrated data folder to the end of the first answer."""
    if "hub" not in stage.names:
        return []
    hub = stage.hub()
    seconds: list[float] = []
    rss_mb = 0.0
    for _ in range(stage.scale.cold_starts):
        port = process.free_port()
        begun = time.perf_counter()
        with hub.serving(port, wait=False) as pid:
            subject = Subject(name="hub", port=port, pid=pid, headers=bearer(hub.key))
            _call_until_answered(subject, begun + _COLD_LIMIT_SECONDS)
            seconds.append(time.perf_counter() - begun)
            rss_mb = process.rss_mb(pid)
    median = statistics.median(seconds)
    return [Row(case="cold", subject="hub", calls=len(seconds), errors=0, rss_mb=rss_mb, cold_start_seconds=median)]


def ledger(stage: Stage) -> list[Row]:
    """Holds and settlements through the writer alone: all on one account, and spread over many."""
    if "hub" not in stage.names:
        return []
    scale = stage.scale
    rows: list[Row] = []
    for case, wallets in (("hot", 1), ("spread", scale.ledger_wallets)):
        results = [_ledger_result(stage, wallets) for _ in range(scale.rounds)]
        rows.append(
            Row(
                case=case,
                subject="hub",
                calls=sum(result.calls for result in results),
                errors=0,
                calls_per_second=statistics.median(result.calls / result.seconds for result in results),
                cpu_us_per_call=statistics.median(result.cpu_us_per_call for result in results),
                hold_p50_ms=statistics.median(result.take_p50_ms for result in results),
                hold_p99_ms=statistics.median(result.take_p99_ms for result in results),
                load_p50_ms=statistics.median(result.settle_p50_ms for result in results),
                load_p99_ms=statistics.median(result.settle_p99_ms for result in results),
            )
        )
    return rows


CASES: dict[str, Callable[[Stage], list[Row]]] = {
    "chat": chat,
    "stream": stream,
    "across": across,
    "big": big,
    "idle": idle,
    "soak": soak,
    "cold": cold,
    "ledger": ledger,
    "credits": charged.credits,
    "history": charged.history,
}


def _compare(stage: Stage, case: str, body: bytes) -> list[Row]:
    """The subjects take turns within each round, so that a slow minute of the machine hits all of them."""
    scale = stage.scale
    latencies: dict[str, list[LatencyResult]] = {}
    loads: dict[str, list[LoadResult]] = {}
    cpu_us: dict[str, list[float]] = {}
    with stage.subjects() as subjects:
        for subject in subjects:
            _warm(subject, body, scale.warm_calls)
        for _ in range(scale.rounds):
            for subject in subjects:
                name = subject.name
                target = subject.target(body)
                latencies.setdefault(name, []).append(client.latency(Latency(target=target, calls=scale.latency_calls)))
                order = Load(target=target, connections=scale.load_connections, seconds=scale.load_seconds)
                cpu_before = process.cpu_seconds(subject.pid)
                load = client.load(order, stage.choice)
                time.sleep(_SETTLE_SECONDS)
                cpu_us.setdefault(name, []).append(
                    _per_call_us(process.cpu_seconds(subject.pid) - cpu_before, load.calls)
                )
                loads.setdefault(name, []).append(load)
        memory_mb = {subject.name: process.rss_mb(subject.pid) for subject in subjects}

    def added(name: str, read: Callable[[LatencyResult], float]) -> float | None:
        if name == "direct":
            return None
        pairs = zip(latencies[name], latencies["direct"], strict=True)
        return statistics.median(read(through) - read(direct) for through, direct in pairs)

    return [
        Row(
            case=case,
            subject=subject.name,
            calls=sum(load.calls for load in loads[subject.name]),
            errors=sum(result.errors for result in [*loads[subject.name], *latencies[subject.name]]),
            calls_per_second=statistics.median(load.calls / load.seconds for load in loads[subject.name]),
            cpu_us_per_call=statistics.median(cpu_us[subject.name]),
            added_p50_ms=added(subject.name, lambda result: result.p50_ms),
            added_p99_ms=added(subject.name, lambda result: result.p99_ms),
            added_first_byte_p50_ms=added(subject.name, lambda result: result.first_byte_p50_ms),
            load_p50_ms=statistics.median(load.p50_ms for load in loads[subject.name]),
            load_p99_ms=statistics.median(load.p99_ms for load in loads[subject.name]),
            rss_mb=memory_mb[subject.name],
        )
        for subject in subjects
    ]


def _ledger_result(stage: Stage, wallets: int) -> LedgerResult:
    scale = stage.scale
    amount = ["--wallets", wallets, "--callers", scale.ledger_callers, "--seconds", scale.load_seconds]
    argv = [sys.executable, "-m", "bench.ledger", *map(str, amount)]
    done = subprocess.run(argv, env=stage.migrated(), cwd=_ROOT, capture_output=True, check=False)
    if done.returncode:
        raise process.NotStarted(f"the ledger ended with code {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    return msgspec.json.decode(done.stdout, type=LedgerResult)


def _idle_row(stage: Stage, subject: Subject) -> Row:
    scale = stage.scale
    samples_mb = [process.rss_mb(subject.pid)]
    cpu_before = process.cpu_seconds(subject.pid)
    order = Streams(
        target=subject.target(payloads.slow()),
        streams=scale.idle_streams,
        words=scale.idle_words + 1,
        seconds=scale.idle_words * scale.idle_delay_seconds,
        ramp_seconds=_IDLE_RAMP_SECONDS,
    )
    result = client.streams(order, lambda: samples_mb.append(process.rss_mb(subject.pid)))
    time.sleep(_SETTLE_SECONDS)
    return Row(
        case="idle",
        subject=subject.name,
        calls=result.streams,
        errors=result.errors,
        cpu_us_per_call=_per_call_us(process.cpu_seconds(subject.pid) - cpu_before, result.streams),
        rss_mb=max(samples_mb),
        rss_per_stream_kb=(max(samples_mb) - samples_mb[0]) * 1e3 / result.streams,
        gap_p50_ms=result.gap_p50_ms,
        gap_p99_ms=result.gap_p99_ms,
        gap_max_ms=result.gap_max_ms,
    )


def _warm(subject: Subject, body: bytes, calls: int, path: str = payloads.CHAT_PATH) -> None:
    """The first calls load code, open connections and fill caches; they are nobody's usual cost.

    Raises:
        Broken: the subject does not answer the call; measuring refusals would flatter it.
    """
    call_once(subject, body, path)
    client.load(Load(target=subject.target(body, path), connections=8, calls=calls), "own")


def _call_until_answered(subject: Subject, deadline: float) -> None:
    while True:
        try:
            call_once(subject, payloads.chat())
        except client.Broken:
            if time.perf_counter() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _per_call_us(seconds: float, calls: int) -> float:
    return seconds * 1e6 / max(calls, 1)
