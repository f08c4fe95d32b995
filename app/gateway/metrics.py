"""What Prometheus sees of this process. Labels are bounded: providers and endpoints, never models, keys or teams.

A call only adds to plain numbers; they become samples when somebody looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator

from msgspec import Struct
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

_Counts = defaultdict[tuple[str, ...], int]


class _Spread(Struct):
    """How often a duration fell into each bucket, the last one open, and all of them together."""

    counts: list[int]
    total_us: int = 0


class Metrics(Collector):
    """One registry per hub, so that two hubs in one process (tests) do not meet."""

    def __init__(self) -> None:
        self._calls: _Counts = defaultdict(int)
        self._attempts: _Counts = defaultdict(int)
        self._tokens: _Counts = defaultdict(int)
        self._estimated: _Counts = defaultdict(int)
        self._first_byte: dict[str, _Spread] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A number that is read when somebody looks."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def call_ended(self, *, endpoint: str, provider: str, status: str, first_byte_us: int | None) -> None:
        self._calls[endpoint, provider, status] += 1
        if first_byte_us is not None:
            spread = self._first_byte.get(provider)
            if spread is None:
                spread = self._first_byte[provider] = _Spread([0] * (len(_SECONDS) + 1))
            spread.counts[bisect_left(_SECONDS, first_byte_us / 1_000_000)] += 1
            spread.total_us += first_byte_us

    def attempt_ended(self, provider: str, outcome: str) -> None:
        self._attempts[provider, outcome] += 1

    def tokens_counted(self, provider: str, *, tokens_in: int, tokens_out: int, is_estimated: bool) -> None:
        self._tokens[provider, "in"] += tokens_in
        self._tokens[provider, "out"] += tokens_out
        if is_estimated:
            self._estimated[provider,] += 1

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        yield _counter("hub_calls", "Calls ended.", ("endpoint", "provider", "status"), self._calls)
        yield _counter("hub_attempts", "Tries at providers.", ("provider", "outcome"), self._attempts)
        yield _counter("hub_tokens", "Tokens counted.", ("provider", "direction"), self._tokens)
        yield _counter("hub_usage_estimated", "Calls whose usage no provider reported.", ("provider",), self._estimated)
        family = HistogramMetricFamily("hub_first_byte_seconds", "Until the answer began.", labels=("provider",))
        for provider, spread in self._first_byte.items():
            buckets: list[tuple[str, float]] = []
            below = 0
            for bound, count in zip((*map(str, _SECONDS), "+Inf"), spread.counts, strict=True):
                below += count
                buckets.append((bound, below))
            family.add_metric((provider,), buckets, spread.total_us / 1_000_000)
        yield family


def _counter(name: str, text: str, labels: tuple[str, ...], counts: _Counts) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family
